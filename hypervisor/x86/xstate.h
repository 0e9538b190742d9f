/* SPDX-License-Identifier: MIT */
/* FPU and extended processor state: FXSAVE or XSAVE areas (source: Intel SDM vol. 1 ch. 13). */
#ifndef X86_XSTATE_H
#define X86_XSTATE_H

#include <lib/types.h>

/* XCR0 bits. */
#define XSTATE_FP	BIT(0)
#define XSTATE_SSE	BIT(1)
#define XSTATE_YMM	BIT(2)
#define XSTATE_AVX512	(BIT(5) | BIT(6) | BIT(7))

struct xstate;	/* opaque: an XSAVE area and its bookkeeping, of xstate_size bytes */

/* XCR0 features that the hypervisor enables (0 without XSAVE), and the bytes of memory that an area needs. */
extern u64 xstate_features;
extern u32 xstate_size;

/* CR4.OSFXSR, and OSXSAVE where there is XSAVE, are set. */
void xstate_init_cpu(bool boot_cpu);
/* x87 and SSE control as compiled code expects it at a call; the registers' contents are lost. CR0.TS clear. */
void xstate_init_registers(void);
/*
 * Make an area in xstate_size bytes of memory: the initial state, with x87 and SSE in its XCR0. xstate_memory() is that
 * memory again, for who frees it.
 */
struct xstate *xstate_init(void *mem);
void *xstate_memory(const struct xstate *x);
/* Registers <-> area. CR0.TS clear. restore also loads the area's XCR0. */
void xstate_save(struct xstate *x);
void xstate_restore(const struct xstate *x);
/* The guest's XCR0. set: 0 or -EINVAL (unsupported bits or illegal combination). */
u64 xstate_get_xcr0(const struct xstate *x);
int __must_check xstate_set_xcr0(struct xstate *x, u64 xcr0);
/* To and from the 512-byte FXSAVE image of struct vcpu_guest_context. */
void xstate_to_fxsave(const struct xstate *x, void *fx);
int __must_check xstate_from_fxsave(struct xstate *x, const void *fx);
/*
 * The whole state in the standard XSAVE format, xstate_size_for(xstate_features, false) bytes. import: `size` bytes of one, the rest being in its
 * initial state. -EINVAL, and nothing has changed: features that are not offered, or contents that XRSTOR would refuse.
 */
void xstate_export(const struct xstate *x, void *area);
int __must_check xstate_import(struct xstate *x, u64 xcr0, const void *area, u32 size);
/* Bytes of an XSAVE area for a set of features (CPUID leaf 0xd). */
u32 xstate_size_for(u64 features, bool compacted);

#endif
