#!/bin/sh
# Build the kernel that every board shares, or find the one built earlier, and print where it is.
#
# Usage: kernel.sh
#
# The directory holds Image, bcm2711-rpi-4-b.dtb, config, release, modules/ (to copy over a root) and devel/ (what
# a module outside the tree is built against: make -C devel M=... ARCH=arm64 CROSS_COMPILE=...).
# It is named by a hash of all that goes in, so a stale kernel cannot be taken by mistake.
set -eu

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

here=$(cd "${0%/*}" && pwd)
"$here/need.sh" "gcc-aarch64-linux-gnu" bc bison ccache flex kmod libelf-dev libssl-dev make xz-utils >&2

# Two words: the version, and the file.
source=$("$here/linux.sh")
version=${source%% *} tarball=${source#* }
key=$({ echo "$version"; cat "$here/kernel-build.sh" "$here"/../board/*/linux/*.config; } | sha256sum | cut -c1-16)
cache=${FARHAND_CACHE:-$HOME/.cache/farhand}
kernel=$cache/kernel-$key
mkdir -p "$cache"
# Two jobs that want a kernel would each build it, in twice the time.
exec 9>"$cache/kernel.lock"
flock --nonblock 9 || {
	printf '%s: waiting for another job, which may be building it\n' "${0##*/}" >&2
	flock 9
}
if [ ! -d "$kernel" ]; then
	work=$(mktemp -d "$cache/kernel.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '%s: building linux %s, about ten minutes on two cores\n' "${0##*/}" "$version" >&2
	mkdir "$work/linux"
	tar -xf "$tarball" -C "$work/linux" --strip-components=1
	# Without this it would run the preprocessor on its own for whatever it does not have: for all, at first.
	export CCACHE_DEPEND=1
	"$here/kernel-build.sh" "$work/linux" "$work/out" >&2
	mv -T "$work/out" "$kernel" || die "could not keep $kernel"
fi
echo "$kernel"
