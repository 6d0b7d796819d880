#!/bin/sh
# Print the version of the kernel's sources and the tarball that they are in; download what is missing.
#
# Usage: linux.sh [--pinned]
#
# Both builds take this one file, byte for byte, so the kernel that tests boot is the kernel that ships.
# Debian drops a version some time after the next one is out. From then on this takes the newest that
# there is and says so; a release is made of the pinned one (--pinned) or not at all.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

case $* in
'' | --pinned) ;;
*) die "usage: ${0##*/} [--pinned]" ;;
esac
here=$(cd "${0%/*}" && pwd)
pinned() {
	sed -n "s/^$1=//p" "$here/../board/common/linux/source"
}
package=$(pinned package) version=$(pinned version) sha256=$(pinned sha256)
deb=$cache/deb-$package-$version
if [ ! -d "$deb" ] && ! deb=$("$here/fetch-deb.sh" "$package=$version"); then
	[ "${1:-}" != --pinned ] || die "a release needs $package $version, which apt does not have: pin another, see docs/build.md"
	deb=$("$here/fetch-deb.sh" "$package")
	version=${deb##*"/deb-$package-"}
	say "taking $package $version: NOT the kernel that releases are made of, see docs/build.md"
	sha256=''
fi
tarball=$deb/usr/src/$package.tar.xz
need_file "$tarball"
[ -z "$sha256" ] || need_hash "$tarball" "$sha256" "$package $version"
echo "$version $tarball"
