/* SPDX-License-Identifier: MIT */
/* In place of x86/io.h, for test_serial.c: the ports of a device that the test plays. */
#ifndef X86_IO_H
#define X86_IO_H

__UINT8_TYPE__ inb(__UINT16_TYPE__ port);
void outb(__UINT16_TYPE__ port, __UINT8_TYPE__ v);

#endif
