#!/bin/sh
# Run cargo for the appliance's processor.
#
# Usage: cross-cargo.sh build --release
set -eu

exec "${0%/*}/cross-env.sh" cargo "$@"
