# SPDX-License-Identifier: MIT
# machine: 6G
# sides: lodge		(on the other one, whose creates take longer with each guest, it would take hours)
# A thousand 4 MiB guests: create, what each costs in memory, list, and destroy of a hundred among them.
define_tiny 1000
warm /files/tiny.elf
create tiny1
wait_text tiny1 tiny
destroy tiny1
create_tiny 1000 2 100 1000
# In Domain 0's memory again.
$TOOL list >/dev/null
timed $TOOL list >/dev/null
result list_of_1000 $elapsed ms
timed $TOOL list tiny500 >/dev/null
result list_of_one $elapsed ms
start
wait_text tiny500 tiny
stop
result console_to_first_text $elapsed ms
start
for i in $(seq 101 200); do
	destroy tiny$i
done
stop
result destroy_100_of_1000 $elapsed ms
start
for i in $(seq 201 900); do
	destroy tiny$i
done
stop
result destroy_700_more $elapsed ms
start
for i in $(seq 1 100); do
	destroy tiny$i
done
stop
result destroy_100_of_200 $elapsed ms
