/* SPDX-License-Identifier: MIT */
/*
 * The 8254. Channel 2, which has a gate of its own, counts down once from 65535, for a single measurement of up to 54 ms. Channel 0 is
 * wired to ISA interrupt 0.
 */
#include <core/platform_timer.h>
#include <x86/io.h>

#define PORT_CHANNEL0	0x40
#define PORT_CHANNEL2	0x42
#define PORT_MODE	0x43
#define PORT_GATE	0x61
#define GATE_ON		0x01
#define SPEAKER_ON	0x02

static u64 pit_read(void)
{
	u16 left;

	outb(PORT_MODE, 0x80);	/* latch channel 2 */
	left = inb(PORT_CHANNEL2);
	left |= (u16)(inb(PORT_CHANNEL2) << 8);
	return 0xffff - left;
}

static struct platform_timer pit = { .name = "PIT", .hz = 1193182, .mask = 0xffff, .brief = true, .read = pit_read };

const struct platform_timer *pit_probe(void)
{
	u64 start;

	outb(PORT_GATE, (inb(PORT_GATE) & ~SPEAKER_ON) & ~GATE_ON);
	outb(PORT_MODE, 0xb0);	/* channel 2, both bytes, mode 0, binary */
	outb(PORT_CHANNEL2, 0xff);
	outb(PORT_CHANNEL2, 0xff);
	outb(PORT_GATE, (inb(PORT_GATE) & ~SPEAKER_ON) | GATE_ON);
	start = pit_read();
	for (unsigned i = 0; i < 1000; i++)
		if (pit_read() != start)
			return &pit;
	return NULL;
}

void pit_tick(void)
{
	outb(PORT_MODE, 0x34);	/* channel 0, both bytes, mode 2, binary */
	outb(PORT_CHANNEL0, 0);
	outb(PORT_CHANNEL0, 0);
}
