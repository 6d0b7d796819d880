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

image/need.sh e2fsprogs squashfs-tools
daemon=${FARHAND_BIN:-target/cross/aarch64-unknown-linux-gnu/release/farhand}
[ -n "${FARHAND_BIN:-}" ] || image/cross-cargo.sh build --release --locked
kernel=$(image/kernel.sh)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TARGET_DIR="$work/target" BINARIES_DIR="$PWD/out/$board" BUILD_DIR="$work" HOST_DIR=/usr CONFIG_DIR="$work"
export FARHAND_BUILD=quick FARHAND_VARIANT="$variant"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
mkdir -p "$TARGET_DIR" "$BINARIES_DIR"

# Packages, overlay, policy, file systems: in Buildroot's order.
image/packages.sh "$daemon" "$kernel" "$TARGET_DIR"
cp -a overlay/. "board/$board/overlay/." "$TARGET_DIR"
board/common/post-build.sh "$TARGET_DIR"
find "$TARGET_DIR" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$BINARIES_DIR"/root.squashfs "$BINARIES_DIR"/data.ext4
mksquashfs "$TARGET_DIR" "$BINARIES_DIR/root.squashfs" -comp zstd -all-root -no-xattrs -quiet -no-progress
cp "$kernel/Image" "$BINARIES_DIR/Image"
# Names and times that would be drawn at random are given, so that two builds are the same.
uuid=fa7ada7a-0000-4000-8000-000000000001
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -L farhand-data -U $uuid -E hash_seed=$uuid,root_owner=0:0 \
	"$BINARIES_DIR/data.ext4" 64m >/dev/null
[ "$board" != virt ] || image/peek.sh
du -h "$BINARIES_DIR"/*
