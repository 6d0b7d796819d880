#!/bin/sh
# Build BusyBox for arm64 from Debian's source, or find the one built earlier, and print where it is.
#
# Usage: busybox.sh
#
# Debian's own binary has neither init nor the runit applets, which supervise our services. The
# directory holds `busybox` and `links`, a list of the paths that must lead to it.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

here=$(cd "${0%/*}" && pwd)
config=$here/../board/common/busybox.config
"$here/need.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross bzip2 dpkg-dev make xz-utils >&2

version=$("$here/deb-version.sh" busybox)
key=$({ echo "$version"; cat "$config"; } | sha256sum | cut -c1-16)
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
busybox=$cache/busybox-$key
if [ ! -d "$busybox" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/busybox.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '%s: building busybox %s\n' "${0##*/}" "$version" >&2
	"$here/fetch-source.sh" busybox "$work"
	dpkg-source --no-check -x "$work"/busybox_*.dsc "$work/tree" >/dev/null
	bmake() {
		make -s -C "$work/tree" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
			KCONFIG_NOTIMESTAMP=1 SOURCE_DATE_EPOCH=0 "$@"
	}
	cannot() {
		tail "$work/log" >&2
		die "cannot $1 busybox"
	}
	# Its Kconfig knows no fragments, but keeps the first of two answers: ours, then no to all else.
	bmake allnoconfig >"$work/log" 2>&1 || cannot configure
	cat "$config" "$work/tree/.config" >"$work/asked"
	cp "$work/asked" "$work/tree/.config"
	yes '' | bmake oldconfig >"$work/log" 2>&1 || cannot configure
	lost=$(grep '^CONFIG_' "$config" | grep -vxFf "$work/tree/.config" | tr '\n' ' ' || true)
	[ -z "$lost" ] || die "options that did not survive: $lost"
	bmake -j"$(nproc)" busybox busybox.links >"$work/log" 2>&1 || cannot build
	mkdir "$work/out"
	cp "$work/tree/busybox" "$work/out/busybox"
	cp "$work/tree/busybox.links" "$work/out/links"
	mv -T "$work/out" "$busybox" 2>"$work/said" || [ -d "$busybox" ] || die "could not keep $busybox: $(cat "$work/said")"
fi
echo "$busybox"
