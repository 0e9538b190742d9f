/* SPDX-License-Identifier: MIT */
/* sysctl: the hypervisor's log, and its debug keys. */
#include <core/console.h>
#include <core/debug_key.h>
#include <hypercall/sysctl.h>

#define CHUNK	256

int sysctl_readconsole(struct xen_sysctl *sysctl)
{
	struct xen_sysctl_readconsole *op = &sysctl->u.readconsole;
	u64 pos = op->incremental ? op->index : console_ring_start();
	u32 done = 0;
	char buf[CHUNK];

	/* The caller's index has 32 bits: extend it by the ring's own position. */
	if (op->incremental)
		pos += console_ring_start() & ~0xffffffffUL;
	while (done < op->count) {
		size_t n = console_ring_read(buf, min((u32)CHUNK, op->count - done), &pos);

		if (!n)
			break;
		if (copy_to_guest(op->buffer.p + done, buf, n))
			return -EFAULT;
		done += (u32)n;
	}
	op->count = done;
	op->index = (u32)pos;
	if (op->clear)
		console_ring_clear();
	return 0;
}

int sysctl_debug_keys(struct xen_sysctl *sysctl)
{
	const struct xen_sysctl_debug_keys *op = &sysctl->u.debug_keys;

	for (u32 i = 0; i < op->nr_keys; i++) {
		char key;

		if (copy_from_guest_idx(&key, op->keys.p, i, 1))
			return -EFAULT;
		debug_key_handle(key);
		if (i == 255)
			break;
	}
	return 0;
}
