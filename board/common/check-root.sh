#!/bin/sh
# Check a finished root against what every image promises.
#
# Usage: check-root.sh TARGET_DIR
#
# Both builds call it before they pack the root, and check-card.sh with what it finds on a card.
# Owners of files are checked there: here everything belongs to the user who builds.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 1 ] || die "usage: ${0##*/} TARGET_DIR"
need_tools python3:python3 readelf:binutils
workspace
here=$(cd "${0%/*}" && pwd)
target=$1
variant=$(sed -n 's/^VARIANT="\(.*\)"/\1/p' "$target/etc/os-release")
case $variant in
production | development) ;;
*) die "os-release calls this neither a production nor a development image: $variant" ;;
esac

found=$(find "$target" -perm /6000)
[ -z "$found" ] || die "setuid or setgid: $found"

found=$(find "$target" ! -type f ! -type d ! -type l)
[ -z "$found" ] || die "neither file nor directory nor link: $found"

found=$(find "$target" -perm /022 ! -type l)
[ -z "$found" ] || die "anybody may write to: $found"

# No account can log in, and only a development image has a shell on its console.
found=$(cut -d : -f 1,2 "$target/etc/passwd" | grep -v ':[!*]$' || true)
[ -z "$found" ] || die "an account that could log in: $found"
[ ! -e "$target/etc/shadow" ] || die "there is an etc/shadow: who is meant to log in?"
found=$(grep -E '^[^#].*(sh|getty|login)$' "$target/etc/inittab" || true)
[ -z "$found" ] || [ "$variant" = development ] || die "inittab starts a shell: $found"

found=$(grep -rlIe '-----BEGIN .*PRIVATE KEY-----' "$target" || true)
[ -z "$found" ] || die "a key that every image would share: $found"
# The development key is public, so its signature proves nothing.
keyring=$target/etc/rauc/keyring.pem
public=$here/keys/development/ca.pem
if [ "$variant" = production ] && [ -e "$keyring" ]; then
	body=$(sed -n '2,5p' "$public" | tr -d '\n')
	! tr -d '\n' <"$keyring" | grep -qF "$body" || die "a production image that trusts the development key"
fi

# Only `farhand serve` waits for connections. Another service needs a reason, and so does a program or a driver that
# is not in the board's lists.
for service in "$target"/etc/sv/*; do
	case ${service##*/} in
	guard | hands | kernel | mdev | network | serve | time) ;;
	*) die "a service that is not in the list: ${service##*/}" ;;
	esac
done
board=$(sed -n 's/^compatible=farhand-\([a-z0-9]*\)-.*/\1/p' "$target/etc/rauc/system.conf")
"$here/contents.py" check "$target" "$board"

# Every library that a program names is in the image, and the loader itself; every command that a script names, too.
# shellcheck disable=SC2016  # The inner shell's own parameters are meant.
find "$target" -type f \( -path '*/bin/*' -o -path '*/sbin/*' -o -name '*.so*' \) -exec sh -euc '
	for file; do
		case $(head -c 4 "$file" | tr -d "\177") in
		ELF) said=$(readelf -dl "$file") && printf "%s\n" "$said" | sed -n "s|.*(NEEDED).*\[\(.*\)\].*|\1|p; s|.*interpreter: .*/\([^/]*\)\]|\1|p" ;;
		esac
	done
' sh {} + >"$work/needed"
[ -s "$work/needed" ] || die "no program here needs a library: is this a root?"
sort -u "$work/needed" | while read -r library; do
	[ -e "$target/usr/lib/$library" ] || [ -e "$target/lib/$library" ] || [ -e "$target/lib64/$library" ] ||
		die "a library is missing: $library"
done
"$here/commands.py" "$target"
