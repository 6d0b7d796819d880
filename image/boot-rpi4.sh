#!/bin/sh
# Put what starts a Pi 4 next to an image: firmware, U-Boot, the kernel's device tree.
#
# Usage: boot-rpi4.sh KERNEL BINARIES_DIR
#
# What Buildroot's packages do in the other build. KERNEL is what kernel.sh printed. The firmware is
# Debian 13's, because a card's is never updated and the newest boards want a newer one than 12's.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} KERNEL BINARIES_DIR"
here=$(cd "${0%/*}" && pwd)
binaries=$(cd "$2" && pwd)
cp "$1/bcm2711-rpi-4-b.dtb" "$binaries"
uboot=$("$here/uboot.sh")
cp "$uboot/u-boot.bin" "$binaries"

fetch() {
	"$here/fetch-suite.sh" trixie non-free-firmware deb raspi-firmware "$work"
	dpkg -x "$work"/raspi-firmware_*.deb "$work/kept"
}
firmware=$(cached deb-raspi-firmware-trixie fetch)
rm -rf "$binaries/rpi-firmware"
mkdir "$binaries/rpi-firmware"
cp "$firmware/usr/lib/raspi-firmware/start4.elf" "$firmware/usr/lib/raspi-firmware/fixup4.dat" "$binaries/rpi-firmware"
# Its terms ask to be with every copy.
sed -n '/^Files: boot\//,/^$/p' "$firmware/usr/share/doc/raspi-firmware/copyright" >"$binaries/rpi-firmware/LICENCE.broadcom"
