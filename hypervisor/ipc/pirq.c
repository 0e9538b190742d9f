/* SPDX-License-Identifier: MIT */
/*
 * Physical interrupts handed to a domain.
 *
 * Owns d->pirqs: one table of fixed size, made with the domain, so that an interrupt handler may use its entry without a lock at
 * any time.
 *
 * An entry is free, reserved (a number handed out or a mapping in the making), or mapped to an irq; a mapped one may be bound to an
 * event port. Changes are made under the table's lock. The handler reads only `port`, which is written whole: an interrupt that
 * races with unbinding sends an event to the old port, which its owner is closing, or has; a spurious event at worst. Unbinding
 * masks the line first, so a line that nobody acknowledges stays quiet and costs nobody else anything.
 *
 * MSIs are created and destroyed without the lock held (they take outer locks); the entry is reserved meanwhile.
 */
#include <core/console.h>
#include <core/debug_key.h>
#include <core/irq.h>
#include <core/msi.h>
#include <domain/permission.h>
#include <ipc/evtchn.h>
#include <ipc/pirq.h>
#include <lib/errno.h>
#include <memory/audit.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>
#include <x86/atomic.h>
#include <xen/physdev.h>

/* Numbers for MSIs. With the GSIs they must fit the bit array of the guest's EOI page. */
#define MSI_PIRQS	1536
#define EOI_PAGE_BITS	(PAGE_SIZE * 8)

enum pirq_state { PIRQ_FREE, PIRQ_RESERVED, PIRQ_MAPPED };

struct pirq {
	struct domain *domain;
	u32 irq;		/* valid while mapped */
	u32 port;		/* 0: not bound */
	u8 state;
	u8 group;		/* MSIs mapped together: how many, on the first; 0 on the others */
	bool msi;
};

struct pirq_domain {
	struct spinlock lock;
	u32 count;
	void *eoi_page;		/* bit set: needs EOI; NULL: none */
	mfn_t eoi_mfn;
	bool eoi_unmasks;
	struct pirq table[];
};

static struct pirq *find(struct domain *d, u32 pirq)
{
	return d->pirqs && pirq < d->pirqs->count ? &d->pirqs->table[index_nospec(pirq, d->pirqs->count)] : NULL;
}

static enum irq_verdict pirq_interrupt(unsigned irq, void *data)
{
	struct pirq *p = data;
	u32 port = READ_ONCE(p->port);

	if (port)
		evtchn_send_pirq(p->domain, port);
	return irq_is_level(irq) ? IRQ_DEFER : IRQ_DONE;
}

/* The guest's page says whether PHYSDEVOP_eoi is needed; the guest may scribble on it to its own harm. */
static void mark_eoi(struct pirq_domain *pd, u32 pirq, bool needed)
{
	if (!pd->eoi_page)
		return;
	if (needed)
		set_bit(pirq, pd->eoi_page);
	else
		clear_bit(pirq, pd->eoi_page);
}

/* --- binding --- */

static void set_affinity(const struct pirq *p, const struct vcpu *v)
{
	cpumask_t mask = { { 0 } };

	cpumask_set(READ_ONCE(v->processor), &mask);
	irq_set_affinity(p->irq, &mask);
}

static int bind(struct pirq *p, struct vcpu *v, u32 port)
{
	int rc;

	if (p->state != PIRQ_MAPPED)
		return -EINVAL;
	if (p->port)
		return -EBUSY;
	set_affinity(p, v);
	WRITE_ONCE(p->port, port);
	rc = irq_request(p->irq, pirq_interrupt, p, "guest");
	if (rc)
		WRITE_ONCE(p->port, 0);
	return rc;
}

int pirq_bind(struct vcpu *v, u32 pirq, u32 port, bool will_share)
{
	struct domain *d = v->domain;
	struct pirq *p = find(d, pirq);
	u64 flags;
	int rc;

	if (!p)
		return -EINVAL;
	if (!domain_allowed(d, PERMISSION_IRQ, pirq, pirq))
		return -EPERM;
	flags = spin_lock_irqsave(&d->pirqs->lock);
	rc = bind(p, v, port);
	if (!rc)
		mark_eoi(d->pirqs, pirq, irq_is_level(p->irq));
	spin_unlock_irqrestore(&d->pirqs->lock, flags);
	return rc;
}

