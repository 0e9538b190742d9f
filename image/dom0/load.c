/* SPDX-License-Identifier: MIT */
/* Load on page tables, traps and scheduling: fork, exec, mmap, faults, signals and pipes, each checked. */
/*
 * usage: load SECONDS WORKERS
 *
 * Each worker process runs the jobs of the table below in turn until the time is over. A job verifies its own
 * result and ends the worker with status 1 if it is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define EXEC_STATUS 42
#define PIPE_ROUNDS 64

static uint32_t seed;
static sigjmp_buf fault_return;
static volatile sig_atomic_t signals;

static _Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "load: worker %d: ", (int)getpid());
	vfprintf(stderr, format, args);
	fprintf(stderr, " (errno %d)\n", errno);
	va_end(args);
	_exit(1);
}

/* xorshift: repeatable, and cheap enough not to be the load. */
static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(fault_return, 1);
}

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

static uint32_t *map_pages(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap of %zu pages", pages);
	return p;
}

/* Every page gets a word of its own, so that a page that is mapped in a wrong place shows. */
static void pages_fill(uint32_t *p, size_t pages, uint32_t tag)
{
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE / sizeof(*p)] = tag + (uint32_t)i;
}

static void pages_check(const uint32_t *p, size_t pages, uint32_t tag, const char *what)
{
	for (size_t i = 0; i < pages; i++)
		if (p[i * PAGE / sizeof(*p)] != tag + (uint32_t)i)
			fail("%s: page %zu of %zu holds %#x instead of %#x", what, i, pages,
			     p[i * PAGE / sizeof(*p)], tag + (uint32_t)i);
}

static void child_wait(pid_t child, int expected, const char *what)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("%s: waitpid", what);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
		fail("%s: child ended with %#x", what, (unsigned int)status);
}

static pid_t child_start(const char *what)
{
	pid_t child = fork();

	if (child < 0)
		fail("%s: fork", what);
	return child;
}

/* The child overwrites pages that it shares copy-on-write with the parent; neither may see the other's. */
static void job_fork(void)
{
	size_t pages = 1 + random32() % 256;
	uint32_t tag = random32();
	uint32_t *p = map_pages(pages);
	pid_t child;

	pages_fill(p, pages, tag);
	child = child_start("fork");
	if (child == 0) {
		pages_check(p, pages, tag, "fork, child");
		pages_fill(p, pages, ~tag);
		pages_check(p, pages, ~tag, "fork, child's copy");
		_exit(0);
	}
	pages_fill(p, pages, tag + 1);
	child_wait(child, 0, "fork");
	pages_check(p, pages, tag + 1, "fork, parent");
	munmap(p, pages * PAGE);
}

static void job_exec(void)
{
	pid_t child = child_start("exec");

	if (child == 0) {
		execl("/proc/self/exe", "load", "--child", (char *)NULL);
		fail("exec");
	}
	child_wait(child, EXEC_STATUS, "exec");
}

static void job_mmap(void)
{
	size_t pages = 2 + random32() % 1024, half = pages / 2;
	uint32_t tag = random32();
	uint32_t *p = map_pages(pages), *q;

	pages_fill(p, pages, tag);
	if (munmap((char *)p + half * PAGE, (pages - half) * PAGE))
		fail("munmap");
	q = mremap(p, half * PAGE, pages * PAGE, MREMAP_MAYMOVE);
	if (q == MAP_FAILED)
		fail("mremap");
	pages_check(q, half, tag, "mremap");
	for (size_t i = half; i < pages; i++)
		if (q[i * PAGE / sizeof(*q)])
			fail("mremap: new page %zu is not zero", i);
	munmap(q, pages * PAGE);
}

