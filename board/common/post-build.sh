#!/bin/sh
# Give the finished root the properties that every image must have, whichever way it was built.
#
# Usage: post-build.sh TARGET_DIR BOARD
#
# Both builds call this last before they pack the root. From the environment: FARHAND_BUILD
# (quick or buildroot), FARHAND_VARIANT (production or development), SOURCE_DATE_EPOCH, and for a
# production image KEYRING, the certificates whose updates it will take.
set -eu

# shellcheck source=../../image/lib.sh
. "${0%/*}/../../image/lib.sh"

[ $# -eq 2 ] || die "usage: ${0##*/} TARGET_DIR BOARD"
target=$1
top=$(cd "${0%/*}/../.." && pwd)
: "${FARHAND_BUILD:?}" "${FARHAND_VARIANT:?}" "${SOURCE_DATE_EPOCH:?}"

# shellcheck source=/dev/null
. "$top/board/$2/board.conf"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
[ -n "$version" ] || die "no version in $top/Cargo.toml"
cat >"$target/etc/os-release" <<END
NAME=Farhand
ID=farhand
PRETTY_NAME="Farhand $version"
VERSION_ID=$version
VARIANT="$FARHAND_VARIANT"
VARIANT_ID=$FARHAND_BUILD
END

"$top/board/common/rauc/configure.sh" "$target" "$2" "$version"

# The mount points of a root that cannot be written later.
for directory in data dev firmware proc run sys tmp; do
	mkdir -p "$target/$directory"
done

# The name servers are known only when there is a network.
ln -sfn /run/resolv.conf "$target/etc/resolv.conf"

# fw_setenv takes its lock here. Without this directory it would go on without a lock, and two that change U-Boot's
# variables at once would undo each other.
rm -rf "$target/var/lock"
mkdir -p "$target/var"
ln -s /run/lock "$target/var/lock"

# Every service has a log, and runsv keeps its state where it can write.
for service in "$target"/etc/sv/*; do
	name=${service##*/}
	mkdir -p "$service/log"
	ln -sfn "/run/sv/$name" "$service/supervise"
	ln -sfn "/run/sv/$name.log" "$service/log/supervise"
	ln -sfn /usr/libexec/service-log "$service/log/run"
done

# A shell without a password, for tests: never in an image that leaves this machine.
if [ "$FARHAND_VARIANT" = development ]; then
	# shellcheck disable=SC2154  # board.conf sets it.
	echo "$shell::respawn:/bin/sh" >>"$target/etc/inittab"
fi

"$top/board/common/contents.py" prune "$target" "$2"

# The image must not depend on the umask under which the files were checked out.
find "$target" -type d -exec chmod 755 {} +
find "$target" -type f -perm /111 -exec chmod 755 {} +
find "$target" -type f ! -perm /111 -exec chmod 644 {} +

"$top/board/common/check-root.sh" "$target"
