/* SPDX-License-Identifier: MIT */
/* Methods that concern the machine. */
#include <errno.h>
#include <lib/api.h>
#include <lodged/lan.h>
#include <lodged/methods.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/version.h>

#define PAGE_KIB	4
#define TEXT_MAX	(API_LINE_MAX / 8)	/* of the log: escaped, it still fits a line */

static json_t *hypervisor_json(struct session *s)
{
	xen_capabilities_info_t capabilities = "";
	xen_changeset_info_t changeset = "";
	xen_extraversion_t extra = "";
	xen_commandline_t command_line = "";
	int number = hv_version(s->hv, XENVER_version, NULL, 0);
	char version[32];

	hv_version(s->hv, XENVER_extraversion, &extra, sizeof(extra));
	hv_version(s->hv, XENVER_changeset, &changeset, sizeof(changeset));
	hv_version(s->hv, XENVER_capabilities, &capabilities, sizeof(capabilities));
	hv_version(s->hv, XENVER_commandline, &command_line, sizeof(command_line));
	extra[sizeof(extra) - 1] = changeset[sizeof(changeset) - 1] = '\0';
	capabilities[sizeof(capabilities) - 1] = command_line[sizeof(command_line) - 1] = '\0';
	snprintf(version, sizeof(version), "%d.%d", number >> 16 & 0x7fff, number & 0xffff);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "version", version, "extra", extra, "changeset", changeset, "capabilities",
		capabilities, "command_line", command_line);
}

static const char *scheduler_name(uint32_t id)
{
	switch (id) {
	case XEN_SCHEDULER_CREDIT: return "credit";
	case XEN_SCHEDULER_CREDIT2: return "credit2";
	case XEN_SCHEDULER_RTDS: return "rtds";
	case XEN_SCHEDULER_NULL: return "null";
	default: return "other";
	}
}

/* What the processors and the hypervisor can do for guests. */
static void virt_caps(uint32_t capabilities, char *text, size_t size)
{
	static const struct { uint32_t bit; const char *name; } caps[] = {
		{ XEN_SYSCTL_PHYSCAP_pv, "pv" }, { XEN_SYSCTL_PHYSCAP_hvm, "hvm" }, { XEN_SYSCTL_PHYSCAP_hap, "hap" },
		{ XEN_SYSCTL_PHYSCAP_shadow, "shadow" }, { XEN_SYSCTL_PHYSCAP_directio, "directio" },
		{ XEN_SYSCTL_PHYSCAP_gnttab_v1, "gnttab-v1" }, { XEN_SYSCTL_PHYSCAP_gnttab_v2, "gnttab-v2" },
	};
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps) && len < size; i++)
		if (capabilities & caps[i].bit)
			len += (size_t)snprintf(text + len, size - len, "%s%s", len ? " " : "", caps[i].name);
}

static json_t *machine_json(const struct xen_sysctl_physinfo *info)
{
	char hw[80], virt[80];

	snprintf(hw, sizeof(hw), "%08x:%08x:%08x:%08x:%08x:%08x:%08x:%08x", info->hw_cap[0], info->hw_cap[1], info->hw_cap[2],
		info->hw_cap[3], info->hw_cap[4], info->hw_cap[5], info->hw_cap[6], info->hw_cap[7]);
	virt_caps(info->capabilities, virt, sizeof(virt));
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:s, s:s}", "cpus", (int)info->nr_cpus, "max_cpu_id",
		(int)info->max_cpu_id, "nodes", (int)info->nr_nodes, "cores_per_socket", (int)info->cores_per_socket,
		"threads_per_core", (int)info->threads_per_core, "cpu_khz", (json_int_t)info->cpu_khz, "memory_kib",
		(json_int_t)(info->total_pages * PAGE_KIB), "free_kib", (json_int_t)(info->free_pages * PAGE_KIB), "hw_caps", hw,
		"virt_caps", virt);
}

int method_version(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct xen_sysctl_physinfo info;
	json_t *machine;
	uint32_t scheduler;
	int rc = hv_physinfo(s->hv, &info);

	if (rc)
		return session_hv_error(e, rc, "the machine");
	machine = machine_json(&info);
	if (!hv_sched_id(s->hv, &scheduler))
		json_object_set_new(machine, "scheduler", json_string(scheduler_name(scheduler)));
	*result = json_pack("{s:s, s:i, s:o, s:o, s:o}", "lodge", LODGE_VERSION, "api", API_VERSION, "hypervisor", hypervisor_json(s),
			    "machine", machine, "network", lan_describe());
	return *result ? 0 : err_set(e, ENOMEM, "internal", "out of memory");
}

/* Guests write to the log, too: what is not plain text is shown as a question mark. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || (unsigned char)*text > '~')
			*text = '?';
}

int method_dmesg(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	char *text, *shown;
	int rc = hv_console(s->hv, &text, json_is_true(json_object_get(params, "clear")));

	if (rc)
		return session_hv_error(e, rc, "the hypervisor's log");
	make_plain(text);
	shown = strlen(text) > TEXT_MAX ? text + strlen(text) - TEXT_MAX : text;
	*result = json_pack("{s:s}", "text", shown);
	free(text);
	return 0;
}

int method_debug_keys(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	int rc = hv_debug_keys(s->hv, request_string(params, "keys"));

	return rc ? session_hv_error(e, rc, "debug keys") : 0;
}
