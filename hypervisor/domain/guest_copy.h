/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the current guest's virtual memory. Every access may fault; a fault ends the copy and is reported, never fatal.
 *
 * Rule: each guest byte is read once, into hypervisor memory, and only the copy is looked at.
 */
#ifndef DOMAIN_GUEST_COPY_H
#define DOMAIN_GUEST_COPY_H

#include <lib/types.h>
#include <lib/errno.h>

/* 0, or -EFAULT: unmapped, read-only, non-canonical, or inside the hypervisor's range. len may be 0. */
int __must_check copy_from_guest(void *dst, const void *guest_src, size_t len);
int __must_check copy_to_guest(void *guest_dst, const void *src, size_t len);
int __must_check clear_guest(void *guest_dst, size_t len);
/* Element i of a guest array of n-byte elements; the index arithmetic is overflow-checked. */
int __must_check copy_from_guest_idx(void *dst, const void *guest_array, u64 i, size_t n);
int __must_check copy_to_guest_idx(void *guest_array, u64 i, const void *src, size_t n);
/* Number of bytes that could not be copied: for faults that need the exact spot. */
size_t copy_from_guest_partial(void *dst, const void *guest_src, size_t len);
size_t copy_to_guest_partial(void *guest_dst, const void *src, size_t len);

#endif
