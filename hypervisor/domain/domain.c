/* SPDX-License-Identifier: MIT */
/*
 * Domains: table, references, creation and death.
 *
 * The table maps an id to a domain. A look-up runs with interrupts off and takes its reference with increment-unless-zero; a domain whose count
 * has reached zero leaves the table and is freed only after every CPU has answered a cross-CPU call, that is, after every
 * look-up that might have seen it has ended.
 */
#include <core/console.h>
#include <core/panic.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <domain/domain.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>
#include <x86/cr.h>

#define IDS_PER_LEAF	512
#define NR_LEAVES	(DOMID_MASK / IDS_PER_LEAF + 1)

static struct domain **domain_table[NR_LEAVES];
static u16 leaf_used[NR_LEAVES];	/* entries of a leaf that are not NULL; it exists while there are some */
static DEFINE_SPINLOCK(domain_table_lock, LOCK_DOMAIN - 1);
static DECLARE_BITMAP(ids_taken, DOMID_MASK + 1);	/* the table's slots that are not NULL; a hint when read without the lock */
static u32 nr_domains;

/* Domains whose last reference is gone, freed by the reaper. */
static struct list dead_domains = LIST_INIT(dead_domains);
static DEFINE_SPINLOCK(dead_lock, LOCK_SMALL);
static struct tasklet reaper;

struct domain *hardware_domain, *idle_domain, *dom_xen, *dom_io;

extern const struct domain_module domain_modules_start[], domain_modules_end[];

/* --- modules, in the order of their `order` field --------------------------------------------------------------------------- */

/* The module with the smallest order greater than `after`, or the greatest less than it. NULL at the end. */
static const struct domain_module *module_after(u32 after)
{
	const struct domain_module *best = NULL;

	for (const struct domain_module *m = domain_modules_start; m < domain_modules_end; m++)
		if (m->order > after && (!best || m->order < best->order))
			best = m;
	return best;
}

static const struct domain_module *module_before(u32 before)
{
	const struct domain_module *best = NULL;

	for (const struct domain_module *m = domain_modules_start; m < domain_modules_end; m++)
		if (m->order < before && (!best || m->order > best->order))
			best = m;
	return best;
}

static int modules_create(struct domain *d)
{
	int rc;

	for (const struct domain_module *m = module_after(0); m; m = module_after(m->order))
		if (m->create && (rc = m->create(d)))
			return rc;
	return 0;
}

static void modules_destroy(struct domain *d)
{
	for (const struct domain_module *m = module_before(~0u); m; m = module_before(m->order))
		if (m->destroy)
			m->destroy(d);
}

/* --- the table ---------------------------------------------------------------------------------------------------------------- */

static struct domain **table_slot(u16 id)
{
	struct domain **leaf;

	if (id > DOMID_MASK)
		return NULL;
	leaf = domain_table[index_nospec(id / IDS_PER_LEAF, NR_LEAVES)];
	return leaf ? &leaf[id % IDS_PER_LEAF] : NULL;
}

static int insert_locked(struct domain *d, struct domain **leaf)
{
	if (leaf[d->id % IDS_PER_LEAF])
		return -EEXIST;
	atomic_store(&leaf[d->id % IDS_PER_LEAF], d);
	leaf_used[d->id / IDS_PER_LEAF]++;
	bitmap_set(ids_taken, d->id);
	nr_domains++;
	return 0;
}

static int table_insert(struct domain *d)
{
	struct domain ***leaf = &domain_table[d->id / IDS_PER_LEAF];
	struct domain **spare = READ_ONCE(*leaf) ? NULL : alloc_page_zeroed();
	int rc = -ENOMEM;

	spin_lock(&domain_table_lock);
	if (!*leaf && spare) {
		atomic_store(leaf, spare);
		spare = NULL;
	}
	if (*leaf)
		rc = insert_locked(d, *leaf);
	spin_unlock(&domain_table_lock);
	if (spare)
		free_page(spare);
	return rc;
}

/* Returns the leaf that has become empty, to be freed when nobody looks at it any more; or NULL. */
static struct domain **table_remove(struct domain *d)
{
	struct domain **slot = table_slot(d->id), **leaf = NULL;
	u32 l = d->id / IDS_PER_LEAF;

