#!/bin/sh
# Build an image from Debian's arm64 packages, our own kernel and the daemon.
#
# Usage: assemble.sh BOARD [--development | --production]
#
# The result is out/BOARD/card.img, next to the parts that it consists of. No file here ends up in the target:
# what does comes from board/ and overlay/, as in a Buildroot build, or from a package. FARHAND_BIN names a daemon
# built before, BINARIES_DIR (absolute) another place for the result. A production image takes only updates that its
# owner signed, so it needs KEYRING= (see image/keys.sh); without one, and for QEMU, this makes a development image.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
cd "$here/.."
board=${1:-}
[ -d "board/$board/overlay" ] || die "usage: ${0##*/} BOARD [--development | --production]"
case ${2:-} in
--development) variant=development ;;
--production) variant=production ;;
'') [ "$board" = virt ] || [ -z "${KEYRING:-}" ] && variant=development || variant=production ;;
*) die "unknown option $2" ;;
esac

say "$variant image for $board"
image/need.sh binutils cryptsetup-bin device-tree-compiler dosfstools e2fsprogs fdisk genimage git mtools python3 \
	squashfs-tools u-boot-tools xz-utils
daemon=${FARHAND_BIN:-target/cross/aarch64-unknown-linux-gnu/release/farhand}
[ -n "${FARHAND_BIN:-}" ] || image/cross-cargo.sh build --release --locked
kernel=$(image/kernel.sh)

workspace
export TARGET_DIR="$work/target" BINARIES_DIR="${BINARIES_DIR:-$PWD/out/$board}" BUILD_DIR="$work" HOST_DIR=/usr CONFIG_DIR="$work"
export FARHAND_BUILD=quick FARHAND_VARIANT="$variant"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
mkdir -p "$TARGET_DIR" "$BINARIES_DIR"

# Packages, overlay, policy, file systems: in Buildroot's order.
image/packages.sh "$daemon" "$kernel" "$TARGET_DIR"
cp -a overlay/. "board/$board/overlay/." "$TARGET_DIR"
board/common/post-build.sh "$TARGET_DIR" "$board"
find "$TARGET_DIR" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$BINARIES_DIR"/root.squashfs
mksquashfs "$TARGET_DIR" "$BINARIES_DIR/root.squashfs" -comp zstd -all-root -no-xattrs -quiet -no-progress
cp "$kernel/Image" "$BINARIES_DIR/Image"
cp "$kernel/config" "$BINARIES_DIR/kernel.config"
[ "$board" != rpi4 ] || image/boot-rpi4.sh "$kernel" "$BINARIES_DIR"
board/common/post-image.sh "$BINARIES_DIR" "$board"
[ "$board" != virt ] || image/peek.sh
du -h "$BINARIES_DIR"/*
