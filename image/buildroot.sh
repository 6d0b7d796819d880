#!/bin/sh
# Build an image with Buildroot, from sources that are all pinned: the one that releases are made of.
#
# Usage: buildroot.sh BOARD [TARGET_OF_BUILDROOT...]
#
# From the environment: BUILDROOT, see need-buildroot.sh; BR2_DL_DIR, where Buildroot keeps what it
# downloads; FARHAND_VARIANT, production unless told otherwise, which wants KEYRING, and SIGN_KEY and
# SIGN_CERT for the update. Buildroot works in out/buildroot; without a target, out/BOARD is what
# `make image-quick` leaves there, and the release is packed.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

cd "${0%/*}/.."
board=${1:-}
defconfig=buildroot/configs/farhand_${board}_defconfig
[ -s "$defconfig" ] || die "usage: ${0##*/} BOARD [TARGET_OF_BUILDROOT...]"
shift

image/need.sh bc binutils bzip2 cpio fdisk file g++ git make patch perl python3 rsync unzip wget xz-utils
buildroot=$(image/need-buildroot.sh)
export BR2_EXTERNAL="$PWD/buildroot"
export BR2_DL_DIR="${BR2_DL_DIR:-$cache/buildroot-dl}"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# The kernel's sources are those of the quick build, under the name that Buildroot would download.
release=$(sed -n 's/^version=\([0-9.]*\)-.*/\1/p' board/common/linux/source)
kernel=$BR2_DL_DIR/linux/linux-$release.tar.xz
if [ ! -s "$kernel" ]; then
	sources=$(image/linux.sh --pinned)
	mkdir -p "${kernel%/*}"
	cp "${sources#* }" "$kernel.new"
	mv "$kernel.new" "$kernel"
fi
build() {
	make --no-print-directory -C "$buildroot" O="$PWD/out/buildroot" "$@"
}

export FARHAND_VARIANT="${FARHAND_VARIANT:-production}"
if [ -n "${KEYRING:-}" ]; then
	# Buildroot calls our scripts from elsewhere.
	need_file "$KEYRING" "KEYRING= names it"
	KEYRING=$(realpath "$KEYRING") && export KEYRING
elif [ "$FARHAND_VARIANT" = production ] && [ $# -eq 0 ]; then
	die "a production image needs KEYRING=, the certificates whose updates it will take: see docs/build.md"
fi

build -s "${defconfig##*/}"
board/common/check-config.sh out/buildroot/.config "$defconfig"
build "$@"
[ $# -eq 0 ] || exit 0
rm -rf "out/$board"
cp -a out/buildroot/images "out/$board"

image/pack.sh "$board"
if [ "$FARHAND_VARIANT" = development ] || [ -n "${SIGN_KEY:-}" ]; then
	image/bundle.sh "$board"
else
	say "no SIGN_KEY=, so no update was made: image/bundle.sh $board makes it on the machine that signs"
fi

# What a release owes those whose work is in it: their licences, and a list of the parts.
build legal-info
build -s show-info | "$buildroot/utils/generate-cyclonedx" --project-name farhand -o out/buildroot/parts.json
image/sbom.py "$board" out/buildroot/parts.json
