/* SPDX-License-Identifier: MIT */
/* Who has which disk and which MAC address. Part of the registry: everything here is called under its lock. */
#ifndef LODGED_CLAIMS_H
#define LODGED_CLAIMS_H

#include <lodged/registry.h>

/* See registry_claim(). */
int claims_check(const struct guest *g, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e);
int claims_add(struct guest *g, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e);
/* Give back all of a guest's claims. */
void claims_drop(struct claim **list);
/* Those of one device. */
void claims_drop_device(struct claim **list, enum claim_kind kind, int device);

#endif
