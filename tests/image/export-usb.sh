#!/bin/sh
# Offer our own gadget, as this kernel's host side sees it, to a virtual machine elsewhere.
#
# Usage: export-usb.sh VENDOR:PRODUCT PORT
#
# Runs in the guest, from the rig's disc. usbredirect ends whenever the device or the other machine
# goes, so it is started again for as long as this runs.
set -eu

disc=${0%/*}
while :; do
	"$disc/usr/lib/ld-linux-aarch64.so.1" --library-path "$disc/usr/lib" \
		"$disc/usr/bin/usbredirect" --device "$1" --as "0.0.0.0:$2" --keepalive || true
	sleep 1
done
