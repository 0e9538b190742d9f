/* SPDX-License-Identifier: MIT */
/* What a hostile guest tries, by name. */
#include "tiny/tiny.h"

static const struct {
	const char *word;
	void (*run)(void);
} tricks[] = {
	{ "store-indices", store_indices },
	{ "store-flood", store_flood },
	{ "store-deaf", store_deaf },
	{ "store-header", store_header },
	{ "store-body", store_body },
	{ "store-long", store_long },
	{ "vbd-nowhere", vbd_nowhere },
	{ "vbd-half", vbd_half },
	{ "vbd-initialised", vbd_initialised },
	{ "vbd-connected", vbd_connected },
	{ "vbd-busy", vbd_busy },
	{ "vbd-closing", vbd_closing },
	{ "vbd-restless", vbd_restless },
	{ "vbd-garbage", vbd_garbage },
	{ "vbd-indices", vbd_indices },
	{ "vbd-grants", vbd_grants },
	{ "vif-busy", vif_busy },
	{ "vif-garbage", vif_garbage },
};

void (*mischief_find(const char *word))(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(tricks); i++)
		if (equal(tricks[i].word, word))
			return tricks[i].run;
	return NULL;
}
