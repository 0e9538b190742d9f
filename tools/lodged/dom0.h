/* SPDX-License-Identifier: MIT */
/* Domain 0's own memory: how much it has, how far it can go down, and asking its kernel for that. */
#ifndef LODGED_DOM0_H
#define LODGED_DOM0_H

#include <lib/store_batch.h>
#include <lodged/conf.h>
#include <lodged/memory_plan.h>
#include <lodged/session.h>

#define DOM0_TARGET_PATH	"/local/domain/%u/memory/target"

/* Once, at the start. */
int dom0_init(const struct conf *c, struct hv *hv, struct err *e);
/* Domain 0's figures; the others stay. */
int dom0_look(struct session *s, struct memory_figures *f, struct err *e);
/* Its configured minimum, KiB; PLAN_KEEPS: it gives nothing, so say the settings. */
uint64_t dom0_min_kib(void);
/* As a part of a transaction: its kernel is to get there, by giving memory up or taking some. */
void dom0_put_target(struct store_batch *b, uint64_t kib);

#endif
