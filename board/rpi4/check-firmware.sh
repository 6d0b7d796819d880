#!/bin/sh
# Check what the Raspberry Pi's firmware reads before any of our programs run: config.txt and the device tree it names.
#
# Usage: check-firmware.sh CONFIG.TXT TREE.dtb
#
# Nothing in QEMU reads config.txt or is such a socket, so no test would miss these lines.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: ${0##*/} CONFIG.TXT TREE.dtb"
tree=$2
# value NODE PROPERTY: numbers and strings as they are, nothing if there is none
value() {
	fdtget "$tree" "$1" "$2" 2>/dev/null || true
}

tr -d '\r' <"$1" | grep -qx 'gpio=17,22,23,27=ip,pd' || die "config.txt does not open the relays before Linux runs"
panel=/soc/gpio@7e200000/farhand-front-panel
[ "$(value $panel brcm,pins): $(value $panel brcm,function) $(value $panel brcm,pull)" = '17 22 23 27: 0 1' ] ||
	die "the device tree does not open the relays when Linux starts"
[ "$(value /soc/usb@7e980000 dr_mode)" = peripheral ] || die "the device tree does not make the USB-C socket a keyboard's"
for node in hdmi@7ef00700 hdmi@7ef05700; do
	[ "$(value /soc/$node status)" = disabled ] || die "the device tree drives a display: $node"
done
