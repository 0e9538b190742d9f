/* SPDX-License-Identifier: MIT */
/* Machine memory for new guests: who is being built has a promise; whoever comes when promises stand in the way waits. */
#include <errno.h>
#include <lodged/memory.h>
#include <pthread.h>

#define PER_GUEST_KIB	256	/* the hypervisor's structures, grant frames, start-up page tables */
#define PER_VCPU_KIB	32
#define PAGE_KIB	4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t kept = PTHREAD_COND_INITIALIZER;
static uint64_t promised;

uint64_t memory_needed(const struct definition *d)
{
	return d->memory_kib + PER_GUEST_KIB + (uint64_t)PER_VCPU_KIB * d->maxvcpus;
}

static int free_kib(struct session *s, uint64_t *kib, struct err *e)
{
	struct xen_sysctl_physinfo info;
	int rc = hv_physinfo(s->hv, &info);

	if (rc)
		return session_hv_error(e, rc, "free memory");
	*kib = (info.free_pages > info.outstanding_pages ? info.free_pages - info.outstanding_pages : 0) * PAGE_KIB;
	return 0;
}

static int missing(const struct definition *d, uint64_t available, struct err *e)
{
	uint64_t need = memory_needed(d);

	return err_set(e, ENOMEM, "no-memory",
		"%s needs %llu MiB of memory, %llu MiB are free: %llu MiB are missing (end a guest, or start Domain 0 with less: "
		"dom0_mem=)",
		d->name, (unsigned long long)(need + 1023) / 1024, (unsigned long long)available / 1024,
		(unsigned long long)(need - available + 1023) / 1024);
}

int memory_check(struct session *s, const struct definition *d, uint64_t *available, struct err *e)
{
	uint64_t kib = 0;
	int rc = free_kib(s, &kib, e);

	if (rc)
		return rc;
	if (available)
		*available = kib;
	return kib < memory_needed(d) ? missing(d, kib, e) : 0;
}

int memory_check_more(struct session *s, const char *name, uint64_t more_kib, struct err *e)
{
	uint64_t kib = 0;
	int rc = free_kib(s, &kib, e);

	if (rc || kib >= more_kib)
		return rc;
	return err_set(e, ENOMEM, "no-memory", "%s needs %llu MiB more, %llu MiB are free (end a guest, or lower another's with `lodge mem-set`)",
		name, (unsigned long long)(more_kib + 1023) / 1024, (unsigned long long)kib / 1024);
}

int memory_reserve(struct session *s, const struct definition *d, struct err *e)
{
	uint64_t need = memory_needed(d), kib = 0;
	int rc;

	pthread_mutex_lock(&lock);
	while (!(rc = free_kib(s, &kib, e)) && kib < need + promised) {
		if (kib < need || !promised) {
			rc = missing(d, kib, e);
			break;
		}
		pthread_cond_wait(&kept, &lock);
	}
	if (!rc)
		promised += need;
	pthread_mutex_unlock(&lock);
	return rc;
}

void memory_release(const struct definition *d)
{
	pthread_mutex_lock(&lock);
	promised -= memory_needed(d);
	pthread_cond_broadcast(&kept);
	pthread_mutex_unlock(&lock);
}
