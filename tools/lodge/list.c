/* SPDX-License-Identifier: MIT */
/* Verbs that tell of guests: list, vcpu-list, uptime, domid, domname. The columns are those that scripts know. */
#include <lodge/verb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S	1e9

/* The method's params for that guest; NULL: for all. members: those that are wanted of each, or NULL. */
static json_t *params_of(const char *guest, const json_t *members)
{
	json_t *params = json_object();

	if (guest)
		json_object_set_new(params, "guest", json_string(guest));
	if (members)
		json_object_set(params, "members", (json_t *)members);
	return params;
}

/*
 * What the method answers of all guests, or of those named, as {"guests": […]}, or with members as {"rows": […]}. An error is said; the
 * others are still in it.
 */
static enum status ask(const struct args *a, const char *method, const json_t *members, json_t **answer)
{
	const char *key = members ? "rows" : "guests";
	enum status status = OK;
	struct err e;

	*answer = NULL;
	if (a->noperands == 0)
		return manager_call(method, params_of(NULL, members), answer, &e) ? say_error(NULL, &e) : OK;
	for (int i = 0; i < a->noperands; i++) {
		json_t *one;

		if (manager_call(method, params_of(a->operands[i], members), &one, &e)) {
			status = first_failure(status, say_error(a->operands[i], &e));
		} else if (*answer) {
			json_array_extend(json_object_get(*answer, key), json_object_get(one, key));
			json_decref(one);
		} else {
			*answer = one;
		}
	}
	return status;
}

static enum status ask_guests(const struct args *a, const char *method, json_t **answer)
{
	return ask(a, method, NULL, answer);
}

/* In place of each guest all that is known about it. A guest that has ended meanwhile is left out. */
static enum status extend(json_t *guests)
{
	struct err e;

	for (size_t i = 0; i < json_array_size(guests);) {
		json_t *full;

		if (manager_call("info", json_pack("{s:O}", "guest", json_object_get(json_array_get(guests, i), "domid")), &full,
			    &e) == 0)
			json_array_set_new(guests, i++, full);
		else if (strcmp(e.code, "no-such-guest") == 0)
			json_array_remove(guests, i);
		else
			return say_error(NULL, &e);
	}
	return OK;
}

/* The table's columns, as members of a guest; those that only -v shows come last. */
enum column { NAME, DOMID, MEMORY, VCPUS, FLAGS, CPU_TIME, KEPT_DOWN, UUID, REASON, COLUMNS };
static const char *const members_of[COLUMNS] = { "name", "domid", "memory_kib", "vcpus", "flags", "cpu_time_ns", "kept_down", "uuid",
						 "shutdown_reason" };

/* One guest's, as text; "": does not apply. */
struct row {
	char text[2048];
	const char *in[COLUMNS];
};

static void split(struct row *r, const json_t *line)
{
	const char *text = json_string_value(line);
	char *rest = r->text;

	snprintf(r->text, sizeof(r->text), "%s", text ? text : "");
	for (enum column c = 0; c < COLUMNS; c++) {
		const char *next = strsep(&rest, "\t");

		r->in[c] = next ? next : "";
	}
}

static long long number_in(const struct row *r, enum column c)
{
	return strtoll(r->in[c], NULL, 10);
}

static bool kept_down(const struct row *r)
{
	return !strcmp(r->in[KEPT_DOWN], "true");
}

static void print_guest(const struct row *r, bool verbose)
{
	char name[128];

	printf("%-40s %5s %5lld %5s     %-6s  %8.1f", name_shown(r->in[NAME], name, sizeof(name)), r->in[DOMID], number_in(r, MEMORY) >> 10,
		r->in[VCPUS], r->in[FLAGS], (double)number_in(r, CPU_TIME) / NS_PER_S);
	if (verbose)
		printf(" %-36s %s%s", r->in[UUID], *r->in[REASON] ? r->in[REASON] : "-", kept_down(r) ? ", kept down" : "");
	putchar('\n');
}

/* For people only: scripts know the table, and have kept_down in the JSON. */
static void say_kept_down(const json_t *rows)
{
	const json_t *line;
	struct row r;
	char name[128];
	size_t i;

	fflush(stdout);
	json_array_foreach(rows, i, line) {
		split(&r, line);
		if (kept_down(&r))
			fprintf(stderr, "lodge: %s: it ended again and again, soon after its start, and is kept down: lodge destroy removes it\n",
				name_shown(r.in[NAME], name, sizeof(name)));
	}
}

/* All of it: as JSON. */
static enum status list_objects(const struct args *a)
{
	json_t *answer;
	enum status status = ask_guests(a, "list", &answer);

	if (!answer)
		return status;
	if (args_set(a, 'l'))
		status = first_failure(status, extend(json_object_get(answer, "guests")));
	return first_failure(status, print_json(answer));
}

static enum status list_table(const struct args *a)
{
	bool verbose = args_set(a, 'v'), person = isatty(STDOUT_FILENO);
	json_t *members = json_array(), *answer, *line;
	enum status status;
	struct row r;
	size_t i;

