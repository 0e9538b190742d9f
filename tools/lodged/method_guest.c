/* SPDX-License-Identifier: MIT */
/* Methods that make, stop and change one guest. */
#include <errno.h>
#include <lib/definition.h>
#include <lodged/create.h>
#include <lodged/end.h>
#include <lodged/lan.h>
#include <lodged/log.h>
#include <lodged/memory.h>
#include <lodged/methods.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <stdlib.h>
#include <string.h>

static int take_definition(const json_t *params, struct definition **d, struct err *e)
{
	int rc = definition_from_json(json_object_get(params, "definition"), d, e);

	if (rc)
		return rc;
	rc = definition_complete(*d, e);
	if (rc)
		definition_free(*d);
	return rc;
}

static bool add_problem(const struct err *e, void *ctx)
{
	json_array_append_new(ctx, request_error(e));
	return true;
}

/* What Domain 0 gives or gave, and what it has then. */
static void add_dom0(json_t *result, const char *member, uint64_t kib, uint64_t left)
{
	json_object_set_new(result, member, json_integer((json_int_t)kib));
	json_object_set_new(result, "dom0_memory_kib", json_integer((json_int_t)left));
}

int method_check(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	json_t *problems = json_array();
	struct memory_figures f;
	struct definition *d;
	uint64_t target;

	if (!problems)
		return err_set(e, ENOMEM, "internal", "out of memory");
	if (take_definition(params, &d, e)) {
		add_problem(e, problems);
		*result = json_pack("{s:o, s:[]}", "problems", problems, "warnings");
		return 0;
	}
	create_check(s, d, &f, add_problem, problems);
	*result = json_pack("{s:o, s:[], s:I, s:I}", "problems", problems, "warnings", "needed_kib", (json_int_t)memory_needed(d),
			    "available_kib", (json_int_t)f.free_kib);
	target = plan_target(&f, memory_needed(d));
	if (plan_gives(&f, target))
		add_dom0(*result, "dom0_gives_kib", plan_gives(&f, target), target);
	definition_free(d);
	return 0;
}

int method_create(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct memory_promise p;
	struct definition *d;
	struct guest_view v;
	struct guest *g;
	int rc = take_definition(params, &d, e);

	if (rc)
		return rc;
	rc = create_guest(s, d, json_is_true(json_object_get(params, "paused")), &g, &p, e);
	if (!rc) {
		registry_view(g, &v);
		registry_put(g);
		*result = json_pack("{s:i, s:s, s:s}", "domid", v.domid, "uuid", v.uuid_text, "name", v.name);
		if (p.gave_kib)
			add_dom0(*result, "dom0_gave_kib", p.gave_kib, p.dom0_kib);
		log_line("%s: created as domain %d", v.name, v.domid);
	} else {
		log_err(d->name, e);
	}
	definition_free(d);
	return rc;
}

static int no_domain(const struct target *t, struct err *e)
{
	return err_set(e, EINVAL, "wrong-state", "the guest %s has no domain at the moment: it is being made or taken down", t->name);
}

/* One pause is enough, and one unpause, however many pausing administrators there are: the hypervisor counts them. */
static int set_paused(struct session *s, const struct target *t, bool pause, struct err *e)
{
	xen_domctl_getdomaininfo_t info;
	int rc = hv_domain_info(s->hv, (uint16_t)t->domid, &info);

	if (rc == -ESRCH)
		return err_set(e, ENOENT, "no-such-guest", "the guest %s has ended", t->name);
	if (rc)
		return session_hv_error(e, rc, "looking at the guest");
	if (pause == !!(info.flags & XEN_DOMINF_paused))
		return pause ? 0 : err_set(e, EINVAL, "wrong-state", "the guest %s is not paused", t->name);
	rc = pause ? hv_domain_pause(s->hv, (uint16_t)t->domid) : hv_domain_unpause(s->hv, (uint16_t)t->domid);
	return rc ? session_hv_error(e, rc, pause ? "pausing the guest" : "unpausing the guest") : 0;
}

static int pausing(struct session *s, const json_t *params, bool pause, struct err *e)
{
	struct target t;
	int rc = target_find_guest(s, params, false, &t, e);

	if (!rc)
		rc = target_lock(&t, e);
	if (rc)
		return rc;
	rc = t.domid < 0 ? no_domain(&t, e) : set_paused(s, &t, pause, e);
	target_put(&t);
	return rc;
}

int method_pause(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return pausing(s, params, true, e);
}

int method_unpause(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return pausing(s, params, false, e);
}

/* Somebody else's domain: the hypervisor's part and the nodes are all that there is for us to do. */
static int destroy_foreign(struct session *s, int domid, struct err *e)
{
	char uuid[UUID_TEXT];
	xen_domctl_getdomaininfo_t info;
	int rc = hv_domain_info(s->hv, (uint16_t)domid, &info);

	if (!rc) {
		uuid_to_text(info.handle, uuid);
		hv_domain_pause(s->hv, (uint16_t)domid);
		devices_remove(s, domid, uuid, NULL);
		rc = hv_domain_destroy(s->hv, (uint16_t)domid);
	}
	if (rc)
		return session_hv_error(e, rc, "destroying the domain");
	nodes_remove(s->store, domid, uuid);
	return 0;
}

int method_destroy(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct target t;
	int rc = target_find_guest(s, params, false, &t, e);

	if (rc)
		return rc;
	if (!t.g) {
		rc = destroy_foreign(s, t.domid, e);
	} else if (registry_lock(t.g)) {	/* otherwise it has ended meanwhile */
		end_guest(s, t.g);
		registry_unlock(t.g);
		log_line("%s: destroyed", t.name);
	}
	target_put(&t);
	return rc;
}

static int rename_locked(struct session *s, struct guest *g, const char *name, struct err *e)
{
	struct definition *d;
	int rc = registry_rename(g, name, g->uuid, e);

	if (rc)
		return rc;
	rc = record_definition(s->store, g->uuid_text, &d);
	if (!rc) {
		const struct nic *first = definition_default_nic(d);
		char *old = d->name;

		d->name = (char *)name;
		rc = record_set_definition(s->store, g->uuid_text, d);
		if (first && !rc)
			lan_attach(first->mac, first->ip, name, e);
		d->name = old;
		definition_free(d);
	}
	if (!rc && g->domid >= 0)
		rc = nodes_rename(s->store, g->domid, g->uuid_text, name);
	return rc ? session_store_error(e, rc, "renaming the guest") : 0;
}

int method_rename(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *name = request_string(params, "name");
	struct target t;
	int rc = definition_check_name(name, e);

	if (!rc)
		rc = target_find_guest(s, params, true, &t, e);
	if (!rc)
		rc = target_lock(&t, e);
	if (rc)
		return rc;
	rc = rename_locked(s, t.g, name, e);
	target_put(&t);
	return rc;
}

int method_definition(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct definition *d;
	struct target t;
	int rc = target_find_guest(s, params, true, &t, e);

	if (rc)
		return rc;
	rc = session_definition(s, t.g, &d, e);
	if (!rc) {
		*result = json_pack("{s:o}", "definition", definition_to_json(d));
		definition_free(d);
	}
	target_put(&t);
	return rc;
}
