#!/bin/sh
# Print, one a line, the directories that Debian packages are unpacked in; download what is missing.
#
# Usage: fetch-deb.sh PACKAGE[:ARCH][=VERSION]...
#
# None of a package's scripts is run: the files are what is wanted. A directory is named by the
# version, which is what apt would install now unless one is asked for: so an update of Debian's
# reaches the next image.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -gt 0 ] || die "usage: ${0##*/} PACKAGE[:ARCH][=VERSION]..."
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
mkdir -p "$cache"

download() {
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2)
}

versions=$("${0%/*}/deb-version.sh" "$@")
for version in $versions; do
	package=$1
	shift
	deb=$cache/deb-${package%%=*}-$version
	if [ ! -d "$deb" ]; then
		work=$(mktemp -d "$cache/deb.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		# Mirrors drop a version as soon as there is a newer: then the lists are old.
		download "$package" || { "${0%/*}/need.sh" --update && download "$package"; } || die "cannot download $package"
		dpkg -x "$work"/*.deb "$work/files"
		mv -T "$work/files" "$deb" 2>"$work/said" || [ -d "$deb" ] || die "could not keep $deb: $(cat "$work/said")"
		rm -rf "$work"
	fi
	echo "$deb"
done
