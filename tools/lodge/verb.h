/* SPDX-License-Identifier: MIT */
/* The command line's frame: verbs, their options, what they share. The table of verbs is in verbs.c. */
#ifndef TOOLS_LODGE_VERB_H
#define TOOLS_LODGE_VERB_H

#include <jansson.h>
#include <lib/api.h>
#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>

/* How lodge ends (docs/man/lodge.md). */
enum status { OK = 0, FAILED = 1, USAGE = 2, NO_GUEST = 3, BAD_DEFINITION = 4, NO_MANAGER = 5 };

/* An option is known by its letter, or, when it has none, by one of these. */
enum { OPT_TIMEOUT = 256, OPT_VCPUS, OPT_DRYRUN, OPT_JSON, OPT_HELP };

#define VALUES_MAX	128	/* of all options that may be given several times */
#define OPTIONS_MAX	12	/* of a verb, --json and --help among them */

struct option_spec {
	int id;			/* letter or OPT_…; 0 ends the list */
	const char *name;	/* long form without "--", or NULL */
	const char *arg;	/* what its argument is called, or NULL: it has none */
	const char *help;	/* NULL: accepted for the sake of fingers, and not shown */
};

struct verb;

struct args {
	const struct verb *verb;
	bool set[OPTIONS_MAX];
	struct { int id; const char *value; } given[VALUES_MAX];	/* in their order */
	int ngiven;
	char **operands;
	int noperands;
	bool verbose, json;
	bool dry_run;		/* lodge -N create … */
};

struct verb {
	const char *name;
	enum status (*run)(const struct args *a);
	const char *operands;	/* as shown, "GUEST…" */
	int min, max;		/* how many operands; max < 0: any number */
	bool prints;		/* has --json */
	const char *summary;	/* one line */
	const char *help;	/* paragraphs */
	struct option_spec options[OPTIONS_MAX];
};

extern const struct verb verbs[];	/* ends with name NULL */
/* By name, or the beginning of one name only; a dash in a name may be a space, and the other way round. NULL: none; *guess: the name that was meant, or NULL. */
const struct verb *verb_find(const char *name, const char **guess);

/* --- options (args.c) --- */
/* Fill *a from what stands behind the verb, up to NULL. Operands are moved to the front of argv. USAGE and a message, or OK. */
enum status args_parse(struct args *a, const struct verb *v, char **argv);
bool args_set(const struct args *a, int id);
/* The option's value, of several the last; NULL: it is not given. */
const char *args_value(const struct args *a, int id);
/* Value number i of an option that may be given several times; NULL: no more. */
const char *args_each(const struct args *a, int id, int i);
/* The option's size, as of memory, in KiB; 0: it is not given. USAGE and a message. */
enum status args_size(const struct args *a, int id, json_int_t *kib);
/* The option's whole number from 0 to max, or `standard` when it is not given. USAGE and a message. */
enum status args_number(const struct args *a, int id, long standard, long max, long *out);
/* "lodge VERB: …" and how to get help, on standard error. */
enum status __attribute__((format(printf, 2, 3))) usage_error(const struct verb *v, const char *fmt, ...);
void verb_help(const struct verb *v);
/* The table of verbs as JSON, new reference (docs/json.md). */
json_t *verbs_to_json(void);

/* --- the manager, and what is said (say.c) --- */
/*
 * Call a method of the manager's, which is connected to at the first call. params: reference taken over. *result: new reference;
 * NULL: not wanted. Without a message on failure: say_error().
 */
int manager_call(const char *method, json_t *params, json_t **result, struct err *e);
/* The same, and progress is shown if `verbose`: a line for each step, on a terminal one that shows how much of the whole is done. */
int manager_call_progress(const char *subject, bool verbose, const char *method, json_t *params, json_t **result, struct err *e);
void manager_close(void);
/* The file's path from /, for the manager, whose current folder is another: allocated. NULL and an error. */
char *absolute_path(const char *file, struct err *e);

/* "lodge: SUBJECT: …" on standard error, for the one cause; subject may be NULL. The status that goes with it. */
enum status say_error(const char *subject, const struct err *e);
void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...);
/* A definition's warning, on standard error; quiet: a bool. For definition_load(). */
void say_warning(const struct err *warning, void *quiet);
/* What the answer to `create` says of Domain 0's memory, on standard error. */
void say_dom0_gave(const char *name, const json_t *created);
/* JSON for a reader of standard output; the reference is taken over. FAILED (and a message) when it is NULL. */
enum status print_json(json_t *json);
/* Text from elsewhere, without control characters that could steer a terminal. */
void print_text(const char *text);
/* Of the two, the one that is to be the exit status: the first that is not OK. */
enum status first_failure(enum status a, enum status b);

/* Members of answers; "" or 0 when they are absent. */
const char *string_of(const json_t *object, const char *key);
json_int_t integer_of(const json_t *object, const char *key);
/* Its name without characters that could steer a terminal, in buf; "-": none. */
const char *name_of(const json_t *guest, char *buf, size_t size);
const char *name_shown(const char *name, char *buf, size_t size);

/* --- verbs --- */
enum status run_autostart(const struct args *a);
enum status run_autostop(const struct args *a);
enum status run_block_attach(const struct args *a);
enum status run_block_detach(const struct args *a);
enum status run_block_list(const struct args *a);
enum status run_cd_eject(const struct args *a);
enum status run_cd_insert(const struct args *a);
enum status run_config(const struct args *a);
enum status run_console(const struct args *a);
enum status run_create(const struct args *a);
enum status run_debug_keys(const struct args *a);
enum status run_destroy(const struct args *a);
enum status run_dmesg(const struct args *a);
enum status run_domid(const struct args *a);
enum status run_domname(const struct args *a);
enum status run_dump_core(const struct args *a);
enum status run_help(const struct args *a);
enum status run_image_build(const struct args *a);
enum status run_image_export(const struct args *a);
enum status run_image_import(const struct args *a);
enum status run_image_list(const struct args *a);
enum status run_image_remove(const struct args *a);
enum status run_info(const struct args *a);
enum status run_list(const struct args *a);
enum status run_mem_max(const struct args *a);
enum status run_mem_set(const struct args *a);
enum status run_metrics(const struct args *a);
enum status run_network_attach(const struct args *a);
enum status run_network_detach(const struct args *a);
enum status run_network_list(const struct args *a);
enum status run_network_rate(const struct args *a);
enum status run_new(const struct args *a);
enum status run_pause(const struct args *a);
enum status run_reboot(const struct args *a);
enum status run_remove(const struct args *a);
enum status run_rename(const struct args *a);
enum status run_shutdown(const struct args *a);
enum status run_sysrq(const struct args *a);
enum status run_top(const struct args *a);
enum status run_unpause(const struct args *a);
enum status run_uptime(const struct args *a);
enum status run_vcpu_list(const struct args *a);
enum status run_vcpu_pin(const struct args *a);
enum status run_vcpu_set(const struct args *a);
enum status run_version(const struct args *a);

/* Attach this terminal to a domain's console, for console and for create -c. */
enum status attach_console(const char *subject, int domid);

#endif
