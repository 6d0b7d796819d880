#!/bin/sh
# Build U-Boot for the Pi 4, or find the one built earlier, and print where it is.
#
# Usage: uboot.sh
#
# The directory holds u-boot.bin and config. It is named by a hash of all that goes in, so a stale
# one cannot be taken by mistake.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
version=2025.01
# Of the upstream tarball, which Debian 13 carries.
sha256=cdef7d507c93f1bbd9f015ea9bc21fa074268481405501945abc6f854d5b686f
"$here/need.sh" gcc-aarch64-linux-gnu bc bison bzip2 dpkg-dev flex libssl-dev make patch xxd >&2

key=$({ echo "$sha256"; cat "$here/uboot-build.sh" "$here"/../board/rpi4/u-boot/*; } | digest)

build() {
	say "building U-Boot $version"
	"$here/fetch-suite.sh" trixie main deb-src u-boot "$work"
	tarball=$work/u-boot_$version.orig.tar.bz2
	need_file "$tarball" "no archive that this machine knows has U-Boot $version"
	need_hash "$tarball" "$sha256" "the source of U-Boot $version"
	mkdir "$work/source"
	tar -xf "$tarball" -C "$work/source" --strip-components=1
	"$here/uboot-build.sh" "$work/source" "$work/kept" >"$work/log" 2>&1 || {
		tail "$work/log" >&2
		die "cannot build U-Boot"
	}
}
cached "uboot-$key" build
