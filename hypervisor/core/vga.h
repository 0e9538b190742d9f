/* SPDX-License-Identifier: MIT */
/* The VGA text screen, 80 x 25. Called by core/console.c with its lock held. */
#ifndef CORE_VGA_H
#define CORE_VGA_H

/* Clear the screen and put the cursor at its top. The memory below 4 GiB is mapped. */
void vga_open(void);
/* Print a character at the cursor; \n, \r, \t, \b as usual; scrolls. */
void vga_put(char c);

#endif
