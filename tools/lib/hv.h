/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of the tools (domctl, sysctl, memory_op; <xen/domctl.h>, <xen/sysctl.h>, <xen/memory.h>), through libxencall.
 *
 * A handle may be used by several threads. Functions return 0 or -errno as the hypervisor gave it; they do not make messages, their
 * callers know what the user wanted.
 */
#ifndef TOOLS_LIB_HV_H
#define TOOLS_LIB_HV_H

#include <lib/err.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <xencall.h>
#include <xenforeignmemory.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#define HV_PAGE_SIZE	4096UL

struct hv {
	xencall_handle *call;
	xenforeignmemory_handle *fmem;
};

/*
 * With a message: -ENOENT: no Domain 0 (no /dev/xen/privcmd); -EPROTO: the hypervisor's tools ABI is another version; -EACCES,
 * -EPERM.
 */
int hv_open(struct hv *hv, struct err *e);
void hv_close(struct hv *hv);

/* Raw calls: interface_version is filled in, the structure is copied in and out. cmd and domain are the caller's. */
int hv_domctl(struct hv *hv, struct xen_domctl *op);
int hv_sysctl(struct hv *hv, struct xen_sysctl *op);
int hv_memory_op(struct hv *hv, unsigned cmd, void *arg, size_t size);
/* Any hypercall of the form (command, structure): call is __HYPERVISOR_*. Positive results are passed on. */
int hv_call_with(struct hv *hv, unsigned call, unsigned cmd, void *arg, size_t size);
/* Memory that hypercalls can reach: arrays named in arguments. NULL: none left. */
void *hv_buffer(struct hv *hv, size_t size);
void hv_buffer_free(struct hv *hv, void *p, size_t size);

/* --- domains --- */
struct hv_create {
	uint8_t uuid[16];
	uint32_t flags;			/* XEN_DOMCTL_CDF_* */
	uint32_t max_vcpus, max_evtchn_port;
	uint32_t max_grant_frames, max_maptrack_frames;		/* ~0: the hypervisor's default */
};
int hv_domain_create(struct hv *hv, const struct hv_create *c, uint16_t *domid);
/* Waits until the hypervisor has taken everything back (it continues by itself). */
int hv_domain_destroy(struct hv *hv, uint16_t domid);
int hv_domain_pause(struct hv *hv, uint16_t domid);
int hv_domain_unpause(struct hv *hv, uint16_t domid);
int hv_domain_max_mem(struct hv *hv, uint16_t domid, uint64_t kib);
int hv_domain_max_vcpus(struct hv *hv, uint16_t domid, uint32_t n);
/* Set memory aside, so that the domain can have kib altogether and nobody else any of it; -ENOMEM: it is not there. 0: no longer. */
int hv_domain_claim(struct hv *hv, uint16_t domid, uint64_t kib);
int hv_domain_set_handle(struct hv *hv, uint16_t domid, const uint8_t uuid[16]);
/* -ESRCH: no such domain. */
int hv_domain_info(struct hv *hv, uint16_t domid, xen_domctl_getdomaininfo_t *info);
/* Is there such a domain (-1: no), and has it neither ended nor begun to? */
bool hv_domain_runs(struct hv *hv, int domid, xen_domctl_getdomaininfo_t *info);
/* The most memory that it may have, KiB. UINT64_MAX: no limit, as Domain 0 that was started without dom0_mem=max:. */
uint64_t hv_domain_max_kib(const xen_domctl_getdomaininfo_t *info);
/* All domains from id `first` on, at most max; how many. */
int hv_domain_list(struct hv *hv, uint16_t first, xen_domctl_getdomaininfo_t *infos, size_t max);
int hv_vcpu_info(struct hv *hv, uint16_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info);
/* bitmap: bit per processor, nbits of them. */
int hv_vcpu_set_affinity(struct hv *hv, uint16_t domid, uint32_t vcpu, const uint8_t *hard, const uint8_t *soft, size_t nbits);
int hv_vcpu_get_affinity(struct hv *hv, uint16_t domid, uint32_t vcpu, uint8_t *hard, uint8_t *soft, size_t nbits);
int hv_vcpu_set_context(struct hv *hv, uint16_t domid, uint32_t vcpu, const vcpu_guest_context_t *ctx);
/* -ESRCH: no such vCPU; -ENODATA: it has never been started. */
int hv_vcpu_get_context(struct hv *hv, uint16_t domid, uint32_t vcpu, vcpu_guest_context_t *ctx);
/* weight 1..65535 (default 256), cap in percent of one processor, 0: none. */
int hv_domain_set_sched(struct hv *hv, uint16_t domid, uint16_t weight, uint16_t cap);
/* An event channel that remote_domid may bind, allocated in domid. */
int hv_evtchn_alloc_unbound(struct hv *hv, uint16_t domid, uint16_t remote_domid, uint32_t *port);

/* --- the machine --- */
int hv_physinfo(struct hv *hv, struct xen_sysctl_physinfo *info);
int hv_sched_id(struct hv *hv, uint32_t *id);
int hv_debug_keys(struct hv *hv, const char *keys);
/* The console ring from its start, allocated, NUL-terminated. */
int hv_console(struct hv *hv, char **text, int clear);
/*
 * xen_version: major << 16 | minor, and strings (extraversion, changeset, compile info, capabilities, commandline) of
 * <xen/version.h>.
 */
int hv_version(struct hv *hv, int cmd, void *arg, size_t size);

#endif
