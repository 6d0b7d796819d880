#!/bin/sh
# Download a package, or its source, from another Debian release than the machine's.
#
# Usage: fetch-suite.sh SUITE COMPONENT deb|deb-src PACKAGE DIR
#
# The lines are derived from the machine's own sources and read into lists of their own: nothing
# under /etc changes, what is installed later is not affected, and no rights are needed. A mirror
# may lack a source's description, at which apt fails with the tarballs there: so whoever asks for
# a source checks that it has come, and by its hash.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 5 ] || die "usage: ${0##*/} SUITE COMPONENT deb|deb-src PACKAGE DIR"
suite=$1 component=$2 kind=$3 package=$4
mkdir -p "$5"
directory=$(cd "$5" && pwd)
# shellcheck source=/dev/null
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/parts" "$work/lists/partial"
# The archive that has a release itself has its updates beside it; the security archive has not.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	[ -f "$file" ] || continue
	awk -v RS= -v ORS='\n\n' "/Suites:[^\n]* $own-updates/" "$file" |
		sed "s/^Types:.*/Types: $kind/; s/^Suites:.*/Suites: $suite/; s/^Components:.*/Components: $component/" \
			>"$work/parts/${file##*/}"
	sed -nE "s/^deb ((\[[^]]*\] )?[^ ]+) $own-updates .*/$kind \1 $suite $component/p" "$file" \
		>"$work/parts/${file##*/}.list"
done
apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root "$@" >&2
}
apt update || die "cannot list the packages of $suite"
cd "$directory"
case $kind in
deb) apt download "$package" || die "cannot download $package" ;;
*) apt source --download-only "$package" || true ;;
esac
