#!/bin/sh
# Build an image with Buildroot, from sources that are all pinned: the one that releases are made of.
#
# Usage: buildroot.sh BOARD [MAKE_TARGET...]
#
# From the environment: BUILDROOT, a directory with the release that buildroot/BUILDROOT_VERSION
# names, for machines that may not download it; BR2_DL_DIR, where Buildroot keeps what it downloads;
# FARHAND_VARIANT, production unless told otherwise. Everything made lies in out/buildroot.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

cd "${0%/*}/.."
board=${1:-}
defconfig=buildroot/configs/farhand_${board}_defconfig
[ -s "$defconfig" ] || die "usage: ${0##*/} BOARD [MAKE_TARGET...]"
shift

image/need.sh bc bzip2 ca-certificates cpio file g++ git make patch perl python3 rsync unzip wget xz-utils
pinned() {
	sed -n "s/^$1=//p" buildroot/BUILDROOT_VERSION
}
version=$(pinned version) sha256=$(pinned sha256)
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
if [ -z "${BUILDROOT:-}" ]; then
	BUILDROOT=$cache/buildroot-$version
	if [ ! -d "$BUILDROOT" ]; then
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/buildroot.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		tarball=$work/buildroot-$version.tar.xz
		wget -q -O "$tarball" "https://buildroot.org/downloads/${tarball##*/}" ||
			die "cannot download ${tarball##*/}: give BUILDROOT=, the directory of an unpacked release"
		echo "$sha256  $tarball" | sha256sum --check --quiet >&2 || die "${tarball##*/} is not the release we know"
		tar -xf "$tarball" -C "$work"
		mv -T "$work/buildroot-$version" "$BUILDROOT" || die "could not keep $BUILDROOT"
	fi
fi
found=$(sed -n 's/^export BR2_VERSION := //p' "$BUILDROOT/Makefile")
[ "$found" = "$version" ] || die "$BUILDROOT is Buildroot ${found:-of no version}, not $version"

export BR2_DL_DIR="${BR2_DL_DIR:-$cache/buildroot-dl}" BR2_EXTERNAL="$PWD/buildroot"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
build() {
	make -C "$BUILDROOT" O="$PWD/out/buildroot" "$@"
}
build "${defconfig##*/}"
board/common/check-config.sh out/buildroot/.config "$defconfig"
build "$@"
