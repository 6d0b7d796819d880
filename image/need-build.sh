#!/bin/sh
# Install what builds the daemon and the page, where this machine lacks it.
#
# Usage: need-build.sh
#
# A machine with rustup keeps its own compiler; any other gets the one that Debian maintains for
# its browsers, which is as recent. The page needs any Node from 18 on, so Debian 12's will do.
set -eu

here=${0%/*}
set -- ca-certificates cmake g++ git make nasm
# Debian 12's own cargo is too old, and leaves when the other comes.
version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
dpkg --compare-versions "${version:-0}" ge 1.95 || set -- "$@" cargo-web rust-web-clippy rustc-web rustfmt-web
command -v node >/dev/null || set -- "$@" nodejs
command -v npm >/dev/null || set -- "$@" npm
"$here/need.sh" "$@"
