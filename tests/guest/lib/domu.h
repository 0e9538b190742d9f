/* SPDX-License-Identifier: MIT */
/* Test kernels run as ordinary domains. */
#ifndef GUEST_DOMU_H
#define GUEST_DOMU_H

#include "lib/domain.h"

#define DOMU_PAGES 2048u	/* 8 MiB */

/* Starts one; its command line says its id. 0 or -errno. */
int domu_start(struct dom *d, const struct image *image, unsigned vcpus);
/* Sees it through to its end, and gone. Its failures are ours. */
void domu_finish(struct dom *d);
/* Both, and nothing is lost by it. */
void domu_run(const struct image *image, unsigned vcpus);

/* DOMU(name, vcpus): a test that runs the kernel NAME.c. The Makefile has the dependency. */
#define DOMU(name, vcpus)					\
	EMBED(image_##name, #name ".img");			\
	TEST(name)						\
	{							\
		domu_run(&image_##name, vcpus);			\
	}

#endif
