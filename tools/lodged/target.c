/* SPDX-License-Identifier: MIT */
/* The guest that a request names. */
#include <errno.h>
#include <lodged/life.h>
#include <lodged/nodes.h>
#include <lodged/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void target_name(struct session *s, int domid, char name[256])
{
	struct guest *g = registry_by_domid(domid);
	struct guest_view v;
	char *value;

	name[0] = '\0';
	if (g) {
		registry_view(g, &v);
		snprintf(name, 256, "%s", v.name);
		registry_put(g);
		return;
	}
	value = store_read(s->store, "/local/domain/%d/name", domid);
	if (value)
		snprintf(name, 256, "%.255s", value);
	else if (domid == (int)nodes_backend())
		snprintf(name, 256, "Domain-0");
	free(value);
}

uint32_t target_vcpus(const xen_domctl_getdomaininfo_t *info)
{
	/* One that is just being made has none. */
	return info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1;
}

static bool by_domid(struct session *s, int domid, struct target *t)
{
	if (hv_domain_info(s->hv, (uint16_t)domid, &t->info))
		return false;
	t->domid = domid;
	t->g = registry_by_domid(domid);
	target_name(s, domid, t->name);
	return true;
}

static bool by_guest(struct session *s, struct guest *g, struct target *t)
{
	struct guest_view v;

	if (!g)
		return false;
	registry_view(g, &v);
	t->g = g;
	t->domid = v.domid;
	snprintf(t->name, sizeof(t->name), "%s", v.name);
	if (v.domid >= 0 && hv_domain_info(s->hv, (uint16_t)v.domid, &t->info))
		t->domid = -1;		/* just ended */
	return true;
}

/* Somebody else's domain, by name or UUID: all of them have to be looked at. */
static bool by_search(struct session *s, const char *text, const uint8_t *uuid, struct target *t)
{
	xen_domctl_getdomaininfo_t *infos;
	bool found = false;
	size_t n;

	if (life_domains(s->hv, &infos, &n))
		return false;
	for (size_t i = 0; i < n && !found; i++) {
		char name[256];

		target_name(s, infos[i].domain, name);
		found = uuid ? !memcmp(uuid, infos[i].handle, 16) : !strcmp(name, text);
		if (found)
			found = by_domid(s, infos[i].domain, t);
	}
	free(infos);
	return found;
}

int target_number(const char *text)
{
	return *text && strlen(text) < 6 && strspn(text, "0123456789") == strlen(text) ? atoi(text) : -1;
}

int target_find(struct session *s, const json_t *params, struct target *t, struct err *e)
{
	const json_t *v = json_object_get(params, "guest");
	const char *text = json_string_value(v);
	uint8_t uuid[16];
	bool is_uuid;
	int number;

	*t = (struct target){ .domid = -1 };
	if (!text) {
		long long n = json_integer_value(v);

		if (n >= 0 && n < DOMID_FIRST_RESERVED && by_domid(s, (int)n, t))
			return 0;
		return err_set(e, ENOENT, "no-such-guest", "there is no domain %lld", n);
	}
	number = target_number(text);
	if (number >= 0 && number < (int)DOMID_FIRST_RESERVED && by_domid(s, number, t))
		return 0;
	is_uuid = uuid_from_text(text, uuid);
	if (by_guest(s, registry_by_name(text), t) || (is_uuid && by_guest(s, registry_by_uuid(uuid), t)) ||
	    by_search(s, text, is_uuid ? uuid : NULL, t))
		return 0;
	return err_set(e, ENOENT, "no-such-guest", "there is no guest `%.200s` (`lodge list` shows those there are)", text);
}

int target_find_guest(struct session *s, const json_t *params, bool managed, struct target *t, struct err *e)
{
	int rc = target_find(s, params, t, e);

	if (rc)
		return rc;
	if (t->domid == (int)nodes_backend()) {
		target_put(t);
		return err_set(e, EPERM, "is-dom0", "this cannot be done with Domain 0");
	}
	if (managed && !t->g)
		return err_set(e, EPERM, "not-managed", "domain %d was not made by Lodge", t->domid);
	return 0;
}

int target_lock(struct target *t, struct err *e)
{
	if (!t->g)
		return 0;
	t->locked = registry_lock(t->g);
	if (!t->locked) {
		target_put(t);
		return err_set(e, ENOENT, "no-such-guest", "the guest %s has ended", t->name);
	}
	t->domid = t->g->domid;
	return 0;
}

void target_put(struct target *t)
{
	if (t->locked)
		registry_unlock(t->g);
	t->locked = false;
	registry_put(t->g);
	t->g = NULL;
}
