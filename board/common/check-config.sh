#!/bin/sh
# Fail when an answer that a fragment gives to Kconfig did not survive, and say which.
#
# Usage: check-config.sh CONFIG FRAGMENT...
#
# Kconfig drops without a word what it does not know and what lacks a dependency, so everything that runs it calls
# this next.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -ge 2 ] || die "usage: ${0##*/} CONFIG FRAGMENT..."
config=$1
shift
need_file "$config"

lost=''
for fragment in "$@"; do
	need_file "$fragment"
	# An option that is off may be missing from the result altogether; then it is off, too.
	found=$(sed -nE '/^[A-Za-z0-9_]+=/p; s/^# ([A-Za-z0-9_]+) is not set$/\1/p' "$fragment" | while read -r line; do
		case $line in
		*=*) grep -qxF -e "$line" "$config" || printf '%s ' "$line" ;;
		*) ! grep -q "^$line=" "$config" || printf '%s=n ' "$line" ;;
		esac
	done)
	[ -z "$found" ] || lost="$lost$found(${fragment##*/}) "
done
[ -z "$lost" ] || die "$config lost: ${lost% }"
