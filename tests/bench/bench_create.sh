# SPDX-License-Identifier: MIT
# The 4 MiB guest: create when 0, 1, 9 and 49 others are there, what each costs in memory, list, and destroy.
define_tiny 50
warm /files/tiny.elf
# The first use of everything, before memory is counted.
timed create tiny1
result create_the_first_ever $elapsed ms
wait_text tiny1 tiny
destroy tiny1
create_tiny 50 1 2 10 50
warm /files/tiny.elf
$TOOL list >/dev/null
timed $TOOL list >/dev/null
result list_of_50 $elapsed ms
timed destroy tiny50
result destroy_50 $elapsed ms
start
for i in $(seq 2 49); do
	destroy tiny$i
done
stop
result destroy_48 $elapsed ms
timed destroy tiny1
result destroy_the_last $elapsed ms
# From the command to the guest's own first word.
start
create tiny1
wait_text tiny1 tiny
stop
result create_to_first_output $elapsed ms
