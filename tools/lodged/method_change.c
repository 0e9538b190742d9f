/* SPDX-License-Identifier: MIT */
/*
 * Methods that change how many vCPUs and how much memory a running guest has. Those of ours get it into their record as well, in
 * the same transaction as what the guest's kernel reads, so that it stays over a restart; Domain 0 and others' domains have none.
 */
#include <errno.h>
#include <lodged/cpus.h>
#include <lodged/dom0.h>
#include <lodged/log.h>
#include <lodged/memory.h>
#include <lodged/methods.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_KIB	4

/* The domain that is changed; with `d` (its record's) it is one of ours, which we have to ourselves. */
struct changed {
	struct target t;
	struct definition *d;
};

static void changed_put(struct changed *c)
{
	definition_free(c->d);
	c->d = NULL;
	target_put(&c->t);
}

/* Neither ended nor about to. */
static int check_running(struct session *s, struct changed *c, struct err *e)
{
	if ((c->t.g && c->t.g->state != GUEST_RUNNING) || !hv_domain_runs(s->hv, c->t.domid, &c->t.info))
		return err_set(e, EINVAL, "wrong-state", "the guest %s does not run: it has ended, or is being made", c->t.name);
	return 0;
}

static int changed_find(struct session *s, const json_t *params, struct changed *c, struct err *e)
{
	int rc;

	c->d = NULL;
	rc = target_find(s, params, &c->t, e);
	if (!rc)
		rc = target_lock(&c->t, e);
	if (rc)
		return rc;
	if (c->t.g)
		rc = session_definition(s, c->t.g, &c->d, e);
	if (!rc)
		rc = check_running(s, c, e);
	if (rc)
		changed_put(c);
	return rc;
}

/* The definition, if there is one, goes with what is in the batch. */
static int commit(struct session *s, struct changed *c, struct store_batch *b, struct err *e)
{
	int rc = c->d ? record_put_definition(b, c->t.g->uuid_text, c->d) : 0;

	if (!rc)
		rc = store_batch_commit(b, s->store);
	return rc ? session_store_error(e, rc, "changing the guest") : 0;
}

static uint32_t max_vcpus(const struct changed *c)
{
	return c->d ? c->d->maxvcpus : c->t.info.max_vcpu_id + 1;
}

/* --- vCPUs --- */

static int set_vcpus(struct session *s, struct changed *c, json_int_t n, struct err *e)
{
	uint32_t max = max_vcpus(c);
	struct store_batch b = { 0 };

	if (n < 1 || n > max)
		return err_set(e, EINVAL, "out-of-range", "%s can have 1 to %u vCPUs%s", c->t.name, max,
			c->d ? " (maxvcpus, which cannot change while it runs)" : "");
	for (uint32_t i = 0; i < max; i++)
		store_batch_write(&b, i < n ? "online" : "offline", "/local/domain/%d/cpu/%u/availability", c->t.domid, i);
	if (c->d)
		c->d->vcpus = (uint32_t)n;
	return commit(s, c, &b, e);
}

int method_vcpu_set(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	json_int_t n = json_integer_value(json_object_get(params, "vcpus"));
	struct changed c;
	int rc = changed_find(s, params, &c, e);

	if (rc)
		return rc;
	rc = set_vcpus(s, &c, n, e);
	if (!rc)
		log_line("%s: is to have %d vCPUs", c.t.name, (int)n);
	changed_put(&c);
	return rc;
}

/* Let `cpus` of the definition have an entry for each vCPU. */
static int spread_cpus(struct definition *d, struct err *e)
{
	char **cpus = calloc(d->maxvcpus, sizeof(*cpus));
	bool ok = cpus;

	for (uint32_t v = 0; ok && v < d->maxvcpus; v++) {
		cpus[v] = strdup(d->ncpus == 1 ? d->cpus[0] : v < d->ncpus ? d->cpus[v] : "all");
		ok = cpus[v];
	}
	if (!ok) {
		for (uint32_t v = 0; cpus && v < d->maxvcpus; v++)
			free(cpus[v]);
		free(cpus);
		return err_set(e, ENOMEM, "internal", "out of memory");
	}
	for (size_t i = 0; i < d->ncpus; i++)
		free(d->cpus[i]);
	free(d->cpus);
	d->cpus = cpus;
	d->ncpus = d->maxvcpus;
	return 0;
}

/* vcpu < 0: all. */
static int note_pin(struct session *s, struct changed *c, int vcpu, const char *hard, struct err *e)
{
	struct store_batch b = { 0 };
	int rc = spread_cpus(c->d, e);

	for (size_t v = 0; v < c->d->ncpus && !rc; v++) {
		if (vcpu >= 0 && v != (size_t)vcpu)
			continue;
		free(c->d->cpus[v]);
		c->d->cpus[v] = strdup(hard);
		if (!c->d->cpus[v]) {
			c->d->ncpus = v;
			rc = err_set(e, ENOMEM, "internal", "out of memory");
		}
	}
	return rc ? rc : commit(s, c, &b, e);
}

/* "all", or a vCPU that there is; *vcpu -1: all. */
static int which_vcpu(const struct changed *c, const json_t *v, int *vcpu, struct err *e)
{
	const char *text = json_string_value(v);
	json_int_t n = json_integer_value(v);

	*vcpu = -1;
	if (text && !strcmp(text, "all"))
		return 0;
	if (text)
		n = target_number(text);
	if (text && n < 0)
		return err_set(e, EINVAL, "bad-request", "found \"%.40s\" as a vCPU, expected its number, or all", text);
	if (n < 0 || n >= max_vcpus(c))
		return err_set(e, EINVAL, "out-of-range", "%s has the vCPUs 0 to %u", c->t.name, max_vcpus(c) - 1);
	*vcpu = (int)n;
	return 0;
}

