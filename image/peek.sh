#!/bin/sh
# Build the disc that lets a test look inside a running image: out/virt/peek.squashfs.
#
# Usage: peek.sh
#
# A disc of its own, because what only a test needs has no place in the image.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

cd "${0%/*}/.."
image/need.sh squashfs-tools

workspace
mkdir -p "$work/disc" out/virt
# Static: it must run whatever libraries the image has.
image/cross-env.sh rustc --edition 2024 -O -C target-feature=+crt-static -C strip=symbols \
	-o "$work/disc/peek" tests/image/peek.rs
rm -f out/virt/peek.squashfs
SOURCE_DATE_EPOCH=0 mksquashfs "$work/disc" out/virt/peek.squashfs -comp zstd -all-root -quiet -no-progress
