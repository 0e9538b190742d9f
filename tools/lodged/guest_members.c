/* SPDX-License-Identifier: MIT */
/*
 * A table row per member. Whoever wants a few members of many guests gets one text for each: in JSON, each value is some hundred
 * instructions on both sides, and each character of it as well.
 */
#include <errno.h>
#include <lodged/guest_members.h>
#include <lodged/life.h>
#include <lodged/target.h>
#include <stdlib.h>
#include <string.h>
#include <xen/sched.h>

#define PAGE_KIB	4

/* A guest at one moment. */
struct facts {
	struct session *s;
	const xen_domctl_getdomaininfo_t *info;
	bool managed;
	struct guest_view v;	/* if it is managed */
};

uint64_t guest_start_time(struct session *s, const xen_domctl_getdomaininfo_t *info)
{
	struct guest *g = registry_by_domid(info->domain);
	struct guest_view v = { .started = 0 };
	uint64_t t = 0;

	if (g)
		registry_view(g, &v);
	if (!v.started) {
		char uuid[UUID_TEXT];

		uuid_to_text(info->handle, uuid);
		if (!store_read_u64(s->store, &t, "/vm/%s/start_time", uuid) && g)
			registry_set_started(g, info->domain, t);
	}
	registry_put(g);
	return v.started ? v.started : t;
}

static json_t *m_domid(const struct facts *f)
{
	return json_integer(f->info->domain);
}

static json_t *m_uuid(const struct facts *f)
{
	char uuid[UUID_TEXT];

	uuid_to_text(f->info->handle, uuid);
	return json_string(uuid);
}

/* One that is not UTF-8 cannot be told. */
static json_t *m_name(const struct facts *f)
{
	char name[256];

	if (f->managed)
		return json_string(f->v.name);
	target_name(f->s, f->info->domain, name);
	return *name ? json_string(name) : NULL;
}

static json_t *m_type(const struct facts *f)
{
	return json_string(f->info->flags & XEN_DOMINF_hvm_guest ? "hvm" : "pv");
}

static json_t *m_state(const struct facts *f)
{
	const xen_domctl_getdomaininfo_t *i = f->info;

	if (i->flags & XEN_DOMINF_dying)
		return json_string("dying");
	if (i->flags & XEN_DOMINF_shutdown)
		return json_string(life_reason_of(i) == SHUTDOWN_crash ? "crashed" : "shutdown");
	if (i->flags & XEN_DOMINF_paused)
		return json_string("paused");
	return json_string(i->flags & XEN_DOMINF_running ? "running" : "blocked");
}

static json_t *m_flags(const struct facts *f)
{
	const xen_domctl_getdomaininfo_t *i = f->info;
	bool shut = i->flags & XEN_DOMINF_shutdown;
	char text[7];

	text[0] = i->flags & XEN_DOMINF_running ? 'r' : '-';
	text[1] = i->flags & XEN_DOMINF_blocked ? 'b' : '-';
	text[2] = i->flags & XEN_DOMINF_paused ? 'p' : '-';
	text[3] = shut ? 's' : '-';
	text[4] = shut && life_reason_of(i) == SHUTDOWN_crash ? 'c' : '-';
	text[5] = i->flags & XEN_DOMINF_dying ? 'd' : '-';
	text[6] = '\0';
	return json_string(text);
}

static json_t *m_shutdown_reason(const struct facts *f)
{
	return f->info->flags & XEN_DOMINF_shutdown ? json_string(life_reason(life_reason_of(f->info))) : NULL;
}

static json_t *m_kept_down(const struct facts *f)
{
	return f->managed && f->v.kept_down ? json_true() : NULL;
}

static json_t *m_memory(const struct facts *f)
{
	return json_integer((json_int_t)f->info->tot_pages * PAGE_KIB);
}

static json_t *m_maxmem(const struct facts *f)
{
	uint64_t kib = hv_domain_max_kib(f->info);

	return kib == UINT64_MAX ? NULL : json_integer((json_int_t)kib);
}

static json_t *m_vcpus(const struct facts *f)
{
	return json_integer(f->info->nr_online_vcpus);
}

static json_t *m_maxvcpus(const struct facts *f)
{
	return json_integer(target_vcpus(f->info));
}

