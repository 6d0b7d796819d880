#!/bin/sh
# Build the disc that joins a running image to a second virtual machine: out/virt/rig.squashfs.
#
# Usage: disc.sh
#
# It holds what the guest needs for that and no image should have: a capture device that is fed
# from outside, usbredirect with its libraries, and the program at the other end of the cable.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

cd "${0%/*}/../.."
# The libraries' own package among them, so that apt knows arm64.
image/need.sh binutils-aarch64-linux-gnu libc6:arm64 make squashfs-tools

workspace
mkdir -p "$work/disc/usr/bin" out/virt

# A copy, because the kernel's build writes next to the source.
cp -r tests/image/jpegcap "$work/module"
kernel=$(image/kernel.sh)
make -s -C "$kernel/devel" M="$work/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules >&2
aarch64-linux-gnu-strip --strip-debug -o "$work/disc/jpegcap.ko" "$work/module/jpegcap.ko"

# Static: it must run whatever libraries the image has.
image/cross-env.sh rustc --edition 2024 -O -C target-feature=+crt-static -C strip=symbols \
	-o "$work/disc/cable" tests/image/cable.rs

install -m 755 tests/image/export-usb.sh "$work/disc/"
set -- usbredirect libusbredirhost1 libusbredirparser1 libusb-1.0-0 libudev1 \
	libc6 libffi8 libglib2.0-0 libpcre2-8-0 libselinux1 libmount1 libblkid1 zlib1g
for package in "$@"; do
	shift
	set -- "$@" "$package:arm64"
done
debs=$(image/fetch-deb.sh "$@")
# shellcheck disable=SC2086  # One argument for each directory.
install -m 755 "$(find $debs -path '*/bin/usbredirect')" "$work/disc/usr/bin/"
# shellcheck disable=SC2086
image/libraries.sh "$work/disc" $debs

rm -f out/virt/rig.squashfs
SOURCE_DATE_EPOCH=0 mksquashfs "$work/disc" out/virt/rig.squashfs -comp zstd -all-root -quiet -no-progress
