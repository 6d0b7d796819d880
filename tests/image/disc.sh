#!/bin/sh
# Build the disc that joins a running image to a second virtual machine: out/virt/rig.squashfs.
#
# Usage: disc.sh
#
# It holds what the guest needs for that and no image should have: a capture device that is fed
# from outside, usbredirect with its libraries, and the program at the other end of the cable.
set -eu

cd "${0%/*}/../.."
image/need.sh binutils-aarch64-linux-gnu make squashfs-tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/disc/usr/bin" out/virt

# A copy, because the kernel's build writes beside the source.
cp -r tests/image/jpegcap "$work/module"
make -s -C "$(image/kernel.sh)/devel" M="$work/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules >&2
aarch64-linux-gnu-strip --strip-debug -o "$work/disc/jpegcap.ko" "$work/module/jpegcap.ko"

# Static: it must run whatever libraries the image has.
image/cross-env.sh rustc --edition 2024 -O -C target-feature=+crt-static -C strip=symbols \
	-o "$work/disc/cable" tests/image/cable.rs

install -m 755 tests/image/export-usb.sh "$work/disc/"
install -m 755 "$(image/fetch-deb.sh usbredirect:arm64)/usr/bin/usbredirect" "$work/disc/usr/bin/"
image/libraries.sh "$work/disc" \
	libc6 libffi8 libglib2.0-0 libpcre2-8-0 libselinux1 libmount1 libblkid1 zlib1g \
	libusb-1.0-0 libudev1 libusbredirhost1 libusbredirparser1

rm -f out/virt/rig.squashfs
SOURCE_DATE_EPOCH=0 mksquashfs "$work/disc" out/virt/rig.squashfs -comp zstd -all-root -quiet -no-progress
