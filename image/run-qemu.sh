#!/bin/sh
# Boot out/virt in QEMU, for a person: https://127.0.0.1:8443, and the serial console here.
#
# Usage: run-qemu.sh [QEMU_ARGUMENT...]
#
# What the appliance stores is forgotten at the end. Ctrl-A X ends it. The root shell of a
# development image is on the second console: Ctrl-A C changes to it and back.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

here=$(cd "${0%/*}" && pwd)
out=$here/../out/virt
need_file "$out/root.squashfs" "run 'make image-quick'"
"$here/need-qemu.sh" qemu-system-arm

exec qemu-system-aarch64 -M virt -cpu cortex-a72 -smp 2 -m 512 -accel tcg,thread=multi -display none \
	-kernel "$out/Image" -append 'root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4' \
	-drive "if=none,id=root,format=raw,readonly=on,file=$out/root.squashfs" -device virtio-blk-pci,drive=root \
	-drive "if=none,id=data,format=raw,snapshot=on,file=$out/data.ext4" -device virtio-blk-pci,drive=data \
	-netdev user,id=net,hostfwd=tcp:127.0.0.1:8443-:443,hostfwd=tcp:127.0.0.1:8080-:80 \
	-device virtio-net-pci,netdev=net,romfile= \
	-device virtio-rng-pci -device virtio-serial-pci \
	-chardev stdio,id=terminal,mux=on,signal=off -serial chardev:terminal -device virtconsole,chardev=terminal \
	"$@"
