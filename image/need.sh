#!/bin/sh
# Install the Debian packages that a job needs and this machine lacks.
#
# Usage: need.sh PACKAGE[:ARCH]...
#        need.sh --update               only read the lists of packages again
#
# Does nothing, and asks for no rights, when all are there.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@" >&2
	else
		command -v sudo >/dev/null || die "no sudo, so please run as root: $*"
		sudo "$@" >&2
	fi
}

installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -q '^installed$'
}

# Another job may be installing at this moment: wait for it.
apt='env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900'

if [ "$*" != --update ]; then
	# Positional parameters become the list of what is missing.
	for package in "$@"; do
		shift
		installed "$package" || set -- "$@" "$package"
	done
	[ $# -gt 0 ] || exit 0
	printf '%s: installing %s\n' "${0##*/}" "$*" >&2
fi
case "$*" in
*:arm64*) as_root dpkg --add-architecture arm64 ;;
esac
# shellcheck disable=SC2086  # A command and its arguments.
as_root $apt update
# shellcheck disable=SC2086
[ "$*" = --update ] || as_root $apt install -y --no-install-recommends "$@"
