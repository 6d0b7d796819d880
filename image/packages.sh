#!/bin/sh
# Fill an empty root with everything but our own files: the daemon, BusyBox, drivers, libraries.
#
# Usage: packages.sh DAEMON KERNEL TARGET_DIR
#
# What Buildroot's packages do in the other build. KERNEL is what kernel.sh printed.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 3 ] || die "usage: ${0##*/} DAEMON KERNEL TARGET_DIR"
here=$(cd "${0%/*}" && pwd)
daemon=$1 kernel=$2 target=$3
[ -x "$daemon" ] || die "there is no daemon at $daemon"
# The libraries' own package among them, so that apt knows arm64.
"$here/need.sh" binutils-aarch64-linux-gnu kmod libc6:arm64 python3

(cd "$target" && mkdir -p usr/bin usr/sbin usr/lib && ln -s usr/bin usr/sbin usr/lib .)
install -m 755 "$daemon" "$target/usr/bin/farhand"

busybox=$("$here/busybox.sh")
install -m 755 "$busybox/busybox" "$target/usr/bin/busybox"
while read -r link; do
	ln -s /usr/bin/busybox "$target$link"
done <"$busybox/links"

rauc=$("$here/rauc.sh")
install -m 755 "$rauc/rauc" "$target/usr/bin/rauc"

set -- libc6 libgcc-s1 e2fsprogs libext2fs2 libcom-err2 libblkid1 libuuid1 \
	libubootenv-tool libubootenv0.1 libglib2.0-0 libssl3 libpcre2-8-0 libffi8 libmount1 libselinux1 zlib1g
for package in "$@"; do
	shift
	set -- "$@" "$package:arm64"
done
debs=$("$here/fetch-deb.sh" "$@")

# /data is checked before it is mounted; BusyBox cannot.
# shellcheck disable=SC2086  # One argument for each directory.
install -m 755 "$(find $debs -path '*/sbin/e2fsck')" "$target/usr/sbin/e2fsck"
# They change U-Boot's environment, by which a slot is tried, confirmed or abandoned.
for tool in fw_printenv fw_setenv; do
	# shellcheck disable=SC2086
	install -m 755 "$(find $debs -path "*/bin/$tool")" "$target/usr/bin/$tool"
done
# shellcheck disable=SC2086
"$here/libraries.sh" "$target" $debs

# All of them. contents.py later removes those that are not in the board's lists.
cp -r "$kernel/modules/lib/modules" "$target/usr/lib/modules"
