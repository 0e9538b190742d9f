/* SPDX-License-Identifier: MIT */
/* The console: where text goes (serial, VGA, ring), and where typed characters go. */
#include <core/console.h>
#include <core/cpumask.h>
#include <core/debug_key.h>
#include <core/param.h>
#include <core/ring.h>
#include <core/serial.h>
#include <core/spinlock.h>
#include <core/vga.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/cr.h>

/*
 * One lock, the innermost of all, covers the devices, the rings and the input state, so that anyone may print anywhere.
 * Text is handed over a line at a time, hence lines of different CPUs do not mix. In a panic (console_force) the lock is ignored: the
 * CPU that held it has been or is being stopped.
 *
 * Input has one of two readers, switched by Ctrl-A three times in a row: Domain 0 (through a small ring and VIRQ_CONSOLE) or
 * the debug keys.
 */

#define RING_INITIAL	16384
#define RING_MAX_ORDER	4	/* 64 KiB */
#define INPUT_RING	256
#define SWITCH_CHAR	1	/* Ctrl-A */
#define SWITCH_COUNT	3

static DEFINE_SPINLOCK(lock, LOCK_CONSOLE);
static bool forced, opened;

static bool serial_in_use[SERIAL_PORTS];
static bool vga_in_use;
static bool opt_serial[SERIAL_PORTS] = { true, false };
static bool opt_vga = true, opt_vga_keep;
static bool opt_sync, opt_to_ring;

static char log_storage[RING_INITIAL];
static struct ring log_ring = RING_INIT(log_storage);
static u64 log_start;		/* position that readers without one begin at */

static char input_storage[INPUT_RING];
static struct ring input_ring = RING_INIT(input_storage);
static bool input_to_keys;
static unsigned switch_seen;

void (*console_input_notify)(void);

u64 console_lock(void)
{
	if (forced)
		return local_irq_save();
	return spin_lock_irqsave(&lock);
}

void console_unlock(u64 flags)
{
	if (forced)
		local_irq_restore(flags);
	else
		spin_unlock_irqrestore(&lock, flags);
}

bool console_synchronous(void)
{
	return opt_sync || forced;
}

/* --- output --- */

static void put(char c)
{
	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (serial_in_use[i]) {
			if (c == '\n')
				serial_put(i, '\r');
			serial_put(i, c);
		}
	if (vga_in_use)
		vga_put(c);
}

void console_emit(const char *text, size_t len)
{
	u64 flags = console_lock();

	for (size_t i = 0; i < len; i++) {
		put(text[i]);
		ring_put_over(&log_ring, text[i]);
	}
	console_unlock(flags);
}

void console_write(const char *text, size_t len)
{
	u64 flags = console_lock();

	for (size_t i = 0; i < len; i++) {
		put(text[i]);
		if (opt_to_ring)
			ring_put_over(&log_ring, text[i]);
	}
	console_unlock(flags);
}

void console_flush(void)
{
	u64 flags = console_lock();

	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (serial_in_use[i])
			serial_drain(i);
	console_unlock(flags);
}

void console_force(void)
{
	forced = true;
	/* The end came before there were parameters. */
	if (!opened)
		console_init_early(true);
	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (serial_in_use[i])
			serial_force_polled(i);
}

/* --- the ring --- */

size_t console_ring_read(char *buf, size_t cap, u64 *pos)
{
	u64 flags = console_lock();
	size_t n = ring_read_at(&log_ring, pos, buf, cap);

	console_unlock(flags);
	return n;
}

u64 console_ring_start(void)
{
	u64 flags = console_lock();
	u64 start = max(log_start, log_ring.tail);

	console_unlock(flags);
	return start;
}

void console_ring_clear(void)
{
	u64 flags = console_lock();

	log_start = log_ring.head;
	console_unlock(flags);
}

void console_ring_grow(void *(*alloc)(unsigned order))
{
	unsigned order = 2;
	char *buf;
	u64 flags;

	/* A kilobyte for each processor. */
	while (order < RING_MAX_ORDER && (PAGE_SIZE << order) < KiB(nr_cpus))
		order++;
	if ((PAGE_SIZE << order) <= log_ring.size)
		return;
	buf = alloc(order);
	if (!buf)
		return;
	flags = console_lock();
	ring_grow(&log_ring, buf, (u32)(PAGE_SIZE << order));
	console_unlock(flags);
}

/* --- input --- */

