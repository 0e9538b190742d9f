/* SPDX-License-Identifier: MIT */
/* The C entry from head.S, and the assembly helpers that the end of boot needs. */
#ifndef BOOT_START_H
#define BOOT_START_H

#include <lib/types.h>

/* magic, info: as the Multiboot loader left them in eax and ebx. */
void start(u32 magic, u32 info) __noreturn;

#endif
