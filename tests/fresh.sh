#!/bin/sh
# Run the README's two commands where nothing is installed: in a Debian made for it, as a stranger would.
#
# Usage: fresh.sh [--user] [TARGET...]      (`run` and `test`, unless told otherwise; with --user not as root but with sudo)
#
# The Debian is the smallest that debootstrap makes, of this machine's release and archive. It gets a clone of what is
# committed here, this machine's way to the network (names, proxies, certificates, the clients' settings), and of what was
# built here only ~/.cache/farhand. It has a mount and a process namespace of its own, so nothing of it outlives this script.
# It stays in out/fresh, so that one can see what went wrong; the next run removes it.
set -eu

# shellcheck source=../image/lib.sh
. "${0%/*}/../image/lib.sh"

cd "${0%/*}/.."
if [ "${FARHAND_FRESH:-}" != inside ]; then
	image/need.sh curl debootstrap git mount
	mkdir -p "$cache" out
	[ "$(id -u)" -eq 0 ] || exec sudo env FARHAND_CACHE="$cache" HOME="$HOME" "tests/${0##*/}" "$@"
	export FARHAND_FRESH=inside FARHAND_CACHE="$cache"
	# Whatever ends this script ends all in there, and with the last process go the mounts. It takes no other signal.
	unshare --mount --propagation private --pid --fork --kill-child "tests/${0##*/}" "$@" &
	inside=$!
	trap 'kill -KILL "$inside"' HUP INT TERM
	ended=0
	wait "$inside" || ended=$?
	# Files that root made in there go to the user who called sudo.
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-}" "$cache" out/fresh.log
	exit "$ended"
fi

who=root home=/root
[ "${1:-}" != --user ] || { who=stranger home=/home/stranger && shift; }
[ $# -gt 0 ] || set -- run test

# suite_at SUITE: the address that this machine gets it from
suite_at() {
	apt_sources | while read -r file; do
		awk -v RS= "/(^|\n)Suites:[^\n]* $1( |\n|\$)/" "$file" | sed -n 's/^URIs: *\([^ ]*\).*/\1/p'
		sed -nE "s/^deb (\[[^]]*\] )?([^ ]+) $1 .*/\2/p" "$file"
	done | head -n 1
}
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# The archive that has the updates has the release, too.
archive=$(suite_at "$suite-updates") security=$(suite_at "$suite-security")
[ -n "$archive" ] || die "this machine's apt does not say where $suite-updates is"
[ -n "$security" ] || die "this machine's apt does not say where $suite-security is"

fresh=$PWD/out/fresh log=$PWD/out/fresh.log
rm -rf --one-file-system "$fresh"
say "making a Debian $suite"
debootstrap --variant=minbase --include=git,make,sudo "$suite" "$fresh" "$archive" >"$log" 2>&1 || {
	tail -n 5 "$log" >&2
	die "debootstrap failed: see $log"
}
cat >"$fresh/etc/apt/sources.list" <<END
deb $archive $suite main
deb $archive $suite-updates main
deb $security $suite-security main
END
apt-config dump | grep -iE '^Acquire::(https?|Check-|Retries|ForceIPv)' >"$fresh/etc/apt/apt.conf.d/90machine" || true
# No service starts in there: it would run in addition to this machine's own.
printf '#!/bin/sh\nexit 101\n' >"$fresh/usr/sbin/policy-rc.d"
chmod 755 "$fresh/usr/sbin/policy-rc.d"
cp /etc/resolv.conf /etc/hosts "$fresh/etc/"
# Taken up when the package of certificates is installed.
[ ! -d /usr/local/share/ca-certificates ] || cp -r /usr/local/share/ca-certificates "$fresh/usr/local/share/"
[ "$who" = root ] || chroot "$fresh" useradd --create-home --shell /bin/sh "$who"
printf '%s ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "http_proxy https_proxy no_proxy"\n' "$who" >"$fresh/etc/sudoers.d/$who"
for file in .npmrc .cargo/config.toml; do
	[ ! -f "$HOME/$file" ] || install -D -m 644 "$HOME/$file" "$fresh$home/$file"
done
git clone --quiet --no-hardlinks "$PWD" "$fresh$home/farhand"
mkdir -p "$fresh$home/.cache/farhand"

mount -t proc proc "$fresh/proc"
mount --rbind /dev "$fresh/dev"
mount --rbind /sys "$fresh/sys"
if [ "$who" = root ]; then
	mount --bind "$cache" "$fresh$home/.cache/farhand"
else
	# Theirs to write to, and so a copy.
	cp -a "$cache/." "$fresh$home/.cache/farhand"
	chroot "$fresh" chown -R "$who:" "$home"
fi

# stranger COMMAND...: becomes that, in the clone, with nothing of this machine's environment but its proxies
path=/usr/local/bin:/usr/bin:/bin
[ "$who" != root ] || path=/usr/local/sbin:/usr/sbin:/sbin:$path
stranger() {
	exec chroot --userspec="$who" --groups= "$fresh" env -i PATH="$path" HOME="$home" USER="$who" TERM="${TERM:-dumb}" \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${no_proxy:+no_proxy="$no_proxy"} \
		sh -c "cd $home/farhand && exec \"\$@\"" sh "$@"
}

for target in "$@"; do
	say "make $target, as $who"
	begun=$(date +%s)
	if [ "$target" = run ]; then
		stranger make run >"$log" 2>&1 &
		until url=$(sed -n 's/^address: //p' "$log") && [ -n "$url" ]; do
			kill -0 $! 2>/dev/null || { tail -n 20 "$log" >&2 && die "make run ended: see $log"; }
			sleep 1
		done
		curl -fsSk "$url" | grep -q '<title>' || die "there is no page at $url"
		# make ends what it started.
		kill $!
		wait $! || true
	else
		(stranger make "$target") || die "make $target failed; it was done in $fresh"
	fi
	say "make $target took $(($(date +%s) - begun)) s"
done
