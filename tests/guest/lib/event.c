/* SPDX-License-Identifier: MIT */
/* Event channels: short forms of the operations. */
#include "lib/event.h"

long event_alloc_unbound(u32 dom, u32 remote)
{
	struct evtchn_alloc_unbound op = { .dom = (domid_t)dom, .remote_dom = (domid_t)remote };
	long rc = HCALL(event_channel_op, EVTCHNOP_alloc_unbound, &op);

	return rc ? rc : op.port;
}

long event_bind_interdomain(u32 remote, u32 remote_port)
{
	struct evtchn_bind_interdomain op = { .remote_dom = (domid_t)remote, .remote_port = remote_port };
	long rc = HCALL(event_channel_op, EVTCHNOP_bind_interdomain, &op);

	return rc ? rc : op.local_port;
}

long event_bind_virq(u32 virq, u32 vcpu)
{
	struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
	long rc = HCALL(event_channel_op, EVTCHNOP_bind_virq, &op);

	return rc ? rc : op.port;
}

long event_bind_ipi(u32 vcpu)
{
	struct evtchn_bind_ipi op = { .vcpu = vcpu };
	long rc = HCALL(event_channel_op, EVTCHNOP_bind_ipi, &op);

	return rc ? rc : op.port;
}

long event_close(u32 port)
{
	return HCALL(event_channel_op, EVTCHNOP_close, &(struct evtchn_close){ .port = port });
}

long event_send(u32 port)
{
	return HCALL(event_channel_op, EVTCHNOP_send, &(struct evtchn_send){ .port = port });
}

long event_unmask(u32 port)
{
	return HCALL(event_channel_op, EVTCHNOP_unmask, &(struct evtchn_unmask){ .port = port });
}

long event_bind_vcpu(u32 port, u32 vcpu)
{
	struct evtchn_bind_vcpu op = { .port = port, .vcpu = vcpu };

	return HCALL(event_channel_op, EVTCHNOP_bind_vcpu, &op);
}

long event_status(u32 port, struct evtchn_status *st)
{
	struct evtchn_status op = { .dom = DOMID_SELF, .port = port };
	long rc = HCALL(event_channel_op, EVTCHNOP_status, &op);

	if (st)
		*st = op;
	return rc ? rc : op.status;
}
