/* SPDX-License-Identifier: MIT */
/* Other names for the functions that the C library defines too. */
#ifndef TESTS_UNIT_RENAME_H
#define TESTS_UNIT_RENAME_H

/*
 * lib/string.c and lib/printf.c are compiled with this, so that their functions do
 * not replace the C library's under the sanitizers' feet. Their own tests include it
 * after test.h and before the header under test.
 */
#define memcpy		lodge_memcpy
#define memmove		lodge_memmove
#define memset		lodge_memset
#define memcmp		lodge_memcmp
#define memchr		lodge_memchr
#define strlen		lodge_strlen
#define strnlen		lodge_strnlen
#define strcmp		lodge_strcmp
#define strncmp		lodge_strncmp
#define strchr		lodge_strchr
#define strrchr		lodge_strrchr
#define strstr		lodge_strstr
#define vsnprintf	lodge_vsnprintf
#define snprintf	lodge_snprintf

#endif
