#!/bin/sh
# Make the device tree with which a card boots in QEMU's raspi4b from the one with which it boots on a Pi.
#
# Usage: qemu-dtb.sh IN.dtb OUT.dtb
#
# IN must contain its nodes' names. Only what QEMU's model lacks is changed, so that the tests cover everything else.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} IN.dtb OUT.dtb"
here=$(cd "${0%/*}" && pwd)
"$here/../../image/need.sh" device-tree-compiler
workspace

dtc -q -@ -I dts -O dtb -o "$work/qemu.dtbo" "$here/qemu-raspi4b.dtso"
fdtoverlay -i "$1" -o "$work/out.dtb" "$work/qemu.dtbo" || die "$1 does not take our changes: was it built with -@?"
# A Pi's firmware passes a random seed; without it the first TLS key waits until the kernel has collected entropy.
seed=$(od -An -v -tx1 -N 32 /dev/urandom)
# shellcheck disable=SC2086  # One argument for each byte is meant.
fdtput -t bx "$work/out.dtb" /chosen rng-seed $seed
mv "$work/out.dtb" "$2"
