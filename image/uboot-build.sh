#!/bin/sh
# Configure a U-Boot source tree from board/rpi4/u-boot, and build it for arm64.
#
# Usage: uboot-build.sh SOURCE OUT
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} SOURCE OUT"
config=$(cd "${0%/*}/../board/rpi4/u-boot" && pwd)
source=$1 out=$2
mkdir -p "$out"

# The same sources give the same U-Boot, whoever builds it and when.
export SOURCE_DATE_EPOCH=0
umake() {
	make -s -C "$source" CROSS_COMPILE=aarch64-linux-gnu- NO_PYTHON=1 "$@"
}

for patch in "$config"/*.patch; do
	patch -s -d "$source" -p 1 <"$patch"
done
umake rpi_arm64_defconfig >/dev/null
# Named here, because where this file lies is the build's affair; Buildroot has a setting for it.
{
	cat "$config/farhand.config"
	echo CONFIG_USE_DEFAULT_ENV_FILE=y
	echo "CONFIG_DEFAULT_ENV_FILE=\"$config/farhand.env\""
} >"$out/fragment"
"$source/scripts/kconfig/merge_config.sh" -m -O "$source" "$source/.config" "$out/fragment" >/dev/null
umake olddefconfig >/dev/null
"$config/../../common/check-config.sh" "$source/.config" "$out/fragment"
rm "$out/fragment"

umake -j"$(nproc)" u-boot.bin
cp "$source/u-boot.bin" "$out/u-boot.bin"
cp "$source/.config" "$out/config"
