/* SPDX-License-Identifier: MIT */
/* 16550 serial ports (source: National Semiconductor PC16550D data sheet). */
#include <core/acpi.h>
#include <core/console.h>
#include <core/irq.h>
#include <core/ring.h>
#include <core/serial.h>
#include <core/timer.h>
#include <lib/errno.h>
#include <lib/number.h>
#include <x86/cr.h>
#include <x86/io.h>

/*
 * Output is polled until serial_start_irq(): each byte waits for room in the transmitter. Afterwards bytes go to a ring that the
 * interrupt handler empties; a full ring is sent by polling, so order is kept and nothing is dropped while the line moves at all. A panic
 * goes back to polling. A transmitter that has no room for seconds is stuck: its bytes are dropped without further waiting until it
 * has room again (an emulator does that while the reader of its output sleeps; it must not silence the console for good). All state is protected by the console's lock (the handler takes it through console_lock()).
 *
 * The ISA interrupt is edge-triggered: the handler must leave no cause pending, or no further edge comes.
 */

enum { REG_DATA = 0, REG_IER = 1, REG_IIR = 2, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_DLL = 0, REG_DLM = 1 };
#define IER_RX		0x01
#define IER_TX		0x02
#define IIR_NONE	0x01
#define FCR_SETUP	0x07	/* enable and clear both FIFOs, receive trigger at one byte */
#define LCR_DLAB	0x80
#define MCR_SETUP	0x0b	/* DTR, RTS, OUT2: the last one lets the interrupt through */
#define LSR_RX		0x01
#define LSR_TX_ROOM	0x20
#define LSR_TX_EMPTY	0x40
#define FIFO_SIZE	16
#define TX_BUFFER	16384
#define CLOCK_BAUD	115200
#define WAIT_POLLS	5000000	/* reads of a register, about a microsecond each */
#define POLL_PERIOD	MILLISECS(20)

struct uart {
	u16 base;
	unsigned irq;		/* as the user sees it: ISA interrupt or GSI; 0: none */
	u32 baud;		/* 0: leave the line as the firmware has set it */
	u8 lcr;
	bool open;		/* found, programmed, in use */
	bool stuck;		/* had no room when last waited for */
	bool buffered;
	u8 ier;
	struct ring tx;
	struct timer poll;	/* input without an irq */
};

static char tx_storage[SERIAL_PORTS][TX_BUFFER];
static struct uart uarts[SERIAL_PORTS] = {
	{ .base = 0x3f8, .irq = 4, .baud = 115200, .lcr = 0x03, .tx = RING_INIT(tx_storage[0]) },
	{ .base = 0x2f8, .irq = 3, .baud = 115200, .lcr = 0x03, .tx = RING_INIT(tx_storage[1]) },
};

static u8 reg_read(const struct uart *u, u16 reg) { return inb((u16)(u->base + reg)); }
static void reg_write(const struct uart *u, u16 reg, u8 v) { outb((u16)(u->base + reg), v); }

/* "8n1": data bits 5..8, parity n/o/e/m/s, stop bits 1..2. */
static int parse_format(const char *s, u8 *lcr)
{
	static const char parity[] = "noems";
	static const u8 parity_bits[] = { 0x00, 0x08, 0x18, 0x28, 0x38 };
	unsigned p = 0;

	if (s[0] < '5' || s[0] > '8')
		return -EINVAL;
	while (parity[p] != s[1])
		if (!parity[p++])
			return -EINVAL;
	if (p >= ARRAY_SIZE(parity_bits) || (s[2] != '1' && s[2] != '2'))
		return -EINVAL;
	*lcr = (u8)((s[0] - '5') | (s[2] == '2' ? 0x04 : 0) | parity_bits[p]);
	return 0;
}

static int parse_baud(const char *s, const char **end, u32 *baud)
{
	u64 n;

	if (s[0] == 'a' && s[1] == 'u' && s[2] == 't' && s[3] == 'o') {
		*baud = 0;
		*end = s + 4;
		return 0;
	}
	if (number_parse(s, end, 10, &n) != 0 || n < 50 || n > CLOCK_BAUD || CLOCK_BAUD % n != 0)
		return -EINVAL;
	*baud = (u32)n;
	return 0;
}

int serial_configure(unsigned port, const char *s)
{
	struct uart *u = &uarts[port], new = *u;
	u64 n;

	if (parse_baud(s, &s, &new.baud) != 0)
		return -EINVAL;
	if (*s == ',') {
		if (parse_format(++s, &new.lcr) != 0)
			return -EINVAL;
		s += 3;
	}
	if (*s == ',') {
		if (number_parse(s + 1, &s, 0, &n) != 0 || n == 0 || n > 0xfff8)
			return -EINVAL;
		new.base = (u16)n;
	}
	if (*s == ',') {
		if (number_parse(s + 1, &s, 0, &n) != 0 || n > 255)
			return -EINVAL;
		new.irq = (unsigned)n;
	}
	if (*s)
		return -EINVAL;
	*u = new;
	return 0;
}

