/* SPDX-License-Identifier: MIT */
/* Sessions, and the store connections that they take turns with. */
#include <errno.h>
#include <lodged/session.h>
#include <pthread.h>
#include <string.h>

#define SPARE_MAX	8

static struct hv *the_hv;
static struct store *spare[SPARE_MAX];
static size_t nspare;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void session_init(struct hv *hv)
{
	the_hv = hv;
}

int session_open(struct session *s, bool wait, struct err *e)
{
	*s = (struct session){ .hv = the_hv, .client = -1 };
	pthread_mutex_lock(&lock);
	if (nspare)
		s->store = spare[--nspare];
	pthread_mutex_unlock(&lock);
	return s->store ? 0 : store_open(&s->store, wait, e);
}

void session_close(struct session *s)
{
	pthread_mutex_lock(&lock);
	if (nspare < SPARE_MAX) {
		spare[nspare++] = s->store;
		s->store = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (s->store)
		store_close(s->store);
	s->store = NULL;
}

int session_store_error(struct err *e, int rc, const char *what)
{
	return err_set(e, -rc, "store", "%s: the store answers: %s", what, strerror(-rc));
}

int session_hv_error(struct err *e, int rc, const char *what)
{
	return err_set(e, -rc, "hypervisor", "%s: the hypervisor answers: %s", what, strerror(-rc));
}
