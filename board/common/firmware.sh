#!/bin/sh
# Make the card's first partition: firmware, U-Boot, device tree. Nothing on a board without.
# And slot.dtbo, which slot.sh packs: what a release lays over that tree.
#
# Usage: firmware.sh BINARIES_DIR BOARD
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: ${0##*/} BINARIES_DIR BOARD"
board=$(cd "${0%/*}/../$2" && pwd)
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: "${SOURCE_DATE_EPOCH:?}"

if [ -e "$board/config.txt" ]; then
	dtc -q -@ -I dts -O dtb -o "$work/farhand.dtbo" "$board/farhand-$2.dtso"
	fdtoverlay -i bcm2711-rpi-4-b.dtb -o "farhand-$2.dtb" "$work/farhand.dtbo"
	dtc -q -I dts -O dtb -o slot.dtbo "$board/slot.dtso"
	fdtoverlay -i "farhand-$2.dtb" -o "$work/whole.dtb" slot.dtbo || die "slot.dtso does not go over the card's device tree"
	mkdir "$work/files"
	cp "$board/config.txt" u-boot.bin "farhand-$2.dtb" rpi-firmware/* "$work/files"
	for file in start4.elf fixup4.dat LICENCE.broadcom; do
		[ -s "$work/files/$file" ] || die "no $file among the Raspberry Pi's firmware"
	done
fi

# Volume number and times are given, so that two builds are the same.
rm -f firmware.vfat
truncate -s 48M firmware.vfat
mkfs.fat --invariant -i fa7a4d01 -n FARHAND -F 32 -s 1 firmware.vfat >/dev/null
[ ! -d "$work/files" ] || {
	find "$work/files" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	TZ=UTC mcopy -mi firmware.vfat "$work"/files/* ::
}
