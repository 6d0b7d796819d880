#!/bin/sh
# Download the release of Buildroot that is pinned, or find the one got earlier, and print where it is.
#
# Usage: need-buildroot.sh
#
# BUILDROOT=, the directory of an unpacked copy, spares a machine the download; it must be the same
# release, because another knows other options and drops ours without a word.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

pinned() {
	sed -n "s/^$1=//p" "${0%/*}/../buildroot/BUILDROOT_VERSION"
}
version=$(pinned version) sha256=$(pinned sha256)

fetch() {
	"${0%/*}/need.sh" ca-certificates wget xz-utils >&2
	tarball=$work/buildroot-$version.tar.xz
	wget -q -O "$tarball" "https://buildroot.org/downloads/${tarball##*/}" ||
		die "cannot download ${tarball##*/}: give BUILDROOT=, the directory of an unpacked copy"
	need_hash "$tarball" "$sha256" "${tarball##*/}"
	mkdir "$work/kept"
	tar -xf "$tarball" -C "$work/kept" --strip-components=1
}
buildroot=${BUILDROOT:-$(cached "buildroot-$version" fetch)}
[ -e "$buildroot/Makefile" ] || die "there is no Buildroot at $buildroot"
found=$(sed -n 's/^export BR2_VERSION := //p' "$buildroot/Makefile")
[ "$found" = "$version" ] || die "$buildroot is Buildroot ${found:-of no version}, not $version"
echo "$buildroot"
