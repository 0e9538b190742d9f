/* SPDX-License-Identifier: MIT */
/* The terminal during a console session: raw mode, and what signals do to it. */
#include <errno.h>
#include <lib/console_terminal.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

/* A guest may have left colours on and the cursor off. */
#define RESET	"\033[0m\033[?25h"

static const int handled[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGPIPE };
#define HANDLED	(sizeof(handled) / sizeof(handled[0]))

static struct sigaction before[HANDLED];
static struct termios saved, raw;
static int terminal = -1;

/* Both are called by signal handlers: only what POSIX allows there. */
static void set_raw(void)
{
	if (terminal >= 0)
		tcsetattr(terminal, TCSANOW, &raw);
}

static void restore(void)
{
	ssize_t n;

	if (terminal < 0)
		return;
	n = write(terminal, RESET, sizeof(RESET) - 1);
	(void)n;
	tcsetattr(terminal, TCSANOW, &saved);
}

static void on_signal(int sig)
{
	int error = errno;

	if (sig == SIGCONT) {
		set_raw();
	} else if (sig == SIGTSTP) {
		restore();
		raise(SIGSTOP);
	} else {
		restore();
		signal(sig, SIG_DFL);
		raise(sig);
	}
	errno = error;
}

void terminal_enter(int fd)
{
	struct sigaction sa = { .sa_flags = SA_RESTART };

	terminal = -1;
	if (fd >= 0 && isatty(fd) && tcgetattr(fd, &saved) == 0) {
		raw = saved;
		cfmakeraw(&raw);
		terminal = fd;
	}
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < HANDLED; i++) {
		sigaction(handled[i], NULL, &before[i]);
		sa.sa_handler = handled[i] == SIGPIPE ? SIG_IGN : on_signal;
		/* What the caller had ignored (nohup) stays ignored. */
		if (before[i].sa_handler != SIG_IGN)
			sigaction(handled[i], &sa, NULL);
	}
	set_raw();
}

void terminal_leave(void)
{
	restore();
	terminal = -1;
	for (size_t i = 0; i < HANDLED; i++)
		sigaction(handled[i], &before[i], NULL);
}
