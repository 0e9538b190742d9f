/* SPDX-License-Identifier: MIT */
/*
 * The console: messages to serial port, VGA and the ring that Domain 0 can read, and input back.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <lib/types.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Print a whole line (newline included in fmt), prefixed "(LODGE) ". Any context. */
void printk(enum log_level level, const char *fmt, ...) __printf(2, 3);
#define log_err(...)	printk(LOG_ERR, __VA_ARGS__)
#define log_warn(...)	printk(LOG_WARN, __VA_ARGS__)
#define log_info(...)	printk(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	printk(LOG_DEBUG, __VA_ARGS__)

/* From on to off, print all of our own messages whatever loglvl says: what a debug key was asked for. Nests. */
void log_everything(bool on);

/*
 * Something a guest did that is worth telling: rate-limited per system, "d3v1: " prefixed, subject to guest_loglvl.
 * Never used for our own bugs.
 */
void printk_guest(enum log_level level, const char *fmt, ...) __printf(2, 3);
#define guest_err(...)	printk_guest(LOG_ERR, __VA_ARGS__)
#define guest_warn(...)	printk_guest(LOG_WARN, __VA_ARGS__)
#define guest_info(...)	printk_guest(LOG_INFO, __VA_ARGS__)
#define guest_debug(...) printk_guest(LOG_DEBUG, __VA_ARGS__)

/* Raw text from a guest (CONSOLEIO_write), unprefixed when from Domain 0. */
void console_write(const char *text, size_t len);
/* Input waiting for Domain 0: up to cap bytes, returns how many. CONSOLEIO_read. */
size_t console_read(char *buf, size_t cap);
/*
 * The ring: copy text from logical position *pos (bytes since boot; older than the ring holds: moved forward) and advance it.
 * Returns bytes copied. clear: forget what was returned, for later readers who start at the beginning.
 */
size_t console_ring_read(char *buf, size_t cap, u64 *pos);
u64 console_ring_start(void);
void console_ring_clear(void);

/* Called by the serial driver for each byte received; handles Ctrl-A x3 and debug keys. Interrupt context. */
void console_input(char c);
/*
 * Early, when the parameters have been parsed: serial (polled) and screen, which then show what has been printed so far. The boot page
 * tables map the first 4 GiB. text_screen: there is a VGA text screen. Later: serial interrupts.
 */
void console_init_early(bool text_screen);
void console_init_irq(void);
/* Domain 0 takes the VGA console over (unless vga=keep). */
void console_end_boot(void);
/* Make every later message unbuffered, unlocked and polled: panic. */
void console_force(void);
/* Wait until the serial transmitter is empty. */
void console_flush(void);
/* Who gets input: a hook that raises VIRQ_CONSOLE for Domain 0. */
extern void (*console_input_notify)(void);

/* The ring is 16 KiB at first; make it larger when there are many processors. alloc(order) returns 2^order pages or NULL: alloc_pages. Boot. */
void console_ring_grow(void *(*alloc)(unsigned order));
/* "d3v1" for the vCPU that is running. Implemented in debug/panic.c, since domains are below this folder. */
const char *console_current_name(char *buf, size_t size);

/* For the devices of this folder: the lock of everything here, and whether output must not be buffered (sync_console, or after console_force()). */
u64 __must_check console_lock(void);
void console_unlock(u64 flags);
bool console_synchronous(void);
/* A line that has passed the filters, from core/log.c: to all devices and the ring. */
void console_emit(const char *text, size_t len);

#endif
