#!/bin/sh
# Install packages of QEMU that this machine lacks, recent enough to have the raspi4b machine.
#
# Usage: need-qemu.sh PACKAGE...      such as qemu-system-arm qemu-system-x86
#
# Debian 12 has that only in its backports, whose line is derived from the machine's own sources.
# They are read once, from lists of their own: what the machine installs later is not affected.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# Positional parameters become the list of what is missing or too old: 9.0 was the first.
for package in "$@"; do
	shift
	version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true)
	dpkg --compare-versions "$version" ge 1:9.0 || set -- "$@" "$package"
done
[ $# -gt 0 ] || exit 0

# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
[ "$suite" = bookworm ] || exec "${0%/*}/need.sh" "$@"

root=''
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die "these packages of QEMU are missing, and there is no sudo: $*"
	root=sudo
fi
workspace
# What apt leaves there is root's.
trap '$root rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/parts" "$work/lists/partial"
apt_sources | while read -r file; do
	# The archive that has the suite itself has its backports, too; the security archive has not.
	sed -n "/^Types:/,/^\$/p; /^deb /p" "$file" |
		sed -E "s/^(Suites:).* ?$suite-updates.*/\1 $suite $suite-updates $suite-backports/; s/^(deb .*) $suite-updates( .*)/&\n\1 $suite-backports\2/" \
			>"$work/parts/${file##*/}"
done
apt() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900 -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$work/parts" -o Dir::State::lists="$work/lists" "$@" >&2
}
say "installing $* from $suite-backports"
apt update || die "cannot read $suite-backports"
apt install -y --no-install-recommends -t "$suite-backports" "$@"
