#!/bin/sh
# Build BusyBox for arm64 from Debian's source, or find the one built earlier, and print where it is.
#
# Usage: busybox.sh
#
# Debian's own binary has neither init nor the runit applets, which supervise our services. The
# directory holds `busybox` and `links`, a list of the paths that must lead to it.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
"$here/need.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross bzip2 dpkg-dev make xz-utils >&2

version=$("$here/deb-version.sh" busybox)
key=$({ echo "$version"; cat "$here/busybox-build.sh" "$here/../board/common/busybox.config"; } | digest)

build() {
	say "building busybox $version"
	"$here/fetch-source.sh" busybox "$work"
	dpkg-source --no-check -x "$work"/busybox_*.dsc "$work/tree" >/dev/null
	"$here/busybox-build.sh" "$work/tree" "$work/kept" >"$work/log" 2>&1 || {
		tail "$work/log" >&2
		die "cannot build busybox"
	}
}
cached "busybox-$key" build
