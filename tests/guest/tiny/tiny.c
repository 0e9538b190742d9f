/* SPDX-License-Identifier: MIT */
/*
 * A guest for 4 MiB: says on its console that it is up, marks itself up in the store (data/tiny), then waits. It obeys
 * control/shutdown in the store, and commands, which are words on its command line or lines typed on its console. Those of
 * mischief.c are for the command line only.
 */
#include "tiny/tiny.h"
#include "lib/hypercall.h"

#include <xen/event_channel.h>
#include <xen/sched.h>

static char shared_window[PAGE_SIZE] __attribute__((aligned(4096)));
static struct shared_info *const shared = (void *)shared_window;
static evtchn_port_t ports[2];
static unsigned nr_ports;
static unsigned waits;		/* calls of wait_events() so far */
static const unsigned long *p2m;
static void (*mischief)(void);	/* asked for on the command line */

void map_frame(void *window, u64 mfn)
{
	/* present, writable, user, accessed, dirty */
	HCALL(update_va_mapping, window, mfn << PAGE_SHIFT | 0x67, UVMF_INVLPG | UVMF_LOCAL);
}

u64 frame_of(const void *page)
{
	return p2m[((u64)page - VIRT_BASE) >> PAGE_SHIFT];
}

void notify(u32 port)
{
	HCALL(event_channel_op, EVTCHNOP_send, &(struct evtchn_send){ .port = port });
}

/* timeout: absolute, in nanoseconds; 0: none */
static void poll_events(u64 timeout)
{
	struct sched_poll poll = { .nr_ports = nr_ports, .timeout = timeout };

	set_xen_guest_handle(poll.ports, ports);
	HCALL(sched_op, SCHEDOP_poll, &poll);
	waits++;
	for (unsigned i = 0; i < nr_ports; i++)
		__atomic_fetch_and(&shared->evtchn_pending[ports[i] / 64], ~(1ul << ports[i] % 64), __ATOMIC_SEQ_CST);
}

u32 noise(void)
{
	static u32 r = 2463534242;

	r ^= r << 13;
	r ^= r >> 17;
	r ^= r << 5;
	return r;
}

void say(const char *what)
{
	console_write("tiny: ");
	console_write(what);
	console_write("\n");
}

void wait_events(void)
{
	poll_events(0);
}

void wait_events_briefly(void)
{
	struct vcpu_time_info *t = &shared->vcpu_info[0].time;

	/* The time when the hypervisor last wrote it down, and a little more: at most the past, which is no wait at all. */
	poll_events(READ_ONCE(t->system_time) + 1000000);
}

static void leave(const char *how, unsigned reason)
{
	say(how);
	HCALL(sched_op, SCHEDOP_shutdown, &(struct sched_shutdown){ .reason = reason });
}

void die(void)
{
	leave("crash", SHUTDOWN_crash);
}

static void flood(void)
{
	for (;;)
		console_write("All work and no play makes this a dull guest.\n");
}

static void spin(void)
{
	for (;;)
		asm volatile("pause");
}

bool equal(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !strncmp(a, b, strlen(a));
}

/* What control/shutdown or a command may say. false if it is none of it. */
static bool obey(const char *word)
{
	static const struct {
		const char *word;
		unsigned reason;
	} ends[] = {
		{ "poweroff", SHUTDOWN_poweroff }, { "halt", SHUTDOWN_poweroff }, { "reboot", SHUTDOWN_reboot },
		{ "suspend", SHUTDOWN_suspend }, { "crash", SHUTDOWN_crash }, { "watchdog", SHUTDOWN_watchdog },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		if (equal(word, ends[i].word)) {
			leave(word, ends[i].reason);
			return true;
		}
	return false;
}

static void command(const char *word)
{
	if (!*word || obey(word))
		return;
	if (equal(word, "flood"))
		flood();
	if (equal(word, "spin"))
		spin();
	if (equal(word, "corrupt"))
		console_corrupt();
	console_write(equal(word, "help") ? "poweroff reboot crash flood spin corrupt\n" : "tiny: I know no such command; try help\n");
}

static void take_input(void)
{
	static char line[64];
	static u32 len;
	int c;

	while ((c = console_read()) >= 0) {
		console_write((char[]){ (char)(c == '\r' ? '\n' : c), 0 });
		if (c != '\r' && c != '\n') {
			if (len < sizeof(line) - 1)
				line[len++] = (char)c;
			continue;
		}
		line[len] = 0;
		len = 0;
		command(line);
	}
}

static void take_shutdown(void)
{
	char how[16];

	if (store_read("control/shutdown", how, sizeof(how)) || !how[0])
		return;
	store_write("control/shutdown", "");
	obey(how);
}

/* Words on the command line that are no commands are nobody's business here. */
static void run_command_line(char *text)
{
	while (*text) {
		char *end = text;

		while (*end && *end != ' ')
			end++;
		if (*end)
			*end++ = 0;
		if (equal(text, "flood") || equal(text, "spin") || equal(text, "corrupt"))
			command(text);
		else if (mischief_find(text))
			mischief = mischief_find(text);
		else
			obey(text);
		text = end;
	}
}

void tiny_main(start_info_t *info);

void tiny_main(start_info_t *info)
{
	static const char *const features[] = { "control/feature-poweroff", "control/feature-reboot", "control/feature-suspend" };
	char name[64];

	p2m = (const unsigned long *)info->mfn_list;
	map_frame(shared_window, info->shared_info >> PAGE_SHIFT);
	if (info->console.domU.evtchn)
		ports[nr_ports++] = info->console.domU.evtchn;
	if (info->store_evtchn)
		ports[nr_ports++] = info->store_evtchn;
	console_init(info->console.domU.mfn, info->console.domU.evtchn);
	console_write("tiny: up\n");
	run_command_line((char *)info->cmd_line);

	store_init(info->store_mfn, info->store_evtchn);
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		store_write(features[i], "1");
	store_watch("control/shutdown");
	store_write("data/tiny", "up");
	if (!store_read("name", name, sizeof(name))) {
		console_write("Hello from ");
		console_write(name);
		console_write(".\n");
	}
	if (mischief)
		mischief();
	for (;;) {
		unsigned before = waits;

		while (store_watch_fired())
			take_shutdown();
		take_input();
		/* Who waited for something else may have cleared an event that was for us. */
		if (waits == before)
			wait_events();
	}
}
