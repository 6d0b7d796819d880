#!/bin/sh
# Build cargo-deny, or find the one built earlier, and print where it is.
#
# Usage: need-deny.sh
#
# Debian has no package of it. Built once for each version, outside the tree.
set -eu

version=0.20.2
root=${FARHAND_CACHE:-$HOME/.cache/farhand}/cargo-deny-$version
if [ ! -x "$root/bin/cargo-deny" ]; then
	printf '%s: building cargo-deny %s\n' "${0##*/}" "$version" >&2
	cargo install --quiet --locked --version "$version" --root "$root" cargo-deny >&2
fi
echo "$root/bin/cargo-deny"
