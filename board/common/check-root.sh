#!/bin/sh
# Check a finished root against what every image promises. The last step of both builds.
#
# Usage: check-root.sh TARGET_DIR
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: ${0##*/} TARGET_DIR"
target=$1

found=$(find "$target" -perm /6000)
[ -z "$found" ] || die "setuid or setgid: $found"

found=$(find "$target" ! -type f ! -type d ! -type l)
[ -z "$found" ] || die "neither file nor directory nor link: $found"

found=$(cut -d : -f 1,2 "$target/etc/passwd" | grep -v ':[!*]$' || true)
[ -z "$found" ] || die "an account that could log in: $found"
[ ! -e "$target/etc/shadow" ] || die "there is an etc/shadow: who is meant to log in?"

found=$(grep -rlIe '-----BEGIN .*PRIVATE KEY-----' "$target" || true)
[ -z "$found" ] || die "a key that every image would share: $found"

# Every command that our scripts name is in the image: the first word of a line, builtins aside.
grep -rlI '^#!/bin/sh' "$target/etc" "$target/usr/libexec" | while read -r script; do
	sed -n '/)$/d; s/#.*//; s/^[[:space:]]*\(exec \)\{0,1\}\([a-z][a-z0-9_-]*\)\([[:space:]].*\)\{0,1\}$/\2/p' "$script" |
		sort -u | while read -r word; do
		case $word in
		break | 'case' | continue | 'do' | 'done' | echo | 'elif' | 'else' | 'esac' | exec | exit | 'fi' | 'for' | 'if' | printf | read | 'then' | return | set | shift | trap | umask | 'while') continue ;;
		esac
		! grep -q "^$word() {" "$script" || continue
		[ -e "$target/usr/bin/$word" ] || [ -L "$target/usr/bin/$word" ] || [ -L "$target/usr/sbin/$word" ] ||
			[ -e "$target/usr/sbin/$word" ] || die "${script#"$target"} uses $word, which is not in the image"
	done
done
