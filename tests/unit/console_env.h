/* SPDX-License-Identifier: MIT */
/* For tests of the console daemon: a hypervisor with guests that write and read rings, in memory that survives the daemon's process. */
#ifndef TESTS_UNIT_CONSOLE_ENV_H
#define TESTS_UNIT_CONSOLE_ENV_H

#include <consoled/client.h>
#include <consoled/discover.h>
#include <consoled/guest.h>
#include <consoled/loop.h>
#include <consoled/state.h>
#include <consoled/xen.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define GUESTS		64	/* domain ids below that; a guest's port is its id, here and there */

struct fake_guest {
	struct xencons_interface ring;
	bool exists, dying, bound, mapped;
	int pending, masked;
	unsigned int notified;
};

static struct fake_guest *world;	/* GUESTS of them */
static int world_fd;			/* eventfd */
static char test_dir[64];

/* --- the hypervisor ----------------------------------------------------------------------------------------------------------- */

int xen_open(struct err *e) { return 0; }
int xen_event_fd(void) { return world_fd; }

int xen_next_event(void)
{
	eventfd_t n;

	eventfd_read(world_fd, &n);
	for (int i = 0; i < GUESTS; i++) {
		struct fake_guest *f = &world[i];

		if (f->bound && !__atomic_load_n(&f->masked, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&f->pending, 0, __ATOMIC_SEQ_CST)) {
			__atomic_store_n(&f->masked, 1, __ATOMIC_SEQ_CST);
			eventfd_write(world_fd, 1);
			return i;
		}
	}
	return -EAGAIN;
}

static void raise_event(int port)
{
	__atomic_store_n(&world[port].pending, 1, __ATOMIC_SEQ_CST);
	eventfd_write(world_fd, 1);
}

int xen_bind(uint16_t domid, uint32_t remote_port)
{
	if (domid >= GUESTS || remote_port != domid || world[domid].bound)
		return -EINVAL;
	world[domid].bound = true;
	world[domid].masked = 0;
	raise_event(domid);
	return domid;
}

void xen_unbind(int port) { world[port].bound = false; }
void xen_notify(int port) { world[port].notified++; }

void xen_unmask(int port)
{
	__atomic_store_n(&world[port].masked, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&world[port].pending, __ATOMIC_SEQ_CST))
		eventfd_write(world_fd, 1);
}

struct xencons_interface *xen_map(uint16_t domid, uint64_t gfn, bool *granted)
{
	*granted = true;
	errno = EINVAL;
	if (domid >= GUESTS || !world[domid].exists || gfn == 0)
		return NULL;
	world[domid].mapped = true;
	return &world[domid].ring;
}

void xen_unmap(struct xencons_interface *ring, bool granted)
{
	for (int i = 0; i < GUESTS; i++)
		if (&world[i].ring == ring)
			world[i].mapped = false;
}

int xen_domains(uint16_t first, struct xen_domain *list, size_t max)
{
	size_t n = 0;

	for (int i = first; i < GUESTS && n < max; i++)
		if (world[i].exists || (i == 0))
			list[n++] = (struct xen_domain){ (uint16_t)i, world[i].dying };
	return (int)n;
}

/* --- a guest's side ----------------------------------------------------------------------------------------------------------- */

/* Write at most len bytes; how many there was room for. */
static __attribute__((unused)) size_t guest_write(int id, const char *data, size_t len)
{
	struct xencons_interface *r = &world[id].ring;
	uint32_t prod = r->out_prod, room = sizeof(r->out) - (prod - __atomic_load_n(&r->out_cons, __ATOMIC_ACQUIRE));

	if (room > sizeof(r->out))
		room = 0;
	if (len > room)
		len = room;
	for (size_t i = 0; i < len; i++)
		r->out[MASK_XENCONS_IDX(prod + i, r->out)] = data[i];
	__atomic_store_n(&r->out_prod, prod + (uint32_t)len, __ATOMIC_RELEASE);
	if (len)
		raise_event(id);
	return len;
}

static __attribute__((unused)) void guest_print(int id, const char *text)
{
	CHECK_EQ(guest_write(id, text, strlen(text)), strlen(text));
}

/* Take what came; NUL-terminated. */
static __attribute__((unused)) size_t guest_read(int id, char *buf, size_t size)
{
	struct xencons_interface *r = &world[id].ring;
	uint32_t cons = r->in_cons, prod = __atomic_load_n(&r->in_prod, __ATOMIC_ACQUIRE);
	size_t n = 0;

	while (cons != prod && n < size - 1)
		buf[n++] = r->in[MASK_XENCONS_IDX(cons++, r->in)];
	buf[n] = '\0';
	__atomic_store_n(&r->in_cons, cons, __ATOMIC_RELEASE);
	if (n)
		raise_event(id);
	return n;
}

/* --- the daemon --------------------------------------------------------------------------------------------------------------- */

