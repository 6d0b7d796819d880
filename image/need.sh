#!/bin/sh
# Install the Debian packages that a job needs and this machine lacks.
#
# Usage: need.sh PACKAGE[:ARCH]...
#        need.sh --update               only read the lists of packages again
#
# Does nothing, and asks for no rights, when all are there.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# No service that a package starts may keep the lock.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@" >&2 9>&-
	else
		command -v sudo >/dev/null || die "no sudo, so please run as root: $*"
		sudo "$@" >&2 9>&-
	fi
}

missing() {
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -q '^installed$' || echo "$package"
	done
}

# Another job may be installing at this moment: wait for it.
apt='env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900'
install() {
	# shellcheck disable=SC2086  # A command and its arguments.
	as_root $apt install -y --no-install-recommends "$@"
}

[ "$*" = --update ] || [ -n "$(missing "$@")" ] || exit 0
# apt waits for another installation, but not for another job that reads the lists.
mkdir -p "$cache"
exec 9>"$cache/apt.lock"
flock 9
new=''
if [ "$*" != --update ]; then
	# shellcheck disable=SC2046  # One argument for each package.
	set -- $(missing "$@")
	[ $# -gt 0 ] || exit 0
	say "installing $*"
	case "$*" in
	*:arm64*) dpkg --print-foreign-architectures | grep -qx arm64 || { new=yes && as_root dpkg --add-architecture arm64; } ;;
	esac
	# Lists that are not an hour old, and newer than the sources under /etc/apt, are tried first.
	lists=/var/lib/apt/lists/partial
	[ -n "$new" ] || [ -z "$(find $lists -maxdepth 0 -mmin -60)" ] || [ -n "$(find /etc/apt -newer $lists -type f)" ] ||
		! install "$@" || exit 0
fi
# shellcheck disable=SC2086
as_root $apt update
[ "$*" = --update ] || install "$@"