static int pin(struct session *s, struct changed *c, const json_t *params, struct err *e)
{
	const char *hard = request_string(params, "hard"), *soft = request_string(params, "soft");
	uint8_t hard_bits[DEFINITION_CPUS_MAX / 8], soft_bits[DEFINITION_CPUS_MAX / 8];
	int vcpu, rc = which_vcpu(c, json_object_get(params, "vcpu"), &vcpu, e);

	if (!rc && !hard && !soft)
		rc = err_set(e, EINVAL, "bad-request", "neither `hard` nor `soft` is given");
	if (!rc && hard)
		rc = cpus_read(s, hard, hard_bits, e);
	if (!rc && soft)
		rc = cpus_read(s, soft, soft_bits, e);
	if (rc)
		return rc;
	for (uint32_t v = 0; v < max_vcpus(c) && !rc; v++)
		if (vcpu < 0 || v == (uint32_t)vcpu)
			rc = hv_vcpu_set_affinity(s->hv, (uint16_t)c->t.domid, v, hard ? hard_bits : NULL, soft ? soft_bits : NULL,
				DEFINITION_CPUS_MAX);
	if (rc)
		return session_hv_error(e, rc, "placing vCPUs on processors");
	return hard && c->d ? note_pin(s, c, vcpu, hard, e) : 0;
}

int method_vcpu_pin(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct changed c;
	int rc = changed_find(s, params, &c, e);

	if (rc)
		return rc;
	rc = pin(s, &c, params, e);
	changed_put(&c);
	return rc;
}

/* --- memory --- */

static unsigned long long mib(uint64_t kib)
{
	return kib >> 10;
}

/* The most that it can be given. */
static uint64_t max_kib(const struct changed *c)
{
	return c->d ? c->d->maxmem_kib : hv_domain_max_kib(&c->t.info);
}

static int check_memory(struct session *s, struct changed *c, uint64_t kib, struct err *e)
{
	bool dom0 = c->t.domid == (int)nodes_backend();
	uint64_t now = c->t.info.tot_pages * PAGE_KIB, least = dom0 ? DOM0_LEAST_KIB : 1024;

	if (kib < least)
		return err_set(e, EINVAL, "out-of-range", "%s needs at least %llu MiB", c->t.name, mib(least));
	if (kib > max_kib(c) && dom0)
		return err_set(e, EINVAL, "out-of-range",
			"%s can have at most %llu MiB, as it was started with (dom0_mem=, on the hypervisor's command line)",
			c->t.name, mib(max_kib(c)));
	if (kib > max_kib(c))
		return err_set(e, EINVAL, "out-of-range", "%s can have at most %llu MiB: `lodge mem-max %s SIZE` raises that",
			c->t.name, mib(max_kib(c)), c->t.name);
	return kib > now ? memory_check_more(s, c->t.name, kib - now, e) : 0;
}

static int commit_target(struct session *s, struct changed *c, uint64_t kib, struct err *e)
{
	struct store_batch b = { 0 };
	int rc;

	if (c->t.domid != (int)nodes_backend()) {
		store_batch_write_u64(&b, kib, "/local/domain/%d/memory/target", c->t.domid);
		return commit(s, c, &b, e);
	}
	dom0_put_target(&b, kib);
	rc = memory_set_dom0(s, &b);
	return rc ? session_store_error(e, rc, "changing Domain 0's memory") : 0;
}

int method_mem_set(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	uint64_t kib = (uint64_t)json_integer_value(json_object_get(params, "memory_kib")) & ~(uint64_t)(PAGE_KIB - 1);
	struct changed c;
	int rc = changed_find(s, params, &c, e);

	if (rc)
		return rc;
	rc = check_memory(s, &c, kib, e);
	if (!rc) {
		if (c.d)
			c.d->memory_kib = kib;
		rc = commit_target(s, &c, kib, e);
	}
	if (!rc)
		log_line("%s: is to have %llu MiB", c.t.name, mib(kib));
	changed_put(&c);
	return rc;
}

static int set_max(struct session *s, struct changed *c, uint64_t kib, struct err *e)
{
	struct store_batch b = { 0 };
	int rc;

	if (kib < c->d->memory_kib)
		return err_set(e, EINVAL, "out-of-range", "%s is to have %llu MiB now: `lodge mem-set %s SIZE` lowers that first",
			c->t.name, mib(c->d->memory_kib), c->t.name);
	if (kib > DEFINITION_MEMORY_MAX)
		return err_set(e, EINVAL, "out-of-range", "a guest can have at most %llu MiB", mib(DEFINITION_MEMORY_MAX));
	rc = hv_domain_max_mem(s->hv, (uint16_t)c->t.domid, kib);
	if (rc)
		return session_hv_error(e, rc, "setting the limit of memory");
	store_batch_write_u64(&b, kib, "/local/domain/%d/memory/static-max", c->t.domid);
	c->d->maxmem_kib = kib;
	return commit(s, c, &b, e);
}

int method_mem_max(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	uint64_t kib = (uint64_t)json_integer_value(json_object_get(params, "maxmem_kib")) & ~(uint64_t)(PAGE_KIB - 1);
	struct changed c;
	int rc = changed_find(s, params, &c, e);

	if (rc)
		return rc;
	if (c.t.domid == (int)nodes_backend())
		rc = err_set(e, EPERM, "is-dom0", "this cannot be done with Domain 0");
	else if (!c.d)
		rc = err_set(e, EPERM, "not-managed", "domain %d was not made by Lodge", c.t.domid);
	else
		rc = set_max(s, &c, kib, e);
	changed_put(&c);
	return rc;
}
