#!/bin/sh
# Build U-Boot for the Pi 4, or find the one built earlier, and print where it is.
#
# Usage: uboot.sh
#
# The directory holds u-boot.bin and config. It is named by a hash of all that goes in, so a stale
# one cannot be taken by mistake.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

here=$(cd "${0%/*}" && pwd)
version=2025.01
# Of the upstream tarball, which Debian 13 carries.
sha256=cdef7d507c93f1bbd9f015ea9bc21fa074268481405501945abc6f854d5b686f
"$here/need.sh" gcc-aarch64-linux-gnu bc bison bzip2 dpkg-dev flex libssl-dev make patch xxd >&2

key=$({ echo "$sha256"; cat "$here/uboot-build.sh" "$here"/../board/rpi4/u-boot/*; } | sha256sum | cut -c1-16)
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
uboot=$cache/uboot-$key
mkdir -p "$cache"
# Two jobs that want a U-Boot would each build it.
exec 9>"$cache/uboot.lock"
flock 9
if [ ! -d "$uboot" ]; then
	work=$(mktemp -d "$cache/uboot.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '%s: building U-Boot %s\n' "${0##*/}" "$version" >&2
	"$here/fetch-suite.sh" trixie main deb-src u-boot "$work"
	tarball=$work/u-boot_$version.orig.tar.bz2
	[ -s "$tarball" ] || die "the source of U-Boot $version did not come"
	echo "$sha256  $tarball" | sha256sum --check --quiet >&2 || die "the source of U-Boot is not the one we know"
	mkdir "$work/source"
	tar -xf "$tarball" -C "$work/source" --strip-components=1
	"$here/uboot-build.sh" "$work/source" "$work/out" >"$work/log" 2>&1 || {
		tail "$work/log" >&2
		die "cannot build U-Boot"
	}
	mv -T "$work/out" "$uboot" || die "could not keep $uboot"
fi
echo "$uboot"
