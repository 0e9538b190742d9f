/* SPDX-License-Identifier: MIT */
/* XENVER_*: version and capabilities (ABI: <xen/version.h>). The version is that of the ABI we implement; who we are is in extraversion. */
#include <core/param.h>
#include <hypercall/dispatch.h>
#include <hypercall/version.h>
#include <lib/string.h>
#include <x86/layout.h>
#include <xen/features.h>
#include <xen/version.h>

#include "compile_info.h"

#define ABI_MAJOR	4
#define ABI_MINOR	17

extern const char build_id_start[], build_id_end[];

const char *lodge_version(void) { return LODGE_VERSION; }
const char *lodge_changeset(void) { return LODGE_CHANGESET; }
const char *lodge_date(void) { return LODGE_DATE; }
const char *lodge_compiler(void) { return LODGE_COMPILER; }

static long put_string(void *guest, const char *text, size_t size)
{
	char buf[1024] = "";

	strlcpy(buf, text, size);
	return copy_to_guest(guest, buf, size);
}

static long put_compile_info(void *guest)
{
	struct xen_compile_info info = { .compile_by = "lodge", .compile_domain = "" };

	strlcpy(info.compiler, LODGE_COMPILER, sizeof(info.compiler));
	strlcpy(info.compile_date, LODGE_DATE, sizeof(info.compile_date));
	return copy_to_guest(guest, &info, sizeof(info));
}

static u32 features(const struct domain *d)
{
	u32 f = BIT(XENFEAT_memory_op_vnode_supported);

	if (d->vcpus[0] && d->vcpus[0]->pv)
		f |= BIT(XENFEAT_mmu_pt_update_preserve_ad) | BIT(XENFEAT_highmem_assist) | BIT(XENFEAT_gnttab_map_avail_bits) |
		     BIT(XENFEAT_not_direct_mapped) | BIT(XENFEAT_pae_pgdir_above_4gb);
	if (d->hardware)
		f |= BIT(XENFEAT_dom0);
	return f;
}

static long get_features(void *guest)
{
	struct xen_feature_info fi;

	if (copy_from_guest(&fi, guest, sizeof(fi)))
		return -EFAULT;
	if (fi.submap_idx)
		return -EINVAL;
	fi.submap = features(current->domain);
	return copy_to_guest(guest, &fi, sizeof(fi));
}

/* The build id note: n_namesz, n_descsz, n_type, "GNU\0", then the id. */
static long get_build_id(void *guest)
{
	xen_build_id_t head;
	const u32 *note = (const u32 *)build_id_start;
	u32 len;

	if (build_id_end - build_id_start < 16)
		return -ENODATA;
	len = note[1];
	if (!guest)
		return (long)len;
	if (copy_from_guest(&head, guest, sizeof(head)))
		return -EFAULT;
	if (head.len == 0)
		return -EINVAL;
	if (len > head.len)
		return -ENOBUFS;
	if (copy_to_guest((char *)guest + offsetof(xen_build_id_t, buf), build_id_start + 16, len))
		return -EFAULT;
	return (long)len;
}

HYPERCALL(do_xen_version)
{
	void *guest = (void *)a2;

	switch (a1) {
	case XENVER_version:
		return ABI_MAJOR << 16 | ABI_MINOR;
	case XENVER_extraversion:
		return put_string(guest, ".0-Lodge-" LODGE_VERSION, sizeof(xen_extraversion_t));
	case XENVER_compile_info:
		return put_compile_info(guest);
	case XENVER_capabilities:
		return put_string(guest, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return put_string(guest, LODGE_CHANGESET, sizeof(xen_changeset_info_t));
	case XENVER_platform_parameters: {
		struct xen_platform_parameters p = { .virt_start = HYP_VIRT_START };

		return copy_to_guest(guest, &p, sizeof(p));
	}
	case XENVER_get_features:
		return get_features(guest);
	case XENVER_pagesize:
		return guest ? -EINVAL : (long)PAGE_SIZE;
	case XENVER_guest_handle:
		return copy_to_guest(guest, current->domain->handle, sizeof(current->domain->handle));
	case XENVER_commandline:
		if (!current->domain->privileged)
			return put_string(guest, "<denied>", sizeof(xen_commandline_t));
		return put_string(guest, params_cmdline(), sizeof(xen_commandline_t));
	case XENVER_build_id:
		return get_build_id(guest);
	default:
		return -ENOSYS;
	}
}
