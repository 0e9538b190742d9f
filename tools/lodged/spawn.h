/* SPDX-License-Identifier: MIT */
/* Other programs: nft, modprobe, a user's scripts. Never on the way of an ordinary create. */
#ifndef LODGED_SPAWN_H
#define LODGED_SPAWN_H

#include <sys/types.h>

#define SPAWN_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"	/* where programs are looked for */

/*
 * Run argv (argv[0] an absolute path, or looked for in the usual directories) with env added to a clean environment (NULL:
 * none), input on its standard input (NULL: none), and what it writes appended to log (NULL: away), which is rotated when it has become large. Its exit status; 128 +
 * signal; -ETIMEDOUT: killed; -errno: not started.
 */
int spawn_run(const char *const argv[], const char *const env[], const char *input, const char *log, int timeout_s);
/* Start a program that stays; its process id or -errno. Output is appended to log. */
pid_t spawn_start(const char *const argv[], const char *log);

#endif
