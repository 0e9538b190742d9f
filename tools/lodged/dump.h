/* SPDX-License-Identifier: MIT */
/* Core dumps of guests: when somebody asks for one, and when they end with coredump-…. */
#ifndef LODGED_DUMP_H
#define LODGED_DUMP_H

#include <lodged/conf.h>
#include <lodged/registry.h>
#include <lodged/session.h>

void dump_init(const struct conf *c);
/*
 * The core of a guest of ours that has ended, into the folder of the settings; a log line says where, or why there is none. Once: a
 * manager that goes on where another was killed does not write a second one. The caller has the guest to himself.
 */
void dump_end(struct session *s, struct guest *g);
/* When the manager starts: let guests run that were stopped for the sake of their dump. */
void dump_recover(struct session *s);

#endif
