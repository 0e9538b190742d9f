/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs: what every kind of guest has, and their life cycle.
 *
 * Lifetime: domain_create() returns a domain with one reference, found by domain_get(id). domain_kill() starts its death: vCPUs stop, its
 * resources are given back in preemptible steps by each module's relinquish hook. The structure goes when the last reference
 * (one per owned frame-set, per lookup, per foreign user) is dropped.
 *
 * Modules below this folder keep their own state behind the typed pointers here and hook into the life cycle
 * with DOMAIN_MODULE().
 *
 * Field letters: (c) constant after creation, (d) d->lock, (a) atomic, (p) d->page_lock, (o) written only by the vCPU itself on its CPU,
 * (s) owned by the scheduler.
 */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include <core/cpumask.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <core/timer.h>
#include <lib/list.h>
#include <lib/rangeset.h>
#include <x86/regs.h>
#include <xen/xen.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define DOMAIN_MAGIC	0x444f4d4e
#define VCPU_MAGIC	0x56435055
#define MAX_VCPUS	512	/* per domain; ABI limit of FIFO events and our masks */

struct domain;
struct vcpu;
struct pv_domain; struct pv_vcpu;
struct evtchn_domain; struct evtchn_vcpu;
struct grant_table;
struct pirq_domain;
struct sched_vcpu; struct sched_cap;
struct cpu_policy;

/*
 * What grant mappings keep from one address to the next, which is likely to be near: for PV a referenced page table. All zero at
 * first; ends with grant_end, after which it is all zero again.
 */
struct grant_near { u64 key; mfn_t table; };

/* What PV and HVM do differently. Exactly two instances. */
struct guest_ops {
	const char *name;	/* "PV", "HVM" */
	/* Set up a vCPU from VCPUOP_initialise / domctl context. -errno leaves the vCPU untouched. */
	int (*set_context)(struct vcpu *v, const struct vcpu_guest_context *ctx);
	void (*get_context)(struct vcpu *v, struct vcpu_guest_context *ctx);
	/* Load / save what is in CPU registers and not in the frame. Interrupts off, on the vCPU's CPU. */
	void (*switch_from)(struct vcpu *v);
	void (*switch_to)(struct vcpu *v);
	/*
	 * Grant mappings. For current, interrupts on, no lock held. The caller (ipc/gnttab_map.c) holds a reference of its own to frame m as
	 * long as the mapping is tracked: a FRAME_WRITABLE type reference unless GNTMAP_readonly, then a general one. The page-table entry has a
	 * further one of the same kind: to page-table code and audit it is an entry like any other that maps a foreign frame. The caller gives
	 * that to grant_map, which keeps it if it returns 0, and gets it back from grant_unmap likewise. Whoever else removes the entry (a
	 * page-table update, the end of the domain) drops it.
	 *
	 * flags: GNTMAP_* as given by the guest. host_addr: a page-aligned virtual address in the address space of v, or with
	 * GNTMAP_contains_pte the machine address of an entry in a level-1 table of the domain. -EINVAL when it is not.
	 *
	 * grant_map replaces the entry (what was there loses its references and, if present, is flushed): present, user, accessed, dirty,
	 * writable unless GNTMAP_readonly, available bits from GNTMAP_guest_avail (flags >> 16), `cache` (PTE_PWT, PCD, PAT) added.
	 *
	 * grant_unmap: the entry must map m with that permission, else -EINVAL. It becomes 0; or, with new_addr (a virtual address; -EINVAL
	 * together with contains_pte), what the entry of new_addr was, which becomes 0, references moving along. No TLB flush: the caller flushes
	 * d->dirty_cpus before it drops the references.
	 */
	int (*grant_map)(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 cache);
	int (*grant_unmap)(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 new_addr);
	void (*grant_end)(struct vcpu *v, struct grant_near *near);
	/* Make the vCPU take an NMI. May be missing. */
	void (*send_nmi)(struct vcpu *v);
	/* Does the guest currently accept event upcalls (its interrupts are enabled)? */
	bool (*upcalls_enabled)(const struct vcpu *v);
	/* An event is pending for a vCPU that runs in guest mode on another CPU: enough to send it an IPI? */
	void (*dump_vcpu)(const struct vcpu *v);
};

struct vcpu {
	u32 magic;
	u32 id;				/* (c) index in the domain */
	struct domain *domain;		/* (c) */
	struct cpu_user_regs regs;	/* the guest's registers while it is not loaded on a CPU */
	struct vcpu_info *info;		/* (d) set, read locklessly: hypervisor mapping of the guest's vcpu_info */
	mfn_t info_mfn;			/* (d) frame held by VCPUOP_register_vcpu_info, or MFN_INVALID */

