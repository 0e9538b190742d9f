/* SPDX-License-Identifier: MIT */
/* Unpacks a kernel from standard input to standard output, with no C library. */

/*
 * This is the hypervisor's own unpacking code, compiled with its flags and linked
 * with build/unpack_libs.o as the hypervisor is, in a Linux process that has nothing
 * but system calls. Should the libraries need anything that the hypervisor does not
 * provide, this fails to link, or crashes. Standard error gets "ok STACK", the bytes
 * of stack that were used, or the message.
 */

#include <boot/bzimage.h>
#include <core/panic.h>
#include <lib/string.h>
#include <x86/layout.h>

#define SRC_SIZE	MiB(128)
#define DST_SIZE	MiB(512)
#define FILL		0xa5

static u8 src[SRC_SIZE], dst[DST_SIZE], work[UNPACK_WORK_SIZE];
__attribute__((used)) static u8 main_stack[STACK_SIZE] __aligned(STACK_SIZE);

long linux_call(long number, long a, long b, long c);
long linux_call(long number, long a, long b, long c)
{
	long rc;

	__asm__ volatile("syscall" : "=a" (rc) : "0" (number), "D" (a), "S" (b), "d" (c)
			 : "rcx", "r11", "memory");
	return rc;
}

static void __noreturn quit(const char *message, int status)
{
	linux_call(1, 2, (long)message, (long)strlen(message));
	linux_call(60, status, 0, 0);
	__builtin_unreachable();
}

void panic(const char *fmt, ...)
{
	quit(fmt, 3);
}

static size_t read_all(u8 *p, size_t size)
{
	size_t n = 0;
	long got;

	while (n < size && (got = linux_call(0, 0, (long)p + (long)n, (long)(size - n))) > 0)
		n += (size_t)got;
	return n;
}

static void write_all(const u8 *p, size_t n)
{
	while (n) {
		long done = linux_call(1, 1, (long)p, (long)n);

		if (done <= 0)
			quit("cannot write", 2);
		p += done;
		n -= (size_t)done;
	}
}

/* How deep the private stack went, below the copy of struct cpu_info at its top. */
static void report_stack(void)
{
	u8 *stack = (u8 *)ALIGN_DOWN((u64)work + sizeof(work), STACK_SIZE) - STACK_SIZE;
	size_t untouched = 0;
	char text[24] = "ok 00000000";

	while (untouched < STACK_SIZE && stack[untouched] == FILL)
		untouched++;
	for (size_t i = 10, n = STACK_SIZE - untouched; i > 2; i--, n /= 10)
		text[i] = (char)('0' + n % 10);
	quit(text, 0);
}

__attribute__((used)) static void start(void)
{
	size_t len = read_all(src, sizeof(src)), out = 0;
	const char *error = NULL;
	struct bzimage k;

	if (bzimage_parse(src, len, &k, &error))
		quit(error, 1);
	if (k.size > DST_SIZE)
		quit("too large for this program", 2);
	memset(work + sizeof(work) - 2 * STACK_SIZE, FILL, 2 * STACK_SIZE);
	if (unpack(k.data, k.len, dst, k.size, work, &out, &error))
		quit(error, 1);
	if (out != k.size)
		quit("size differs from what the file claims", 1);
	write_all(dst, out);
	report_stack();
}

__asm__(".globl _start\n"
	"_start:\n\t"
	"lea main_stack+" "0x7000" "(%rip), %rsp\n\t"
	"call start\n\t"
	"hlt");
