/* SPDX-License-Identifier: MIT */
/* A terminal in raw mode that is restored on every way out. For console.c and lodge top. */
#ifndef TOOLS_LIB_CONSOLE_TERMINAL_H
#define TOOLS_LIB_CONSOLE_TERMINAL_H

/* Every key goes to the program as it is; nothing is echoed. Signals that end or stop the process first restore the terminal fd; fd -1: there is none. */
void terminal_enter(int fd);
void terminal_leave(void);

#endif