	u32 pause_flags;		/* (a) VPF_*: why it must not run; 0 = runnable */
	u32 pause_count;		/* (a) nested vcpu_pause() */
	bool initialised;		/* (d) has a context */
	bool is_idle;			/* (c) */
	u16 processor;			/* (s) CPU it runs on or is queued at */
	volatile bool running;		/* (s) its context is being executed */
	cpumask_t dirty_cpus;		/* (s) CPUs that may hold its translations or its lazily saved state: at most one set */

	struct sched_vcpu *sched;	/* (s) */
	struct evtchn_vcpu *evtchn;	/* (c) */
	struct pv_vcpu *pv;		/* (c) PV only */
	struct runstate_state *runstate; /* (s) sched/runstate.c */
	/* What the way out to the guest has to look after; entry.S looks at both at once. */
	u8 areas_due __aligned(2);	/* AREA_*, by the CPU that it is loaded on: could not be written, the kernel's address space was not loaded */
	u8 pv_pending;			/* (a) PV_PENDING_* */

	struct timer singleshot_timer, periodic_timer, poll_timer;
	u64 periodic_period_ns;		/* 0: none */
	u64 periodic_due_ns;		/* next tick, system time */
	u64 hypercall_progress;		/* (o) private to continuations in progress */
};

/* What a guest wants copies of (sched/runstate.c, sched/guest_time.c). */
enum { AREA_RUNSTATE = 1, AREA_TIME = 2 };

/* Why a vCPU must not run. */
#define VPF_DOWN	BIT(0)	/* never started, or VCPUOP_down */
#define VPF_BLOCKED	BIT(1)	/* SCHEDOP_block: an event wakes it */
#define VPF_POLL	BIT(2)	/* SCHEDOP_poll */
#define VPF_PAUSED	BIT(3)	/* pause_count > 0 */
#define VPF_DOMAIN	BIT(4)	/* the domain is paused, shut down or dying */

enum domain_permission {
	PERMISSION_IOMEM,	/* machine frame numbers of devices that it may map */
	PERMISSION_IOPORT,
	PERMISSION_IRQ,		/* pirqs it may bind */
	PERMISSION_KINDS,
};

struct domain {
	u32 magic;
	u16 id;				/* (c) */
	bool privileged;		/* (c) may use the tools' and hardware interfaces; compare no ids for this */
	bool hardware;			/* (c) owns the physical devices */
	bool is_dying;			/* (a) set once by domain_kill */
	bool is_dead;			/* (a) everything is given back; what keeps the structure is others' references */
	bool is_store;			/* (c) runs the store: only shown to the tools */
	bool is_shut_down;		/* (a) */
	u8 shutdown_reason;		/* SHUTDOWN_*, written by whoever set is_shut_down */
	u16 shutdown_code;		/* reason + 1, given ahead by SCHEDOP_shutdown_code: replaces the one of domain_shutdown(); 0: none */
	const struct guest_ops *ops;	/* (c) */
	struct spinlock lock;
	u32 refcount;			/* (a) */
	u32 pause_count;		/* (a) */
	u32 pollers;			/* (a) vCPUs with VPF_POLL, or about to set it */
	struct spinlock ctl_lock;	/* one operation of the tools at a time: hypercall/domctl.c */
	u32 ctl_pauses;			/* (ctl_lock) pauses by the tools: each is one of pause_count */
	u32 suspend_port;		/* (ctl_lock) port of the domain to be sent an event when it stops; 0: none */
	u32 max_vcpus;			/* (c) size of vcpus[] */
	struct vcpu **vcpus;		/* entries (d), NULL until created */
	struct shared_info *shared_info; /* (c) */
	struct list list;		/* domain_list */
	u8 handle[16];			/* (d) UUID */

	struct spinlock page_lock;
	u64 tot_pages, max_pages;	/* (p) frames owned; limit */
	u64 claimed;			/* pages set aside for it, not allocated yet: memory/heap.c */
	struct region_map *regions;	/* (p) memory/heap.c: which parts of the frame table hold our frames */
	cpumask_t dirty_cpus;		/* (a) CPUs that may hold translations of this domain */

	struct spinlock permission_lock;
	struct rangeset permissions[PERMISSION_KINDS];	/* (permission_lock) domain/permission.h */

	struct pv_domain *pv;		/* (c) */
	struct evtchn_domain *evtchn;	/* (c) */
	struct grant_table *grants;	/* (c) */
	struct pirq_domain *pirqs;	/* (c) hardware domain only, else NULL */
	struct cpu_policy *policy;	/* (c) what CPUID and MSRs say */

	u64 vm_assist;			/* (a) VMASST bits */
	s64 time_offset_seconds;	/* (d) guest wall clock = ours + this */
	struct sched_cap *cap;		/* (s) NULL: may use what it gets; sched/cap.c */
	bool cap_parked;		/* (s) its budget is used up: no vCPU is runnable */
	u32 sched_weight;		/* share of CPU time, 0: default; sched/cpu.c */
	u32 watchdog_inuse;		/* (d) sched/watchdog.c */
	struct timer watchdog_timer[2];
	struct domain_limits { u32 grant_frames, maptrack_frames, evtchn_port; u8 grant_version; } limits; /* (c) 0: the module's default */
	u64 relinquish_step;		/* domain_kill progress: which module, and */
	u64 relinquish_cursor;		/* … how far within it */
};