bool serial_open(unsigned port)
{
	struct uart *u = &uarts[port];

	u->open = u->stuck = false;
	if (reg_read(u, REG_LSR) == 0xff)
		return false;
	if (u->baud) {
		u32 divisor = CLOCK_BAUD / u->baud;

		reg_write(u, REG_LCR, LCR_DLAB);
		reg_write(u, REG_DLL, (u8)divisor);
		reg_write(u, REG_DLM, (u8)(divisor >> 8));
		reg_write(u, REG_LCR, u->lcr);
	}
	reg_write(u, REG_IER, 0);
	reg_write(u, REG_FCR, FCR_SETUP);
	reg_write(u, REG_MCR, MCR_SETUP);
	u->open = true;
	return true;
}

/* False: the transmitter is stuck. */
static bool wait_lsr(struct uart *u, u8 bit)
{
	unsigned polls = u->stuck ? 1 : WAIT_POLLS;

	u->stuck = false;
	while (!(reg_read(u, REG_LSR) & bit)) {
		if (--polls == 0) {
			u->stuck = true;
			return false;
		}
		cpu_relax();
	}
	return true;
}

static void set_ier(struct uart *u, u8 ier)
{
	if (u->ier != ier) {
		u->ier = ier;
		reg_write(u, REG_IER, ier);
	}
}

/* Room in the transmitter: fill its FIFO from the ring. */
static void refill(struct uart *u)
{
	char c;

	for (unsigned i = 0; i < FIFO_SIZE && ring_get(&u->tx, &c); i++)
		reg_write(u, REG_DATA, (u8)c);
	if (u->buffered)
		set_ier(u, ring_used(&u->tx) ? IER_RX | IER_TX : IER_RX);
}

void serial_put(unsigned port, char c)
{
	struct uart *u = &uarts[port];

	if (!u->open)
		return;
	if (!u->buffered) {
		if (wait_lsr(u, LSR_TX_ROOM))
			reg_write(u, REG_DATA, (u8)c);
		return;
	}
	if (ring_free(&u->tx) == 0 && wait_lsr(u, LSR_TX_ROOM))
		refill(u);
	ring_put(&u->tx, c);
	set_ier(u, IER_RX | IER_TX);
}

void serial_drain(unsigned port)
{
	struct uart *u = &uarts[port];

	if (!u->open)
		return;
	while (ring_used(&u->tx)) {
		if (!wait_lsr(u, LSR_TX_ROOM))
			return;
		refill(u);
	}
	wait_lsr(u, LSR_TX_EMPTY);
}

void serial_force_polled(unsigned port)
{
	struct uart *u = &uarts[port];

	serial_drain(port);
	u->buffered = false;
	if (u->open)
		set_ier(u, 0);
}

/* Read what has arrived, refill the transmitter, until the device has nothing to say; then pass the input on without the lock. */
static void serve(struct uart *u)
{
	bool more = true;

	while (more) {
		char in[32];
		unsigned n = 0;
		u64 flags = console_lock();

		while (n < sizeof(in) && u->open) {
			u8 lsr = reg_read(u, REG_LSR);

			if (lsr & LSR_RX)
				in[n++] = (char)reg_read(u, REG_DATA);
			else if ((lsr & LSR_TX_ROOM) && (u->ier & IER_TX))
				refill(u);
			else if (!u->buffered || (reg_read(u, REG_IIR) & IIR_NONE))
				break;
		}
		more = n == sizeof(in);
		console_unlock(flags);
		for (unsigned i = 0; i < n; i++)
			console_input(in[i]);
	}
}

static enum irq_verdict interrupt(unsigned irq, void *data)
{
	serve(data);
	return IRQ_DONE;
}

static void poll_input(void *data)
{
	struct uart *u = data;

	serve(u);
	timer_set(&u->poll, time_now() + POLL_PERIOD);
}

static unsigned gsi_of(const struct uart *u)
{
	return u->irq && u->irq < 16 ? acpi_isa_gsi((u8)u->irq) : u->irq;
}

void serial_start_irq(unsigned port)
{
	struct uart *u = &uarts[port];
	u64 flags;

	if (!u->open)
		return;
	if (u->irq && irq_request(gsi_of(u), interrupt, u, port ? "com2" : "com1") == 0) {
		flags = console_lock();
		u->buffered = !console_synchronous();
		set_ier(u, IER_RX);
		console_unlock(flags);
		serve(u);
		return;
	}
	if (u->irq)
		log_warn("com%u: irq %u is not usable, input is polled\n", port + 1, u->irq);
	u->irq = 0;
	timer_init(&u->poll, poll_input, u, smp_processor_id());
	timer_set(&u->poll, time_now() + POLL_PERIOD);
}

bool serial_claimed(unsigned port, u16 *base, unsigned *irq)
{
	*base = uarts[port].base;
	*irq = gsi_of(&uarts[port]);
	return uarts[port].open;
}
