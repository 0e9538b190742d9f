/* SPDX-License-Identifier: MIT */
/*
 * A plugin for QEMU that counts how often each instruction is executed, for tests/bench/profile and ops. Counts are written as lines "ADDRESS COUNT".
 *
 * usage: -plugin profile.so,socket=PATH     a line "FILE\n" through the socket writes all counts so far to FILE
 *        -plugin profile.so,marks=DIR       what is executed from a mark to the next (mark.h) is written to DIR/0, DIR/1 …
 *        …,blocks=on                        counts whole blocks of instructions at their first: several times as fast; a fault within one is not seen
 *
 * Debian packages no qemu-plugin.h; these are the functions of plugin API version 1 that are used. One TCG thread runs the
 * machine, so nobody else counts at the same time. A count that is being read may be a moment old.
 */
#include "mark.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PUBLIC	__attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*fn)(unsigned vcpu, void *arg), int flags, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

PUBLIC int qemu_plugin_version = 1;

enum { ADD_U64 = 0, NO_REGISTERS = 0, BUCKETS = 1 << 19 };

/* An instruction that is translated again has the same counter; they are never freed. */
struct counter {
	struct counter *next;
	uint64_t address, count;
	uint64_t begin;		/* count at the last MARK_BEGIN */
};

static struct counter *buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *marks;	/* a directory, or NULL */
static bool blocks;

/* Under the lock. */
static struct counter *counter_at(uint64_t address)
{
	struct counter **head = &buckets[(address ^ address >> 19) % BUCKETS], *c;

	for (c = *head; c && c->address != address; c = c->next)
		;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->address = address;
		c->next = *head;
		*head = c;
	}
	return c;
}

/* Counts since `begin` was taken, or all of them. */
static bool write_counts(const char *path, bool all)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct counter *c = buckets[i]; c; c = c->next) {
			uint64_t n = all ? c->count : c->count - c->begin;

			if (n)
				fprintf(f, "%" PRIx64 " %" PRIu64 "\n", c->address, n);
		}
	pthread_mutex_unlock(&lock);
	return fclose(f) == 0;
}

static void mark_begin(unsigned vcpu, void *arg)
{
	(void)vcpu;
	(void)arg;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct counter *c = buckets[i]; c; c = c->next)
			c->begin = c->count;
	pthread_mutex_unlock(&lock);
}

static void mark_end(unsigned vcpu, void *arg)
{
	static unsigned number;
	char path[4096];

	(void)vcpu;
	(void)arg;
	snprintf(path, sizeof(path), "%s/%u", marks, number++);
	if (!write_counts(path, false)) {
		perror(path);
		exit(1);
	}
}

/* The displacement of the long NOP that is a mark, or 0. */
static uint32_t mark_of(const struct qemu_plugin_insn *insn)
{
	static const uint8_t nop[4] = { 0x0f, 0x1f, 0x84, 0x00 };
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	uint32_t mark;

	if (qemu_plugin_insn_size(insn) != 8 || memcmp(bytes, nop, sizeof(nop)))
		return 0;
	memcpy(&mark, bytes + sizeof(nop), sizeof(mark));
	return mark;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	pthread_mutex_lock(&lock);
	if (blocks)
		qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &counter_at(qemu_plugin_tb_vaddr(tb))->count, qemu_plugin_tb_n_insns(tb));
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t mark = marks ? mark_of(insn) : 0;

		if (mark == MARK_BEGIN || mark == MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark == MARK_BEGIN ? mark_begin : mark_end, NO_REGISTERS, NULL);
		else if (!blocks)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &counter_at(qemu_plugin_insn_vaddr(insn))->count, 1);
	}
	pthread_mutex_unlock(&lock);
}

static void *serve(void *arg)
{
	FILE *f = arg;
	char path[4096];

	while (fgets(path, sizeof(path), f)) {
		bool done;

		path[strcspn(path, "\n")] = '\0';
		done = write_counts(path, true);
		if (write(fileno(f), done ? "done\n" : "lost\n", 5) != 5)
			break;
	}
	fclose(f);
	return NULL;
}

static bool listen_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	pthread_t thread;
	FILE *f;
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return false;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) || !(f = fdopen(fd, "r+")))
		return false;
	setvbuf(f, NULL, _IONBF, 0);
	return !pthread_create(&thread, NULL, serve, f);
}

PUBLIC int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "blocks=on")) {
			blocks = true;
		} else if (!strncmp(argv[i], "marks=", 6)) {
			marks = strdup(argv[i] + 6);
			if (!marks)
				return -1;
		} else if (strncmp(argv[i], "socket=", 7) || !listen_to(argv[i] + 7)) {
			return -1;
		}
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
