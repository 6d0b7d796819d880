#!/bin/sh
# Print, one a line, the directories that Debian packages are unpacked in; download what is missing.
#
# Usage: fetch-deb.sh PACKAGE[:ARCH][=VERSION]...
#
# None of a package's scripts is run: the files are what is wanted. A directory is named by the
# version, which is what apt would install now unless one is asked for: so an update of Debian's
# reaches the next image.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -gt 0 ] || die "usage: ${0##*/} PACKAGE[:ARCH][=VERSION]..."
here=$(cd "${0%/*}" && pwd)

download() {
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2)
}

# fetch PACKAGE: unpack it
fetch() {
	# Mirrors drop a version as soon as there is a newer one: then the lists are old.
	download "$1" || { "$here/need.sh" --update && download "$1"; } || die "cannot download $1"
	dpkg -x "$work"/*.deb "$work/kept"
}

versions=$("$here/deb-version.sh" "$@")
for version in $versions; do
	package=$1
	shift
	cached "deb-${package%%=*}-$version" fetch "$package"
done
