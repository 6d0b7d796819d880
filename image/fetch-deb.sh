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
version=$("${0%/*}/deb-version.sh" "$1")
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
deb=$cache/deb-$1-$version
if [ ! -d "$deb" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/deb.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	download() {
		(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2)
	}
	# Mirrors drop a version as soon as there is a newer: then the lists are old.
	download "$1" || { "${0%/*}/need.sh" --update && download "$1"; } || die "cannot download $1"
	dpkg -x "$work"/*.deb "$work/files"
	mv -T "$work/files" "$deb" 2>/dev/null || [ -d "$deb" ] || die "could not keep $deb"
fi
echo "$deb"
