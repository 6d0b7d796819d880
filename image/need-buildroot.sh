#!/bin/sh
# Download the release of Buildroot that is pinned, or find the one got earlier, and print where it is.
#
# Usage: need-buildroot.sh
#
# BUILDROOT=, the directory of an unpacked copy, spares a machine the download; it must be the same
# release, because another knows other options and drops ours without a word.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

pinned() {
	sed -n "s/^$1=//p" "${0%/*}/../buildroot/BUILDROOT_VERSION"
}
version=$(pinned version) sha256=$(pinned sha256)
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
buildroot=${BUILDROOT:-$cache/buildroot-$version}
if [ -z "${BUILDROOT:-}" ] && [ ! -d "$buildroot" ]; then
	"${0%/*}/need.sh" ca-certificates wget xz-utils >&2
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/buildroot.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	tarball=$work/buildroot-$version.tar.xz
	wget -q -O "$tarball" "https://buildroot.org/downloads/${tarball##*/}" ||
		die "cannot download ${tarball##*/}: give BUILDROOT=, the directory of an unpacked copy"
	echo "$sha256  $tarball" | sha256sum --check --quiet >&2 || die "${tarball##*/} is not the release we know"
	tar -xf "$tarball" -C "$work"
	mv -T "$work/buildroot-$version" "$buildroot" || die "could not keep $buildroot"
fi
[ -e "$buildroot/Makefile" ] || die "there is no Buildroot at $buildroot"
found=$(sed -n 's/^export BR2_VERSION := //p' "$buildroot/Makefile")
[ "$found" = "$version" ] || die "$buildroot is Buildroot ${found:-of no version}, not $version"
echo "$buildroot"
