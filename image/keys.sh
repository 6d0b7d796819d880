#!/bin/sh
# Make the keys that an owner's updates are signed with.
#
# Usage: keys.sh DIR [NAME]
#
# DIR gets two roots (root.key is used once a year or less, spare.key for the day that root.key is lost),
# keyring.pem with the certificates of both (KEYRING= when an image is built), and a signer for daily
# use (SIGN_KEY=signer.key SIGN_CERT=signer.pem for each bundle). Keep both roots offline, apart.
set -eu

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

[ $# -eq 1 ] || [ $# -eq 2 ] || die "usage: ${0##*/} DIR [NAME]"
directory=$1 name=${2:-Farhand}
[ ! -e "$directory" ] || die "$directory exists: keys are never written over"
"${0%/*}/need.sh" openssl
umask 077
mkdir -p "$directory"
cd "$directory"

# RAUC demands the purpose of every certificate that limits it (check-purpose=codesign).
cat >extensions <<'END'
[root]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

# certificate KEY CN SECTION DAYS [ISSUER]
certificate() {
	openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$1.key"
	openssl req -new -key "$1.key" -subj "/O=$name/CN=$2" -out request
	if [ $# -eq 5 ]; then
		set -- "$1" "$2" "$3" "$4" -CA "$5.pem" -CAkey "$5.key"
	else
		set -- "$1" "$2" "$3" "$4" -signkey "$1.key"
	fi
	file=$1 section=$3 days=$4
	shift 4
	openssl x509 -req -sha384 -in request -extfile extensions -extensions "$section" -days "$days" "$@" \
		-out "$file.pem" 2>said || die "openssl cannot make the certificate $file: $(cat said)"
	rm request said
}

# Thirty years: a card that was long in a drawer must still trust its maker. A signer is replaced long before.
certificate root "$name updates" root 10950
certificate spare "$name updates, spare" root 10950
certificate signer "$name updates, signer" signer 1825 root
cat root.pem spare.pem >keyring.pem
rm extensions
chmod 644 ./*.pem
say "made $directory. Take root.key and spare.key off this machine now."
