#!/bin/sh
# Run a command with the environment that builds Rust for the appliance's processor.
#
# Usage: cross-env.sh COMMAND [ARGUMENT...]      (`rustc` becomes the compiler for that processor)
#
# rustup's aarch64 library is used where there is one; else Debian's compiler, whose library for
# arm64 is a package. Cargo gets a target directory of its own, because the two compilers would
# rebuild each other's work.
set -eu

[ $# -gt 0 ] || exit 2
here=$(cd "${0%/*}" && pwd)
target=aarch64-unknown-linux-gnu
"$here/need.sh" gcc-aarch64-linux-gnu g++-aarch64-linux-gnu cmake >&2
RUSTC=rustc
if ! rustup target list --installed 2>/dev/null | grep -qx "$target"; then
	"$here/need.sh" rustc-web libstd-rust-web-dev:arm64 libc6-dev:arm64 >&2
	RUSTC=/usr/bin/rustc
fi
export RUSTC

export CARGO_BUILD_TARGET="$target"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../target/cross}"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
if [ "$1" = rustc ]; then
	shift
	exec "$RUSTC" --target "$target" -C linker=aarch64-linux-gnu-gcc "$@"
fi
exec "$@"
