# SPDX-License-Identifier: MIT
# Installing what a script needs, on a Debian that may have nothing but a shell. To be sourced; POSIX sh.

BASE_PACKAGES="busybox-static cpio dnsmasq-base e2fsprogs gcc grub-xen-host kmod libc6-dev libjansson-dev libxen-dev make nftables python3 qemu-system-x86 qemu-utils
	liblz4-dev liblzma-dev libzstd-dev uuid-dev xenstore-utils xz-utils zlib1g-dev"
GRUB_PACKAGES="grub-common grub-pc-bin mtools xorriso"
UEFI_PACKAGES="$GRUB_PACKAGES grub-efi-amd64-bin ovmf"
TEST_PACKAGES="$UEFI_PACKAGES bochs bochsbios clang fakeroot gdb grub-xen-bin libclang-rt-dev lowdown mmdebstrap pyflakes3 systemd uidmap vgabios"

# say TEXT: a line for the user; standard output belongs to whatever runs in Domain 0.
say() {
	echo "$*" >&2
}

# as_root COMMAND...: run it as root, through sudo if needed.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "error: '$*' needs root, and there is no sudo."
		return 1
	fi
}

# missing_packages PACKAGE...: print those that are not installed.
missing_packages() {
	command -v dpkg-query >/dev/null || { say "error: this needs Debian (no dpkg-query found)."; return 1; }
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')
	for package in "$@"; do
		echo "$installed" | grep -qx -- "$package" || echo "$package"
	done
}

# logged STEP LOGFILE COMMAND...: run with the output in LOGFILE and a dot on the terminal per second.
logged() {
	step=$1 log=$2
	shift 2
	printf '%s ' "$step" >&2
	"$@" >"$log" 2>&1 &
	job=$!
	while kill -0 $job 2>/dev/null; do
		printf . >&2
		sleep 1
	done
	if wait $job; then
		say " done"
		return 0
	fi
	say " failed; the end of $log:"
	tail -n 15 "$log" >&2
	return 1
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get update -q &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# need ROOT PACKAGE...: install those of the packages that are missing. Ends the script with 125 if that fails.
need() {
	root=$1
	shift
	missing=$(missing_packages "$@") || exit 125
	[ -z "$missing" ] && return 0
	mkdir -p "$root/build/log" || exit 125
	say "Missing Debian packages:" $missing
	if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
		sudo -v || exit 125	# ask for the password before the output is hidden
	fi
	logged "Installing them" "$root/build/log/packages.log" install_packages $missing || exit 125
}
