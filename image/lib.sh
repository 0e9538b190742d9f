# SPDX-License-Identifier: MIT
# What the images are made of. To be sourced; POSIX sh. $kernel: a directory made by scripts/fetch-kernel; $version: its kernel's.

# put_skeleton TREE: directories, and busybox under all its names; init is one of them.
put_skeleton() {
	rm -rf "$1"
	for dir in bin sbin etc dev proc sys tmp root mnt run usr var; do
		mkdir -p "$1/$dir"
	done
	cp "$(command -v busybox)" "$1/bin/busybox"
	for applet in $("$1/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
	ln -s bin/busybox "$1/init"
	for applet in modprobe poweroff reboot; do	# the kernel calls them by these paths
		ln -s ../bin/busybox "$1/sbin/$applet"
	done
}

# put_modules TREE: the modules named on standard input, and what they depend on. Without their signatures: to check them takes the
# kernel longer than all else that it does to load a module, and in Debian it loads it in any case.
put_modules() {
	# It fails if there is no such module; of a built-in one it says "builtin".
	grep -v '^#' | xargs /sbin/modprobe -d "$kernel" -S "$version" -a --show-depends >"$1.depends"
	sed -n 's/^insmod \([^ ]*\).*/\1/p' "$1.depends" | sort -u | while read -r file; do
		path=lib/modules/${file#*/lib/modules/}
		mkdir -p "$1/$(dirname "$path")"
		objcopy "$file" "$1/$path"
	done
	rm -f "$1.depends"
	cp "$kernel/lib/modules/$version/"modules.builtin* "$kernel/lib/modules/$version/modules.order" "$1/lib/modules/$version"
	/sbin/depmod -b "$1" "$version"
}

# put_program TREE PROGRAM...: programs of this machine and the libraries they need, where they are here, links resolved.
put_program() {
	tree=$1
	shift
	for program; do
		path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program") || { echo "error: there is no $program here" >&2; return 1; }
		{ echo "$path"; ldd "$path" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'; } | while read -r file; do
			case $file in /usr/*) to=$tree$file ;; *) to=$tree/usr$file ;; esac
			mkdir -p "$(dirname "$to")"
			[ -e "$to" ] || cp -L "$file" "$to"
		done
	done
}

# pack TREE OUT: a gzip'ed cpio archive; the tree is gone afterwards.
pack() {
	(cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -6 >"$2.new"
	rm -rf "$1"
	mv "$2.new" "$2"
}
