#!/bin/sh
# Report how long each phase of a run took, and begin at once with what takes longest.
#
# Usage: phases.sh run COMMAND...      (such as `make check`)
#        phases.sh begin PHASE         notes that another phase begins; does nothing outside of such a run
#        phases.sh ahead               builds, or finds, what the image is made from and no test waits for
#
# The kernel alone takes two processors for minutes, and until then one of them is often idle. So `run` has it built
# in parallel to everything else, at the lowest priority. That is a head start and no more: a job that needs the
# kernel asks for it as always, waits for the one that is being built, and reports why if there is none.
set -eu

# shellcheck source=../image/lib.sh
. "${0%/*}/../image/lib.sh"

cd "${0%/*}/.."
case ${1:-} in
begin)
	[ -z "${FARHAND_PHASES:-}" ] || echo "$(date +%s) $2" >>"$FARHAND_PHASES"
	;;
ahead)
	for part in kernel uboot busybox rauc; do
		"image/$part.sh"
	done
	;;
run)
	shift
	mkdir -p out "$cache"
	FARHAND_PHASES=$PWD/out/phases
	export FARHAND_PHASES
	echo "$(date +%s) compilers and page" >"$FARHAND_PHASES"
	setsid nice -n 19 tests/phases.sh ahead >out/ahead.log 2>&1 &
	ahead=$!
	# Not in the middle of installing packages, which would leave this machine's apt half done.
	trap 'flock "$cache/apt.lock" sh -c "kill -- -$ahead $ahead 2>/dev/null" || true' EXIT
	trap 'exit 1' HUP INT TERM
	status=0
	"$@" || status=$?
	echo "$(date +%s) " >>"$FARHAND_PHASES"
	echo
	awk 'NR == 1 { first = $1 } NR > 1 { printf "%3d:%02d  %s\n", ($1 - at) / 60, ($1 - at) % 60, name }
		{ at = $1; sub(/^[0-9]+ /, ""); name = $0 } END { printf "%3d:%02d  in all\n", (at - first) / 60, (at - first) % 60 }' \
		"$FARHAND_PHASES"
	exit "$status"
	;;
*)
	die "usage: ${0##*/} run COMMAND... | begin PHASE | ahead"
	;;
esac
