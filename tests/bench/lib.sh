# SPDX-License-Identifier: MIT
# What the benches share, in either Domain 0. The side defines TOOL (lodge or xl), free_kib, and wait_text.

# A clock in microseconds; reading it starts no process.
now() {
	clock=${EPOCHREALTIME%.*}${EPOCHREALTIME#*.}
}

# timed COMMAND...: $elapsed in milliseconds.
timed() {
	now; begin=$clock
	"$@" || { echo "failed: $*" >&2; exit 1; }
	now; elapsed=$(((clock - begin) / 1000)).$(printf %03d $(((clock - begin) % 1000)))
}

result() {
	echo "result $1 $2 $3"
}

# define NAME KERNEL MEMORY EXTRA [LINE]...: a definition that both tools understand, in $DEFINITIONS.
define() {
	{
		printf 'name = "%s"\nkernel = "%s"\nmemory = %s\nextra = "%s"\n' "$1" "$2" "$3" "$4"
		shift 4
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$DEFINITIONS/$name_prefix$1"
}

create() {
	$TOOL create "$DEFINITIONS/$1" >/dev/null
}

dom0_used_kib() {
	sync; echo 3 >/proc/sys/vm/drop_caches
	awk '/MemAvailable/ { a = $2 } END { print -a }' /proc/meminfo
}