	for (enum column c = 0; c < (verbose ? COLUMNS : person ? UUID : KEPT_DOWN); c++)
		json_array_append_new(members, json_string(members_of[c]));
	status = ask(a, "list", members, &answer);
	json_decref(members);
	if (!answer)
		return status;
	printf("%-40s %5s %5s %5s\tState\tTime(s)%s\n", "Name", "ID", "Mem", "VCPUs",
		verbose ? "   UUID                                 Reason" : "");
	json_array_foreach(json_object_get(answer, "rows"), i, line) {
		split(&r, line);
		print_guest(&r, verbose);
	}
	if (person)
		say_kept_down(json_object_get(answer, "rows"));
	json_decref(answer);
	return status;
}

enum status run_list(const struct args *a)
{
	return a->json || args_set(a, 'l') ? list_objects(a) : list_table(a);
}

static void print_vcpus(const json_t *g)
{
	const json_t *v, *cpu;
	char name[128], on[16];
	size_t i;

	name_of(g, name, sizeof(name));
	json_array_foreach(json_object_get(g, "vcpus"), i, v) {
		cpu = json_object_get(v, "cpu");
		snprintf(on, sizeof(on), cpu ? "%lld" : "-", (long long)json_integer_value(cpu));
		printf("%-32s %5lld %5lld %4s   %3s  %8.1f  %s / %s\n", name, (long long)integer_of(g, "domid"),
			(long long)integer_of(v, "vcpu"), on, string_of(v, "flags"),
			json_number_value(json_object_get(v, "cpu_time_ns")) / NS_PER_S, string_of(v, "affinity_hard"),
			string_of(v, "affinity_soft"));
	}
}

enum status run_vcpu_list(const struct args *a)
{
	enum status status;
	json_t *answer;
	const json_t *g;
	size_t i;

	status = ask_guests(a, "vcpu_list", &answer);
	if (!answer)
		return status;
	if (a->json)
		return first_failure(status, print_json(answer));
	printf("%-32s %5s %5s %5s %5s %9s Affinity (Hard / Soft)\n", "Name", "ID", "VCPU", "CPU", "State", "Time(s)");
	json_array_foreach(json_object_get(answer, "guests"), i, g)
		print_vcpus(g);
	json_decref(answer);
	return status;
}

static const char *duration(long long s, bool seconds, char *buf, size_t size)
{
	long long days = s / 86400;
	int n = days ? snprintf(buf, size, "%lld day%s, ", days, days == 1 ? "" : "s") : 0;

	n += snprintf(buf + n, size - (size_t)n, days ? "%2lld:%02lld" : "%lld:%02lld", s / 3600 % 24, s / 60 % 60);
	if (seconds)
		snprintf(buf + n, size - (size_t)n, ":%02lld", s % 60);
	return buf;
}

enum status run_uptime(const struct args *a)
{
	bool brief = args_set(a, 's');
	time_t now = time(NULL);
	enum status status;
	json_t *answer;
	const json_t *g;
	char name[128], up[64], clock[16];
	size_t i;

	status = ask_guests(a, "uptime", &answer);
	if (!answer)
		return status;
	if (a->json)
		return first_failure(status, print_json(answer));
	if (brief)
		strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	else
		printf("%-32s %5s Uptime\n", "Name", "ID");
	json_array_foreach(json_object_get(answer, "guests"), i, g) {
		name_of(g, name, sizeof(name));
		if (json_object_get(g, "uptime_s"))
			duration(integer_of(g, "uptime_s"), !brief, up, sizeof(up));
		else
			strcpy(up, "-");
		if (brief)
			printf(" %s up %s, %s (%lld)\n", clock, up, name, (long long)integer_of(g, "domid"));
		else
			printf("%-32s %5lld %s\n", name, (long long)integer_of(g, "domid"), up);
	}
	json_decref(answer);
	return status;
}

/* The one guest that is meant, new reference. */
static enum status one_guest(const struct args *a, json_t **guest)
{
	enum status status;
	json_t *answer;

	*guest = NULL;
	status = ask_guests(a, "list", &answer);
	if (answer)
		*guest = json_incref(json_array_get(json_object_get(answer, "guests"), 0));
	json_decref(answer);
	if (!*guest && status == OK)
		fprintf(stderr, "lodge: %s: there is no such guest\n", a->operands[0]);
	return *guest ? status : first_failure(status, NO_GUEST);
}

/* domid and domname print one member of the guest. */
static enum status print_member(const struct args *a, const char *key)
{
	json_t *guest, *value;
	enum status status = one_guest(a, &guest);
	char name[128];

	if (status)
		return status;
	value = json_object_get(guest, key);
	if (a->json)
		status = print_json(json_pack("{s:O*}", key, value));
	else if (json_is_integer(value))
		say("%lld", (long long)json_integer_value(value));
	else
		say("%s", name_of(guest, name, sizeof(name)));
	json_decref(guest);
	return status;
}

enum status run_domid(const struct args *a)
{
	return print_member(a, "domid");
}

enum status run_domname(const struct args *a)
{
	return print_member(a, "name");
}
