#!/bin/sh
# SPDX-License-Identifier: MIT
# Put what `make` has built on this machine, or into the folder DESTDIR; and take it away again. docs/install.md says what is where.
# usage: [DESTDIR=DIR] [PREFIX=/usr] [BUILD=build] install.sh install|uninstall
#
# No file that somebody may have changed is written over: ours are outside of /etc, where there are only links to them.
set -eu
umask 022

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
version=$(cat VERSION)
build=${BUILD:-build}
prefix=${PREFIX:-/usr}
dest=${DESTDIR:-}
PATH=$PATH:/usr/sbin:/sbin

fail() {
	echo "error: $*" >&2
	exit 1
}

case $prefix in
/*[!/]) ;;
*) fail "PREFIX is '$prefix', and not an absolute path such as /usr" ;;
esac

# What there is, a line each: MODE SOURCE TARGET. "strip": a program, and without its symbols. The hypervisor's are a file of their own.
files() {
	echo "644 $build/lodge.gz /boot/lodge-$version.gz"
	echo "644 $build/lodge.elf /usr/lib/debug/boot/lodge-$version.elf"
	echo "strip $build/tools/lodge $prefix/bin/lodge"
	for program in stored consoled lodged; do
		echo "strip $build/tools/$program $prefix/sbin/$program"
	done
	for builder in tools/builders/*; do
		echo "755 $builder /usr/lib/lodge/builders/${builder##*/}"
	done
	echo "755 install/grub /usr/lib/lodge/grub"
	for unit in install/systemd/*; do
		echo "unit $unit /usr/lib/systemd/system/${unit##*/}"
	done
	echo "644 install/udev.rules /usr/lib/udev/rules.d/80-lodge.rules"
	echo "644 tools/lodge/completion.bash $prefix/share/bash-completion/completions/lodge"
}

# Links in /etc, a line each: TARGET LINK. Made once; then they are the administrator's: one that is removed, or that a file takes the place of, stays so.
links() {
	echo "/usr/lib/lodge/grub /etc/grub.d/20_lodge"
	for unit in install/systemd/*.service; do
		echo "/usr/lib/systemd/system/${unit##*/} /etc/systemd/system/multi-user.target.wants/${unit##*/}"
	done
}

pages() {
	for page in docs/man/*.md; do
		for section in 1 5 7 8; do
			echo "$prefix/share/man/man$section/$(basename "$page" .md).$section"
		done
	done
}

# put MODE SOURCE TARGET: the new file takes the old one's place, also that of a program that runs.
put() {
	mkdir -p "$(dirname "$dest$3")"
	case $1 in
	strip) strip -o "$dest$3.new" "$2" && chmod 755 "$dest$3.new" ;;
	unit) sed "s|@PREFIX@|$prefix|g" "$2" >"$dest$3.new" && chmod 644 "$dest$3.new" ;;
	*) install -m "$1" "$2" "$dest$3.new" ;;
	esac
	mv "$dest$3.new" "$dest$3"
}

# For a system that runs, and not for a folder.
reload() {
	[ -n "$dest" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

# missing PROGRAM:PACKAGE...: the packages of programs that are not here.
missing() {
	for need; do
		[ -e "${need%:*}" ] || command -v "${need%:*}" >/dev/null || echo "${need#*:}"
	done
}

put_all() {
	files | while read -r mode source target; do
		[ -e "$source" ] || fail "$source is not there: run make first"
	done
	new=$(links | while read -r target link; do
		[ -e "$dest$target" ] || echo "$target $link"
	done)
	files | while read -r mode source target; do
		put "$mode" "$source" "$target"
	done
	echo "$new" | while read -r target link; do
		[ -n "$link" ] && [ ! -e "$dest$link" ] && [ ! -L "$dest$link" ] || continue
		mkdir -p "$(dirname "$dest$link")"
		ln -s "$target" "$dest$link"
	done
	mkdir -p "$dest/etc/xen/vm" "$dest/etc/xen/auto"
	if command -v lowdown >/dev/null; then
		sh scripts/man.sh "$dest$prefix/share/man"
	else
		echo "There are no manual pages: lowdown, which makes them, is not installed (apt-get install lowdown, and again)."
	fi
	reload
	[ -z "$dest" ] || return 0
	echo "Lodge $version is installed. Next: update-grub, and restart into \"… with Lodge\"."
	packages=$(missing dnsmasq:dnsmasq-base nft:nftables qemu-nbd:qemu-utils /usr/lib/grub-xen/grub-x86_64-xen.bin:grub-xen-host)
	[ -z "$packages" ] || echo "What guests may need is missing (docs/install.md): apt-get install --no-install-recommends" $packages
}

remove_all() {
	links | while read -r target link; do
		[ "$(readlink "$dest$link")" != "$target" ] || rm "$dest$link"
	done
	{ files | cut -d' ' -f3; pages; } | while read -r target; do
		rm -f "$dest$target"
	done
	for folder in /usr/lib/lodge/builders /usr/lib/lodge /usr/lib/debug/boot /etc/xen/auto /etc/xen/vm /etc/xen; do
		[ ! -d "$dest$folder" ] || rmdir --ignore-fail-on-non-empty "$dest$folder"
	done
	reload
}

case ${1:-} in
install) put_all ;;
uninstall) remove_all ;;
*) sed -n 's/^# usage: //p' "$0" >&2; exit 2 ;;
esac
