/* SPDX-License-Identifier: MIT */
/*
 * What one operation of a program costs: tests/bench/ops counts the instructions between the marks, in a Domain 0 and without a hypervisor. "op NAME COUNT"
 * says what is between the next two of them: COUNT operations. One processor.
 *
 * usage: ops DISK                   a block device, of which a sector is read
 *        ops --run NAME COMMAND…    measures a program; "took NAME NANOSECONDS" says how long by the clock
 */
#define _GNU_SOURCE
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define MIB		(1ul << 20)
#define SECTOR		512

typedef uint64_t u64;

static const char *program, *disk;

static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "ops: %s: %s\n", what, strerror(errno));
		_exit(1);
	}
}

static void announce(const char *name, unsigned count)
{
	printf("op %s %u\n", name, count);
	fflush(stdout);
}

/* Of fn(count), which does the operation so often. */
static void measure(const char *name, void (*fn)(unsigned), unsigned count)
{
	fn(2);
	for (unsigned i = 0; i < MARK_REPEATS; i++) {
		announce(name, count);
		MARK(MARK_BEGIN);
		fn(count);
		MARK(MARK_END);
	}
}

static void nothing(unsigned count)
{
	while (count--)
		__asm__ volatile("");
}

static void system_calls(unsigned count)
{
	while (count--)
		syscall(SYS_getppid);
}

static unsigned char *map(size_t size)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED, "mmap");
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/* In memory that is mapped and given back outside of what is measured. */
static unsigned char *fresh;

static void faults(unsigned count)
{
	while (count--) {
		*fresh = 1;
		fresh += PAGE;
	}
}

static void measure_faults(unsigned count)
{
	for (unsigned i = 0; i < MARK_REPEATS; i++) {
		unsigned char *p = fresh = map(count * PAGE);

		announce("page_fault_new_page", count);
		MARK(MARK_BEGIN);
		faults(count);
		MARK(MARK_END);
		munmap(p, count * PAGE);
	}
}

static void wait_for(pid_t child)
{
	int status;

	check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
}

static void forks(unsigned count)
{
	while (count--) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		wait_for(child);
	}
}

/* This program again and again, until the count in its arguments is 0. */
static void exec_again(unsigned count)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", count);
	execl(program, program, "--exec", text, NULL);
	check(false, program);
}

static void measure_exec(unsigned count)
{
	for (unsigned i = 0; i < MARK_REPEATS; i++) {
		pid_t child;

		announce("exec", count);
		child = fork();
		if (!child) {
			MARK(MARK_BEGIN);
			exec_again(count);
		}
		wait_for(child);
	}
}

static int there[2], back[2];

static void pass(int from, int to)
{
	char byte = 0;

	check((from < 0 || read(from, &byte, 1) == 1) && (to < 0 || write(to, &byte, 1) == 1), "pipe");
}

/* There and back: two switches. */
static void pipes(unsigned count)
{
	while (count--) {
		pass(-1, there[1]);
		pass(back[0], -1);
	}
}

static void measure_pipes(unsigned count)
{
	pid_t child;

	check(!pipe(there) && !pipe(back), "pipe");
	child = fork();
	if (!child) {
		for (unsigned i = 0; i < MARK_REPEATS * count + 2; i++)
			pass(there[0], back[1]);
		_exit(0);
	}
	measure("pipe_there_and_back", pipes, count);
	wait_for(child);
}

static void on_signal(int number)
{
	(void)number;
}

static void signals(unsigned count)
{
	while (count--)
		kill(getpid(), SIGUSR1);
}

static void maps(unsigned count)
{
	while (count--)
		munmap(map(MIB), MIB);
}

static void maps_touched(unsigned count)
{
	while (count--) {
		unsigned char *p = map(MIB);

		for (size_t at = 0; at < MIB; at += PAGE)
			p[at] = 1;
		munmap(p, MIB);
	}
}

static int disk_fd;
static void *sector;

/* A request to the device, and its interrupt. */
static void reads(unsigned count)
{
	while (count--)
		check(pread(disk_fd, sector, SECTOR, 0) == SECTOR, disk);
}

static void sleeps(unsigned count)
{
	while (count--)
		check(!nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL), "nanosleep");
}

static u64 nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void run(const char *name, char **command)
{
	u64 begin;
	pid_t child;

	announce(name, 1);
	begin = nanoseconds();
	MARK(MARK_BEGIN);
	child = fork();
	if (!child) {
		execvp(command[0], command);
		check(false, command[0]);
	}
	wait_for(child);
	MARK(MARK_END);
	printf("took %s %lu\n", name, nanoseconds() - begin);
}

int main(int argc, char **argv)
{
	program = argv[0];
	if (argc > 3 && !strcmp(argv[1], "--run")) {
		run(argv[2], argv + 3);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "--exec")) {
		unsigned left = (unsigned)atoi(argv[2]);

		if (left > 1)
			exec_again(left - 1);
		MARK(MARK_END);
		return 0;
	}
	check(argc == 2, "usage: ops DISK");
	disk = argv[1];
	disk_fd = open(disk, O_RDONLY | O_DIRECT);
	check(disk_fd >= 0 && !posix_memalign(&sector, PAGE, PAGE), disk);
	signal(SIGUSR1, on_signal);

	measure("nothing", nothing, 1000);
	measure("system_call", system_calls, 1000);
	measure_faults(256);
	measure("fork_and_exit", forks, 20);
	measure_exec(20);
	measure_pipes(200);
	measure("signal", signals, 500);
	measure("mmap_munmap_1_MiB", maps, 200);
	measure("mmap_touch_munmap_1_MiB", maps_touched, 5);
	measure("disk_read_512", reads, 50);
	measure("sleep", sleeps, 50);
	return 0;
}
