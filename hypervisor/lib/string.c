/* SPDX-License-Identifier: MIT */
/* Memory and string functions. */

/*
 * Bulk operations use the string instructions: eight bytes a step, then the rest.
 * That is the fast path of all 64-bit processors and of QEMU's translator alike,
 * and needs no vector registers. The direction flag is clear everywhere in the
 * hypervisor. The barrier()s keep the compiler from recognising a loop as the very
 * function it implements.
 */

#include <lib/string.h>

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8;

	__asm__ volatile("rep movsq\n\t"
			 "mov %[rest], %%rcx\n\t"
			 "rep movsb"
			 : "+&D" (d), "+&S" (src), "+&c" (words)
			 : [rest] "r" (n % 8)
			 : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	/* A forward copy is right unless the destination begins inside the source. */
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return memcpy(dst, src, n);

	for (; n >= 8; n -= 8) {
		u64 word;

		__builtin_memcpy(&word, s + n - 8, 8);
		__builtin_memcpy(d + n - 8, &word, 8);
		barrier();
	}
	while (n--) {
		d[n] = s[n];
		barrier();
	}
	return dst;
}

void *memset(void *dst, int byte, size_t n)
{
	void *d = dst;
	size_t words = n / 8;

	__asm__ volatile("rep stosq\n\t"
			 "mov %[rest], %%rcx\n\t"
			 "rep stosb"
			 : "+&D" (d), "+&c" (words)
			 : "a" (0x0101010101010101UL * (u8)byte), [rest] "r" (n % 8)
			 : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		u64 p, q;

		__builtin_memcpy(&p, x, 8);
		__builtin_memcpy(&q, y, 8);
		if (p != q)
			break;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int byte, size_t n)
{
	for (const u8 *p = s; n; n--, p++)
		if (*p == (u8)byte)
			return (void *)p;
	return NULL;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
	} while (*s++);
	return (char *)last;
}

char *strstr(const char *s, const char *part)
{
	size_t n = strlen(part);

	for (;; s++) {
		if (strncmp(s, part, n) == 0)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = min(len, size - 1);

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}
