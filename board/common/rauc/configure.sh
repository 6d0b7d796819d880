#!/bin/sh
# Configure which updates a finished root takes: for which board, from which version on, and signed by whom.
#
# Usage: configure.sh TARGET_DIR BOARD VERSION      (environment: see post-build.sh)
set -eu

# shellcheck source=../../../image/lib.sh
. "${0%/*}/../../../image/lib.sh"

[ $# -eq 3 ] || die "usage: ${0##*/} TARGET_DIR BOARD VERSION"
target=$1 board=$2 version=$3
here=$(cd "${0%/*}" && pwd)
development=$here/../keys/development/ca.pem

# The bytes of each certificate in a file, one a line: names and headers prove nothing.
bodies() {
	awk '/-----BEGIN CERTIFICATE-----/ { on = 1; body = ""; next }
		/-----END CERTIFICATE-----/ { if (on) print body; on = 0 }
		on { body = body $0 }' "$1" | tr -d '\r \t'
}

compatible=farhand-$board-$FARHAND_BUILD
case $FARHAND_VARIANT in
development)
	keyring=$development
	compatible=$compatible-development
	;;
production)
	[ -n "${KEYRING:-}" ] || die "a production image needs KEYRING=, the certificates whose updates it will take: make them with image/keys.sh"
	keyring=$KEYRING
	need_file "$keyring" "KEYRING= names it"
	! grep -q 'PRIVATE KEY' "$keyring" || die "$keyring holds a private key, which must not be in an image"
	[ -n "$(bodies "$keyring")" ] || die "$keyring holds no certificate"
	! bodies "$keyring" | grep -qxF "$(bodies "$development")" || die "$keyring holds the development key, which everybody has"
	;;
*) die "FARHAND_VARIANT is neither development nor production: $FARHAND_VARIANT" ;;
esac

mkdir -p "$target/etc/rauc"
cp "$keyring" "$target/etc/rauc/keyring.pem"
sed "s/@COMPATIBLE@/$compatible/; s/@VERSION@/$version/" "$here/system.conf.in" >"$target/etc/rauc/system.conf"
