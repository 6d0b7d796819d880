#!/bin/sh
# Check the image of a card against what every card promises. The last step of both builds.
#
# Usage: check-card.sh CARD.img[.xz]
#
# It is judged by what is on it, not by what it was made from, so any image can be checked. Needs
# no rights: nothing is mounted.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 1 ] || die "usage: ${0##*/} CARD.img[.xz]"
need_file "$1"
need_tools sfdisk:fdisk mcopy:mtools mdir:mtools fdtget:device-tree-compiler fdtoverlay:device-tree-compiler unsquashfs:squashfs-tools \
	veritysetup:cryptsetup-bin e2fsck:e2fsprogs debugfs:e2fsprogs xz:xz-utils python3:python3 readelf:binutils
common=$(cd "${0%/*}" && pwd)
workspace
card=$work/card.img
case $1 in
*.xz) xz -dc "$1" >"$card" ;;
*) ln -s "$(readlink -f "$1")" "$card" ;;
esac

# judge SENTENCE COMMAND...: end with this sentence, and what the tool says, if it fails
judge() {
	sentence=$1
	shift
	"$@" >"$work/said" 2>&1 || die "$sentence: $(tail -n 1 "$work/said")"
}

# field PARTITION start|size: in sectors, as the partition table says
field() {
	sed -n "s/^[^ ]*img$1 :.* $2= *\([0-9]*\).*/\1/p" "$work/table"
}

# part PARTITION FILE: copies a partition
part() {
	dd if="$card" of="$2" bs=512 skip="$(field "$1" start)" count="$(field "$1" size)" conv=sparse status=none
}

# The table: what a running system and U-Boot take for granted.
judge 'there is no partition table' sfdisk -d "$card"
mv "$work/said" "$work/table"
grep -qx 'label: dos' "$work/table" || die "the partition table is not an MBR"
grep -qx 'label-id: 0xfa7a4d01' "$work/table" || die "the disk signature is not fa7a4d01"
numbers=$(sed -n 's/^[^ ]*img\([0-9]*\) :.*/\1/p' "$work/table" | tr '\n' ' ')
[ "$numbers" = '1 2 3 5 6 7 8 ' ] || die "the partitions are not 1 2 3 5 6 7 8 but $numbers"
[ "$(field 1 start)" -eq 8192 ] || die "the first partition does not leave 4 MiB for U-Boot's environment"
for number in 1 2 5 6 7 8; do
	[ "$(field $number start)" -lt "$(field 3 start)" ] || die "partition 3 is not the last: it could not grow"
done
[ "$(field 5 size) $(field 6 size)" = "$(field 7 size) $(field 8 size)" ] || die "the two slots differ in size"

# U-Boot's environment: both copies whole. gzip ends with the checksum that U-Boot uses.
for offset in 1024 1536; do
	dd if="$card" of="$work/environment" bs=1K skip=$offset count=16 status=none
	sum=$(tail -c +6 "$work/environment" | gzip -c | tail -c 8 | head -c 4 | od -An -tx4)
	[ "$sum" = "$(head -c 4 "$work/environment" | od -An -tx4)" ] || die "the environment at $offset KiB is damaged"
	for line in CONFIRMED=A 'BOOT_ORDER=A B' BOOT_A_LEFT=3 BOOT_B_LEFT=3; do
		tail -c +6 "$work/environment" | tr '\0' '\n' | grep -qx "$line" || die "the environment at $offset KiB lacks $line"
	done
done

# The firmware's partition: what config.txt names is there, and no owner's file is.
part 1 "$work/firmware"
files=$(mdir -b -i "$work/firmware" :: | sed 's|^::/||')
if echo "$files" | grep -qx config.txt; then
	mcopy -i "$work/firmware" ::config.txt "$work/config.txt"
	for file in $(tr -d '\r' <"$work/config.txt" | sed -nE 's/^(kernel|device_tree)=//p') start4.elf fixup4.dat LICENCE.broadcom; do
		echo "$files" | grep -qx "$file" || die "the firmware's partition lacks $file"
	done
	tree=$(tr -d '\r' <"$work/config.txt" | sed -n 's/^device_tree=//p')
	mcopy -i "$work/firmware" "::$tree" "$work/tree"
