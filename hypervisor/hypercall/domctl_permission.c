/* SPDX-License-Identifier: MIT */
/* domctl: what of the machine's devices a domain may use. Nobody can give what he does not have. */
#include <domain/permission.h>
#include <hypercall/domctl.h>

static int permit(struct domain *d, enum domain_permission what, u64 first, u64 n, u8 allow)
{
	u64 last = first + n - 1;

	if (!n || last < first)
		return -EINVAL;
	if (allow && !domain_allowed(current->domain, what, first, last))
		return -EPERM;
	return domain_allow(d, what, first, last, allow);
}

int domctl_irq_permission(struct domain *d, struct xen_domctl *op)
{
	return permit(d, PERMISSION_IRQ, op->u.irq_permission.pirq, 1, op->u.irq_permission.allow_access);
}

int domctl_iomem_permission(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_iomem_permission *p = &op->u.iomem_permission;

	return permit(d, PERMISSION_IOMEM, p->first_mfn, p->nr_mfns, p->allow_access);
}

int domctl_ioport_permission(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_ioport_permission *p = &op->u.ioport_permission;

	if ((u64)p->first_port + p->nr_ports > 65536)
		return -EINVAL;
	return permit(d, PERMISSION_IOPORT, p->first_port, p->nr_ports, p->allow_access);
}
