#!/bin/sh
# Copy into a root every shared library that its programs need, from unpacked packages.
#
# Usage: libraries.sh TARGET_DIR PACKAGE_DIR...
#
# Only what is named by a program, or by a library so named, is copied; a library in no package
# given is an error now instead of a daemon that does not start.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -gt 1 ] || die "usage: ${0##*/} TARGET_DIR PACKAGE_DIR..."
target=$1
shift
# Without it, no program would seem to need a library.
need_tools aarch64-linux-gnu-readelf:binutils-aarch64-linux-gnu

# readelf complains about files that are no programs, such as scripts.
needed() {
	find "$target" -type f \( -path '*/bin/*' -o -path '*/sbin/*' -o -name '*.so*' \) \
		-exec aarch64-linux-gnu-readelf -d {} + 2>/dev/null |
		sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | sort -u
}

mkdir -p "$target/usr/lib"
missing=1
while [ "$missing" -gt 0 ]; do
	missing=0
	for name in ld-linux-aarch64.so.1 $(needed); do
		[ ! -e "$target/usr/lib/$name" ] || continue
		file=$(find "$@" -name "$name" | head -n 1)
		[ -n "$file" ] || die "no package of these has $name: add the one that does"
		install -m 755 "$(readlink -f "$file")" "$target/usr/lib/$name"
		missing=$((missing + 1))
	done
done
