#!/bin/sh
# Print, one a line, the versions of Debian packages that apt would install now.
#
# Usage: deb-version.sh PACKAGE[:ARCH][=VERSION]...
#
# All in one call, because apt reads its lists again in each. A machine on which `apt-get update` never ran
# knows no package: then this runs it.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -gt 0 ] || die "usage: ${0##*/} PACKAGE[:ARCH][=VERSION]..."
candidates() {
	apt-cache show --no-all-versions "$@" | sed -n 's/^Version: //p'
}

# Newer lists may have what is missing at first.
versions=$(candidates "$@" 2>/dev/null)
if [ "$(echo "$versions" | grep -c .)" -ne $# ]; then
	"${0%/*}/need.sh" --update
	versions=$(candidates "$@")
fi
[ "$(echo "$versions" | grep -c .)" -eq $# ] || die "apt does not know all of: $*"
echo "$versions"