size_t console_read(char *buf, size_t cap)
{
	u64 flags = console_lock();
	size_t n = 0;

	while (n < cap && ring_get(&input_ring, &buf[n]))
		n++;
	console_unlock(flags);
	return n;
}

static void deliver(char c)
{
	u64 flags;

	if (input_to_keys) {
		debug_key_handle(c);
		return;
	}
	flags = console_lock();
	ring_put(&input_ring, c);	/* nobody reads: typing is lost */
	console_unlock(flags);
	if (console_input_notify)
		console_input_notify();
}

void console_input(char c)
{
	if (c == SWITCH_CHAR) {
		if (++switch_seen == SWITCH_COUNT) {
			switch_seen = 0;
			input_to_keys = !input_to_keys;
			log_err("*** Input goes to %s (Ctrl-A three times goes back to %s)%s\n", input_to_keys ? "Lodge" : "Domain 0",
				input_to_keys ? "Domain 0" : "Lodge", input_to_keys ? "; h lists the keys" : "");
		}
		return;
	}
	/* Fewer than three were meant for the reader. */
	for (; switch_seen; switch_seen--)
		deliver(SWITCH_CHAR);
	deliver(c);
}

/* --- start and end --- */

/* What was printed before the device was there. */
static void replay(void (*put_one)(unsigned device, char c), unsigned device)
{
	u64 pos = 0;
	char c;

	while (ring_read_at(&log_ring, &pos, &c, 1)) {
		if (c == '\n')
			put_one(device, '\r');
		put_one(device, c);
	}
}

static void put_screen(unsigned device, char c)
{
	vga_put(c);
}

void console_init_early(bool text_screen)
{
	u64 flags = console_lock();

	opened = true;
	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (opt_serial[i] && serial_open(i)) {
			serial_in_use[i] = true;
			replay(serial_put, i);
		}
	if (opt_vga && text_screen) {
		vga_in_use = true;
		vga_open();
		replay(put_screen, 0);
	}
	console_unlock(flags);
}

void console_init_irq(void)
{
	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (serial_in_use[i])
			serial_start_irq(i);
}

void console_end_boot(void)
{
	if (vga_in_use && !opt_vga_keep) {
		log_info("VGA console handed to Domain 0\n");
		vga_in_use = false;
	}
}

/* --- parameters --- */

/* Is the next item of a comma-separated list this word? Then step over it. */
static bool take_item(const char **s, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*s, word, n) != 0 || ((*s)[n] && (*s)[n] != ','))
		return false;
	*s += n + ((*s)[n] == ',');
	return true;
}

static int parse_console(const char *s)
{
	bool serial[SERIAL_PORTS] = { false }, vga = false;

	if (!*s)
		return -EINVAL;
	while (*s) {
		if (take_item(&s, "com1"))
			serial[0] = true;
		else if (take_item(&s, "com2"))
			serial[1] = true;
		else if (take_item(&s, "vga"))
			vga = true;
		else if (!take_item(&s, "none"))
			return -EINVAL;
	}
	memcpy(opt_serial, serial, sizeof(serial));
	opt_vga = vga;
	return 0;
}

static int parse_com1(const char *s) { return serial_configure(0, s); }
static int parse_com2(const char *s) { return serial_configure(1, s); }
static int parse_sync(const char *s) { return param_bool(s, &opt_sync); }
static int parse_to_ring(const char *s) { return param_bool(s, &opt_to_ring); }

static int parse_vga(const char *s)
{
	bool keep = false;

	if (!*s)
		return -EINVAL;
	while (*s) {
		if (take_item(&s, "keep"))
			keep = true;
		else if (!take_item(&s, "text-80x25"))
			return -EINVAL;
	}
	opt_vga_keep = keep;
	return 0;
}

#define COM_SYNTAX	"BAUD|auto[,8n1[,PORT[,IRQ]]]"
BOOT_PARAM("console", parse_console, "com1|com2|vga|none[,…]", "devices that messages go to");
BOOT_PARAM("com1", parse_com1, COM_SYNTAX, "line settings of the first serial port");
BOOT_PARAM("com2", parse_com2, COM_SYNTAX, "line settings of the second serial port");
BOOT_PARAM("sync_console", parse_sync, "yes|no", "wait until each message has left the machine");
BOOT_PARAM("console_to_ring", parse_to_ring, "yes|no", "put Domain 0's console output into the message ring as well");
BOOT_PARAM("vga", parse_vga, "text-80x25|keep[,…]", "keep: go on printing on the screen when Domain 0 runs");