fi
! echo "$files" | grep -qx farhand.toml || die "every card would share this farhand.toml"
# The notes exist, so that they can be written in place, and are still empty.
while read -r note nothing; do
	echo "$files" | grep -qx "$note" || die "the firmware's partition lacks $note"
	mcopy -n -i "$work/firmware" "::$note" "$work/$note"
	[ "$(stat -c %s "$work/$note")" -eq 512 ] || die "$note is not one sector long"
	grep -q "^$nothing" "$work/$note" || die "every card would share this $note"
done <<-END
	claim-code.txt claim code: none yet
	farhand-error.txt Nothing is wrong
END

# Each slot: a kernel of our configuration, the hash of its root, and a root that has this hash.
for slot in '5 6' '7 8'; do
	boot=${slot% *} root=${slot#* }
	part "$boot" "$work/boot" && part "$root" "$work/root"
	rm -rf "$work/files"
	unsquashfs -q -n -d "$work/files" "$work/boot" >/dev/null || die "partition $boot is no squashfs"
	gzip -dc "$work/files/Image.gz" >"$work/Image" || die "partition $boot has no kernel"
	gzip -dc "$work/files/config.gz" >"$work/config" || die "partition $boot does not tell its kernel's configuration"
	"$common/check-config.sh" "$work/config" "$common"/linux/*.config
	arguments=$(cat "$work/files/slot.env")
	case $arguments in
	*'dm-mod.create="'*panic_on_corruption*'root=/dev/dm-0'*) ;;
	*) die "partition $boot does not check its root on the kernel's command line" ;;
	esac
	if [ -e "$work/tree" ]; then
		[ -s "$work/files/slot.dtbo" ] || die "partition $boot lacks slot.dtbo, what its release needs of the device tree"
		"$common/../rpi4/check-firmware.sh" "$work/config.txt" "$work/tree" "$work/files/slot.dtbo"
		fdtoverlay -i "$work/tree" -o "$work/whole" "$work/files/slot.dtbo"
	fi
	[ ! -e "$work/tree" ] || [ "$arguments" != "${arguments#*pinctrl_bcm2835.persist_gpio_outputs=0}" ] ||
		die "partition $boot lets a relay's pin keep its state when the process that holds it ends"
	# shellcheck disable=SC2046  # Words are meant: data blocks, start of the tree, hash, salt.
	set -- $(echo "$arguments" | sed -n 's/^args_after=4096 4096 \([0-9]*\) \([0-9]*\) sha256 \([0-9a-f]*\) \([0-9a-f]*\) .*/\1 \2 \3 \4/p')
	[ $# -eq 4 ] || die "partition $boot gives no hash of its root"
	judge "partition $root is not what the hash in partition $boot says" \
		veritysetup verify --no-superblock --hash sha256 --data-block-size 4096 --hash-block-size 4096 \
		--data-blocks "$1" --hash-offset $(($2 * 4096)) --salt "$4" "$work/root" "$work/root" "$3"
	owners=$(unsquashfs -lln "$work/root" | awk '/ squashfs-root/ && $2 != "0/0" { print $2, $NF }')
	[ -z "$owners" ] || die "not root's: $owners"
	rm -rf "$work/files"
	unsquashfs -q -n -no-xattrs -d "$work/files" "$work/root" >/dev/null || die "partition $root is no squashfs"
	"$common/check-root.sh" "$work/files"
	[ ! -e "$work/tree" ] || "$common/../rpi4/check-drivers.py" "$work/whole" "$work/Image" "$work/files"/usr/lib/modules/*
done

# What survives: clean, and empty.
part 3 "$work/data"
judge 'the file system of partition 3 is damaged' e2fsck -fn "$work/data"
# debugfs exits with 0 even if it could do nothing, and prints its version. So what every such file system has must be
# in its list.
judge 'partition 3 cannot be listed' debugfs -R 'ls -p /' "$work/data"
names=$(grep '^/' "$work/said" | cut -d / -f 6)
echo "$names" | grep -qx 'lost+found' || die "partition 3 cannot be listed: $(tail -n 1 "$work/said")"
found=$(echo "$names" | grep -vxE '\.|\.\.|lost\+found|' || true)
[ -z "$found" ] || die "every card would share these: $found"
