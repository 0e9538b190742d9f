/* SPDX-License-Identifier: MIT */
/* Waiting for devices: a list of who waits, under one lock. */
#include <lodged/hub.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told;
static struct hub_wait *waiting;
static unsigned long lost;		/* how often events may have been lost */

static void __attribute__((constructor)) init(void)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&told, &a);
}

void hub_begin(struct hub_wait *w, const char *key_fmt, ...)
{
	va_list ap;

	*w = (struct hub_wait){ 0 };
	va_start(ap, key_fmt);
	vsnprintf(w->key, sizeof(w->key), key_fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	w->next = waiting;
	waiting = w;
	pthread_mutex_unlock(&lock);
}

bool hub_wait(struct hub_wait *w, int milliseconds, bool (*recheck)(const struct hub_wait *w))
{
	struct timespec deadline;
	unsigned long seen;
	bool in_time = true, happened;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += milliseconds / 1000;
	deadline.tv_nsec += milliseconds % 1000 * 1000000L;
	if (deadline.tv_nsec >= 1000000000L) {
		deadline.tv_nsec -= 1000000000L;
		deadline.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	seen = lost;
	while (!w->told && in_time) {
		in_time = !pthread_cond_timedwait(&told, &lock, &deadline);
		if (w->told || !recheck || (in_time && seen == lost))
			continue;
		/* Events were lost, or the time is over: look. */
		seen = lost;
		pthread_mutex_unlock(&lock);
		happened = recheck(w);
		pthread_mutex_lock(&lock);
		w->told |= happened;
	}
	happened = w->told;
	pthread_mutex_unlock(&lock);
	return happened;
}

void hub_end(struct hub_wait *w)
{
	struct hub_wait **p = &waiting;

	pthread_mutex_lock(&lock);
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	pthread_mutex_unlock(&lock);
}

void hub_tell(const char *key, const struct err *e)
{
	pthread_mutex_lock(&lock);
	for (struct hub_wait *w = waiting; w; w = w->next)
		if (!strcmp(w->key, key)) {
			w->told = true;
			if (e)
				w->e = *e;
		}
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

void hub_recheck(void)
{
	pthread_mutex_lock(&lock);
	lost++;
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}
