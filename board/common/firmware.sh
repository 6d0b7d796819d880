#!/bin/sh
# Make the card's first partition: notes for the owner; firmware, U-Boot and device tree of a board that has them.
# And slot.dtbo, which slot.sh packs: what a release lays over that tree.
#
# Usage: firmware.sh BINARIES_DIR BOARD
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} BINARIES_DIR BOARD"
board=$(cd "${0%/*}/../$2" && pwd)
cd "$1"
workspace
: "${SOURCE_DATE_EPOCH:?}"

mkdir "$work/files"
if [ -e "$board/config.txt" ]; then
	dtc -q -@ -I dts -O dtb -o "$work/farhand.dtbo" "$board/farhand-$2.dtso"
	fdtoverlay -i bcm2711-rpi-4-b.dtb -o "farhand-$2.dtb" "$work/farhand.dtbo"
	dtc -q -I dts -O dtb -o slot.dtbo "$board/slot.dtso"
	fdtoverlay -i "farhand-$2.dtb" -o "$work/whole.dtb" slot.dtbo || die "slot.dtso does not go over the card's device tree"
	cp "$board/config.txt" u-boot.bin "farhand-$2.dtb" rpi-firmware/* "$work/files"
	for file in start4.elf fixup4.dat LICENCE.broadcom; do
		[ -s "$work/files/$file" ] || die "no $file among the Raspberry Pi's firmware"
	done
fi

# note FILE TEXT: one sector, which the running system writes in place (src/hw/note.rs), so that neither
# folder nor tables ever change. It knows the sector by how the text begins.
note() {
	printf '%-511s\n' "$2" >"$work/files/$1"
}
note claim-code.txt 'claim code: none yet. Switch the appliance on, off again after a minute, and look here.
'
note farhand-error.txt 'What Farhand says of the farhand.toml on this card:
Nothing is wrong with it, or there is none.
'

# Volume number and times are given, so that two builds are the same. Clusters of one sector make it a
# FAT32 that small, the kind that the makers of the firmware advise.
rm -f firmware.vfat
truncate -s 48M firmware.vfat
mkfs.fat --invariant -i fa7a4d01 -n FARHAND -F 32 -s 1 firmware.vfat >/dev/null
find "$work/files" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
TZ=UTC mcopy -mi firmware.vfat "$work"/files/* ::
