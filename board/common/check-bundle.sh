#!/bin/sh
# Check an update against the card of the same release: an appliance that runs the card takes the update, and then has
# the same.
#
# Usage: check-bundle.sh BUNDLE.raucb CARD.img[.xz]
#
# The last step of image/bundle.sh. The keyring, and what the update must say about itself, are read from the card.
# Needs no rights: nothing is mounted.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} BUNDLE.raucb CARD.img[.xz]"
need_file "$1"
need_file "$2"
need_tools sfdisk:fdisk unsquashfs:squashfs-tools rauc:rauc xz:xz-utils
workspace
card=$work/card.img bundle=$work/update.raucb
ln -s "$(readlink -f "$1")" "$bundle"
case $2 in
*.xz) xz -dc "$2" >"$card" ;;
*) ln -s "$(readlink -f "$2")" "$card" ;;
esac
# Where slot A's two partitions begin, in bytes.
sfdisk -d "$card" >"$work/table" 2>"$work/log" || die "there is no partition table in $2: $(tail -n 1 "$work/log")"
start() {
	echo $(($(sed -n "s/^[^ ]*img$1 :.* start= *\([0-9]*\).*/\1/p" "$work/table") * 512))
}

unsquashfs -q -n -o "$(start 6)" -d "$work/root" "$card" etc/rauc >/dev/null || die "partition 6 of $2 has no root"
configuration=$work/root/etc/rauc/system.conf
compatible=$(sed -n 's/^compatible=//p' "$configuration") version=$(sed -n 's/^min-bundle-version=//p' "$configuration")
# The card's own has settings that an older rauc, such as Debian's, does not know.
printf '[system]\ncompatible=%s\nbootloader=noop\nbundle-formats=verity\n[keyring]\npath=%s\ncheck-purpose=codesign\n' \
	"$compatible" "$work/root/etc/rauc/keyring.pem" >"$work/system.conf"
rauc --conf="$work/system.conf" info --output-format=shell "$bundle" >"$work/info" 2>"$work/log" ||
	die "the card would refuse this bundle: $(tail -n 1 "$work/log")"
# field NAME: what the bundle says about itself
field() {
	sed -n "s/^RAUC_MF_$1='\(.*\)'$/\1/p" "$work/info"
}
[ "$(field COMPATIBLE)" = "$compatible" ] || die "the bundle is for $(field COMPATIBLE), and the card a $compatible"
[ "$(field VERSION)" = "$version" ] || die "the bundle is version $(field VERSION), and the card $version"

rauc --conf="$work/system.conf" extract "$bundle" "$work/content" >"$work/log" 2>&1 ||
	die "the bundle is damaged: $(tail -n 1 "$work/log")"
names=$(cd "$work/content" && find . ! -name . | sort | tr '\n' ' ')
[ "$names" = './boot.img ./manifest.raucm ./root.img ' ] || die "the bundle holds not a slot's two images but $names"
for part in 'boot 5' 'root 6'; do
	image=$work/content/${part% *}.img
	cmp -n "$(stat -c %s "$image")" -i "0:$(start "${part#* }")" "$image" "$card" >"$work/log" 2>&1 ||
		die "the bundle's ${image##*/} is not what is in partition ${part#* } of the card: $(tail -n 1 "$work/log")"
done
