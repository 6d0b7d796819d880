#!/bin/sh
# Make what a slot is filled with: boot.img and root.img, from Image and root.squashfs.
#
# Usage: slot.sh BINARIES_DIR BOARD
#
# root.img is the root with its dm-verity tree behind it. The tree's own hash cannot be in what it
# protects, so it is in boot.img, with the kernel: U-Boot reads slot.env there for the kernel's
# arguments, in two halves between which it puts the names of the partition; and slot.dtbo, if the board has one.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} BINARIES_DIR BOARD"
# shellcheck source=/dev/null
. "${0%/*}/../$2/board.conf"
cd "$1"
workspace

# The hash tree begins where the data end, at a whole block.
cp root.squashfs root.img
truncate -s %4096 root.img
bytes=$(stat -c %s root.img)
blocks=$((bytes / 4096))
# A salt of its content: two builds of the same root are the same image.
salt=$(sha256sum root.squashfs | cut -d ' ' -f 1)
hash=$(veritysetup format --no-superblock --hash sha256 --salt "$salt" --data-block-size 4096 \
	--hash-block-size 4096 --data-blocks "$blocks" --hash-offset "$bytes" root.img root.img |
	sed -n 's/^Root hash:[[:space:]]*//p')
[ ${#hash} -eq 64 ] || die "veritysetup gave no hash of the root"
bytes_with_tree=$(stat -c %s root.img)
[ "$bytes_with_tree" -le 48000000 ] || die "root.img has $bytes_with_tree bytes: more than 48 MB"

# A block that is not as it was built is a panic: the next try, or the other slot, may be better.
# shellcheck disable=SC2154  # board.conf sets arguments.
cat >"$work/slot.env" <<END
args_before=$arguments dm-mod.create="root,,,ro,0 $((bytes / 512)) verity 1
args_after=4096 4096 $blocks $blocks sha256 $hash $salt 1 panic_on_corruption" root=/dev/dm-0 rootfstype=squashfs ro
END
cp "$work/slot.env" .
gzip -9nc Image >"$work/Image.gz"
# So that anybody can ask a card what its kernel can do.
gzip -9nc kernel.config >"$work/config.gz"
[ ! -e slot.dtbo ] || cp slot.dtbo "$work"
rm -f boot.img
# U-Boot would take longer to unpack than it saves in reading: the kernel is compressed already.
mksquashfs "$work" boot.img -noI -noD -noF -no-xattrs -all-root -quiet -no-progress
