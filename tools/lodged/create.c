/* SPDX-License-Identifier: MIT */
/*
 * From a definition to a running guest.
 *
 * The order decides what a manager that was killed finds: first the record in the store (state "building"), then whatever
 * needs undoing — block devices and processes with the guest's tag, a domain with the guest's UUID, nodes —, last the state "running". Until
 * then, the next manager takes all of it down.
 */
#include <errno.h>
#include <lib/build.h>
#include <lodged/cpus.h>
#include <lodged/create.h>
#include <lodged/end.h>
#include <lodged/hub.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_CHANNELS		1023	/* highest port; more with many vCPUs */
#define PORTS_PER_VCPU		8
#define GRANT_FRAMES		64
#define MAPTRACK_FRAMES		1024

static int check_type(const struct definition *d, struct err *e)
{
	if (d->type != GUEST_PV)
		return err_set(e, EOPNOTSUPP, "not-supported", "guests of the type %s are not supported yet; type = \"pv\" is",
			guest_type_name(d->type));
	if (!d->kernel)
		return err_set(e, EINVAL, "no-kernel", "the definition names no kernel");
	return 0;
}

static int check_cpus(struct session *s, const struct definition *d, struct err *e)
{
	uint8_t bits[DEFINITION_CPUS_MAX / 8];
	int rc = 0;

	for (size_t i = 0; i < d->ncpus && !rc; i++)
		rc = cpus_read(s, d->cpus[i], bits, e);
	return rc;
}

static void build_input(struct session *s, const struct definition *d, int domid, struct build_input *in)
{
	*in = (struct build_input){
		.domid = domid < 0 ? 0 : (uint16_t)domid, .kernel = d->kernel, .ramdisk = d->ramdisk, .cmdline = d->cmdline,
		.memory_kib = d->memory_kib, .maxmem_kib = d->maxmem_kib, .vcpus = d->maxvcpus, .store_domid = (uint16_t)nodes_backend(),
		.console_domid = (uint16_t)nodes_backend(), .progress = s->progress, .ctx = s->ctx,
	};
}

/* What does not depend on other guests. */
static int check_build(struct session *s, const struct definition *d, struct err *e)
{
	struct build_input in;
	uint64_t least;

	build_input(s, d, -1, &in);
	return build_check(&in, &least, e);
}

void create_check(struct session *s, const struct definition *d, struct memory_figures *f, problem_fn *fn, void *ctx)
{
	bool more = true, typed = true;
	uint8_t uuid[16];
	struct err e = { 0 };
	struct guest *g;

	*f = (struct memory_figures){ 0 };
	memcpy(uuid, d->uuid, 16);
	if (check_type(d, &e)) {
		typed = false;
		more = fn(&e, ctx);
	}
	if (more && registry_check_free(d->name, uuid, &e))
		more = fn(&e, ctx);
	if (more && check_cpus(s, d, &e))
		more = fn(&e, ctx);
	if (more && typed && check_build(s, d, &e))
		more = fn(&e, ctx);
	if (more && memory_check(s, d, f, &e))
		more = fn(&e, ctx);
	/* That the guest runs already is said; that it therefore has its disks and addresses needs no saying. */
	g = registry_by_uuid(uuid);
	if (more)
		devices_check(d, g, false, fn, ctx);
	registry_put(g);
}

static bool first_problem(const struct err *e, void *ctx)
{
	*(struct err *)ctx = *e;
	return false;
}

static int set_affinity(struct session *s, const struct definition *d, uint16_t domid, struct err *e)
{
	uint8_t bits[DEFINITION_CPUS_MAX / 8];
	int rc = 0;

	for (uint32_t v = 0; d->ncpus && v < d->maxvcpus && !rc; v++) {
		if (d->ncpus > 1 && v >= d->ncpus)
			break;
		rc = definition_cpus(d->cpus[d->ncpus == 1 ? 0 : v], bits, DEFINITION_CPUS_MAX, e);
		if (rc)
			return rc;
		rc = hv_vcpu_set_affinity(s->hv, domid, v, bits, NULL, DEFINITION_CPUS_MAX);
	}
	return rc ? session_hv_error(e, rc, "placing vCPUs on processors (cpus)") : 0;
}

static int make_domain(struct session *s, struct guest *g, const struct definition *d, struct err *e)
{
	struct hv_create c = {
		.max_vcpus = d->maxvcpus, .max_evtchn_port = EVENT_CHANNELS + PORTS_PER_VCPU * d->maxvcpus,
		.max_grant_frames = GRANT_FRAMES, .max_maptrack_frames = MAPTRACK_FRAMES,
	};
	uint16_t domid;
	int rc;

	memcpy(c.uuid, g->uuid, 16);
	rc = hv_domain_create(s->hv, &c, &domid);
	if (rc)
		return session_hv_error(e, rc, "creating a domain");
	registry_set_domid(g, domid);
	rc = record_set_domid(s->store, g->uuid_text, domid);
	if (rc)
		return session_store_error(e, rc, "noting the new domain");
	rc = hv_domain_max_vcpus(s->hv, domid, d->maxvcpus);
	if (rc)
		return session_hv_error(e, rc, "creating vCPUs");
	rc = hv_domain_max_mem(s->hv, domid, d->maxmem_kib > d->memory_kib ? d->maxmem_kib : d->memory_kib);
	if (rc)
		return session_hv_error(e, rc, "setting the limit of memory");
	if (d->cpu_weight || d->cpu_cap) {
		rc = hv_domain_set_sched(s->hv, domid, (uint16_t)(d->cpu_weight ? d->cpu_weight : 256), (uint16_t)d->cpu_cap);
		if (rc)
			return session_hv_error(e, rc, "setting cpu_weight and cap");
	}
	return set_affinity(s, d, domid, e);
}

