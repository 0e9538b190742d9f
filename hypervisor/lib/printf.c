/* SPDX-License-Identifier: MIT */
/* Formatted output into a buffer. */

#include <lib/printf.h>
#include <lib/string.h>

struct out {
	char *buf;
	size_t size;
	size_t pos;		/* length so far, counting what did not fit */
};

enum { LEFT = 1, ZERO = 2, ALT = 4, PLUS = 8, SPACE = 16, UPPER = 32 };

struct spec {
	unsigned int flags;
	int width;
	int precision;		/* -1: none given */
	int length;		/* -2 char, -1 short, 0 int, 1 long and wider */
};

static void put(struct out *o, char c)
{
	if (o->pos < o->size)
		o->buf[o->pos] = c;
	o->pos++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

/* A field of @prefix and @len characters of @text, with @zeroes between them. */
static void put_field(struct out *o, const struct spec *sp, const char *prefix,
		      int zeroes, const char *text, int len)
{
	int fill = sp->width - (int)strlen(prefix) - zeroes - len;

	if (!(sp->flags & LEFT))
		pad(o, ' ', fill);
	while (*prefix)
		put(o, *prefix++);
	pad(o, '0', zeroes);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (sp->flags & LEFT)
		pad(o, ' ', fill);
}

static void put_number(struct out *o, const struct spec *sp, u64 value, unsigned int base,
		       const char *prefix)
{
	const char *digits = sp->flags & UPPER ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[22];
	int at = sizeof(text), len, zeroes;

	for (; value; value /= base)
		text[--at] = digits[value % base];
	len = (int)sizeof(text) - at;

	if (sp->precision >= 0)
		zeroes = sp->precision - len;
	else if ((sp->flags & (ZERO | LEFT)) == ZERO)
		zeroes = max(sp->width - (int)strlen(prefix) - len, 1 - len);
	else
		zeroes = 1 - len;
	put_field(o, sp, prefix, max(zeroes, 0), text + at, len);
}

static void put_signed(struct out *o, const struct spec *sp, s64 value)
{
	const char *prefix = value < 0 ? "-" : sp->flags & PLUS ? "+" : sp->flags & SPACE ? " " : "";

	put_number(o, sp, value < 0 ? 0 - (u64)value : (u64)value, 10, prefix);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = "(null)";
	put_field(o, sp, "", 0, s,
		  (int)strnlen(s, sp->precision >= 0 ? (size_t)sp->precision : INT32_MAX));
}

static const char *parse_flags(const char *p, struct spec *sp)
{
	for (;; p++) {
		switch (*p) {
		case '-': sp->flags |= LEFT; break;
		case '0': sp->flags |= ZERO; break;
		case '#': sp->flags |= ALT; break;
		case '+': sp->flags |= PLUS; break;
		case ' ': sp->flags |= SPACE; break;
		default: return p;
		}
	}
}

/* A decimal number, bounded so that sums of a few cannot overflow. */
static const char *parse_int(const char *p, int *n)
{
	for (*n = 0; *p >= '0' && *p <= '9'; p++)
		if (*n < 1000000)
			*n = *n * 10 + (*p - '0');
	return p;
}

static const char *parse_length(const char *p, struct spec *sp)
{
	for (;; p++) {
		switch (*p) {
		case 'h': sp->length--; break;
		case 'l': case 'z': case 't': case 'j': sp->length = 1; break;
		default: return p;
		}
	}
}

/* Widen an argument that was fetched as long or int to what the length modifier says. */
static s64 narrow_signed(s64 v, int length)
{
	return length == -2 ? (s8)v : length == -1 ? (s16)v : v;
}

static u64 narrow_unsigned(u64 v, int length)
{
	return length == -2 ? (u8)v : length == -1 ? (u16)v : v;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { .buf = buf, .size = size };

	for (const char *p = fmt; *p; p++) {
		struct spec sp = { .precision = -1 };
		const char *start = p;
		char c;

		if (*p != '%') {
			put(&o, *p);
			continue;
		}

		p = parse_flags(p + 1, &sp);
		if (*p == '*') {
			sp.width = va_arg(args, int);
			if (sp.width < 0) {
				sp.flags |= LEFT;
				sp.width = -sp.width;
			}
			p++;
		} else {
			p = parse_int(p, &sp.width);
		}
		if (*p == '.') {
			if (*++p == '*') {
				sp.precision = va_arg(args, int);
				p++;
			} else {
				p = parse_int(p, &sp.precision);
			}
		}
		p = parse_length(p, &sp);

		switch (*p) {
		case 'd': case 'i':
			put_signed(&o, &sp, narrow_signed(sp.length > 0 ? va_arg(args, s64)
									: va_arg(args, int),
							  sp.length));
			break;
		case 'X':
			sp.flags |= UPPER;
			/* fall through */
		case 'u': case 'x': {
			u64 v = narrow_unsigned(sp.length > 0 ? va_arg(args, u64)
							      : va_arg(args, unsigned int),
						sp.length);

			if (*p == 'u')
				put_number(&o, &sp, v, 10, "");
			else
				put_number(&o, &sp, v, 16, !(sp.flags & ALT) || !v ? "" :
					   *p == 'x' ? "0x" : "0X");
			break;
		}
		case 'p':
			put_number(&o, &sp, (uintptr_t)va_arg(args, void *), 16, "0x");
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put_field(&o, &sp, "", 0, &c, 1);
			break;
		case 's':
			put_string(&o, &sp, va_arg(args, const char *));
			break;
		case '%':
			put(&o, '%');
			break;
		default:
			while (*start)
				put(&o, *start++);
			goto done;
		}
	}
done:
	if (size)
		buf[min(o.pos, size - 1)] = '\0';
	return (int)o.pos;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

size_t scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t n;

	va_start(args, fmt);
	n = (size_t)vsnprintf(buf, size, fmt, args);
	va_end(args);
	return size ? min(n, size - 1) : 0;
}
