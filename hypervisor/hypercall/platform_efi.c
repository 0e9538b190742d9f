/* SPDX-License-Identifier: MIT */
/*
 * UEFI for the privileged domain: XEN_FW_EFI_INFO and XENPF_efi_runtime_call (ABI: <xen/platform.h>).
 *
 * Arguments go through the one buffer that the firmware can reach. What the firmware says of sizes is believed only as far as the buffer, and the
 * caller's own, reaches.
 */
#include <domain/efi_runtime.h>
#include <domain/guest_copy.h>
#include <hypercall/platform.h>
#include <lib/string.h>

_Static_assert(sizeof(struct xenpf_efi_time) == sizeof(struct efi_time) && sizeof(struct xenpf_efi_guid) == sizeof(struct efi_guid),
	       "the ABI has UEFI's layouts");

#define ADDRESS(part)	efi_buffer_address(part)

/* --- information --- */

static int config_table(union xenpf_efi_info *info, const struct efi_system_table *st)
{
	info->cfg.addr = st->tables;
	info->cfg.nent = (u32)st->nr_tables;
	return 0;
}

/* The name, cut to the caller's buffer and always terminated. */
static int vendor(union xenpf_efi_info *info, const struct efi_system_table *st)
{
	u64 room = info->vendor.bufsz / sizeof(u16);

	info->vendor.revision = st->firmware_revision;
	for (u64 i = 0; i < room; i++) {
		u16 c = i + 1 < room ? efi_vendor_char(i) : 0;

		if (copy_to_guest_idx(info->vendor.name.p, i, &c, sizeof(c)))
			return -EFAULT;
		if (!c)
			break;
	}
	return 0;
}

/* What covers an address: from there to the end of the range, or as much of it as was asked for. */
static int memory_range(union xenpf_efi_info *info)
{
	const struct efi_memory *m = efi_memory_find(info->mem.addr);
	u64 left;

	if (!m)
		return -ESRCH;
	left = m->start + (m->pages << PAGE_SHIFT) - info->mem.addr;
	info->mem.size = min(info->mem.size, left);
	info->mem.attr = m->attributes;
	info->mem.type = m->type;
	return 0;
}

int platform_efi_info(u32 index, union xenpf_efi_info *info)
{
	const struct efi_system_table *st = efi_system_table();

	if (!st)
		return -EOPNOTSUPP;
	switch (index) {
	case XEN_FW_EFI_VERSION:
		info->version = st->h.revision;
		return 0;
	case XEN_FW_EFI_RT_VERSION:
		if (!efi_runtime_revision())
			return -ESRCH;
		info->version = efi_runtime_revision();
		return 0;
	case XEN_FW_EFI_CONFIG_TABLE:
		return config_table(info, st);
	case XEN_FW_EFI_VENDOR:
		return vendor(info, st);
	case XEN_FW_EFI_MEM_INFO:
		return memory_range(info);
	case XEN_FW_EFI_PCI_ROM:
	case XEN_FW_EFI_APPLE_PROPERTIES:
		/* Only boot services know them, and those have ended. */
		return -ESRCH;
	default:
		return -EINVAL;
	}
}

/* --- time --- */

static int get_time(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	int rc = efi_runtime_call(EFI_GET_TIME, status, ADDRESS(&b->time), ADDRESS(&b->capabilities), 0, 0, 0);

	if (rc || *status)
		return rc;
	memcpy(&op->u.get_time.time, &b->time, sizeof(b->time));
	op->u.get_time.resolution = b->capabilities.resolution;
	op->u.get_time.accuracy = b->capabilities.accuracy;
	op->misc = b->capabilities.clears_ns ? XEN_EFI_GET_TIME_SET_CLEARS_NS : 0;
	return 0;
}

static int set_time(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	memcpy(&b->time, &op->u.set_time, sizeof(b->time));
	return efi_runtime_call(EFI_SET_TIME, status, ADDRESS(&b->time), 0, 0, 0, 0);
}

static int get_wakeup_time(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	int rc = efi_runtime_call(EFI_GET_WAKEUP_TIME, status, ADDRESS(&b->flags[0]), ADDRESS(&b->flags[1]), ADDRESS(&b->time), 0, 0);

	if (rc || *status)
		return rc;
	memcpy(&op->u.get_wakeup_time, &b->time, sizeof(b->time));
	op->misc = (b->flags[0] ? XEN_EFI_GET_WAKEUP_TIME_ENABLED : 0) | (b->flags[1] ? XEN_EFI_GET_WAKEUP_TIME_PENDING : 0);
	return 0;
}

static int set_wakeup_time(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	bool enable = op->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE, keep = op->misc & XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY;

	memcpy(&b->time, &op->u.set_wakeup_time, sizeof(b->time));
	op->misc = 0;
	return efi_runtime_call(EFI_SET_WAKEUP_TIME, status, enable, keep ? 0 : ADDRESS(&b->time), 0, 0, 0);
}

/* --- variables --- */

/* A name of at most `bytes` from the guest, with its final 0; the rest of the buffer is zeroed. */
static int copy_name(struct efi_buffer *b, const void *guest, u64 bytes)
{
	u64 room = min(bytes / sizeof(u16), (u64)EFI_NAME_CHARS);

	memset(b->name, 0, sizeof(b->name));
	for (u64 i = 0; i < room; i++) {
		if (copy_from_guest_idx(&b->name[i], guest, i, sizeof(u16)))
			return -EFAULT;
		if (!b->name[i])
			return 0;
	}
	memset(b->name, 0, sizeof(b->name));
	return -EINVAL;
}

