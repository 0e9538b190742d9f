/* SPDX-License-Identifier: MIT */
/* The memory and string functions of the C library that a freestanding build lacks. */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <lib/types.h>

/* As in ISO C; the compiler emits calls to these four by itself. */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* As in ISO C and POSIX. */
void *memchr(const void *s, int byte, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *part);

/*
 * Copy @src, cut to @size - 1 characters, and terminate it (unless @size is 0).
 * Returns strlen(@src): the copy was cut if that is >= @size.
 */
size_t strlcpy(char *dst, const char *src, size_t size);

#endif
