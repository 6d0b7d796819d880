#!/bin/sh
# Configure a BusyBox source tree from board/common/busybox.config, and build it for arm64.
#
# Usage: busybox-build.sh SOURCE OUT
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} SOURCE OUT"
common=$(cd "${0%/*}/../board/common" && pwd)
source=$1 out=$2
mkdir -p "$out"

bmake() {
	make -s -C "$source" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- KCONFIG_NOTIMESTAMP=1 SOURCE_DATE_EPOCH=0 "$@"
}

# Its Kconfig knows no fragments, but keeps the first of two answers: ours, then no to everything else.
bmake allnoconfig
cat "$common/busybox.config" "$source/.config" >"$out/asked"
mv "$out/asked" "$source/.config"
yes '' | bmake oldconfig
"$common/check-config.sh" "$source/.config" "$common/busybox.config"

bmake -j"$(nproc)" busybox busybox.links
cp "$source/busybox" "$out/busybox"
cp "$source/busybox.links" "$out/links"