static int get_variable(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	u64 room = min(op->u.get_variable.size, sizeof(b->data));
	int rc = copy_name(b, op->u.get_variable.name.p, ~0UL);

	if (rc)
		return rc;
	memcpy(&b->guid, &op->u.get_variable.vendor_guid, sizeof(b->guid));
	b->size = room;
	b->attributes = 0;
	rc = efi_runtime_call(EFI_GET_VARIABLE, status, ADDRESS(b->name), ADDRESS(&b->guid), ADDRESS(&b->attributes), ADDRESS(&b->size),
			      ADDRESS(b->data));
	if (rc || (*status && *status != EFI_BUFFER_TOO_SMALL))
		return rc;
	op->misc = b->attributes;
	op->u.get_variable.size = b->size;
	if (*status)
		return 0;
	return copy_to_guest(op->u.get_variable.data.p, b->data, min(b->size, room));
}

static int set_variable(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	u64 size = op->u.set_variable.size;
	u32 attributes = op->misc;
	int rc = copy_name(b, op->u.set_variable.name.p, ~0UL);

	if (rc)
		return rc;
	if (size > sizeof(b->data))
		return -E2BIG;
	if (copy_from_guest(b->data, op->u.set_variable.data.p, size))
		return -EFAULT;
	memcpy(&b->guid, &op->u.set_variable.vendor_guid, sizeof(b->guid));
	return efi_runtime_call(EFI_SET_VARIABLE, status, ADDRESS(b->name), ADDRESS(&b->guid), attributes, size, ADDRESS(b->data));
}

static int get_next_name(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	u64 room = min(op->u.get_next_variable_name.size, sizeof(b->name));
	int rc = copy_name(b, op->u.get_next_variable_name.name.p, room);

	if (rc)
		return rc;
	memcpy(&b->guid, &op->u.get_next_variable_name.vendor_guid, sizeof(b->guid));
	b->size = room;
	rc = efi_runtime_call(EFI_GET_NEXT_VARIABLE_NAME, status, ADDRESS(&b->size), ADDRESS(b->name), ADDRESS(&b->guid), 0, 0);
	if (rc || (*status && *status != EFI_BUFFER_TOO_SMALL))
		return rc;
	op->u.get_next_variable_name.size = b->size;
	if (*status)
		return 0;
	memcpy(&op->u.get_next_variable_name.vendor_guid, &b->guid, sizeof(b->guid));
	return copy_to_guest(op->u.get_next_variable_name.name.p, b->name, min(b->size, room));
}

static int query_variable_info(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	int rc = efi_runtime_call(EFI_QUERY_VARIABLE_INFO, status, op->u.query_variable_info.attr, ADDRESS(&b->values[0]),
				  ADDRESS(&b->values[1]), ADDRESS(&b->values[2]), 0);

	if (rc || *status)
		return rc;
	op->u.query_variable_info.max_store_size = b->values[0];
	op->u.query_variable_info.remain_store_size = b->values[1];
	op->u.query_variable_info.max_size = b->values[2];
	return 0;
}

static int monotonic_count(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status)
{
	int rc = efi_runtime_call(EFI_GET_NEXT_HIGH_MONOTONIC_COUNT, status, ADDRESS(&b->count), 0, 0, 0, 0);

	if (!rc && !*status)
		op->misc = b->count;
	return rc;
}

/*
 * Capsules are described by machine addresses that the firmware reads, and writes, by itself: nobody may choose those. They are not in
 * the table.
 */
static const struct call_row {
	int (*call)(struct efi_buffer *b, struct xenpf_efi_runtime_call *op, u64 *status);
	u32 flags;	/* allowed in misc */
} calls[] = {
	[XEN_EFI_get_time] = { get_time, 0 },
	[XEN_EFI_set_time] = { set_time, 0 },
	[XEN_EFI_get_wakeup_time] = { get_wakeup_time, 0 },
	[XEN_EFI_set_wakeup_time] = { set_wakeup_time, XEN_EFI_SET_WAKEUP_TIME_ENABLE | XEN_EFI_SET_WAKEUP_TIME_ENABLE_ONLY },
	[XEN_EFI_get_next_high_monotonic_count] = { monotonic_count, 0 },
	[XEN_EFI_get_variable] = { get_variable, 0 },
	[XEN_EFI_set_variable] = { set_variable, ~0u },
	[XEN_EFI_get_next_variable_name] = { get_next_name, 0 },
	[XEN_EFI_query_variable_info] = { query_variable_info, 0 },
};

int platform_efi_call(struct xenpf_efi_runtime_call *op)
{
	const struct call_row *row = op->function < ARRAY_SIZE(calls) ? &calls[op->function] : NULL;
	struct efi_buffer *b;
	u64 status = 0;
	int rc;

	if (!row || !row->call)
		return -EOPNOTSUPP;
	if (op->misc & ~row->flags)
		return -EINVAL;
	rc = efi_runtime_begin(&b);
	if (rc)
		return rc;
	rc = row->call(b, op, &status);
	efi_runtime_end();
	op->status = status;
	return rc;
}
