# shellcheck shell=sh
# What the scripts that build and check an image share. It is sourced, never run:
#
#     # shellcheck source=lib.sh
#     . "${0%/*}/lib.sh"
#
# The appliance has no copy: nothing under overlay/ may need it.

# What is built or downloaded once is kept here. Empty where there is no home, and so no need of it.
cache=${FARHAND_CACHE:-${HOME:+$HOME/.cache/farhand}}

# say MESSAGE: report on standard error, because what a script prints is for its caller
say() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
}

# die MESSAGE: end, and report why
die() {
	say "$1"
	exit 1
}

# need_file FILE [HINT]: end unless this file has content
need_file() {
	[ -s "$1" ] || die "there is no $1${2:+: $2}"
}

# need_tools TOOL:PACKAGE...: end unless each tool is installed
#
# For checks that people run on any machine. A build installs what it needs (need.sh).
need_tools() {
	for tool in "$@"; do
		command -v "${tool%:*}" >/dev/null || die "there is no ${tool%:*}: install ${tool#*:}"
	done
}

# need_hash FILE SHA256 NAME: end unless FILE is, byte for byte, what we know by that name
need_hash() {
	echo "$2  $1" | sha256sum --check --quiet >&2 || die "$3 is not the one that we know"
}

# workspace [PREFIX]: make a directory, $work, that goes when this script ends, by a signal, too
workspace() {
	work=$(mktemp -d ${1:+"$1.XXXXXX"})
	trap 'rm -rf "$work"' EXIT
	# The shell runs the line above when it exits, but not when a signal ends it.
	trap 'exit 1' HUP INT TERM
}

# digest: a name for what is on standard input
digest() {
	sha256sum | cut -c1-16
}

# cached NAME COMMAND...: print the path of NAME in the cache; if it is missing, COMMAND makes it
#
# COMMAND leaves in $work/kept what is to be kept. A name has a digest or a version in it, so that nobody takes what
# is out of date, and appears only when it is complete. Jobs that want the same thing do not each make it: the second
# one waits. A subshell, whose workspace is its own and whose lock ends with it.
cached() (
	kept=$cache/$1
	name=$1
	shift
	if [ ! -d "$kept" ]; then
		mkdir -p "$cache"
		exec 9>"$cache/${name%%-*}.lock"
		flock --nonblock 9 || {
			say "waiting for another job, which may be making $name"
			flock 9
		}
	fi
	if [ ! -d "$kept" ]; then
		workspace "$cache/${name%%-*}"
		"$@"
		mv -T "$work/kept" "$kept" || die "cannot keep $kept"
	fi
	echo "$kept"
)

# apt_sources: print the files that name this machine's archives, one a line
apt_sources() {
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# private_apt ARGUMENT...: run apt-get with the sources in $work/parts and with lists of its own
#
# Nothing under /etc changes, what is installed later is not affected, and no rights are needed.
private_apt() {
	mkdir -p "$work/lists/partial"
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root "$@" >&2
}
