#!/bin/sh
# Export our own gadget, as this kernel's host side sees it, to another virtual machine.
#
# Usage: export-usb.sh VENDOR:PRODUCT PORT
#
# Runs in the guest, from the rig's disk. usbredirect ends whenever the device or the other machine
# goes away, so it is restarted.
set -eu

disk=${0%/*}
while :; do
	"$disk/usr/lib/ld-linux-aarch64.so.1" --library-path "$disk/usr/lib" \
		"$disk/usr/bin/usbredirect" --device "$1" --as "0.0.0.0:$2" --keepalive || true
	sleep 1
done
