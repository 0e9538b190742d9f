# SPDX-License-Identifier: MIT
# What the benches share, in either Domain 0. The side defines TOOL (lodge or xl), DEFINITIONS, free_kib and dom0_kib.
# Nothing here polls while something is measured: there is one processor, and who polls takes it from who works.

fail() {
	echo "failed: $*" >&2
	exit 1
}

# A clock in microseconds; reading it starts no process.
now() {
	clock=${EPOCHREALTIME%.*}${EPOCHREALTIME#*.}
}

# Between start and stop: $elapsed in milliseconds.
start() {
	now; begin=$clock
}

stop() {
	now; elapsed=$(((clock - begin) / 1000)).$(printf %03d $(((clock - begin) % 1000)))
}

timed() {
	start
	"$@" || fail "$*"
	stop
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
	} >"$DEFINITIONS/${file_name:-$1}"
}

create() {
	$TOOL create "$DEFINITIONS/$1" >/dev/null || fail "create $1"
}

destroy() {
	$TOOL destroy "$1" || fail "destroy $1"
}

# Wait until the guest's console shows the text. An input that never ends is what keeps a console open.
wait_text() {
	[ -p /tmp/shown ] || mkfifo /tmp/shown /tmp/never
	$TOOL console "$1" <>/tmp/never >/tmp/shown 2>/dev/null &
	viewer=$!
	grep -aqm 1 "$2" /tmp/shown || fail "the console of $1 ended without '$2'"
	kill $viewer 2>/dev/null || true
	wait $viewer || true
}

# A bridge of Domain 0's own with the address 10.9.0.1; guests there are not looked after by anybody.
make_bridge() {
	brctl addbr bench0
	ip addr add 10.9.0.1/24 dev bench0
	ip link set bench0 up
}

# The 4 MiB guests tiny1 to tinyCOUNT.
define_tiny() {
	for i in $(seq "$1"); do
		define tiny$i /files/tiny.elf 4 ''
	done
}

# create_tiny COUNT N...: all of them, of which the Nth create each is a result, as is what one costs in memory.
create_tiny() {
	count=$1
	shift
	free=$(free_kib)
	used=$(dom0_used_kib)
	warm /files/tiny.elf
	for i in $(seq $count); do
		timed create tiny$i
		case " $* " in *" $i "*) result create_$i $elapsed ms ;; esac
	done
	result hypervisor_memory_per_guest $(((free - $(free_kib)) / count - 4096)) KiB
	result domain_0_memory_per_guest $((($(dom0_used_kib) - used) / count)) KiB
}

# What is read often is in memory before anything is timed.
warm() {
	cat "$@" >/dev/null
}

# What Domain 0 has in use and cannot give back, in KiB.
dom0_used_kib() {
	sync; echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemTotal/ { total = $2 } /^MemAvailable/ { print total - $2 }' /proc/meminfo
}
