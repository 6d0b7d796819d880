#!/bin/sh
# Pack the image of a card for its owners: out/farhand-BOARD-VERSION.img.xz, and a .bmap next to it.
#
# Usage: pack.sh BOARD
#
# The .bmap tells bmaptool which parts of the card need no writing, and what the others must be.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 1 ] || die "usage: ${0##*/} BOARD"
cd "${0%/*}/.."
card=out/$1/card.img
need_file "$card" "run 'make image-quick BOARD=$1'"
image/need.sh bmap-tools xz-utils
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
packed=out/farhand-$1-$version.img

# The slots are the same, 121 MiB apart: a dictionary that reaches so far packs the second for nothing.
xz --threads=1 --format=xz --check=crc64 --lzma2=preset=6,dict=128MiB --stdout "$card" >"$packed.xz"
bmaptool -q create -o "$packed.bmap" "$card"
size=$(stat -c %s "$packed.xz")
[ "$size" -le 40000000 ] || die "$packed.xz has $size bytes: more than 40 MB"
ls -l "$packed.xz" "$packed.bmap"
