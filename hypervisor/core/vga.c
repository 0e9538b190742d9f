/* SPDX-License-Identifier: MIT */
/* The VGA text screen: character cells in memory at 0xb8000, cursor in the CRT controller. */
#include <core/vga.h>
#include <x86/io.h>
#include <x86/layout.h>

#define COLUMNS		80
#define ROWS		25
#define ATTRIBUTE	0x0700	/* light grey on black */
#define TEXT_BUFFER	0xb8000
#define CRTC_INDEX	0x3d4
#define CRTC_DATA	0x3d5
#define CRTC_START_HIGH	0x0c
#define CRTC_START_LOW	0x0d
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW	0x0f

static unsigned column, row;

static volatile u16 *cell(unsigned r, unsigned c)
{
	return (volatile u16 *)(DIRECTMAP_START + TEXT_BUFFER) + r * COLUMNS + c;
}

static void crtc(u8 index, u8 value)
{
	outb(CRTC_INDEX, index);
	outb(CRTC_DATA, value);
}

static void clear_row(unsigned r)
{
	for (unsigned c = 0; c < COLUMNS; c++)
		*cell(r, c) = ATTRIBUTE | ' ';
}

static void move_cursor(void)
{
	unsigned at = row * COLUMNS + column;

	crtc(CRTC_CURSOR_HIGH, (u8)(at >> 8));
	crtc(CRTC_CURSOR_LOW, (u8)at);
}

void vga_open(void)
{
	crtc(CRTC_START_HIGH, 0);
	crtc(CRTC_START_LOW, 0);
	for (unsigned r = 0; r < ROWS; r++)
		clear_row(r);
	column = row = 0;
	move_cursor();
}

static void new_line(void)
{
	column = 0;
	if (++row < ROWS)
		return;
	row = ROWS - 1;
	for (unsigned r = 0; r < row; r++)
		for (unsigned c = 0; c < COLUMNS; c++)
			*cell(r, c) = *cell(r + 1, c);
	clear_row(row);
}

void vga_put(char c)
{
	switch (c) {
	case '\n':
		new_line();
		break;
	case '\r':
		column = 0;
		break;
	case '\b':
		if (column)
			column--;
		break;
	case '\t':
		column = (column + 8) & ~7u;
		break;
	default:
		if ((u8)c < ' ')
			return;
		*cell(row, column++) = (u16)(ATTRIBUTE | (u8)c);
	}
	if (column >= COLUMNS)
		new_line();
	move_cursor();
}
