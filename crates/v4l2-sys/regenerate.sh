#!/bin/sh
# Makes src/bindings.rs again from the kernel's user-space header (Debian packages: bindgen, linux-libc-dev).
#
# Usage: regenerate.sh
set -eu

cd "$(dirname "$0")"
# bindgen skips function-like ioctl macros; the daemon computes those numbers with nix instead.
bindgen --no-layout-tests --no-doc-comments --use-core \
	--allowlist-type 'v4l2_.*|timeval|time_t|__[us](8|16|32|64)' --allowlist-var 'V4L2_.*' \
	/usr/include/linux/videodev2.h -- -include time.h >src/bindings.rs
