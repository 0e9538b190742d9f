/* SPDX-License-Identifier: MIT */
/*
 * A plugin for QEMU that counts instructions by the address of their translated block, for tests/bench/profile.
 *
 * usage: -plugin profile.so,socket=PATH     a line "FILE\n" through the socket writes all counts so far to FILE: "ADDRESS COUNT"
 *
 * Debian packages no qemu-plugin.h; these are the functions of plugin API version 1 that are used. One TCG thread runs the
 * machine, so nobody else counts at the same time. A count that is being read may be a moment old.
 */
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
typedef struct qemu_info_t qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

PUBLIC int qemu_plugin_version = 1;

enum { ADD_U64 = 0, BUCKETS = 1 << 16 };

/* A block that is translated again has the same counter; they are never freed. */
struct block {
	struct block *next;
	uint64_t address, insns;
};

static struct block *buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct block *block_at(uint64_t address)
{
	struct block **head = &buckets[(address ^ address >> 16) % BUCKETS], *b;

	pthread_mutex_lock(&lock);
	for (b = *head; b && b->address != address; b = b->next)
		;
	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b)
			abort();
		b->address = address;
		b->next = *head;
		*head = b;
	}
	pthread_mutex_unlock(&lock);
	return b;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = block_at(qemu_plugin_tb_vaddr(tb));

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &b->insns, qemu_plugin_tb_n_insns(tb));
}

static bool write_counts(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct block *b = buckets[i]; b; b = b->next)
			fprintf(f, "%" PRIx64 " %" PRIu64 "\n", b->address, b->insns);
	pthread_mutex_unlock(&lock);
	return fclose(f) == 0;
}

static void *serve(void *arg)
{
	FILE *f = arg;
	char path[4096];

	while (fgets(path, sizeof(path), f)) {
		bool done;

		path[strcspn(path, "\n")] = '\0';
		done = write_counts(path);
		if (write(fileno(f), done ? "done\n" : "lost\n", 5) != 5)
			break;
	}
	fclose(f);
	return NULL;
}

PUBLIC int qemu_plugin_install(uint64_t id, const qemu_info_t *info, int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	pthread_t thread;
	FILE *f;
	int fd;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "socket=", 7) || strlen(argv[0] + 7) >= sizeof(a.sun_path))
		return -1;
	strcpy(a.sun_path, argv[0] + 7);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) || !(f = fdopen(fd, "r+")))
		return -1;
	setvbuf(f, NULL, _IONBF, 0);
	if (pthread_create(&thread, NULL, serve, f))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