	spin_lock(&domain_table_lock);
	/* One that was never entered may have the id of one that is. */
	if (slot && *slot == d) {
		atomic_store(slot, NULL);
		bitmap_clear(ids_taken, d->id);
		nr_domains--;
		if (--leaf_used[l] == 0) {
			leaf = domain_table[l];
			atomic_store(&domain_table[l], NULL);
		}
	}
	spin_unlock(&domain_table_lock);
	return leaf;
}

bool domain_exists(u16 id)
{
	return id <= DOMID_MASK && bitmap_test(ids_taken, id);
}

u32 domain_count(void)
{
	return READ_ONCE(nr_domains);
}

static bool ref_unless_zero(struct domain *d)
{
	u32 n = READ_ONCE(d->refcount);

	while (n)
		if (atomic_try_cmpxchg(&d->refcount, &n, n + 1))
			return true;
	return false;
}

struct domain *domain_get(u16 id)
{
	u64 flags = local_irq_save();
	struct domain **slot = table_slot(id), *d = slot ? atomic_load(slot) : NULL;

	if (d && !ref_unless_zero(d))
		d = NULL;
	local_irq_restore(flags);
	return d;
}

struct domain *domain_of_owner(u16 id)
{
	struct domain **slot;

	if (id == DOMID_XEN)
		return dom_xen;
	if (id == DOMID_IO)
		return dom_io;
	slot = id < DOMID_FIRST_RESERVED ? table_slot(id) : NULL;
	return slot ? atomic_load(slot) : NULL;
}

struct domain *domain_next(u16 from)
{
	for (size_t id = from; (id = bitmap_find_next(ids_taken, DOMID_FIRST_RESERVED, id)) < DOMID_FIRST_RESERVED; id++) {
		struct domain *d = domain_get((u16)id);

		if (d)
			return d;
	}
	return NULL;
}

void domain_ref(struct domain *d)
{
	u32 old = atomic_fetch_add(&d->refcount, 1);

	BUG_ON(old == 0 || old > 0x7fffffff);
}

static __noinline void last_put(struct domain *d)
{
	u64 flags = spin_lock_irqsave(&dead_lock);

	list_add_tail(&dead_domains, &d->list);
	spin_unlock_irqrestore(&dead_lock, flags);
	tasklet_schedule(&reaper);
}

void domain_put(struct domain *d)
{
	BUG_ON(d->magic != DOMAIN_MAGIC);
	if (atomic_sub_fetch(&d->refcount, 1) == 0)
		last_put(d);
}

/* --- end ---------------------------------------------------------------------------------------------------------------------- */

void vcpu_discard(struct vcpu *v)
{
	for (const struct domain_module *m = module_before(~0u); m; m = module_before(m->order))
		if (m->vcpu_destroy)
			m->vcpu_destroy(v);
	v->domain->vcpus[v->id] = NULL;
	v->magic = 0;
	xfree(v);
}

static void free_vcpus(struct domain *d)
{
	for (u32 i = d->max_vcpus; d->vcpus && i-- > 0;)
		if (d->vcpus[i])
			vcpu_discard(d->vcpus[i]);
	xfree(d->vcpus);
}

static void domain_free(struct domain *d)
{
	free_vcpus(d);
	modules_destroy(d);
	for (unsigned i = 0; i < PERMISSION_KINDS; i++)
		rangeset_clear(&d->permissions[i]);
	if (d->shared_info)
		unshare_free_page(d->shared_info);
	d->magic = 0;
	xfree(d);
}

static void nothing(void *unused)
{
}

static void reap_domains(void *unused)
{
	struct domain **leaf, **leaves[NR_LEAVES];
	struct list dead = LIST_INIT(dead);
	struct domain *d, *tmp;
	unsigned n = 0;

	spin_lock_irq(&dead_lock);
	list_splice_tail(&dead, &dead_domains);
	spin_unlock_irq(&dead_lock);

	list_for_each_entry(d, &dead, list) {
		leaf = table_remove(d);
		if (leaf)
			leaves[n++] = leaf;
	}
	smp_call(&cpu_online, nothing, NULL);
	while (n--)
		free_page(leaves[n]);
	list_for_each_entry_safe(d, tmp, &dead, list)
		domain_free(d);
	domain_died_hook(NULL);
}

/* Has the last vCPU left its CPU? They do so at the next soft-IRQ, if they are told to stop. */
static bool vcpus_stopped(const struct domain *d)
{
	for_each_vcpu(d, v)
		while (v->running) {
			if (softirq_pending())
				return false;
			cpu_relax();
		}
	return true;
}