/* Table locked. */
static void unbind(struct pirq *p)
{
	if (!p->port)
		return;
	irq_detach(p->irq);
	WRITE_ONCE(p->port, 0);
}

void pirq_unbind(struct domain *d, u32 pirq)
{
	struct pirq *p = find(d, pirq);
	u64 flags;

	if (!p)
		return;
	flags = spin_lock_irqsave(&d->pirqs->lock);
	unbind(p);
	spin_unlock_irqrestore(&d->pirqs->lock, flags);
}

void pirq_set_vcpu(struct domain *d, u32 pirq, struct vcpu *v)
{
	struct pirq *p = find(d, pirq);
	u64 flags;

	if (!p)
		return;
	flags = spin_lock_irqsave(&d->pirqs->lock);
	if (p->port)
		set_affinity(p, v);
	spin_unlock_irqrestore(&d->pirqs->lock, flags);
}

/* --- end of interrupt --- */

int pirq_eoi(struct domain *d, u32 pirq)
{
	struct pirq *p = find(d, pirq);
	u32 port;
	u64 flags;

	if (!p)
		return -EINVAL;
	flags = spin_lock_irqsave(&d->pirqs->lock);
	port = p->port;
	if (port)
		irq_end(p->irq);
	spin_unlock_irqrestore(&d->pirqs->lock, flags);
	if (port && d->pirqs->eoi_unmasks)
		(void)evtchn_unmask(d, port);
	return 0;
}

int pirq_status(struct domain *d, u32 pirq, u32 *flags)
{
	struct pirq *p = find(d, pirq);

	if (!p)
		return -EINVAL;
	/* A guest that asks instead of using the page may have asked before the line's trigger mode was set: EOI is always safe. */
	*flags = XENIRQSTAT_needs_eoi;
	return 0;
}

int pirq_set_eoi_page(struct domain *d, mfn_t m, bool unmask)
{
	struct pirq_domain *pd = d->pirqs;
	u64 flags;
	int rc = 0;

	if (!pd || frame_get_writable(m, d))
		return -EINVAL;
	flags = spin_lock_irqsave(&pd->lock);
	if (pd->eoi_page) {
		rc = -EBUSY;
	} else {
		pd->eoi_mfn = m;
		pd->eoi_page = mfn_to_virt(m);
		pd->eoi_unmasks = unmask;
		for (u32 i = 0; i < pd->count; i++)
			mark_eoi(pd, i, pd->table[i].port && irq_is_level(pd->table[i].irq));
	}
	spin_unlock_irqrestore(&pd->lock, flags);
	if (rc)
		frame_put_writable(m);
	return rc;
}

/* --- mapping --- */

static bool range_free(const struct pirq_domain *pd, u32 first, u32 n)
{
	if (first >= pd->count || n > pd->count - first)
		return false;
	for (u32 i = first; i < first + n; i++)
		if (pd->table[i].state != PIRQ_FREE)
			return false;
	return true;
}

/* n consecutive free numbers at or after `from`; 0 when there are none (number 0 is a GSI's). */
static u32 find_free(const struct pirq_domain *pd, u32 from, u32 n)
{
	for (u32 i = from; i < pd->count; i++)
		if (range_free(pd, i, n))
			return i;
	return 0;
}

static struct pirq *find_irq(struct pirq_domain *pd, u32 irq)
{
	for (u32 i = 0; i < pd->count; i++)
		if (pd->table[i].state == PIRQ_MAPPED && pd->table[i].irq == irq)
			return &pd->table[i];
	return NULL;
}

