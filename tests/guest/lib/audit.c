/* SPDX-License-Identifier: MIT */
/* The hypervisor's own recount, asked for and read back with sysctls. */
#include "lib/audit.h"
#include "lib/hypercall.h"
#include "lib/memory.h"

#include <xen/sysctl.h>
#include <xen/version.h>

static char text[16384];

/* Reads the console ring from *index on, or all of it; what fits stays in text. Sets *index to the end. */
static bool read_console(bool from_start, u32 *index)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };

	do {
		op.u.readconsole.incremental = !from_start;
		op.u.readconsole.index = *index;
		op.u.readconsole.count = sizeof(text) - 1;
		set_xen_guest_handle(op.u.readconsole.buffer, text);
		if (HCALL(sysctl, &op))
			return false;
		*index = op.u.readconsole.index;
		from_start = false;
	} while (op.u.readconsole.count == sizeof(text) - 1);
	text[op.u.readconsole.count] = 0;
	return true;
}

/* The last place in text where s stands, or NULL. */
static const char *find_last(const char *s)
{
	const char *found = NULL;

	for (const char *p = text; *p; p++)
		if (!strncmp(p, s, strlen(s)))
			found = p;
	return found;
}

int audit(void)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	char extra[XEN_EXTRAVERSION_LEN + 1] = "";
	const char *verdict;
	u32 index = 0;
	int n = 0;

	if (!(start_info->flags & SIF_PRIVILEGED))
		return -1;
	HCALL(xen_version, XENVER_extraversion, extra);
	memcpy(text, extra, sizeof(extra));
	if (!find_last("Lodge"))
		return -1;
	if (!read_console(true, &index))
		return -2;
	set_xen_guest_handle(op.u.debug_keys.keys, "a");
	op.u.debug_keys.nr_keys = 1;
	if (HCALL(sysctl, &op) || !read_console(false, &index))
		return -2;
	if (find_last("audit: clean"))
		return 0;
	verdict = find_last("audit: ");
	if (!verdict)
		return -2;
	for (verdict += 7; *verdict >= '0' && *verdict <= '9'; verdict++)
		n = n * 10 + (*verdict - '0');
	return n ? n : -2;
}
