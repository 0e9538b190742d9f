/* SPDX-License-Identifier: MIT */
/* Fixed-width integers, boxed frame numbers and addresses, and size helpers. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))

/*
 * Boxed scalars: mixing them, or using one as a plain integer, does not compile.
 * mfn_t    machine frame number: real memory, in units of PAGE_SIZE
 * gfn_t    guest frame number: what the guest calls physical (for a PV guest that is its pfn)
 * paddr_t  machine address in bytes
 */
typedef struct { u64 v; } mfn_t;
typedef struct { u64 v; } gfn_t;
typedef struct { u64 v; } paddr_t;

#define MFN_INVALID	((mfn_t){ ~0UL })
#define GFN_INVALID	((gfn_t){ ~0UL })

static __always_inline mfn_t mfn(u64 v) { return (mfn_t){ v }; }
static __always_inline gfn_t gfn(u64 v) { return (gfn_t){ v }; }
static __always_inline paddr_t paddr(u64 v) { return (paddr_t){ v }; }

static __always_inline bool mfn_eq(mfn_t a, mfn_t b) { return a.v == b.v; }
static __always_inline bool gfn_eq(gfn_t a, gfn_t b) { return a.v == b.v; }
static __always_inline mfn_t mfn_add(mfn_t m, u64 n) { return mfn(m.v + n); }
static __always_inline gfn_t gfn_add(gfn_t g, u64 n) { return gfn(g.v + n); }
static __always_inline paddr_t mfn_to_paddr(mfn_t m) { return paddr(m.v << PAGE_SHIFT); }
static __always_inline mfn_t paddr_to_mfn(paddr_t p) { return mfn(p.v >> PAGE_SHIFT); }

#define KiB(n)		((u64)(n) << 10)
#define MiB(n)		((u64)(n) << 20)
#define GiB(n)		((u64)(n) << 30)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1UL << (n))
#define BITS_PER_LONG	64

#define min(a, b)	({ __typeof__(a) _min_a = (a); __typeof__(b) _min_b = (b); _min_a < _min_b ? _min_a : _min_b; })
#define max(a, b)	({ __typeof__(a) _max_a = (a); __typeof__(b) _max_b = (b); _max_a > _max_b ? _max_a : _max_b; })

#define ALIGN_UP(x, a)		(((x) + (__typeof__(x))(a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
/* Bytes to whole pages, rounding up / down. */
#define PFN_UP(b)		(((u64)(b) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(b)		((u64)(b) >> PAGE_SHIFT)

#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))

#endif
