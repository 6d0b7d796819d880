#!/bin/sh
# Measure how long the image for QEMU takes to boot to its page; the table goes to standard output.
#
# Usage: boot.sh [RUNS]
#
# With the right to use SCHED_RR (root has it), other load on this machine hardly changes the result.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

cd "${0%/*}/../.."
image/need.sh curl
image/need-qemu.sh qemu-system-arm
cargo build --locked --example boot
if chrt -r 1 true 2>/dev/null; then
	exec chrt -r 1 target/debug/examples/boot "$@"
fi
say "not under SCHED_RR: other load on this machine changes the result"
exec target/debug/examples/boot "$@"
