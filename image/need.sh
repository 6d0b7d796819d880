#!/bin/sh
# Install the Debian packages that a job needs and this machine lacks.
#
# Usage: need.sh PACKAGE[:ARCH]...
#
# Does nothing, and asks for no rights, when all are there.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -q '^installed$'
}

# Positional parameters become the list of what is missing.
for package in "$@"; do
	shift
	installed "$package" || set -- "$@" "$package"
done
[ $# -gt 0 ] || exit 0

printf '%s: installing %s\n' "${0##*/}" "$*" >&2
root=''
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die "these Debian packages are missing, and there is no sudo: $*"
	root=sudo
fi
case "$*" in
*:arm64*) $root dpkg --add-architecture arm64 ;;
esac
export DEBIAN_FRONTEND=noninteractive
$root apt-get -qq update >&2
$root apt-get -qq install -y --no-install-recommends "$@" >&2
