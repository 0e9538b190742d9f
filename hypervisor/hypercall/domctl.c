/* SPDX-License-Identifier: MIT */
/* domctl: the table, and the way from the hypercall to a handler. */
#include <core/softirq.h>
#include <hypercall/domctl.h>
#include <lib/string.h>
#include <sched/sched.h>
#include <x86/cr.h>

/*
 * A domain's ctl_lock makes the operations on it one after the other. Who does not get it at once tries again through the guest, so nobody
 * waits in the hypervisor for something long, and two privileged domains cannot wait for each other.
 */

#define ROW(cmd, handler, fl)	[XEN_DOMCTL_##cmd] = { .fn = domctl_##handler, .flags = (fl) }

/* A command without a row answers -EOPNOTSUPP. */
static const struct domctl_row { domctl_fn fn; u8 flags; } rows[] = {
	ROW(createdomain, createdomain, DC_OUT),
	ROW(destroydomain, destroydomain, DC_DOMAIN | DC_OTHER),
	ROW(pausedomain, pausedomain, DC_DOMAIN | DC_OTHER),
	ROW(unpausedomain, unpausedomain, DC_DOMAIN | DC_OTHER),
	ROW(resumedomain, resumedomain, DC_DOMAIN | DC_OTHER | DC_ALIVE),
	ROW(getdomaininfo, getdomaininfo, DC_OUT),
	ROW(setdomainhandle, setdomainhandle, DC_DOMAIN),
	ROW(settimeoffset, settimeoffset, DC_DOMAIN),
	ROW(subscribe, subscribe, DC_DOMAIN),
	ROW(set_virq_handler, set_virq_handler, DC_DOMAIN | DC_ALIVE),
	ROW(sendtrigger, sendtrigger, DC_DOMAIN | DC_ALIVE),

	ROW(max_vcpus, max_vcpus, DC_DOMAIN | DC_OTHER | DC_ALIVE),
	ROW(setvcpucontext, setvcpucontext, DC_DOMAIN | DC_OTHER | DC_ALIVE),
	ROW(getvcpucontext, getvcpucontext, DC_DOMAIN | DC_OTHER),
	ROW(getvcpuinfo, getvcpuinfo, DC_DOMAIN | DC_OUT),
	ROW(set_ext_vcpucontext, set_ext_vcpucontext, DC_DOMAIN | DC_OTHER | DC_ALIVE),
	ROW(get_ext_vcpucontext, get_ext_vcpucontext, DC_DOMAIN | DC_OTHER | DC_OUT),
	ROW(setvcpuextstate, setvcpuextstate, DC_DOMAIN | DC_OTHER | DC_ALIVE),
	ROW(getvcpuextstate, getvcpuextstate, DC_DOMAIN | DC_OTHER | DC_OUT),
	ROW(get_vcpu_msrs, get_vcpu_msrs, DC_DOMAIN | DC_OTHER | DC_OUT),
	ROW(set_vcpu_msrs, set_vcpu_msrs, DC_DOMAIN | DC_OTHER | DC_ALIVE),

	ROW(max_mem, max_mem, DC_DOMAIN),
	ROW(getpageframeinfo3, getpageframeinfo3, DC_DOMAIN),
	ROW(hypercall_init, hypercall_init, DC_DOMAIN | DC_ALIVE),
	ROW(shadow_op, shadow_op, DC_DOMAIN | DC_OUT),
	ROW(set_address_size, set_address_size, DC_DOMAIN),
	ROW(get_address_size, get_address_size, DC_DOMAIN | DC_OUT),

	ROW(irq_permission, irq_permission, DC_DOMAIN | DC_ALIVE),
	ROW(iomem_permission, iomem_permission, DC_DOMAIN | DC_ALIVE),
	ROW(ioport_permission, ioport_permission, DC_DOMAIN | DC_ALIVE),

	ROW(setvcpuaffinity, setvcpuaffinity, DC_DOMAIN),
	ROW(getvcpuaffinity, getvcpuaffinity, DC_DOMAIN | DC_OUT),
	ROW(setnodeaffinity, setnodeaffinity, DC_DOMAIN),
	ROW(getnodeaffinity, getnodeaffinity, DC_DOMAIN | DC_OUT),
	ROW(scheduler_op, scheduler_op, DC_DOMAIN | DC_OUT),

	ROW(get_cpu_policy, get_cpu_policy, DC_DOMAIN | DC_OUT),
	ROW(set_cpu_policy, set_cpu_policy, DC_DOMAIN | DC_OTHER | DC_ALIVE | DC_OUT),
	ROW(gettscinfo, gettscinfo, DC_DOMAIN | DC_OUT),
	ROW(settscinfo, settscinfo, DC_DOMAIN | DC_OTHER | DC_ALIVE),
};

int domctl_stop(struct domain *d)
{
	domain_pause_nosync(d);
	for_each_vcpu(d, v)
		while (v->running) {
			if (softirq_pending()) {
				domain_unpause(d);
				return -ERESTART;
			}
			cpu_relax();
		}
	for_each_vcpu(d, v)
		vcpu_sync_state(v);
	return 0;
}

void domctl_resume(struct domain *d)
{
	domain_unpause(d);
}

int xenctl_to_cpumask(const struct xenctl_bitmap *map, cpumask_t *out)
{
	u32 bytes = min(DIV_ROUND_UP(map->nr_bits, 8u), (u32)sizeof(*out));

	cpumask_zero(out);
	if (copy_from_guest(out, map->bitmap.p, bytes))
		return -EFAULT;
	for (u32 bit = map->nr_bits; bit < bytes * 8; bit++)
		cpumask_clear(bit, out);
	return 0;
}

int cpumask_to_xenctl(const cpumask_t *mask, const struct xenctl_bitmap *map)
{
	u32 bytes = DIV_ROUND_UP(map->nr_bits, 8u), have = min(bytes, (u32)sizeof(*mask));
	cpumask_t copy = *mask;

	/* More than anybody has CPUs: not a bitmap of them. */
	if (map->nr_bits > 0x10000)
		return -EINVAL;
	for (u32 bit = map->nr_bits; bit < have * 8; bit++)
		cpumask_clear(bit, &copy);
	if (copy_to_guest(map->bitmap.p, &copy, have))
		return -EFAULT;
	return clear_guest(map->bitmap.p + have, bytes - have);
}

static int call_locked(const struct domctl_row *row, struct xen_domctl *op)
{
	struct domain *d = domain_from_arg(op->domain);
	int rc;

	if (!d)
		return -ESRCH;
	if (row->flags & DC_OTHER && d == current->domain)
		rc = -EINVAL;
	else if (!spin_trylock(&d->ctl_lock))
		rc = -ERESTART;
	else {
		rc = row->flags & DC_ALIVE && d->is_dying ? -EINVAL : row->fn(d, op);
		spin_unlock(&d->ctl_lock);
	}
	domain_put(d);
	return rc;
}

HYPERCALL(do_domctl)
{
	struct xen_domctl op, *guest = (void *)a1;
	const struct domctl_row *row;
	int rc;

	if (copy_from_guest(&op, guest, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -EACCES;
	if (op.cmd >= ARRAY_SIZE(rows))
		return -EOPNOTSUPP;
	row = &rows[index_nospec(op.cmd, ARRAY_SIZE(rows))];
	if (!row->fn)
		return -EOPNOTSUPP;
	rc = row->flags & DC_DOMAIN ? call_locked(row, &op) : row->fn(NULL, &op);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_domctl, 1, a1);
	if (!rc && row->flags & DC_OUT && copy_to_guest(guest, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
