/* SPDX-License-Identifier: MIT */
/* The end of a guest. The caller has it to himself (registry_lock()). */
#ifndef LODGED_END_H
#define LODGED_END_H

#include <lib/definition.h>
#include <lodged/registry.h>
#include <lodged/session.h>

/*
 * Take down the domain (if there is one), its devices and its nodes, whatever state they are in. Goes on after errors, which
 * are logged. The record, the name and the claims stay. d: what it was made from, when that is known.
 */
void end_domain(struct session *s, struct guest *g, const struct definition *d);
/* The guest is no more: record, name, claims. */
void end_forget(struct session *s, struct guest *g);
/* Both, with the record saying so from the first moment. */
void end_guest(struct session *s, struct guest *g);

#endif
