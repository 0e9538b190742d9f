/* SPDX-License-Identifier: MIT */
/* Print the hypervisor's log, or press its debug keys, from Domain 0. */
/*
 * usage: hvctl log | hvctl keys LETTERS
 *
 * Hypercalls go through the kernel's privcmd device. The hypervisor follows user addresses in their arguments but
 * cannot fault pages in, so the buffer is locked in memory.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/sysctl.h>

/* Linux's ABI; include/uapi/xen/privcmd.h is not among the installed headers. */
struct privcmd_hypercall {
	uint64_t op;
	uint64_t arg[5];
};
#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

#define CHUNK 16384u

static struct {
	struct xen_sysctl op;
	char text[CHUNK];
} buffer;

static int privcmd;

static int sysctl_call(uint32_t command)
{
	struct privcmd_hypercall call = { .op = __HYPERVISOR_sysctl, .arg = { (uintptr_t)&buffer.op } };

	buffer.op.cmd = command;
	buffer.op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	if (ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
		perror("hvctl: hypercall");
		return -1;
	}
	return 0;
}

static int log_print(void)
{
	struct xen_sysctl_readconsole *read = &buffer.op.u.readconsole;

	read->clear = 0;
	read->incremental = 1;
	read->index = 0;
	do {
		read->count = CHUNK;
		set_xen_guest_handle(read->buffer, buffer.text);
		if (sysctl_call(XEN_SYSCTL_readconsole))
			return 1;
		fwrite(buffer.text, 1, read->count, stdout);
	} while (read->count);
	return 0;
}

static int keys_press(const char *keys)
{
	size_t count = strlen(keys);

	if (count > CHUNK)
		count = CHUNK;
	memcpy(buffer.text, keys, count);
	set_xen_guest_handle(buffer.op.u.debug_keys.keys, buffer.text);
	buffer.op.u.debug_keys.nr_keys = (uint32_t)count;
	return sysctl_call(XEN_SYSCTL_debug_keys) ? 1 : 0;
}

int main(int argc, char **argv)
{
	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (privcmd < 0 || mlock(&buffer, sizeof(buffer))) {
		perror("hvctl: /dev/xen/privcmd");
		return 1;
	}
	if (argc == 2 && strcmp(argv[1], "log") == 0)
		return log_print();
	if (argc == 3 && strcmp(argv[1], "keys") == 0)
		return keys_press(argv[2]);
	fprintf(stderr, "usage: hvctl log | hvctl keys LETTERS\n");
	return 2;
}
