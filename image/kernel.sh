#!/bin/sh
# Build the kernel that every board shares, or find the one built earlier, and print where it is.
#
# Usage: kernel.sh
#
# The directory holds Image, bcm2711-rpi-4-b.dtb, config, release, modules/ (to copy over a root) and devel/ (what
# a module outside the tree is built against: make -C devel M=... ARCH=arm64 CROSS_COMPILE=...).
# It is named by a hash of all that goes in, so a stale kernel cannot be taken by mistake.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
# The C library for arm64, because Kconfig notes in the configuration whether the compiler can link.
"$here/need.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross bc bison ccache flex kmod libelf-dev libssl-dev make patch \
	xz-utils >&2

# Two words: the version, and the file.
source=$("$here/linux.sh")
version=${source%% *} tarball=${source#* }
board=$here/../board
key=$({ echo "$version"; cat "$here/kernel-build.sh" "$board"/*/linux/*.config "$board"/common/linux/*.patch; } | digest)

build() {
	say "building linux $version, about ten minutes on two cores"
	mkdir "$work/linux"
	tar -xf "$tarball" -C "$work/linux" --strip-components=1
	# Without this, ccache would run the preprocessor by itself for each file that it does not have: at first, for all
	# of them.
	export CCACHE_DEPEND=1
	"$here/kernel-build.sh" "$work/linux" "$work/kept" >&2
}
cached "kernel-$key" build
