#!/bin/sh
# Make the signed update bundle of a board that was built: out/farhand-BOARD-VERSION.raucb.
#
# Usage: bundle.sh BOARD      (environment: SIGN_KEY and SIGN_CERT, files or PKCS#11 URIs)
#
# BINARIES_DIR= (absolute) names another place than out/BOARD; the bundle then stays there, as update.raucb.
#
# What the bundle says of itself is read out of the root it carries, and it is checked against the
# card: an appliance that runs this release would take it. A development image's are signed with
# the key that everybody has.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

cd "${0%/*}/.."
board=${1:-}
out=${BINARIES_DIR:-out/$board}
[ $# -eq 1 ] || die "usage: ${0##*/} BOARD"
for image in root.squashfs root.img boot.img card.img; do
	need_file "$out/$image" "build the image first"
done
image/need.sh fdisk rauc squashfs-tools xz-utils

workspace
mkdir "$work/content"
unsquashfs -q -n -d "$work/root" "$out/root.squashfs" etc/rauc >/dev/null
configuration=$work/root/etc/rauc/system.conf
compatible=$(sed -n 's/^compatible=//p' "$configuration") version=$(sed -n 's/^min-bundle-version=//p' "$configuration")
case $compatible in
*-development)
	SIGN_KEY=board/common/keys/development/signer.key
	SIGN_CERT=board/common/keys/development/signer.pem
	;;
esac
[ "${SIGN_KEY:-}" ] || die "a production bundle needs SIGN_KEY= and SIGN_CERT=: see image/keys.sh"

cp "$out/root.img" "$out/boot.img" "$work/content"
chmod 644 "$work"/content/*
printf '[update]\ncompatible=%s\nversion=%s\n[bundle]\nformat=verity\n[image.root]\nfilename=root.img\n[image.boot]\nfilename=boot.img\n' \
	"$compatible" "$version" >"$work/content/manifest.raucm"
[ "${BINARIES_DIR:-}" ] && bundle=$out/update.raucb || bundle=out/farhand-$board-$version.raucb
rm -f "$bundle"
quietly() {
	"$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		die "cannot make a bundle that the image would take"
	}
}
# Our kernel reads no squashfs but zstd's. What is inside is compressed already.
quietly rauc bundle --cert="${SIGN_CERT:?}" --key="$SIGN_KEY" --mksquashfs-args='-comp zstd' "$work/content" "$work/bundle"
bytes=$(stat -c %s "$work/bundle")
[ "$bytes" -le 32000000 ] || die "the bundle has $bytes bytes: more than 32 MB"
board/common/check-bundle.sh "$work/bundle" "$out/card.img"
install -m 644 "$work/bundle" "$bundle"
du -h "$bundle"
