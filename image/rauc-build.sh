#!/bin/sh
# Build RAUC for arm64 from an unpacked source tree, against unpacked packages of Debian's.
#
# Usage: rauc-build.sh SOURCE OUT PACKAGE_DIR...
#
# Only what installs a file that is there already: no network, no D-Bus service (`rauc install` then
# works in its own process), no making of bundles. OUT gets the one program.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -gt 2 ] || die "usage: ${0##*/} SOURCE OUT PACKAGE_DIR..."
source=$1 out=$2
shift 2

# Not all of these packages can be installed next to those of this machine, so they become a root of their own.
sysroot=$out/sysroot
mkdir -p "$sysroot"
for package in "$@"; do
	cp -a "$package/." "$sysroot"
done
libraries=$sysroot/usr/lib/aarch64-linux-gnu
cp -an "$sysroot/lib/aarch64-linux-gnu/." "$libraries" 2>/dev/null || true
cat >"$out/cross" <<END
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'cortex-a72'
endian = 'little'
[properties]
sys_root = '$sysroot'
pkg_config_libdir = '$libraries/pkgconfig:$sysroot/usr/share/pkgconfig'
[built-in options]
c_args = ['-O2', '-I$sysroot/usr/include/aarch64-linux-gnu', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2', '-ffile-prefix-map=$out=.', '-ffile-prefix-map=$source=.']
c_link_args = ['-L$libraries', '-Wl,-rpath-link,$libraries', '-Wl,-z,relro,-z,now']
END
# Its version is its own, not that of a repository this directory may lie in.
export GIT_CEILING_DIRECTORIES="$source"
meson setup --cross-file "$out/cross" --buildtype plain -Db_pie=true \
	-Dnetwork=false -Dstreaming=false -Dservice=false -Dcreate=false -Djson=disabled -Dgpt=disabled -Dtests=false \
	"$out/build" "$source"
# It would look for its libraries here, and its bytes would depend on where this is.
sed -i "s|'-Wl,-rpath,[^']*'||g; s|-Wl,-rpath,[^ ]*||g" "$out/build/build.ninja"
ninja -C "$out/build" rauc
aarch64-linux-gnu-strip -o "$out/rauc" "$out/build/rauc"