/* Table locked. */
static int map_gsi(struct pirq_domain *pd, u32 gsi, s32 *pirq)
{
	struct pirq *old = find_irq(pd, gsi);
	u32 nr;

	if (old) {
		if (*pirq >= 0 && &pd->table[*pirq] != old)
			return -EEXIST;
		*pirq = (s32)(old - pd->table);
		return 0;
	}
	if (*pirq >= 0)
		nr = (u32)*pirq;
	else
		nr = range_free(pd, gsi, 1) ? gsi : find_free(pd, irq_nr_gsi(), 1);
	if (*pirq < 0 && !nr && gsi)
		return -ENOSPC;
	if (pd->table[nr].state == PIRQ_MAPPED)
		return -EEXIST;
	pd->table[nr].irq = gsi;
	pd->table[nr].msi = false;
	pd->table[nr].group = 1;
	pd->table[nr].state = PIRQ_MAPPED;
	*pirq = (s32)nr;
	return 0;
}

int pirq_map_gsi(struct domain *d, u32 gsi, s32 *pirq)
{
	struct pirq_domain *pd = d->pirqs;
	u64 flags;
	int rc;

	if (!pd || gsi >= irq_nr_gsi() || !irq_valid(gsi) || (*pirq >= 0 && (u32)*pirq >= pd->count))
		return -EINVAL;
	if (!domain_allowed(d, PERMISSION_IRQ, gsi, gsi))
		return -EPERM;
	flags = spin_lock_irqsave(&pd->lock);
	rc = map_gsi(pd, gsi, pirq);
	spin_unlock_irqrestore(&pd->lock, flags);
	return rc;
}

static void set_state(struct pirq_domain *pd, u32 first, u32 n, enum pirq_state state)
{
	for (u32 i = first; i < first + n; i++)
		pd->table[i].state = (u8)state;
}

/* Reserve n numbers for MSIs: those wanted (a single one may be reserved by pirq_get_free() already), or any. */
static int reserve(struct pirq_domain *pd, s32 wanted, u32 n, u32 *first)
{
	u64 flags = spin_lock_irqsave(&pd->lock);
	int rc = 0;

	if (wanted < 0) {
		*first = find_free(pd, irq_nr_gsi(), n);
		rc = *first ? 0 : -ENOSPC;
	} else {
		*first = (u32)wanted;
		if (!(n == 1 && *first < pd->count && pd->table[*first].state == PIRQ_RESERVED) && !range_free(pd, *first, n))
			rc = *first < pd->count ? -EEXIST : -EINVAL;
	}
	if (!rc)
		set_state(pd, *first, n, PIRQ_RESERVED);
	spin_unlock_irqrestore(&pd->lock, flags);
	return rc;
}

int pirq_map_msi(struct domain *d, sbdf_t dev, bool msix, u32 n, u32 entry, u64 table_base, s32 *pirq)
{
	struct pirq_domain *pd = d->pirqs;
	unsigned irq = 0;
	u32 first = 0;
	u64 flags;
	int rc;

	if (!pd || !n || n > MSI_MAX_VECTORS)
		return -EINVAL;
	rc = reserve(pd, *pirq, n, &first);
	if (rc)
		return rc;
	rc = msi_create(dev, msix, n, entry, table_base, &irq);
	flags = spin_lock_irqsave(&pd->lock);
	for (u32 i = 0; i < n && !rc; i++) {
		pd->table[first + i].irq = irq + i;
		pd->table[first + i].msi = true;
		pd->table[first + i].group = i ? 0 : (u8)n;
	}
	set_state(pd, first, n, rc ? PIRQ_FREE : PIRQ_MAPPED);
	spin_unlock_irqrestore(&pd->lock, flags);
	if (!rc)
		*pirq = (s32)first;
	return rc;
}

/* force: also when bound. */
static int unmap(struct domain *d, u32 pirq, bool force)
{
	struct pirq_domain *pd = d->pirqs;
	struct pirq *p = find(d, pirq);
	u32 n, irq;
	bool msi;
	u64 flags;
	int rc = 0;

	if (!p)
		return -EINVAL;
	flags = spin_lock_irqsave(&pd->lock);
	if (p->state != PIRQ_MAPPED || !p->group)
		rc = -EINVAL;
	for (u32 i = 0; !rc && !force && i < p->group; i++)
		rc = p[i].port ? -EBUSY : 0;
	if (rc) {
		spin_unlock_irqrestore(&pd->lock, flags);
		return rc;
	}
	n = p->group;
	irq = p->irq;
	msi = p->msi;
	for (u32 i = 0; i < n; i++)
		unbind(&p[i]);
	set_state(pd, pirq, n, msi ? PIRQ_RESERVED : PIRQ_FREE);
	spin_unlock_irqrestore(&pd->lock, flags);
	if (!msi)
		return 0;
	msi_destroy(irq);
	flags = spin_lock_irqsave(&pd->lock);
	set_state(pd, pirq, n, PIRQ_FREE);
	spin_unlock_irqrestore(&pd->lock, flags);
	return 0;
}

