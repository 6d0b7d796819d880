#!/bin/sh
# Build an image from Debian's arm64 packages, our own kernel and the daemon.
#
# Usage: assemble.sh BOARD [--development | --production]
#
# The result is out/BOARD/{Image,root.squashfs,data.ext4}. No file here ends up in the target:
# what does comes from board/ and overlay/, as in a Buildroot build, or from a package. An image
# for QEMU is a development image unless told otherwise. FARHAND_BIN names a daemon built before.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

here=$(cd "${0%/*}" && pwd)
cd "$here/.."
board=${1:-}
[ -d "board/$board/overlay" ] || die "usage: ${0##*/} BOARD [--development | --production]"
case ${2:-} in
--development) variant=development ;;
--production) variant=production ;;
'') [ "$board" = virt ] && variant=development || variant=production ;;
*) die "unknown option $2" ;;
esac

image/need.sh binutils-aarch64-linux-gnu e2fsprogs kmod squashfs-tools
daemon=${FARHAND_BIN:-target/cross/aarch64-unknown-linux-gnu/release/farhand}
[ -n "${FARHAND_BIN:-}" ] || image/cross-cargo.sh build --release --locked
kernel=$(image/kernel.sh)
busybox=$(image/busybox.sh)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TARGET_DIR="$work/target" BINARIES_DIR="$PWD/out/$board" BUILD_DIR="$work" HOST_DIR=/usr CONFIG_DIR="$work"
export FARHAND_BUILD=quick FARHAND_VARIANT="$variant"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
mkdir -p "$TARGET_DIR" "$BINARIES_DIR"

# Packages.
(cd "$TARGET_DIR" && mkdir -p usr/bin usr/sbin usr/lib && ln -s usr/bin usr/sbin usr/lib .)
install -m 755 "$daemon" "$TARGET_DIR/usr/bin/farhand"
install -m 755 "$busybox/busybox" "$TARGET_DIR/usr/bin/busybox"
while read -r link; do ln -s /usr/bin/busybox "$TARGET_DIR$link"; done <"$busybox/links"
install -m 755 "$(image/fetch-deb.sh e2fsprogs:arm64)/sbin/e2fsck" "$TARGET_DIR/usr/sbin/e2fsck"
image/libraries.sh "$TARGET_DIR" libc6 libgcc-s1 libext2fs2 libcom-err2 libblkid1 libuuid1
cp -r "$kernel/modules/lib/modules" "$TARGET_DIR/usr/lib/modules"
depmod -b "$TARGET_DIR" "$(cat "$kernel/release")"

# Overlay, policy, file systems: in Buildroot's order.
cp -a overlay/. "board/$board/overlay/." "$TARGET_DIR"
board/common/post-build.sh "$TARGET_DIR"
rm -f "$BINARIES_DIR"/root.squashfs "$BINARIES_DIR"/data.ext4
mksquashfs "$TARGET_DIR" "$BINARIES_DIR/root.squashfs" -comp zstd -all-root -no-xattrs -quiet -no-progress
cp "$kernel/Image" "$BINARIES_DIR/Image"
mke2fs -q -t ext4 -L farhand-data -U clear -E root_owner=0:0 "$BINARIES_DIR/data.ext4" 64m
[ "$board" != virt ] || image/peek.sh
du -h "$BINARIES_DIR"/*
