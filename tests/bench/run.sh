#!/bin/sh
# Measure the video path, and Debian's ustreamer for comparison; the table goes to standard output, JSON to
# out/bench.json.
#
# Usage: run.sh [--quick] [--clients N,N...] [--servers NAME,NAME...]
set -eu

cd "${0%/*}/../.."
image/need.sh gcc libc6-dev ustreamer
exec cargo bench --locked --bench bench -- "$@"
