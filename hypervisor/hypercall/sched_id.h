/* SPDX-License-Identifier: MIT */
/* As what the scheduler presents itself to the tools. */
#ifndef HYPERCALL_SCHED_ID_H
#define HYPERCALL_SCHED_ID_H

/* The ABI knows a fixed list of schedulers. Of these it is the one whose parameters mean here what they say: weight and cap. */
#define SCHED_ID	XEN_SCHEDULER_CREDIT2

#endif