static json_t *m_cpu_time(const struct facts *f)
{
	return json_integer((json_int_t)f->info->cpu_time);
}

static json_t *m_start_time(const struct facts *f)
{
	uint64_t t = f->managed && f->v.started ? f->v.started : guest_start_time(f->s, f->info);

	return t ? json_integer((json_int_t)t) : NULL;
}

static json_t *m_managed(const struct facts *f)
{
	return json_boolean(f->managed);
}

static const struct guest_member {
	const char *name;
	json_t *(*value)(const struct facts *f);	/* NULL: it does not apply */
} members[] = {
	{ "domid", m_domid }, { "uuid", m_uuid }, { "type", m_type }, { "state", m_state }, { "flags", m_flags },
	{ "memory_kib", m_memory }, { "maxmem_kib", m_maxmem }, { "vcpus", m_vcpus }, { "maxvcpus", m_maxvcpus },
	{ "cpu_time_ns", m_cpu_time }, { "managed", m_managed }, { "name", m_name }, { "shutdown_reason", m_shutdown_reason },
	{ "kept_down", m_kept_down }, { "start_time", m_start_time },
};

#define NMEMBERS (sizeof(members) / sizeof(members[0]))

static const struct guest_member *find(const char *name)
{
	for (size_t i = 0; name && i < NMEMBERS; i++)
		if (!strcmp(members[i].name, name))
			return &members[i];
	return NULL;
}

static void look(struct facts *f, struct session *s, const xen_domctl_getdomaininfo_t *info)
{
	struct guest *g = registry_by_domid(info->domain);

	f->s = s;
	f->info = info;
	f->managed = g;
	if (g)
		registry_view(g, &f->v);
	registry_put(g);
}

json_t *guest_object(struct session *s, const xen_domctl_getdomaininfo_t *info)
{
	json_t *j = json_object();
	struct facts f;

	look(&f, s, info);
	for (size_t i = 0; i < NMEMBERS; i++) {
		json_t *value = members[i].value(&f);

		if (value)
			json_object_set_new_nocheck(j, members[i].name, value);
	}
	return j;
}

struct guest_members *guest_members_find(const json_t *names, struct err *e)
{
	struct guest_members *m = calloc(1, sizeof(*m) + json_array_size(names) * sizeof(m->list[0]));
	json_t *name;
	size_t i;

	if (!m) {
		err_set(e, ENOMEM, "internal", "out of memory");
		return NULL;
	}
	json_array_foreach(names, i, name) {
		m->list[m->n] = find(json_string_value(name));
		if (!m->list[m->n++]) {
			err_set(e, EINVAL, "bad-request", "a guest has no member `%.60s`",
				json_is_string(name) ? json_string_value(name) : "(not a string)");
			free(m);
			return NULL;
		}
	}
	return m;
}

/* A text that grows; what does not fit is left out: names are short. */
struct row {
	char text[2048];
	size_t len;
};

static void put_text(struct row *r, const char *text)
{
	for (; *text && r->len < sizeof(r->text) - 1; text++)
		r->text[r->len++] = (unsigned char)*text < ' ' ? '?' : *text;
}

static void put_number(struct row *r, json_int_t n)
{
	unsigned long long rest = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
	char text[24], *at = text + sizeof(text) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + rest % 10);
	while (rest /= 10);
	if (n < 0)
		*--at = '-';
	put_text(r, at);
}

static void put_value(struct row *r, const json_t *value)
{
	if (json_is_string(value))
		put_text(r, json_string_value(value));
	else if (json_is_integer(value))
		put_number(r, json_integer_value(value));
	else if (json_is_boolean(value))
		put_text(r, json_is_true(value) ? "true" : "false");
}

json_t *guest_row(struct session *s, const xen_domctl_getdomaininfo_t *info, const struct guest_members *wanted)
{
	struct row r;
	struct facts f;

	r.len = 0;
	look(&f, s, info);
	for (size_t i = 0; i < wanted->n; i++) {
		json_t *value = wanted->list[i]->value(&f);

		if (i && r.len < sizeof(r.text) - 1)
			r.text[r.len++] = '\t';
		put_value(&r, value);
		json_decref(value);
	}
	return json_stringn(r.text, r.len);
}
