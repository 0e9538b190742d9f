/* SPDX-License-Identifier: MIT */
/* CONSOLEIO_*: the machine's console, for Domain 0 and for a guest's last words (ABI: <xen/xen.h>). */
#include <core/console.h>
#include <hypercall/dispatch.h>

#define CHUNK	128

/* Domain 0 owns the console; what any other domain writes is a message about it, and rate-limited. */
static void emit(char *text, size_t len)
{
	if (current->domain->hardware) {
		console_write(text, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			text[i] = ' ';
	guest_debug("%.*s\n", (int)len, text);
}

static long write_text(const char *guest, u64 count)
{
	char buf[CHUNK];

	while (count) {
		u64 n = min(count, (u64)CHUNK);

		if (copy_from_guest(buf, guest, n))
			return -EFAULT;
		emit(buf, n);
		guest += n;
		count -= n;
		if (count && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_console_io, 3, (u64)CONSOLEIO_write, count, (u64)guest);
	}
	return 0;
}

static long read_text(char *guest, u64 count)
{
	char buf[CHUNK];
	size_t n = console_read(buf, min(count, (u64)CHUNK));

	return copy_to_guest(guest, buf, n) ? -EFAULT : (long)n;
}

HYPERCALL(do_console_io)
{
	u64 cmd = (u32)a1, count = (u32)a2;

	if (count > 0x7fffffff)
		return -EINVAL;
	switch (cmd) {
	case CONSOLEIO_write:
		return write_text((const char *)a3, count);
	case CONSOLEIO_read:
		return current->domain->hardware ? read_text((char *)a3, count) : -EPERM;
	default:
		return -ENOSYS;
	}
}
