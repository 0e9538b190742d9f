# SPDX-License-Identifier: MIT
# The 4 MiB guest: create when 0, 1, 9 and 49 others are there, what each costs in memory, and destroy.
count=50
for i in $(seq $count); do
	define tiny$i /files/tiny.elf 4 ''
done
free=$(free_kib)
used=$(dom0_used_kib)
for i in $(seq $count); do
	timed create tiny$i
	case $i in 1|2|10|50) result create_tiny_$i $elapsed ms ;; esac
done
result hypervisor_memory_per_guest $((($free - $(free_kib)) / count - 4096)) KiB
result domain_0_memory_per_guest $((($(dom0_used_kib) - used) / count)) KiB
timed $TOOL list >/dev/null
result list_50 $elapsed ms
timed $TOOL destroy tiny50
result destroy_tiny_50 $elapsed ms
for i in $(seq 2 49); do
	$TOOL destroy tiny$i
done
timed $TOOL destroy tiny1
result destroy_tiny_1 $elapsed ms
