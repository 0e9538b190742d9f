/* SPDX-License-Identifier: MIT */
/* Paths as clients write them. */
#ifndef STORED_PATH_H
#define STORED_PATH_H

#include <lib/types.h>
#include <errno.h>
#include <xen/io/xs_wire.h>

#define PATH_BUFFER	(XENSTORE_ABS_PATH_MAX + 1)

/*
 * Into out[PATH_BUFFER]: the absolute path for what the client domid calls `in`; a relative path starts at /local/domain/DOMID.
 * With special, names like "@releaseDomain" are paths too, and stay as they are. -EINVAL: no valid path (letters, digits and
 * "-/_@", no empty component), or longer than XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX or the quota "path-max", which counts
 * from behind /local/domain/N/.
 */
int __must_check path_canonical(char *out, const char *in, u16 domid, bool special);
/* Length of the "/local/domain/DOMID/" that the path starts with, else 0. */
size_t path_home(const char *path, u16 domid);

#endif
