#!/bin/sh
# Check what the Raspberry Pi's firmware reads before any of our programs run, and the device tree that Linux gets in the end.
#
# Usage: check-firmware.sh CONFIG.TXT TREE.dtb SLOT.dtbo
#
# TREE is what config.txt names, SLOT what U-Boot lays over it. QEMU neither reads config.txt nor has such a USB
# socket, so no test would fail without these lines.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

need_tools fdtget:device-tree-compiler fdtoverlay:device-tree-compiler
[ $# -eq 3 ] || die "usage: ${0##*/} CONFIG.TXT TREE.dtb SLOT.dtbo"
tree=$2
workspace
whole=$work/whole
fdtoverlay -i "$tree" -o "$whole" "$3" || die "what a slot needs does not go over the card's device tree"
# value TREE NODE PROPERTY: numbers and strings as they are, nothing if there is none
value() {
	fdtget -d '' "$@"
}

tr -d '\r' <"$1" | grep -qx 'gpio=17,22,23,27=ip,pd' || die "config.txt does not open the relays before Linux runs"
panel=/soc/gpio@7e200000/farhand-front-panel
[ "$(value "$tree" $panel brcm,pins): $(value "$tree" $panel brcm,function) $(value "$tree" $panel brcm,pull)" = '17 22 23 27: 0 1' ] ||
	die "the device tree does not open the relays when Linux starts"

# The console is the PL011 on the header, whether it is looked up by number or by path.
uart=$(value "$tree" /aliases serial0)
output=$(value "$tree" /chosen stdout-path)
[ "$(value "$tree" "${uart:-/}" compatible)" = 'arm,pl011 arm,primecell' ] || die "serial0 is not the PL011: ttyAMA0 has another number"
[ "${output%%:*}" = serial0 ] || die "the console is not serial0 but $output"
[ "$(value "$tree" "$uart" status)" = okay ] || die "the console's UART is switched off"
[ "$(value "$tree" /soc/serial@7e215040 status)" = disabled ] || die "the small UART is on: the firmware would tie the core clock to it"

[ "$(value "$whole" /soc/usb@7e980000 dr_mode)" = peripheral ] || die "the device tree does not make the USB-C socket a keyboard's"
for node in hdmi@7ef00700 hdmi@7ef05700; do
	[ "$(value "$whole" /soc/$node status)" = disabled ] || die "the device tree drives a display: $node"
done
heat=/thermal-zones/cpu-thermal
[ "$(value "$whole" $heat critical-action)" = reboot ] || die "the device tree switches a hot Pi off, and nobody is there to switch it on"
[ "$(value "$whole" $heat/trips/cpu-hot type)" = passive ] || die "the device tree does not slow a hot Pi down"
