/* SPDX-License-Identifier: MIT */
/* Formatted output: on the hypervisor's console in Domain 0's place, on its own console ring in another domain. */
#include "lib/print.h"
#include "lib/hypercall.h"
#include "lib/memory.h"

#include <xen/io/console.h>
#include <xen/sched.h>

struct out {
	char *buf;
	size_t len, used;
};

static void put(struct out *o, char c)
{
	if (o->used + 1 < o->len)
		o->buf[o->used++] = c;
}

static void put_number(struct out *o, u64 v, unsigned base, bool neg, int width, bool zero)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (neg && zero)
		put(o, '-');
	for (int i = n + neg; i < width; i++)
		put(o, zero ? '0' : ' ');
	if (neg && !zero)
		put(o, '-');
	while (n)
		put(o, digits[--n]);
}

static void put_string(struct out *o, const char *s, int width)
{
	int n = 0;

	if (!s)
		s = "(null)";
	for (; s[n]; n++)
		put(o, s[n]);
	for (; n < width; n++)
		put(o, ' ');
}

static void put_format(struct out *o, const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		int width = 0, longs = 0;
		bool zero = false;
		s64 v;

		if (*fmt != '%') {
			put(o, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == '-')
			fmt++;
		if (*fmt == '0') {
			zero = true;
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs++;
		switch (*fmt) {
		case 'd':
			v = longs ? va_arg(ap, long) : va_arg(ap, int);
			put_number(o, v < 0 ? -(u64)v : (u64)v, 10, v < 0, width, zero);
			break;
		case 'u':
		case 'x':
			put_number(o, longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), *fmt == 'u' ? 10 : 16,
				   false, width, zero);
			break;
		case 'p':
			put_number(o, (u64)va_arg(ap, void *), 16, false, 16, true);
			break;
		case 'c':
			put(o, (char)va_arg(ap, int));
			break;
		case 's':
			put_string(o, va_arg(ap, const char *), width);
			break;
		default:
			put(o, *fmt);
		}
	}
	o->buf[o->used] = 0;
}

int format(char *buf, size_t len, const char *fmt, ...)
{
	struct out o = { buf, len, 0 };
	va_list ap;

	va_start(ap, fmt);
	put_format(&o, fmt, ap);
	va_end(ap);
	return (int)o.used;
}

/* Nobody need be told of it: our Domain 0 looks. It may be slow, but a ring that stays full is given up. */
static void write_ring(const char *buf, size_t len)
{
	struct xencons_interface *ring = mfn_to_virt(start_info->console.domU.mfn);
	u32 prod = ring->out_prod;

	for (size_t i = 0; i < len; i++) {
		for (unsigned n = 0; prod - READ_ONCE(ring->out_cons) >= sizeof(ring->out) && n < 100000; n++)
			HCALL(sched_op, SCHEDOP_yield);
		ring->out[MASK_XENCONS_IDX(prod, ring->out)] = buf[i];
		prod++;
		barrier();
		WRITE_ONCE(ring->out_prod, prod);
	}
}

void vprint(const char *fmt, va_list ap)
{
	static int lock;
	char buf[512];
	struct out o = { buf, sizeof(buf), 0 };

	put_format(&o, fmt, ap);
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		asm volatile("pause");
	if (start_info->flags & SIF_PRIVILEGED)
		HCALL(console_io, CONSOLEIO_write, o.used, buf);
	else
		write_ring(buf, o.used);
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}
