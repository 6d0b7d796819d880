#!/bin/sh
# Print the version of the kernel's sources and the tarball that they are in; download what is missing.
#
# Usage: linux.sh [--pinned]
#
# Both builds take this one file, byte for byte, so the kernel that tests boot is the kernel that ships.
# Debian drops a version some time after the next one is out. From then on this takes the newest that
# there is and says so; a release is made of the pinned one (--pinned) or not at all.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

case $* in
'' | --pinned) ;;
*) die "usage: ${0##*/} [--pinned]" ;;
esac
here=$(cd "${0%/*}" && pwd)
pinned() {
	sed -n "s/^$1=//p" "$here/../board/common/linux/source"
}
package=$(pinned package) version=$(pinned version) sha256=$(pinned sha256)
deb=${FARHAND_CACHE:-$HOME/.cache/farhand}/deb-$package-$version
if [ ! -d "$deb" ] && ! deb=$("$here/fetch-deb.sh" "$package=$version"); then
	[ "${1:-}" != --pinned ] || die "a release needs $package $version, which apt does not have: pin another, see docs/build.md"
	deb=$("$here/fetch-deb.sh" "$package")
	version=${deb##*"/deb-$package-"}
	printf '%s: taking %s %s: NOT the kernel that releases are made of, see docs/build.md\n' "${0##*/}" "$package" "$version" >&2
	sha256=''
fi
tarball=$deb/usr/src/$package.tar.xz
[ -s "$tarball" ] || die "there is no $tarball"
[ -z "$sha256" ] || echo "$sha256  $tarball" | sha256sum --check --quiet >&2 || die "$package $version is not the one that we know"
echo "$version $tarball"
