#!/bin/sh
# Put the finished parts together to the image of a card.
#
# Usage: post-image.sh BINARIES_DIR BOARD
#
# Both builds call this last. It needs the kernel's Image, kernel.config and root.squashfs there,
# and for a Pi bcm2711-rpi-4-b.dtb, u-boot.bin and rpi-firmware/; and leaves card.img and what it consists of.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} BINARIES_DIR BOARD"
common=$(cd "${0%/*}" && pwd)
binaries=$(cd "$1" && pwd)
cd "$binaries"
: "${SOURCE_DATE_EPOCH:?}"
workspace

# Buildroot has other names for these.
[ ! -e rootfs.squashfs ] || mv rootfs.squashfs root.squashfs
[ -e kernel.config ] || cp "$BUILD_DIR"/linux-[0-9]*/.config kernel.config
"$common/firmware.sh" . "$2"
"$common/slot.sh" . "$2"

# Identifiers and times that would be random are fixed, so that two builds are the same.
uuid=fa7ada7a-0000-4000-8000-000000000001
rm -f data.ext4
# Large blocks and few inodes, because it grows to the card: what suits 64 MiB would have the first boot
# write a gigabyte of empty inode tables. `resize` leaves room to describe 1 TiB.
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -i 65536 -L farhand-data -U $uuid \
	-E hash_seed=$uuid,root_owner=0:0,resize=268435456 data.ext4 64m >/dev/null
# U-Boot has the same values built in, but without an environment on the card fw_setenv would have nothing to change.
grep -E '^(CONFIRMED|BOOT_[A-Z_]*)=' "$common/../rpi4/u-boot/farhand.env" |
	mkenvimage -r -s 0x4000 -o environment.bin -

# Every slot can take a system half as large again: a card is never partitioned again.
for part in boot root; do
	slot=$(sed -n "/partition $part.A /,/}/s/.*size = \(.*\)M/\1/p" "$common/genimage.cfg")
	size=$(stat -c %s $part.img)
	[ $((size * 3 / 2)) -le $((slot << 20)) ] || die "$part.img has $size bytes: too many for a slot of $slot MiB"
done
mkdir "$work/root"
genimage --rootpath "$work/root" --tmppath "$work/tmp" --inputpath . --outputpath . \
	--config "$common/genimage.cfg" >"$work/log" 2>&1 || die "genimage failed: $(tail -n 3 "$work/log")"

# The table's second entry ends where the third, for data, begins: length, then no CHS, type 83, first
# sector and length.
le32() {
	printf '\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}
# shellcheck disable=SC2059  # The octal numbers are meant to become bytes.
printf "$(le32 $(((297 - 52) * 2048)))\\0\\376\\377\\377\\203\\376\\377\\377$(le32 $((297 * 2048)))$(le32 $((64 * 2048)))" |
	dd of=card.img bs=1 seek=474 conv=notrunc status=none
"$common/check-card.sh" card.img
