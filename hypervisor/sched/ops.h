/* SPDX-License-Identifier: MIT */
/*
 * What the core of the scheduler (sched.c) and a scheduling policy (fair.c) share.
 *
 * The core decides who is runnable, where a vCPU is queued and when a CPU asks; the policy orders the queue of one CPU.
 */
#ifndef SCHED_OPS_H
#define SCHED_OPS_H

#include <sched/sched.h>

/* The core's part of a vCPU's state. First member of the policy's structure. Everything is protected by the lock of CPU v->processor. */
struct sched_vcpu {
	struct vcpu *v;
	bool queued;		/* in the queue of v->processor */
	bool yielded;		/* asked to be put behind the others */
	bool overridden;	/* pinned by sched_pin_override() */
	u16 timers_cpu;		/* where its timers are; own CPU only */
	u32 weight;
	cpumask_t affinity;	/* CPUs it may run on */
	cpumask_t normal_affinity; /* … when no longer overridden */
	cpumask_t preferred;	/* of these, where it should run if it can: soft affinity */
};

/* A CPU's run queue. First member of the policy's structure. Protected by `lock`. */
struct sched_cpu {
	struct spinlock lock;
	unsigned cpu;
	struct vcpu *curr;	/* who has been chosen to run; its context may still be being loaded */
	struct vcpu *idle;	/* (c) */
	s_time_t turn_start;	/* when curr was chosen */
	s_time_t charged;	/* curr has been charged up to here */
	s_time_t balanced;	/* when it last looked at other CPUs' queues */
	unsigned nr_queued;	/* hints when read without the lock: */
	u64 load;		/* … weights of the queued and of curr */
	struct timer timer;	/* end of curr's turn */
	u64 switches, steals;	/* statistics */
};

enum sched_reason {
	SCHED_WOKEN,		/* comes back from a sleep */
	SCHED_REQUEUED,		/* was running here, and still could */
	SCHED_MOVED,		/* came from another CPU */
};

/* A policy. All with c->lock held, interrupts off; s->queued and the counts are kept by the core. */
struct sched_ops {
	const char *name;
	size_t cpu_size, vcpu_size;
	void (*enqueue)(struct sched_cpu *c, struct sched_vcpu *s, enum sched_reason why);
	void (*dequeue)(struct sched_cpu *c, struct sched_vcpu *s);
	/* It is about to belong to another CPU (it is not queued). Repeatable. */
	void (*leave)(struct sched_cpu *c, struct sched_vcpu *s);
	/* Who should run; stays queued. NULL when the queue is empty. */
	struct sched_vcpu *(*first)(struct sched_cpu *c);
	/* The best one that could run on another CPU, NULL if none. */
	struct sched_vcpu *(*candidate)(struct sched_cpu *c, unsigned for_cpu);
	/* s, not the idle vCPU, has run for ns more. */
	void (*charge)(struct sched_cpu *c, struct sched_vcpu *s, s_time_t ns);
	/* When should curr, not the idle vCPU, make room for a queued one? At or before now: at once. STIME_MAX: never. */
	s_time_t (*deadline)(const struct sched_cpu *c, s_time_t now);
	/* For the debug key: what it knows about a vCPU, as text. */
	void (*describe)(const struct sched_cpu *c, const struct sched_vcpu *s, char *buf, size_t size);
};

extern const struct sched_ops sched_fair;

/* --- between the core's files --- */

/* Run queues, by CPU; NULL for one never brought up. */
extern struct sched_cpu *sched_cpus[MAX_CPUS];
extern const struct sched_ops *sched_policy;
/* CPUs that run their idle vCPU and have not been told to look for work yet. A hint. */
extern cpumask_t sched_idle_cpus;

/* Lock the run queue that v belongs to; interrupts off. */
struct sched_cpu *sched_lock_vcpu(const struct vcpu *v, u64 *flags);
void sched_unlock(struct sched_cpu *c, u64 flags);
/* The same, and kick the CPU if softirq_mark_cpu() said so. */
void sched_unlock_kick(struct sched_cpu *c, bool kick, u64 flags);
/* May it run on the CPU? When none of its CPUs is online, any will do. */
bool sched_allowed(const struct vcpu *v, unsigned cpu);
/* Put v, found runnable and neither queued nor running, on a queue. Takes over and gives up the lock. */
void sched_place(struct sched_cpu *c, struct vcpu *v, enum sched_reason why, u64 flags, s_time_t now);
/* A queued vCPU might run elsewhere: let an idle CPU look for work. */
void sched_offer(const struct vcpu *v);
void sched_enqueue(struct sched_cpu *c, struct vcpu *v, enum sched_reason why);
void sched_dequeue(struct sched_cpu *c, struct vcpu *v);

/* Make an empty, zeroed run queue ready for use. */
void sched_start_cpu(struct sched_cpu *c, struct vcpu *idle);

/* --- cap.c --- */
/*
 * A domain with a cap has run for `ran` ns, up to now: when it has to pause the other CPUs that run it are told. With a run queue
 * locked. left: how long it may go on, at least a little; STIME_MAX: for ever.
 */
void sched_cap_charge(struct domain *d, s_time_t ran, s_time_t now);
s_time_t sched_cap_left(const struct domain *d);
/* No timer of it runs any more; the second also forgets it. */
void sched_cap_stop(struct domain *d);
void sched_cap_destroy(struct domain *d);

/* --- runstate.c, guest_time.c --- */
int runstate_create(struct vcpu *v);
void runstate_destroy(struct vcpu *v);
/* Enter a RUNSTATE_*. With v's run queue locked. */
void runstate_change(struct vcpu *v, int state, s_time_t now);
int runstate_state(const struct vcpu *v);
/* Write the guest's area: of what is loaded, with its kernel's address space, or remember to. info: v's, if nobody can change it. */
void runstate_write_area(struct vcpu *v, const struct vcpu_runstate_info *info);
/* Write the time parameters if they have changed since v got them, or anyway. v is current. Interrupts off. */
void guest_time_update(struct vcpu *v, bool force);
/* Boot: connect to the clock's hooks. */
void guest_time_init(void);

#endif