/* A write to a read-only page must fault, and must not once the page is writable again. */
static void job_fault(void)
{
	volatile uint32_t *p = map_pages(1);
	volatile int faults = 0;

	*p = 1;
	for (int round = 0; round < 16; round++) {
		if (mprotect((void *)p, PAGE, PROT_READ))
			fail("mprotect");
		if (sigsetjmp(fault_return, 1) == 0)
			*p = 2;
		else
			faults++;
		if (mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE))
			fail("mprotect");
		if (*p != 1)
			fail("fault: a read-only page was written");
	}
	if (faults != 16)
		fail("fault: %d of 16 writes faulted", faults);
	munmap((void *)p, PAGE);
}

static void job_signal(void)
{
	int before = signals;
	pid_t parent = getpid(), child = child_start("signal");

	if (child == 0) {
		for (int i = 0; i < 8; i++)
			kill(parent, SIGUSR1);
		_exit(0);
	}
	for (int i = 0; i < 8; i++)
		raise(SIGUSR1);
	child_wait(child, 0, "signal");
	/* Those of the child may merge into one; our own are delivered at once. */
	if (signals < before + 9)
		fail("signal: %d of at least 9 arrived", signals - before);
}

static void word_write(int fd, uint32_t word)
{
	if (write(fd, &word, sizeof(word)) != sizeof(word))
		fail("pipe: write");
}

static uint32_t word_read(int fd)
{
	uint32_t word;

	if (read(fd, &word, sizeof(word)) != sizeof(word))
		fail("pipe: read");
	return word;
}

static void job_pipe(void)
{
	uint32_t tag = random32();
	int there[2], back[2];
	pid_t child;

	if (pipe(there) || pipe(back))
		fail("pipe");
	child = child_start("pipe");
	if (child == 0) {
		for (int i = 0; i < PIPE_ROUNDS; i++)
			word_write(back[1], word_read(there[0]) + 1);
		_exit(0);
	}
	for (uint32_t i = 0; i < PIPE_ROUNDS; i++) {
		uint32_t answer;

		word_write(there[1], tag + i);
		answer = word_read(back[0]);
		if (answer != tag + i + 1)
			fail("pipe: sent %#x, got %#x", tag + i, answer);
	}
	child_wait(child, 0, "pipe");
	close(there[0]), close(there[1]), close(back[0]), close(back[1]);
}

static const struct job {
	const char *name;
	void (*run)(void);
} jobs[] = {
	{ "fork", job_fork },	{ "exec", job_exec },	  { "mmap", job_mmap },
	{ "fault", job_fault }, { "signal", job_signal }, { "pipe", job_pipe },
};
#define JOBS (sizeof(jobs) / sizeof(jobs[0]))

static time_t uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void worker_run(uint32_t number, time_t deadline, unsigned long *count)
{
	seed = 2463534242u + number;
	while (uptime() < deadline)
		for (size_t i = 0; i < JOBS; i++) {
			jobs[i].run();
			__atomic_add_fetch(&count[i], 1, __ATOMIC_RELAXED);
		}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct sigaction fault = { .sa_handler = on_fault }, user = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	unsigned long seconds, workers, *count;
	time_t deadline;
	int failed = 0, status;

	if (argc == 2 && strcmp(argv[1], "--child") == 0)
		return EXEC_STATUS;
	if (argc != 3 || !(seconds = strtoul(argv[1], NULL, 10)) || !(workers = strtoul(argv[2], NULL, 10))) {
		fprintf(stderr, "usage: load SECONDS WORKERS\n");
		return 2;
	}
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGUSR1, &user, NULL);
	count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED)
		fail("mmap");
	deadline = uptime() + (time_t)seconds;
	for (unsigned long i = 0; i < workers; i++)
		if (child_start("start") == 0)
			worker_run((uint32_t)i, deadline, count);
	while (wait(&status) > 0)
		failed += status != 0;
	for (size_t i = 0; i < JOBS; i++)
		printf("%s %lu  ", jobs[i].name, count[i]);
	printf("\nload: %lu workers, %d failed\n", workers, failed);
	return failed != 0;
}
