#!/bin/sh
# Download the source of a Debian package: the upstream tarball, and Debian's changes to it.
#
# Usage: fetch-source.sh PACKAGE DIR [SUITE]
#
# Most machines list no source packages, so this derives them from the machine's own sources, in
# lists of its own: nothing under /etc changes, and no rights are needed. SUITE is another release of
# Debian, such as trixie, for what this machine's is too old for: the same archives have it.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 2 ] || [ $# -eq 3 ] || die "usage: ${0##*/} PACKAGE DIR [SUITE]"
# shellcheck source=/dev/null
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
suite=${3:-$own}
mkdir -p "$2"
workspace
mkdir "$work/parts"
apt_sources | while read -r file; do
	sed "s/^Types: .*/Types: deb-src/; s/^deb /deb-src /; /^\\(Suites:\\|deb-src\\) /s/ $own\\b/ $suite/g" "$file" >"$work/parts/${file##*/}"
done
private_apt update || die "cannot list source packages"
(cd "$2" && private_apt source --download-only "$1") || die "cannot download the source of $1"