/* The nodes; with them the kernel's backends set to work. */
static int publish(struct session *s, struct guest *g, const struct definition *d, const struct devices *dev,
	const struct build_result *built, struct err *e)
{
	struct nodes n = {.def = d,
		.uuid = g->uuid_text,
		.domid = g->domid,
		.built = built,
		.disks = dev->disks,
		.bridges = dev->bridges,
		.guarded = dev->guarded,
		.start_time = (uint64_t)time(NULL)};
	struct hub_wait *waits = devices_begin(d, g->domid);
	int rc;

	if (!waits)
		return err_set(e, ENOMEM, "internal", "out of memory");
	rc = nodes_write(s->store, &n);
	if (rc) {
		devices_cancel(d, waits);
		return session_store_error(e, rc, "writing the guest's nodes");
	}
	registry_set_started(g, g->domid, n.start_time);
	rc = devices_wait(s, d, g->domid, waits, e);
	if (rc)
		return rc;
	rc = store_introduce(s->store, (uint16_t)g->domid, built->store_gfn, built->store_port);
	return rc ? session_store_error(e, rc, "introducing the guest to the store") : 0;
}

static int start(struct session *s, struct guest *g, bool paused, struct memory_promise *memory, struct err *e)
{
	int rc = paused ? 0 : hv_domain_unpause(s->hv, (uint16_t)g->domid);

	if (rc)
		return session_hv_error(e, rc, "starting the guest");
	rc = memory_keep(s, memory, g->uuid_text);
	return rc ? session_store_error(e, rc, "noting that the guest runs") : 0;
}

static int build(struct session *s, const struct guest *g, const struct definition *d, struct build_result *built, struct err *e)
{
	struct build_input in;
	int rc;

	build_input(s, d, g->domid, &in);
	rc = build_pv(s->hv, &in, built, e);
	if (!rc)
		hv_domain_claim(s->hv, (uint16_t)g->domid, 0);	/* what may be left of it */
	return rc;
}

/* The domain is there, and its memory is claimed. */
static int furnish(struct session *s, struct guest *g, const struct definition *d, bool paused, struct memory_promise *memory, struct err *e)
{
	struct build_result built;
	struct devices dev;
	int rc = devices_attach(d, g->uuid_text, &dev, e);

	if (!rc)
		rc = build(s, g, d, &built, e);
	if (!rc)
		rc = publish(s, g, d, &dev, &built, e);
	if (!rc)
		rc = start(s, g, paused, memory, e);
	devices_free(&dev);
	return rc;
}

/*
 * The guest is locked and its record is there. On failure the caller undoes it, and then gives the promise back, so that what is
 * for others is there.
 */
static int bring_up(struct session *s, struct guest *g, const struct definition *d, bool paused, struct memory_promise *memory, struct err *e)
{
	int rc = memory_reserve(s, d, memory, e);

	if (!rc)
		rc = make_domain(s, g, d, e);
	if (!rc)
		rc = memory_claim(s, (uint16_t)g->domid, memory, e);
	return rc ? rc : furnish(s, g, d, paused, memory, e);
}

/*
 * From now on its end is followed. One that came before this was announced when nobody looked: whoever acts on announcements leaves
 * guests alone that are still being made.
 */
static void now_runs(struct session *s, struct guest *g)
{
	xen_domctl_getdomaininfo_t info;

	registry_set_state(g, GUEST_RUNNING);
	if (!hv_domain_runs(s->hv, g->domid, &info))
		registry_queue(g);
}

int create_guest(
	struct session *s, const struct definition *d, bool paused, struct guest **out, struct memory_promise *p, struct err *e)
{
	struct guest *g;
	int rc;

	if ((rc = check_type(d, e)) || (rc = check_cpus(s, d, e)) || (rc = check_build(s, d, e)) ||
	    (rc = registry_reserve(d->name, d->uuid, &g, e)))
		return rc;
	*e = (struct err){ 0 };
	*p = (struct memory_promise){ 0 };
	devices_check(d, g, true, first_problem, e);
	rc = -e->error;
	if (!rc && (rc = record_write(s->store, g->uuid_text, d, RECORD_BUILDING)))
		session_store_error(e, rc, "noting the new guest");
	if (!rc)
		rc = bring_up(s, g, d, paused, p, e);
	if (rc) {
		end_domain(s, g, d);
		end_forget(s, g);
	} else {
		now_runs(s, g);
	}
	memory_release(s, p);
	registry_unlock(g);
	if (rc)
		registry_put(g);
	else
		*out = g;
	return rc;
}

int create_again(struct session *s, struct guest *g, const struct definition *d, struct err *e)
{
	struct memory_promise memory;
	int rc = record_set_state(s->store, g->uuid_text, RECORD_BUILDING);

	if (!rc)
		rc = record_set_core(s->store, g->uuid_text, NULL);
	if (rc)
		return session_store_error(e, rc, "noting that the guest is to start again");
	registry_set_state(g, GUEST_BUILDING);
	rc = bring_up(s, g, d, false, &memory, e);
	if (rc)
		end_domain(s, g, d);
	memory_release(s, &memory);
	if (rc)
		return rc;
	record_set_again(s->store, g->uuid_text, false);
	now_runs(s, g);
	return 0;
}
