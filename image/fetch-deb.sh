#!/bin/sh
# Print the directory that a Debian package is unpacked in, downloading it if need be.
#
# Usage: fetch-deb.sh PACKAGE[:ARCH]
#
# None of the package's scripts is run: the files are what is wanted. The directory is named by
# the version that apt would install now, so an update of Debian's reaches the next image.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: ${0##*/} PACKAGE[:ARCH]"
version=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p')
[ -n "$version" ] || die "apt knows no $1: try 'apt-get update'"
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
deb=$cache/deb-$1-$version
if [ ! -d "$deb" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/deb.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2) ||
		die "cannot download $1: try 'apt-get update'"
	dpkg -x "$work"/*.deb "$work/files"
	mv -T "$work/files" "$deb" 2>/dev/null || [ -d "$deb" ] || die "could not keep $deb"
fi
echo "$deb"
