/* SPDX-License-Identifier: MIT */
/*
 * Domain 0's first process, for the bench "boot": says what the clocks show, and goes on as /init. With the argument "hold" it waits for a
 * line on the console before.
 *
 * In QEMU's virtual time the time stamp counter starts at 0 with the machine and counts nanoseconds. The kernel's own clock
 * starts with the kernel.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

int main(int argc, char **argv)
{
	unsigned long long ticks = __rdtsc();
	struct timespec t;
	char line[80];

	clock_gettime(CLOCK_BOOTTIME, &t);
	printf("first process: %llu ticks, %lld ns\n", ticks, t.tv_sec * 1000000000LL + t.tv_nsec);
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "hold") && !fgets(line, sizeof(line), stdin))
		return 1;
	execl("/init", "init", (char *)NULL);
	return 1;
}