static void world_ready(struct source *s, uint32_t events)
{
	int port;

	for (int i = 0; i < 64 && (port = xen_next_event()) >= 0; i++)
		guest_event(port);
}

static struct source world_source = { .ready = world_ready };
static struct log_settings test_logs;

static void remove_dir(const char *path)
{
	char name[512];
	DIR *d = opendir(path);

	for (struct dirent *f; d && (f = readdir(d));) {
		snprintf(name, sizeof(name), "%s/%s", path, f->d_name);
		if (f->d_name[0] != '.' && unlink(name) < 0)
			remove_dir(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void clean_up(void) { remove_dir(test_dir); }

/* A new world without guests, and a directory for the files. */
static void make_world(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	world = mmap(NULL, GUESTS * sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	world_fd = eventfd(0, EFD_NONBLOCK);
	strcpy(test_dir, "/tmp/lodge-consoled-XXXXXX");
	CHECK(mkdtemp(test_dir) != NULL);
}

static const char *in_dir(const char *name)
{
	static char path[8][160];
	static unsigned int n;
	char *p = path[n++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", test_dir, name);
	return p;
}

static void start_daemon(uint64_t max_size, unsigned int files, int64_t rate)
{
	struct err e = { 0 };
	static char dir[160];

	snprintf(dir, sizeof(dir), "%s/log", test_dir);
	test_logs = (struct log_settings){ dir, max_size, files };
	CHECK_EQ(loop_open(), 0);
	CHECK_EQ(state_open(in_dir("state"), &e), 0);
	CHECK_EQ(log_setup(&test_logs, &e), 0);
	guest_setup(rate);
	world_source.fd = world_fd;
	CHECK_EQ(loop_add(&world_source, EPOLLIN), 0);
	CHECK_EQ(client_listen(in_dir("sock"), &e), 0);
	CHECK_STR(e.text, "");
}

/* Until nothing has happened for a while. */
static __attribute__((unused)) void settle(void)
{
	for (int i = 0; i < 12; i++) {
		guest_timers();
		CHECK_EQ(loop_turn(2), 0);
	}
}

static __attribute__((unused)) void run_for(int ms)
{
	for (int64_t end = loop_now() + ms; loop_now() < end;) {
		int next = guest_timers();

		loop_turn(next < 0 || next > 5 ? 5 : next);
	}
}

/* A guest that is there and attached. */
static __attribute__((unused)) struct guest *new_guest(int id, const char *name)
{
	struct guest *g;

	memset(&world[id], 0, sizeof(world[id]));
	world[id].exists = true;
	g = guest_add((uint16_t)id);
	guest_attach(g, name, 0x1000 + (uint64_t)id, (uint32_t)id);
	CHECK(g->ring != NULL);
	return g;
}

static __attribute__((unused)) void end_all(void)
{
	while (guest_first())
		guest_end(guest_first());
	run_for(10);
	client_stop();
	state_close();
	loop_close();
	clean_up();
}

/* A whole file, NUL-terminated, to be freed; NULL: none. */
static __attribute__((unused)) char *slurp(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *text;

	*len = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	*len = (size_t)read(fd, text, (size_t)st.st_size);
	text[*len] = '\0';
	close(fd);
	return text;
}

static __attribute__((unused)) void check_log(const char *name, const char *expected)
{
	size_t len;
	char path[200], *text;

	snprintf(path, sizeof(path), "%s/log/%s.log", test_dir, name);
	text = slurp(path, &len);
	CHECK_STR(text, expected);
	free(text);
}

/* --- a client ----------------------------------------------------------------------------------------------------------------- */

static __attribute__((unused)) int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, in_dir("sock"));
	CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static __attribute__((unused)) void put(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come: NUL-terminated, "<eof>" at the end of it all. */
static __attribute__((unused)) char *got(int fd)
{
	static char buf[4][1 << 16];
	static unsigned int which;
	char *b = buf[which++ % 4];
	size_t n = 0;
	ssize_t k;

	/* A full buffer is not the end. */
	while (errno = EAGAIN, k = -1, n < sizeof(buf[0]) - 8 && (k = recv(fd, b + n, sizeof(buf[0]) - 8 - n, 0)) > 0)
		n += (size_t)k;
	b[n] = '\0';
	if (k == 0 || (k < 0 && errno != EAGAIN))
		strcpy(b + n, "<eof>");
	return b;
}

/* Ask; the answer's line is checked for a part, and what follows it is returned. */
static __attribute__((unused)) char *ask(int fd, const char *request, const char *part)
{
	static char none[1];
	char *text, *end;

	put(fd, request);
	put(fd, "\n");
	settle();
	text = got(fd);
	end = strchr(text, '\n');
	if (!end || !strstr(text, part) || strstr(text, part) > end) {
		TEST_FAIL("asked %s, got %.300s, expected %s", request, text, part);
		return none;
	}
	return end + 1;
}

#endif