static inline bool is_idle_vcpu(const struct vcpu *v) { return v->is_idle; }
#define for_each_vcpu(d, v) \
	for (u32 _i##v = 0; _i##v < (d)->max_vcpus; _i##v++) \
		for (struct vcpu *v = READ_ONCE((d)->vcpus[_i##v]); v; v = NULL)

/* Life-cycle hooks of a module, called in table order (destruction: reverse). All optional. */
struct domain_module {
	const char *name;
	u32 order;				/* smaller is created earlier */
	int (*create)(struct domain *d);	/* may fail: the earlier ones are destroyed again */
	int (*vcpu_create)(struct vcpu *v);
	/* Give back what refers to other domains or to memory. Preemptible: -ERESTART asks to be called again; 0 when done. Called with the domain's vCPUs stopped. */
	int (*relinquish)(struct domain *d);
	void (*vcpu_destroy)(struct vcpu *v);
	void (*destroy)(struct domain *d);	/* must cope with create() not having run or having failed */
};
#define DOMAIN_MODULE(var)	static const struct domain_module var __used __section(".domain_modules") __aligned(8)
enum { MODULE_MEMORY = 10, MODULE_POLICY = 15, MODULE_SCHED = 20, MODULE_WATCHDOG = 22, MODULE_VCPU_INFO = 25, MODULE_EVTCHN = 30, MODULE_VCPU_TIMER = 35, MODULE_GRANT = 40, MODULE_PIRQ = 50, MODULE_PV = 60, MODULE_HVM = 70 };

struct domain_config {
	u16 id;
	bool privileged, hardware;
	bool is_store, paused;
	u32 max_vcpus;
	u64 max_pages;
	const struct guest_ops *ops;
	u8 handle[16];
	u32 max_grant_frames, max_maptrack_frames, max_evtchn_port;	/* 0: the module's default */
	u8 max_grant_version;
};

/* Create a domain with no memory and no vCPUs; paused: by the tools, until they unpause it. 0, -EEXIST id taken, -ENOMEM, -EINVAL. */
int __must_check domain_create(const struct domain_config *cfg, struct domain **out);
/* Add vCPU id, down. Caller holds d->lock or the domain is not yet visible. */
int __must_check vcpu_create(struct domain *d, u32 id, unsigned cpu, struct vcpu **out);
/* Undo a vcpu_create(): the vCPU never ran. */
void vcpu_discard(struct vcpu *v);
/* Find a domain and take a reference; NULL when there is none. DOMID_SELF is not understood here. */
struct domain *domain_get(u16 id);
/* Take another reference to a domain that is already referenced. */
void domain_ref(struct domain *d);
void domain_put(struct domain *d);
/* The domain that owns frames with this owner id; valid while the caller holds a reference to such a frame. NULL for special owners. */
struct domain *domain_of_owner(u16 id);
/* Next domain with id >= from, referenced, or NULL. */
struct domain *domain_next(u16 from);
/* Is the id taken? By a domain that is being freed, too. A hint. */
bool domain_exists(u16 id);
/* Domains in the table, dying ones included. */
u32 domain_count(void);
/*
 * Start or continue the death of a domain: 0 when all is given back, and with it the reference that creation gave, now or before;
 * -ERESTART to be called again. With ctl_lock held. Not for current's domain.
 */
int __must_check domain_kill(struct domain *d);
/* The guest broke a rule that leaves no way on: shut it down with SHUTDOWN_crash. Callable for `current->domain` from trap context. */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);
/* The guest asked to stop (SCHEDOP_shutdown). For the hardware domain this is the machine's power switch. */
void domain_shutdown(struct domain *d, u8 reason);

/* Vcpu by index, NULL when out of range or not created; speculation-safe. */
struct vcpu *domain_vcpu(const struct domain *d, u32 id);

extern struct domain *hardware_domain;
extern struct domain *idle_domain;
/* Pseudo owners: hypervisor memory, I/O memory. They own frames and have no vCPUs. */
extern struct domain *dom_xen, *dom_io;

void domains_init(void);
/* Print domains and vCPUs: debug key 'd'/'q'. */
void domains_dump(void);
void vcpu_dump(const struct vcpu *v);

/*
 * How domain/ reaches what stands below it: set once at boot. stop: no vCPU of the domain may run from now on (sched/), though one
 * may still be on its way out; died: d has stopped, or
 * (NULL) a domain is dead or gone: tell whoever manages domains (ipc/, VIRQ_DOM_EXC).
 */
extern void (*domain_stop_hook)(struct domain *d);
extern void (*domain_died_hook)(struct domain *d);

#endif
