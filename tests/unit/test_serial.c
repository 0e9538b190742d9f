/* SPDX-License-Identifier: MIT */
/* Unit tests: the 16550 driver, against a port whose line stops and starts. */
/* sources: core/serial.c core/ring.c lib/number.c */
/* cflags: -include fake_io.h -Wno-unused-parameter */
#include "test.h"

#include <core/acpi.h>
#include <core/console.h>
#include <core/irq.h>
#include <core/serial.h>
#include <core/timer.h>

enum { BASE = 0x3f8, DATA = 0, IER = 1, IIR = 2, LCR = 3, LSR = 5, IER_TX = 2, ROOM = 0x20, EMPTY = 0x40 };

static u8 regs[8];
static bool moving;		/* the line takes bytes */
static u64 looks;		/* reads of LSR */
static u64 moves_after;		/* the line moves at this look; 0: never by itself */
static char sent[100000];
static size_t sent_len;
static irq_handler_t handler;
static void *handler_data;

u8 inb(u16 port)
{
	if (port == BASE + IIR)
		return 1;
	if (port != BASE + LSR)
		return port >= BASE && port < BASE + 8 ? regs[port - BASE] : 0xff;
	if (++looks == moves_after)
		moving = true;
	return moving ? ROOM | EMPTY : 0;
}

void outb(u16 port, u8 v)
{
	if (port == BASE + DATA && !(regs[LCR] & 0x80)) {
		CHECK(moving);
		sent[sent_len++] = (char)v;
	} else {
		regs[port - BASE] = v;
	}
}

u64 console_lock(void) { return 0; }
void console_unlock(u64 flags) { }
void console_input(char c) { }
static bool synchronous;
bool console_synchronous(void) { return synchronous; }
unsigned acpi_isa_gsi(u8 irq) { return irq; }
void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu) { }
void timer_set(struct timer *t, s_time_t expires) { }
s_time_t time_now(void) { return 0; }
void printk(enum log_level level, const char *fmt, ...) { }
int irq_request(unsigned irq, irq_handler_t fn, void *data, const char *name)
{
	CHECK_EQ(irq, 4);
	handler = fn;
	handler_data = data;
	return 0;
}

static void put(const char *s)
{
	while (*s)
		serial_put(0, *s++);
}

static bool was_sent(const char *s)
{
	bool same = sent_len == strlen(s) && !memcmp(sent, s, sent_len);

	sent_len = 0;
	return same;
}

TEST(polled_output_waits_for_room)
{
	moving = true;
	CHECK(serial_open(0));
	put("one");
	moving = false;
	looks = 0;
	moves_after = 300000;	/* longer than any byte takes: its reader slept */
	put("two");
	CHECK(was_sent("onetwo"));
}

TEST(a_stuck_line_costs_one_wait_and_comes_back)
{
	u64 first;

	moving = true;
	CHECK(serial_open(0));
	moving = false;
	looks = 0;
	put("l");
	first = looks;
	put("ost");
	CHECK_EQ(looks, first + 3);
	CHECK_EQ(sent_len, 0);
	moving = true;
	put("back");
	CHECK(was_sent("back"));
	/* Waiting counts from the start again. */
	moving = false;
	looks = 0;
	moves_after = first - 1;
	put("!");
	CHECK(was_sent("!"));
}

TEST(buffered_output_survives_a_stuck_line)
{
	u64 first;

	moving = true;
	CHECK(serial_open(0));
	serial_start_irq(0);
	moving = false;
	looks = 0;
	for (unsigned i = 0; looks == 0; i++)
		serial_put(0, (char)('a' + i % 26));
	first = looks;
	put("lost");
	CHECK_EQ(looks, first + 4);
	serial_drain(0);
	CHECK_EQ(sent_len, 0);
	CHECK(regs[IER] & IER_TX);

	/* There is room: the interrupt. */
	moving = true;
	CHECK_EQ(handler(4, handler_data), IRQ_DONE);
	CHECK_EQ(sent_len, 16384);
	for (unsigned i = 0; i < sent_len; i++)
		CHECK_EQ(sent[i], 'a' + i % 26);
	CHECK(!(regs[IER] & IER_TX));
	sent_len = 0;
	put("more");
	handler(4, handler_data);
	CHECK(was_sent("more"));
}

/* sync_console: with interrupts, too, a byte has left when it has been put. */
TEST(synchronous_output_is_not_buffered)
{
	synchronous = true;
	moving = true;
	CHECK(serial_open(0));
	serial_start_irq(0);
	put("one");
	CHECK(was_sent("one"));
	moving = false;
	looks = 0;
	moves_after = 1000;
	put("two");
	CHECK(was_sent("two"));
	synchronous = false;
}
