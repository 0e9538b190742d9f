/* SPDX-License-Identifier: MIT */
/* The domain builder: from kernel, RAM disk and sizes to a domain that can be unpaused. */
#ifndef TOOLS_LIB_BUILD_H
#define TOOLS_LIB_BUILD_H

#include <lib/err.h>
#include <lib/hv.h>

struct build_input {
	uint16_t domid;
	const char *kernel, *ramdisk, *cmdline;	/* paths; ramdisk and cmdline may be NULL */
	uint64_t memory_kib;
	uint64_t maxmem_kib;		/* what the guest may grow to; 0, or less than memory_kib: no more than memory_kib */
	uint32_t vcpus;			/* all of them are created and online from the start as far as Linux is told so by the store */
	uint16_t store_domid, console_domid;	/* who serves the two rings */
	void (*progress)(const char *text, void *ctx);	/* may be NULL */
	void *ctx;
};

struct build_result {
	uint64_t store_gfn, console_gfn;	/* ring pages, as console/ring-ref and INTRODUCE want them */
	uint32_t store_port, console_port;	/* event channels in the guest */
};

/*
 * Build a PV guest into the domain, which exists and has its vCPUs and memory limit (hv_domain_create, _max_vcpus, _max_mem):
 * allocate and fill memory, page tables, p2m, start info, grant table entries for the two rings, vCPU 0's context. On failure the
 * domain holds whatever was done so far: the caller destroys it. Errors name the file and what is wrong with it.
 */
int build_pv(struct hv *hv, const struct build_input *in, struct build_result *out, struct err *e);

/*
 * What build_pv() would refuse, without a domain: kernel missing, no kernel, of the wrong kind; RAM disk missing; memory too small.
 * Cheap when the unpacked kernel is cached. *needed_kib: smallest memory.
 */
int build_check(const struct build_input *in, uint64_t *needed_kib, struct err *e);

#endif