int pirq_unmap(struct domain *d, u32 pirq)
{
	return unmap(d, pirq, false);
}

int pirq_get_free(struct domain *d, bool msi, u32 *pirq)
{
	struct pirq_domain *pd = d->pirqs;
	u64 flags;

	if (!pd)
		return -ENOSPC;
	flags = spin_lock_irqsave(&pd->lock);
	*pirq = find_free(pd, msi ? irq_nr_gsi() : 16, 1);
	if (*pirq)
		pd->table[*pirq].state = PIRQ_RESERVED;
	spin_unlock_irqrestore(&pd->lock, flags);
	return *pirq ? 0 : -ENOSPC;
}

/* --- life cycle --- */

static int pirq_create(struct domain *d)
{
	struct pirq_domain *pd;
	u32 count = min(irq_nr_gsi() + MSI_PIRQS, (u32)EOI_PAGE_BITS);

	if (!d->hardware)
		return 0;
	pd = xzalloc(sizeof(*pd) + count * sizeof(pd->table[0]));
	if (!pd)
		return -ENOMEM;
	spinlock_init(&pd->lock, LOCK_PIRQ, "pirq");
	pd->count = count;
	for (u32 i = 0; i < count; i++)
		pd->table[i].domain = d;
	d->pirqs = pd;
	return 0;
}

/* The table stays until the domain goes; what it holds is given back. */
static int pirq_relinquish(struct domain *d)
{
	struct pirq_domain *pd = d->pirqs;
	bool had_page;
	u64 flags;

	if (!pd)
		return 0;
	for (u32 i = 0; i < pd->count; i++)
		if (pd->table[i].state == PIRQ_MAPPED && pd->table[i].group)
			unmap(d, i, true);
	flags = spin_lock_irqsave(&pd->lock);
	had_page = pd->eoi_page;
	pd->eoi_page = NULL;
	spin_unlock_irqrestore(&pd->lock, flags);
	if (had_page)
		frame_put_writable(pd->eoi_mfn);
	return 0;
}

static void pirq_destroy(struct domain *d)
{
	if (!d->pirqs)
		return;
	/* A handler that was running when its line was detached. */
	for (u32 gsi = 0; gsi < irq_nr_gsi(); gsi++)
		if (irq_valid(gsi))
			irq_wait(gsi);
	xfree(d->pirqs);
	d->pirqs = NULL;
}

DOMAIN_MODULE(pirq_module) = {
	.name = "pirq", .order = MODULE_PIRQ, .create = pirq_create, .relinquish = pirq_relinquish, .destroy = pirq_destroy,
};

static void report_references(void)
{
	const struct domain *d = hardware_domain;

	if (d && d->pirqs && d->pirqs->eoi_page)
		audit_type(d->pirqs->eoi_mfn, FRAME_WRITABLE);
}

AUDIT_SOURCE(pirq_audit, "end-of-interrupt page", report_references);

void pirq_dump(void)
{
	struct domain *d = hardware_domain;
	struct pirq_domain *pd = d ? d->pirqs : NULL;

	for (u32 i = 0; pd && i < pd->count; i++) {
		const struct pirq *p = &pd->table[i];

		if (p->state == PIRQ_MAPPED)
			log_info("d%u pirq %u: irq %u, port %u%s\n", d->id, i, p->irq, p->port, p->msi ? ", MSI" : "");
	}
}
DEBUG_KEY('I', "interrupt lines given to Domain 0", 0, pirq_dump);
