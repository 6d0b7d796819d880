#!/bin/sh
# Print, one a line, the versions of Debian packages that apt would install now.
#
# Usage: deb-version.sh PACKAGE[:ARCH][=VERSION]...
#
# All in one call, because apt reads its lists anew in each. A machine on which nobody ran
# `apt-get update` knows no package: that is made good here.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -gt 0 ] || die "usage: ${0##*/} PACKAGE[:ARCH][=VERSION]..."
candidates() {
	apt-cache show --no-all-versions "$@" | sed -n 's/^Version: //p'
}

# What it complains of at first may be mended by newer lists.
versions=$(candidates "$@" 2>/dev/null)
if [ "$(echo "$versions" | grep -c .)" -ne $# ]; then
	"${0%/*}/need.sh" --update
	versions=$(candidates "$@")
fi
[ "$(echo "$versions" | grep -c .)" -eq $# ] || die "apt does not know all of: $*"
echo "$versions"
