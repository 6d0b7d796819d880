#!/bin/sh
# Apply our patches to a kernel source tree, configure it from the fragments under board/, and build it for arm64.
#
# Usage: kernel-build.sh SOURCE OUT
#
# Built inside SOURCE, because paths are then relative and ccache finds earlier objects wherever
# the tree was unpacked.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} SOURCE OUT"
board=$(cd "${0%/*}/../board" && pwd)
linux=$1 out=$2
mkdir -p "$out"
out=$(cd "$out" && pwd)

# The same sources give the same kernel, whoever builds it and when.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026' KBUILD_BUILD_USER=farhand KBUILD_BUILD_HOST=farhand
kmake() {
	make -s -C "$linux" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
		CC='ccache aarch64-linux-gnu-gcc' HOSTCC='ccache gcc' "$@"
}

for patch in "$board"/common/linux/*.patch; do
	patch -s -F0 -d "$linux" -p1 <"$patch" || die "$patch does not fit this kernel"
done
cat "$board"/*/linux/*.config >"$out/fragments"
kmake KCONFIG_ALLCONFIG="$out/fragments" allnoconfig >/dev/null
rm "$out/fragments"
"$board/common/check-config.sh" "$linux/.config" "$board"/*/linux/*.config

# With the names of its nodes, so that our overlay can be laid over it.
kmake -j"$(nproc)" DTC_FLAGS=-@ Image modules broadcom/bcm2711-rpi-4-b.dtb
kmake INSTALL_MOD_PATH="$out/modules" INSTALL_MOD_STRIP=1 modules_install
rm -f "$out"/modules/lib/modules/*/build
cp "$linux/arch/arm64/boot/Image" "$linux/arch/arm64/boot/dts/broadcom/bcm2711-rpi-4-b.dtb" "$out"
cp "$linux/.config" "$out/config"
kmake kernelrelease >"$out/release"

# The kernel's own list of what outside modules need. It would rebuild its tools for the processor
# of CC if that were not HOSTCC's; ours are to run here.
kmake run-command KBUILD_RUN_COMMAND="env HOSTCC='ccache aarch64-linux-gnu-gcc' scripts/package/install-extmod-build '$out/devel'"
