/* SPDX-License-Identifier: MIT */
/* Compiler attributes and hints, under one name each. */
#ifndef LIB_COMPILER_H
#define LIB_COMPILER_H

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define __must_check	__attribute__((warn_unused_result))
#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))
#define __packed	__attribute__((packed))
#define __aligned(n)	__attribute__((aligned(n)))
#define __used		__attribute__((used))
#define __unused	__attribute__((unused))
#define __section(s)	__attribute__((section(s)))
#undef __always_inline		/* the C library's, when compiled for the host */
#define __always_inline	inline __attribute__((always_inline))
#define __noinline	__attribute__((noinline))
#define __weak		__attribute__((weak))
#define __cold		__attribute__((cold))

/* Code and data needed only until Domain 0 starts; the memory is freed then. */
#define __init		__section(".init.text") __cold
#define __initdata	__section(".init.data")
/* Written during start-up only; read-only afterwards. */
#define __ro_after_init	__section(".data.ro_after_init")

#define barrier()	__asm__ volatile("" ::: "memory")

/* Read or write a shared location exactly once. */
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#endif
