/* SPDX-License-Identifier: MIT */
/* 16550 serial ports: the console's usual device. All but the parsers and serial_claimed() are called by core/console.c with its lock held. */
#ifndef CORE_SERIAL_H
#define CORE_SERIAL_H

#include <lib/types.h>

#define SERIAL_PORTS	2	/* com1, com2 */

/* Apply the value of com1= or com2= ("BAUD[,8n1[,BASE[,IRQ]]]"), before serial_open(). 0 or -EINVAL. */
int serial_configure(unsigned port, const char *value);
/* Program the port and start to use it, polled. False when there is no such device. */
bool serial_open(unsigned port);
/* Go over to interrupts for input and output, or a poll timer when there is no usable irq. Interrupts and timers work. Not under the console's lock. */
void serial_start_irq(unsigned port);
/* Send one byte; a line feed is not translated. Waits for seconds at most when the output buffer is full, then drops the byte. */
void serial_put(unsigned port, char c);
/* Send what is buffered and wait until the transmitter is empty. */
void serial_drain(unsigned port);
/* No more buffering. */
void serial_force_polled(unsigned port);
/* Does the hypervisor use this port? Then its 8 I/O ports from *base and its GSI *irq (0: none) are not for a domain. Any context. */
bool serial_claimed(unsigned port, u16 *base, unsigned *irq);

#endif
