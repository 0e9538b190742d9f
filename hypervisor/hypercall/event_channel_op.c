/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_event_channel_op: copy-in, permission, the handlers of ipc/evtchn*.c, copy-out. ABI: <xen/event_channel.h>. */
#include <hypercall/dispatch.h>
#include <ipc/evtchn.h>
#include <lib/errno.h>

/* Continuation of EVTCHNOP_reset. The guest may also call it: it then goes on where a reset last stopped. */
#define EVTCHNOP_RESET_CONT	14

/* The domain that an argument names, if the caller may act for it: referenced. */
static int target_domain(u16 id, struct domain **out)
{
	struct domain *d = domain_from_arg(id);

	if (!d)
		return -ESRCH;
	if (d != current->domain && !current->domain->privileged) {
		domain_put(d);
		return -EPERM;
	}
	*out = d;
	return 0;
}

static u16 resolve_self(u16 id) { return id == DOMID_SELF ? current->domain->id : id; }

/* Close a port again whose number could not be told. The guest may have been faster. */
static long tell_port(void *guest, const void *arg, size_t size, struct domain *d, u32 port)
{
	int rc = copy_to_guest(guest, arg, size);

	if (rc)
		(void)!evtchn_close(d, port);
	return rc;
}

static long do_alloc_unbound(void *guest)
{
	struct evtchn_alloc_unbound a;
	struct domain *d;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = target_domain(a.dom, &d);
	if (rc)
		return rc;
	rc = evtchn_alloc_unbound(d, resolve_self(a.remote_dom), &a.port);
	if (!rc)
		rc = tell_port(guest, &a, sizeof(a), d, a.port);
	domain_put(d);
	return rc;
}

static long do_bind_interdomain(void *guest)
{
	struct evtchn_bind_interdomain a;
	struct domain *rd;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rd = domain_from_arg(a.remote_dom);
	if (!rd)
		return -ESRCH;
	rc = evtchn_bind_interdomain(current->domain, rd, a.remote_port, &a.local_port);
	if (!rc)
		rc = tell_port(guest, &a, sizeof(a), current->domain, a.local_port);
	domain_put(rd);
	return rc;
}

static long do_bind_virq(void *guest)
{
	struct evtchn_bind_virq a;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = evtchn_bind_virq(current->domain, a.virq, a.vcpu, &a.port);
	return rc ?: tell_port(guest, &a, sizeof(a), current->domain, a.port);
}

static long do_bind_ipi(void *guest)
{
	struct evtchn_bind_ipi a;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = evtchn_bind_ipi(current->domain, a.vcpu, &a.port);
	return rc ?: tell_port(guest, &a, sizeof(a), current->domain, a.port);
}

static long do_bind_pirq(void *guest)
{
	struct evtchn_bind_pirq a;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = evtchn_bind_pirq(current->domain, a.pirq, a.flags & BIND_PIRQ__WILL_SHARE, &a.port);
	return rc ?: tell_port(guest, &a, sizeof(a), current->domain, a.port);
}

static long do_status(void *guest)
{
	struct evtchn_status a;
	struct domain *d;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = target_domain(a.dom, &d);
	if (rc)
		return rc;
	rc = evtchn_status(d, &a);
	domain_put(d);
	return rc ?: copy_to_guest(guest, &a, sizeof(a));
}

static long do_bind_vcpu(void *guest)
{
	struct evtchn_bind_vcpu a;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	return evtchn_bind_vcpu(current->domain, a.port, a.vcpu);
}

static long do_reset(void *guest, bool start)
{
	struct evtchn_reset a;
	struct domain *d;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = target_domain(a.dom, &d);
	if (rc)
		return rc;
	rc = evtchn_reset(d, start);
	domain_put(d);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_event_channel_op, 2, (u64)EVTCHNOP_RESET_CONT, (u64)guest);
	return rc;
}

static long do_init_control(void *guest)
{
	struct evtchn_init_control a;
	long rc;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	rc = evtchn_fifo_init_control(current->domain, a.vcpu, a.control_gfn, a.offset);
	a.link_bits = EVTCHN_FIFO_LINK_BITS;
	return rc ?: copy_to_guest(guest, &a, sizeof(a));
}

static long do_expand_array(void *guest)
{
	struct evtchn_expand_array a;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	return evtchn_fifo_expand_array(current->domain, a.array_gfn);
}

static long do_set_priority(void *guest)
{
	struct evtchn_set_priority a;

	if (copy_from_guest(&a, guest, sizeof(a)))
		return -EFAULT;
	return evtchn_set_priority(current->domain, a.port, a.priority);
}

/* The operations whose whole argument is a port. */
static __always_inline long do_port_op(u64 cmd, const u32 *guest)
{
	u32 port;

	if (unlikely(!guest_range_ok((u64)guest, sizeof(*guest))))
		goto fault;
	port = guest_get(guest, fault);
	switch (cmd) {
	case EVTCHNOP_send:
		return evtchn_send(current->domain, port);
	case EVTCHNOP_unmask:
		return evtchn_unmask(current->domain, port);
	default:
		return evtchn_close(current->domain, port);
	}
fault:
	return -EFAULT;
}

/* All but sending. */
static __noinline long do_other_op(u32 cmd, void *guest)
{
	switch (cmd) {
	case EVTCHNOP_unmask:
	case EVTCHNOP_close:
		return do_port_op(cmd, guest);
	case EVTCHNOP_alloc_unbound:
		return do_alloc_unbound(guest);
	case EVTCHNOP_bind_interdomain:
		return do_bind_interdomain(guest);
	case EVTCHNOP_bind_virq:
		return do_bind_virq(guest);
	case EVTCHNOP_bind_ipi:
		return do_bind_ipi(guest);
	case EVTCHNOP_bind_pirq:
		return do_bind_pirq(guest);
	case EVTCHNOP_status:
		return do_status(guest);
	case EVTCHNOP_bind_vcpu:
		return do_bind_vcpu(guest);
	case EVTCHNOP_reset:
	case EVTCHNOP_RESET_CONT:
		return do_reset(guest, cmd == EVTCHNOP_reset);
	case EVTCHNOP_init_control:
		return do_init_control(guest);
	case EVTCHNOP_expand_array:
		return do_expand_array(guest);
	case EVTCHNOP_set_priority:
		return do_set_priority(guest);
	default:
		return -ENOSYS;
	}
}

HYPERCALL(do_event_channel_op)
{
	u32 cmd = (u32)a1;

	return likely(cmd == EVTCHNOP_send) ? do_port_op(EVTCHNOP_send, (const u32 *)a2) : do_other_op(cmd, (void *)a2);
}