int domain_kill(struct domain *d)
{
	const struct domain_module *m;

	if (d->is_dead)
		return 0;
	if (!d->is_dying) {
		/* Under the lock that says who owns how much: from now on nothing is given to it. */
		spin_lock(&d->page_lock);
		atomic_store(&d->is_dying, true);
		spin_unlock(&d->page_lock);
		d->relinquish_step = ~0u;
		domain_stop_hook(d);
	}
	if (!vcpus_stopped(d))
		return -ERESTART;
	while ((m = module_before((u32)d->relinquish_step))) {
		if (m->relinquish) {
			int rc = m->relinquish(d);

			if (rc)
				return rc;
		}
		d->relinquish_step = m->order;
		d->relinquish_cursor = 0;
	}
	atomic_store(&d->is_dead, true);
	domain_died_hook(NULL);
	domain_put(d);
	return 0;
}

/* --- beginning ---------------------------------------------------------------------------------------------------------------- */

static struct domain *new_domain(const struct domain_config *cfg)
{
	struct domain *d = xnew(struct domain);

	if (!d)
		return NULL;
	d->magic = DOMAIN_MAGIC;
	d->id = cfg->id;
	d->privileged = cfg->privileged;
	d->hardware = cfg->hardware;
	d->ops = cfg->ops;
	d->is_store = cfg->is_store;
	d->refcount = 1;
	d->pause_count = d->ctl_pauses = cfg->paused;
	d->max_vcpus = cfg->max_vcpus;
	d->max_pages = cfg->max_pages;
	memcpy(d->handle, cfg->handle, sizeof(d->handle));
	spinlock_init(&d->lock, LOCK_DOMAIN, "domain");
	spinlock_init(&d->page_lock, LOCK_PAGE_ALLOC, "domain page");
	spinlock_init(&d->ctl_lock, LOCK_DOMCTL, "domain control");
	spinlock_init(&d->permission_lock, LOCK_RANGESET, "permissions");
	for (unsigned i = 0; i < PERMISSION_KINDS; i++)
		rangeset_init(&d->permissions[i], &xmalloc_allocator);
	list_init(&d->list);
	return d;
}

int domain_create(const struct domain_config *cfg, struct domain **out)
{
	struct domain *d;
	int rc = -ENOMEM;

	if (cfg->id >= DOMID_FIRST_RESERVED || !cfg->max_vcpus || cfg->max_vcpus > MAX_VCPUS)
		return -EINVAL;
	d = new_domain(cfg);
	if (!d)
		return -ENOMEM;
	d->vcpus = xcalloc(d->max_vcpus, sizeof(*d->vcpus));
	d->shared_info = alloc_page_zeroed();
	if (!d->vcpus || !d->shared_info)
		goto fail;
	d->limits = (struct domain_limits){ cfg->max_grant_frames, cfg->max_maptrack_frames, cfg->max_evtchn_port,
					     cfg->max_grant_version };
	rc = modules_create(d);
	if (!rc)
		rc = table_insert(d);
	if (rc)
		goto fail;
	share_page_with_domain(d->shared_info, d, true);
	*out = d;
	return 0;
fail:
	domain_free(d);
	return rc;
}

/* Owners of frames that no guest owns: no vCPUs, no modules, not in the table. */
static struct domain *pseudo_domain(u16 id)
{
	struct domain_config cfg = { .id = id };
	struct domain *d = new_domain(&cfg);

	if (!d)
		panic("no memory for the pseudo domains");
	return d;
}

void domains_init(void)
{
	tasklet_init(&reaper, reap_domains, NULL);
	dom_xen = pseudo_domain(DOMID_XEN);
	dom_io = pseudo_domain(DOMID_IO);
	idle_domain = pseudo_domain(DOMID_IDLE);
	idle_domain->max_vcpus = MAX_CPUS;
	idle_domain->vcpus = xcalloc(MAX_CPUS, sizeof(*idle_domain->vcpus));
	if (!idle_domain->vcpus)
		panic("no memory for the idle vCPUs");
}

void domains_dump(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d)) {
		log_info("domain %u: %s%s%s%s refs %u, pages %lu of %lu, vCPUs %u\n", d->id, d->ops->name,
			 d->privileged ? " privileged" : "", d->is_dying ? " dying" : "", d->is_shut_down ? " shut down" : "",
			 d->refcount, d->tot_pages, d->max_pages, d->max_vcpus);
		for_each_vcpu(d, v)
			vcpu_dump(v);
	}
}
