/* SPDX-License-Identifier: MIT */
/* Lists of processors, of this machine. */
#include <errno.h>
#include <lodged/cpus.h>

int cpus_read(struct session *s, const char *text, uint8_t bits[DEFINITION_CPUS_MAX / 8], struct err *e)
{
	struct xen_sysctl_physinfo info;
	int rc = definition_cpus(text, bits, DEFINITION_CPUS_MAX, e);

	if (rc)
		return rc;
	rc = hv_physinfo(s->hv, &info);
	if (rc)
		return session_hv_error(e, rc, "number of processors");
	for (uint32_t cpu = 0; cpu < info.nr_cpus && cpu < DEFINITION_CPUS_MAX; cpu++)
		if (bits[cpu / 8] >> cpu % 8 & 1)
			return 0;
	return err_set(e, EINVAL, "bad-definition", "cpus: the machine has none of the processors %s (it has 0 to %u)", text,
		info.nr_cpus - 1);
}
