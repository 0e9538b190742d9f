/* SPDX-License-Identifier: MIT */
/* lodge top: who uses how much of the machine just now. */
#include <lib/console_terminal.h>
#include <lodge/top_rates.h>
#include <lodge/verb.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DELAY_S		3
#define DELAY_MAX_S	3600
#define ROUNDS_MAX	1000000000L
#define CTRL_C		3

/* Letters of keys and of --sort. */
static const struct { char key; const char *name; } columns[TOP_COLUMNS] = {
	[TOP_NAME] = { 'a', "name" }, [TOP_CPU] = { 'c', "cpu" }, [TOP_MEMORY] = { 'm', "memory" }, [TOP_NETWORK] = { 'n', "network" },
	[TOP_DISK] = { 'd', "disk" },
};

struct top {
	enum top_column by;
	long delay_s, rounds;		/* 0: without end */
	bool json, screen;
	json_t *before;			/* the answer before this */
	int lines;			/* that still fit the screen */
};

/* A line of the table; on a screen, one that fits, and clears what was there. */
static void __attribute__((format(printf, 2, 3))) line(struct top *t, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!t->screen)
		puts(text);
	else if (t->lines-- > 0)
		printf("%s\033[K\r\n", text);
}

/* "12.3M": bytes in a second, in five characters. */
static const char *bytes(double n, char buf[16])
{
	static const char units[] = "BKMGT";
	unsigned u = 0;

	for (; n >= 1000 && u < sizeof(units) - 2; u++)
		n /= 1024;
	snprintf(buf, 16, u && n < 100 ? "%.1f%c" : "%.0f%c", n, units[u]);
	return buf;
}

static void print_table(struct top *t, const struct top_table *table)
{
	char r[4][16], now[16];
	time_t clock = time(NULL);
	double busy = 0;

	for (size_t i = 0; i < table->n; i++)
		busy += table->rows[i].cpu_percent;
	strftime(now, sizeof(now), "%H:%M:%S", localtime(&clock));
	line(t, "%s  %zu domains  %lld processors, %.1f of %lld %% used  %lld of %lld MiB free  by %s", now, table->n, (long long)table->cpus,
		busy, (long long)table->cpus * 100, (long long)table->free_kib >> 10, (long long)table->memory_kib >> 10, columns[t->by].name);
	line(t, "%-20s %5s %-8s %9s %6s %6s %5s %7s %7s %7s %7s", "Name", "ID", "State", "CPU(s)", "CPU(%)", "Mem", "VCPUs", "Net in", "Net out",
		"Disk in", "Disk out");
	for (size_t i = 0; i < table->n; i++) {
		const struct top_row *row = &table->rows[i];

		line(t, "%-20.20s %5lld %-8s %9.1f %6.1f %6lld %5lld %7s %7s %7s %7s", row->name, (long long)row->domid, row->state, row->cpu_s,
			row->cpu_percent, (long long)row->memory_kib >> 10, (long long)row->vcpus, bytes(row->received, r[0]),
			bytes(row->sent, r[1]), bytes(row->read, r[2]), bytes(row->written, r[3]));
	}
}

static void draw(struct top *t, const struct top_table *table)
{
	struct winsize size = { .ws_row = 24 };

	if (t->screen) {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
			size.ws_row = 24;
		t->lines = size.ws_row - 2;
		printf("\033[?25l\033[H");
	}
	print_table(t, table);
	if (t->screen)
		printf("c cpu  m memory  n network  d disk  a name  + - seconds (%ld)  q quit\033[K\033[J", t->delay_s);
	else
		putchar('\n');
	fflush(stdout);
}

/* Ask, and show what has been done since the answer before. shown false: there is none before it. */
static enum status show(struct top *t, bool shown)
{
	struct top_table table;
	json_t *now;
	struct err e;

	if (manager_call("stats", NULL, &now, &e)) {
		if (t->before && e.error == ECONNRESET) {
			manager_close();	/* it is started again: the next round asks the new one */
			return OK;
		}
		if (t->screen)
			terminal_leave();
		return say_error(NULL, &e);
	}
	if (!top_table_make(&table, t->before, now)) {
		json_decref(now);
		return FAILED;
	}
	top_table_sort(&table, t->by);
	if (shown && t->json)
		print_json(top_table_json(&table));
	else if (shown)
		draw(t, &table);
	fflush(stdout);
	top_table_free(&table);
	json_decref(t->before);
	t->before = now;
	return OK;
}

/* False: enough. */
static bool obey(struct top *t, char key)
{
	for (int i = 0; i < TOP_COLUMNS; i++)
		if (key == columns[i].key)
			t->by = (enum top_column)i;
	if (key == '+' && t->delay_s < DELAY_MAX_S)
		t->delay_s++;
	if (key == '-' && t->delay_s > 1)
		t->delay_s--;
	return key != 'q' && key != 'Q' && key != CTRL_C;
}

/* Until the next round, or a key: those have an effect at once. False: enough. */
static bool wait_round(struct top *t)
{
	struct pollfd p = { .fd = t->screen ? STDIN_FILENO : -1, .events = POLLIN };
	char key;

	if (poll(&p, 1, (int)t->delay_s * 1000) <= 0 || !p.revents)
		return true;
	/* One at a time: what is typed behind q is for others. None: the terminal has gone. */
	return read(STDIN_FILENO, &key, 1) == 1 && obey(t, key);
}

static enum status run(struct top *t)
{
	enum status status = show(t, t->screen);

	for (long i = 0; !status && (!t->rounds || i < t->rounds) && wait_round(t); i++)
		status = show(t, true);
	return status;
}

enum status run_top(const struct args *a)
{
	struct top t = { .by = TOP_CPU, .json = a->json };
	const char *sort = args_value(a, 's');
	enum status status = args_number(a, 'd', DELAY_S, DELAY_MAX_S, &t.delay_s);

	if (!status)
		status = args_number(a, 'i', 0, ROUNDS_MAX, &t.rounds);
	if (status)
		return status;
	if (!t.delay_s)
		t.delay_s = 1;
	for (int i = 0; sort; i++) {
		if (i == TOP_COLUMNS)
			return usage_error(a->verb, "found \"%.40s\", expected name, cpu, memory, network or disk", sort);
		t.by = (enum top_column)i;
		if (!strcmp(sort, columns[i].name))
			break;
	}
	t.screen = !t.json && !args_set(a, 'b') && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (t.screen) {
		terminal_enter(STDIN_FILENO);
		printf("\033[2J");
	}
	status = run(&t);
	if (t.screen)
		terminal_leave();
	if (t.screen)
		putchar('\n');
	json_decref(t.before);
	return status;
}
