/* SPDX-License-Identifier: MIT */
/*
 * Core dumps of PV guests: one ELF file for crash and for gdb (docs/design/013-core-dumps.md).
 *
 * The guest may run meanwhile; then the file has each page and each vCPU as it was at some moment between beginning and end.
 */
#ifndef TOOLS_LIB_CORE_H
#define TOOLS_LIB_CORE_H

#include <lib/err.h>
#include <lib/hv.h>
#include <stdbool.h>

struct core_input {
	uint16_t domid;
	bool for_crash;			/* crash opens the file; otherwise gdb does */
	void (*progress)(const char *text, void *ctx);	/* may be NULL */
	void *ctx;
};

/*
 * Write the guest's core to `path`, which must not exist ("file-exists"), mode 0600. It appears under that name when it is whole
 * and on the disk, or not at all, also if this process is killed on the way. *kib, unless NULL: what the file takes on the disk.
 * "cannot-write": says what and why; "hypervisor".
 */
int core_save(struct hv *hv, const struct core_input *in, const char *path, uint64_t *kib, struct err *e);

/* Remove from the folder what core_save() has left there when it was killed, on file systems that know no files without names. */
void core_sweep(const char *folder);

#endif
