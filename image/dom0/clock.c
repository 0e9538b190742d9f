/* SPDX-License-Identifier: MIT */
/* Check that CLOCK_MONOTONIC never steps backwards, neither on one processor nor from one to another. */
/*
 * usage: clock SECONDS
 *
 * One thread per processor, pinned there. "latest" is the newest time that any thread has published. A thread
 * loads it and only then reads the clock: what it reads must not be older, whichever processor published it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000ull
#define CPUS_MAX 256

struct sampler {
	pthread_t thread;
	int cpu;
	uint64_t samples;
	uint64_t backwards;	/* how often the clock stepped backwards */
	uint64_t worst;		/* the largest such step, ns */
	uint64_t longest;	/* between two samples in a row, ns */
};

static _Atomic uint64_t latest;
static uint64_t deadline;
static pthread_barrier_t start;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void *sampler_run(void *arg)
{
	struct sampler *s = arg;
	uint64_t previous, t = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(s->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
		fprintf(stderr, "clock: cannot run on processor %d\n", s->cpu);
		exit(2);
	}
	pthread_barrier_wait(&start);
	previous = now();
	do {
		uint64_t seen = atomic_load(&latest);

		t = now();
		if (t < seen) {
			s->backwards++;
			if (seen - t > s->worst)
				s->worst = seen - t;
		}
		while (seen < t && !atomic_compare_exchange_weak(&latest, &seen, t))
			;
		if (t > previous && t - previous > s->longest)
			s->longest = t - previous;
		previous = t;
		s->samples++;
	} while (t < deadline);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct sampler samplers[CPUS_MAX];
	uint64_t backwards = 0;
	long seconds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (seconds <= 0) {
		fprintf(stderr, "usage: clock SECONDS\n");
		return 2;
	}
	if (cpus > CPUS_MAX)
		cpus = CPUS_MAX;
	deadline = now() + (uint64_t)seconds * NSEC_PER_SEC;
	pthread_barrier_init(&start, NULL, (unsigned int)cpus);
	for (int i = 0; i < cpus; i++) {
		samplers[i].cpu = i;
		if (pthread_create(&samplers[i].thread, NULL, sampler_run, &samplers[i])) {
			perror("clock: pthread_create");
			return 2;
		}
	}
	for (int i = 0; i < cpus; i++) {
		struct sampler *s = &samplers[i];

		pthread_join(s->thread, NULL);
		printf("cpu %d: %llu samples, %llu backwards (worst %llu ns), longest gap %llu us\n", i,
		       (unsigned long long)s->samples, (unsigned long long)s->backwards,
		       (unsigned long long)s->worst, (unsigned long long)s->longest / 1000);
		backwards += s->backwards;
	}
	printf("clock: %ld processors, %s\n", cpus, backwards ? "STEPPED BACKWARDS" : "monotonic");
	return backwards != 0;
}
