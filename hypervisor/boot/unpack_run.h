/* SPDX-License-Identifier: MIT */
/* The processor environment that code from Debian's static libraries needs. */
#ifndef BOOT_UNPACK_RUN_H
#define BOOT_UNPACK_RUN_H

#include <boot/unpack_codecs.h>

/*
 * Call @codec(@job) as user-space code expects to be called: on a stack of its own,
 * the STACK_SIZE bytes (x86/layout.h) at @stack, aligned to STACK_SIZE; with SSE
 * enabled and its control register in its initial state; with the stack protector's
 * canary at %fs:0x28. Interrupts are off meanwhile: a handler on this stack would
 * destroy the red zone. NMI and #MC use stacks of their own. FPU and SSE register
 * contents are lost; CR0, CR4 and the FS base are restored. Boot processor, before
 * the first domain exists.
 */
void unpack_run(void (*codec)(struct unpack_job *job), struct unpack_job *job, void *stack);

#endif
