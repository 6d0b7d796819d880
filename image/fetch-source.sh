#!/bin/sh
# Download the source of a Debian package: the upstream tarball, and Debian's changes to it.
#
# Usage: fetch-source.sh PACKAGE DIR [SUITE]
#
# Most machines list no source packages, so this derives them from the machine's own sources, in
# lists of its own: nothing under /etc changes, and no rights are needed. SUITE is another release of
# Debian, such as trixie, for what this machine's is too old for: the same archives have it.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] || die "usage: ${0##*/} PACKAGE DIR [SUITE]"
# shellcheck source=/dev/null
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
suite=${3:-$own}
mkdir -p "$2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/parts" "$work/lists/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	[ -f "$file" ] || continue
	sed "s/^Types: .*/Types: deb-src/; s/^deb /deb-src /; /^\\(Suites:\\|deb-src\\) /s/ $own\\b/ $suite/g" "$file" >"$work/parts/${file##*/}"
done
apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root "$@" >&2
}
apt update || die "cannot list source packages"
(cd "$2" && apt source --download-only "$1") || die "cannot download the source of $1"
