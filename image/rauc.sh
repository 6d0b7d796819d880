#!/bin/sh
# Build RAUC, which installs updates, for arm64 from Debian's source, or find the one built earlier; print where it is.
#
# Usage: rauc.sh
#
# Debian 12's own is older than `min-bundle-version` and drags in D-Bus and curl, so this takes the
# source of Debian 13 with its security patches, and the libraries of this machine's Debian. apt
# verifies the source by the signature of the archive's lists; upstream's part must also be the one
# we know. Our own patches, board/common/rauc, go on top. The directory holds the program `rauc`. Delete it
# to take up newer patches of Debian's.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
patches=$here/../board/common/rauc
known=1ddb218a5d713c8dbd6e04d5501d96629f1c8e2521576fbd9e7751edb7da113e
"$here/need.sh" gcc-aarch64-linux-gnu libc6-dev-arm64-cross libc6:arm64 dpkg-dev libglib2.0-dev-bin meson ninja-build patch pkg-config xz-utils >&2

set -- libglib2.0-0 libglib2.0-dev libssl3 libssl-dev libpcre2-8-0 libpcre2-dev zlib1g zlib1g-dev libffi8 libffi-dev \
	libmount1 libmount-dev libblkid1 libblkid-dev libselinux1 libselinux1-dev libsepol-dev
for package in "$@"; do
	shift
	set -- "$@" "$package:arm64"
done
versions=$("$here/deb-version.sh" "$@")
key=$({ echo "$versions"; cat "$here/rauc.sh" "$here/rauc-build.sh" "$patches"/*.patch; } | digest)

# build PACKAGE...: build against these
build() {
	"$here/fetch-source.sh" rauc "$work" trixie
	need_hash "$(echo "$work"/rauc_*.orig.tar.xz)" "$known" "the source of RAUC"
	dpkg-source --no-check -x "$work"/rauc_*.dsc "$work/tree" >/dev/null
	for patch in "$patches"/*.patch; do
		patch -s -F0 -d "$work/tree" -p1 <"$patch" || die "$patch does not fit this RAUC"
	done
	say "building $(sed -n '1s/ (\(.*\)).*/ \1/p' "$work/tree/debian/changelog")"
	debs=$("$here/fetch-deb.sh" "$@")
	mkdir "$work/out"
	# shellcheck disable=SC2086  # One argument for each directory.
	"$here/rauc-build.sh" "$work/tree" "$work/out" $debs >"$work/log" 2>&1 || {
		tail "$work/log" >&2
		die "cannot build RAUC"
	}
	mkdir "$work/kept"
	mv "$work/out/rauc" "$work/kept"
}
cached "rauc-$key" build "$@"
