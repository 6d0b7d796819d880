#!/bin/sh
# Print the version of a Debian package that apt would install now.
#
# Usage: deb-version.sh PACKAGE[:ARCH]
#
# A machine on which nobody ran `apt-get update` knows no package: that is made good here.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: ${0##*/} PACKAGE[:ARCH]"
candidate() {
	apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p'
}

version=$(candidate "$1")
if [ -z "$version" ]; then
	"${0%/*}/need.sh" --update
	version=$(candidate "$1")
fi
[ -n "$version" ] || die "apt knows no $1: is a Debian suite that has it among the sources?"
echo "$version"
