/* SPDX-License-Identifier: MIT */
/* Verbs that change a running guest's vCPUs and memory, and config, which shows what has come of it. */
#include <lodge/verb.h>
#include <lib/definition.h>
#include <lib/size.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ask the manager for a change of the first operand's guest. */
static enum status change(const struct args *a, const char *method, json_t *params)
{
	struct err e;

	json_object_set_new(params, "guest", json_string(a->operands[0]));
	return manager_call(method, params, NULL, &e) ? say_error(a->operands[0], &e) : OK;
}

enum status run_vcpu_set(const struct args *a)
{
	char *end;
	long n = strtol(a->operands[1], &end, 10);

	if (!isdigit((unsigned char)a->operands[1][0]) || *end || n < 1 || n > DEFINITION_VCPUS_MAX)
		return usage_error(
			a->verb, "found \"%.40s\", expected a number of vCPUs from 1 to %d", a->operands[1], DEFINITION_VCPUS_MAX);
	return change(a, "vcpu_set", json_pack("{s:I}", "vcpus", (json_int_t)n));
}

/* Member of the request from a list of processors; "-": what is there stays. */
static enum status add_cpus(const struct args *a, int operand, const char *member, json_t *params)
{
	uint8_t bits[DEFINITION_CPUS_MAX / 8];
	const char *text = operand < a->noperands ? a->operands[operand] : "-";
	struct err e;

	if (strcmp(text, "-") == 0)
		return OK;
	if (definition_cpus(text, bits, DEFINITION_CPUS_MAX, &e))
		return usage_error(a->verb, "%s", e.text);
	json_object_set_new(params, member, json_string(text));
	return OK;
}

enum status run_vcpu_pin(const struct args *a)
{
	const char *vcpu = a->operands[1];
	enum status status;
	json_t *params;

	if (strcmp(vcpu, "all") && (strspn(vcpu, "0123456789") != strlen(vcpu) || strlen(vcpu) == 0 || strlen(vcpu) > 5))
		return usage_error(a->verb, "found \"%.40s\", expected the number of a vCPU, or all", vcpu);
	params = json_pack("{s:s}", "vcpu", vcpu);
	status = add_cpus(a, 2, "hard", params);
	if (status == OK)
		status = add_cpus(a, 3, "soft", params);
	if (status == OK && json_object_size(params) == 1)
		status = usage_error(a->verb, "expected processors: both lists are \"-\", which changes nothing");
	if (status == OK)
		return change(a, "vcpu_pin", params);
	json_decref(params);
	return status;
}

static enum status set_memory(const struct args *a, const char *method, const char *member)
{
	json_int_t kib = (json_int_t)size_kib(a->operands[1]);

	if (kib == 0)
		return usage_error(a->verb,
			"found \"%.40s\", expected a size in MiB, or with a unit: 512, 512m, 2g (at most 16 TiB)", a->operands[1]);
	return change(a, method, json_pack("{s:I}", member, kib));
}

enum status run_mem_set(const struct args *a)
{
	return set_memory(a, "mem_set", "memory_kib");
}

enum status run_mem_max(const struct args *a)
{
	return set_memory(a, "mem_max", "maxmem_kib");
}

enum status run_config(const struct args *a)
{
	struct definition *d;
	json_t *answer;
	struct err e;
	char *text;
	int rc;

	if (manager_call("definition", json_pack("{s:s}", "guest", a->operands[0]), &answer, &e))
		return say_error(a->operands[0], &e);
	if (a->json)
		return print_json(answer);
	rc = definition_from_json(json_object_get(answer, "definition"), &d, &e);
	json_decref(answer);
	if (rc)
		return say_error(a->operands[0], &e);
	text = definition_to_text(d);
	if (text)
		print_text(text);
	definition_free(d);
	free(text);
	return text ? OK : FAILED;
}
