/* SPDX-License-Identifier: MIT */
/* On the host the libraries are at home: unpack_run() just calls. */
#ifndef TESTS_UNIT_FAKE_UNPACK_RUN_H
#define TESTS_UNIT_FAKE_UNPACK_RUN_H

#include "fake_panic.h"

#include <boot/unpack_run.h>

void unpack_run(void (*codec)(struct unpack_job *job), struct unpack_job *job, void *stack)
{
	CHECK_EQ((uintptr_t)stack % 32768, 0);
	codec(job);
}

#endif
