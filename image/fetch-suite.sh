#!/bin/sh
# Download a package, or its source, from another Debian release than the machine's.
#
# Usage: fetch-suite.sh SUITE COMPONENT deb|deb-src PACKAGE DIR
#
# The lines are derived from the machine's own sources and read into lists of their own: nothing
# under /etc changes, what is installed later is not affected, and no rights are needed. A mirror
# may lack a source's description; then apt fails although it has fetched the tarballs. So the caller
# checks that a source has come, and by its hash.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 5 ] || die "usage: ${0##*/} SUITE COMPONENT deb|deb-src PACKAGE DIR"
suite=$1 component=$2 kind=$3 package=$4
mkdir -p "$5"
directory=$(cd "$5" && pwd)
# shellcheck source=/dev/null
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
workspace
mkdir "$work/parts"
# The archive that has a release itself has its updates, too; the security archive has not.
apt_sources | while read -r file; do
	awk -v RS= -v ORS='\n\n' "/Suites:[^\n]* $own-updates/" "$file" |
		sed "s/^Types:.*/Types: $kind/; s/^Suites:.*/Suites: $suite/; s/^Components:.*/Components: $component/" \
			>"$work/parts/${file##*/}"
	sed -nE "s/^deb ((\[[^]]*\] )?[^ ]+) $own-updates .*/$kind \1 $suite $component/p" "$file" \
		>"$work/parts/${file##*/}.list"
done
private_apt update || die "cannot list the packages of $suite"
cd "$directory"
case $kind in
deb) private_apt download "$package" || die "cannot download $package" ;;
*) private_apt source --download-only "$package" || true ;;
esac
