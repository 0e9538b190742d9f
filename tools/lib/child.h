/* SPDX-License-Identifier: MIT */
/* What a process does first after a fork() in one with threads, where nothing may wait for a lock. */
#ifndef TOOLS_LIB_CHILD_H
#define TOOLS_LIB_CHILD_H

#include <signal.h>
#include <stddef.h>

/* All signals do what they do by themselves, and none is blocked. */
static inline void child_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

#endif
