/* SPDX-License-Identifier: MIT */
/* Small hypercalls: version, console, VM assists, debug registers. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/version.h>

static u8 buffer[4096] __attribute__((aligned(4096)));

/* Calls xen_version with a canary behind the result; -1 if more than size bytes were written. */
static long version(unsigned cmd, size_t size)
{
	long rc;

	memset(buffer, 0xc7, sizeof(buffer));
	rc = HCALL(xen_version, cmd, buffer);
	for (size_t i = size; i < sizeof(buffer); i++)
		if (buffer[i] != 0xc7) {
			test_fail(__FILE__, __LINE__, "command %u wrote byte %lu", cmd, i);
			break;
		}
	return rc;
}

/* A string that ends inside its field, with nothing but zeroes after its end (no bytes of the hypervisor's). */
static void check_string(const char *what, const u8 *s, size_t size)
{
	size_t len = 0;

	while (len < size && s[len])
		len++;
	if (len == size)
		test_fail(__FILE__, __LINE__, "%s has no end", what);
	for (size_t i = 0; i < len; i++)
		if (s[i] < 32 || s[i] > 126)
			test_fail(__FILE__, __LINE__, "%s: byte %x", what, s[i]);
}

TEST(version_strings)
{
	struct xen_compile_info *ci = (void *)buffer;

	CHECK_EQ(version(XENVER_extraversion, XEN_EXTRAVERSION_LEN), 0);
	check_string("extraversion", buffer, XEN_EXTRAVERSION_LEN);
	CHECK_EQ(version(XENVER_compile_info, sizeof(*ci)), 0);
	check_string("compiler", (u8 *)ci->compiler, sizeof(ci->compiler));
	check_string("compile_by", (u8 *)ci->compile_by, sizeof(ci->compile_by));
	check_string("compile_domain", (u8 *)ci->compile_domain, sizeof(ci->compile_domain));
	check_string("compile_date", (u8 *)ci->compile_date, sizeof(ci->compile_date));
	CHECK_EQ(version(XENVER_capabilities, XEN_CAPABILITIES_INFO_LEN), 0);
	check_string("capabilities", buffer, XEN_CAPABILITIES_INFO_LEN);
	CHECK_EQ(version(XENVER_changeset, sizeof(xen_changeset_info_t)), 0);
	check_string("changeset", buffer, sizeof(xen_changeset_info_t));
	CHECK_EQ(version(XENVER_commandline, sizeof(xen_commandline_t)), 0);
	check_string("command line", buffer, sizeof(xen_commandline_t));
}

TEST(version_numbers)
{
	CHECK_EQ(version(XENVER_version, 0), 4 << 16 | 17);
	CHECK_EQ(HCALL(xen_version, XENVER_pagesize, NULL), PAGE_SIZE);
	CHECK_EQ(version(XENVER_platform_parameters, sizeof(struct xen_platform_parameters)), 0);
	CHECK_EQ(*(u64 *)buffer, HYPERVISOR_VIRT_START);
	CHECK_EQ(version(XENVER_guest_handle, sizeof(xen_domain_handle_t)), 0);
}

TEST(version_build_id)
{
	struct xen_build_id *id = (void *)buffer;
	long size = HCALL(xen_version, XENVER_build_id, NULL), rc;

	/* There may be none. */
	if (size < 0) {
		CHECK(size == -XEN_ENODATA || size == -XEN_ENOSYS);
		return;
	}
	memset(buffer, 0xc7, sizeof(buffer));
	id->len = 256;
	rc = HCALL(xen_version, XENVER_build_id, id);
	CHECK_EQ(rc, size);
	CHECK_EQ(buffer[4 + size], 0xc7);
	id->len = 1;
	CHECK_LT(HCALL(xen_version, XENVER_build_id, id), 0);
}

TEST(version_refused)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		for (unsigned cmd = XENVER_extraversion; cmd <= XENVER_commandline; cmd++)
			if (cmd != XENVER_pagesize && HCALL(xen_version, cmd, bad[i]) != -XEN_EFAULT)
				test_fail(__FILE__, __LINE__, "command %u to %lx", cmd, bad[i]);
	CHECK_EQ(HCALL(xen_version, 11, buffer), -XEN_ENOSYS);
	CHECK_EQ(HCALL(xen_version, 0xffffffff, buffer), -XEN_ENOSYS);
}

TEST(console_write)
{
	static const char text[] = "  a line of the guest\n";

	CHECK_EQ(HCALL(console_io, CONSOLEIO_write, sizeof(text) - 1, text), 0);
	CHECK_EQ(HCALL(console_io, CONSOLEIO_write, 0, text), 0);
	CHECK_LT(HCALL(console_io, CONSOLEIO_write, 10, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(console_io, CONSOLEIO_write, 10, NONCANONICAL), 0);
	CHECK_LT(HCALL(console_io, CONSOLEIO_write, 10, SCRATCH_VA), 0);
	/* A count that leads out of memory: what there is may be printed, and then that is an error. */
	{
		char *last = (char *)(VIRT_BASE + (memory_pages() << PAGE_SHIFT) - 8);

		memcpy(last, "  edge.\n", 8);
		CHECK_LT(HCALL(console_io, CONSOLEIO_write, 0x7fffffff, last), 0);
	}
}

TEST(console_read)
{
	char in[16];
	long n = HCALL(console_io, CONSOLEIO_read, sizeof(in), in);

	CHECK(n >= 0 && n <= (long)sizeof(in));
	CHECK_EQ(HCALL(console_io, CONSOLEIO_read, 0, in), 0);
	CHECK(HCALL(console_io, CONSOLEIO_read, -1, in) <= 0);
	CHECK_LT(HCALL(console_io, 2, 0, in), 0);
	CHECK_LT(HCALL(console_io, 0xffffffff, 0, in), 0);
}

TEST(vm_assist)
{
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), 0);
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
	CHECK_LT(HCALL(vm_assist, 2, VMASST_TYPE_writable_pagetables), 0);
	CHECK_LT(HCALL(vm_assist, VMASST_CMD_enable, 31), 0);
	CHECK_LT(HCALL(vm_assist, VMASST_CMD_enable, 63), 0);
	CHECK_LT(HCALL(vm_assist, VMASST_CMD_enable, 64), 0);
	CHECK_LT(HCALL(vm_assist, VMASST_CMD_enable, 0xffffffff), 0);
}

TEST(m2p_strict)
{
	/* User mode loses sight of the M2P; the kernel does not. */
	long rc = HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict);

	CHECK(rc == 0 || rc < 0);
	CHECK_EQ(machine_to_phys_mapping[pfn_to_mfn(1)], 1);
}

TEST(debug_registers)
{
	for (unsigned r = 0; r < 4; r++) {
		CHECK_EQ(HCALL(set_debugreg, r, 0x1000 * (r + 1)), 0);
		CHECK_EQ(HCALL(get_debugreg, r), 0x1000 * (r + 1));
		/* Breakpoints on the hypervisor's own addresses, and on none. */
		CHECK_LT(HCALL(set_debugreg, r, XEN_VA_INSIDE), 0);
		CHECK_LT(HCALL(set_debugreg, r, 0xffff82d040200000), 0);
		CHECK_LT(HCALL(set_debugreg, r, NONCANONICAL), 0);
		CHECK_EQ(HCALL(get_debugreg, r), 0x1000 * (r + 1));
		CHECK_EQ(HCALL(set_debugreg, r, 0), 0);
	}
	/* Four and five are aliases of six and seven, or missing, as CR4.DE has it. */
	CHECK_LT(HCALL(set_debugreg, 8, 0), 0);
	CHECK_LT(HCALL(set_debugreg, 0xffffffff, 0), 0);
	/* -EINVAL by the ABI header; Xen says -ENODEV. */
	CHECK_LT(HCALL(get_debugreg, 8), 0);
	CHECK_LT(HCALL(get_debugreg, 0xffffffff), 0);
}

TEST(debug_status_and_control)
{
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_EQ(HCALL(get_debugreg, 6) & 0xf00f, 0);
	CHECK_EQ(HCALL(get_debugreg, 6) & 0xffff0ff0, 0xffff0ff0);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
	CHECK_EQ(HCALL(get_debugreg, 7) & ~0x400, 0);
	/* GD would make the hypervisor's own accesses fault; reserved and undefined bits go. */
	HCALL(set_debugreg, 7, 1ul << 13);
	CHECK_EQ(HCALL(get_debugreg, 7) & 1ul << 13, 0);
	CHECK_LT(HCALL(set_debugreg, 7, 1ul << 40), 1);
	CHECK_EQ(HCALL(get_debugreg, 7) >> 32, 0);
	HCALL(set_debugreg, 6, ~0ul);
	CHECK_EQ(HCALL(get_debugreg, 6) >> 32, 0);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
	/* I/O breakpoints need CR4.DE, which the guest has not set. */
	CHECK(HCALL(set_debugreg, 7, 0x1 | 0x2 << 16) <= 0);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
}

TEST(breakpoint_in_the_hypervisor)
{
	/* A watched argument that the hypervisor reads: no #DB in there, and none lost that is ours. */
	static u64 word[4];
	struct trap t;

	CHECK_EQ(HCALL(set_debugreg, 0, word), 0);
	CHECK_EQ(HCALL(set_debugreg, 7, 0x1 | 0x3 << 16 | 0x2 << 18), 0);
	CATCH(&t, HCALL(xen_version, XENVER_guest_handle, word));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_DB);
	CATCH(&t, HCALL(xen_version, XENVER_platform_parameters, word));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_DB);
	CHECK_EQ(HCALL(set_debugreg, 7, 0), 0);
	CHECK_EQ(HCALL(set_debugreg, 6, 0), 0);
	CHECK_EQ(word[0], HYPERVISOR_VIRT_START);
}

TEST(unknown_hypercalls)
{
	static const u32 numbers[] = { 11, 38, 43, 44, 45, 46, 47, 56, 57, 62, 63, 64, 65, 100, 127, 128, 1000, 0x7fffffff, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		long rc = raw_hypercall(numbers[i], 1, 2, 3, 4, 5);

		if (rc != -XEN_ENOSYS)
			test_fail(__FILE__, __LINE__, "number %x: %ld", numbers[i], rc);
	}
	/* Through the page as well, for the numbers that it has. */
	for (u64 nr = 60; nr < 128; nr++)
		CHECK_EQ(hypercall(nr, 1, 2, 3, 4, 5), -XEN_ENOSYS);
}

TEST(registers_survive_a_hypercall)
{
	u64 rbx = 1, rbp_ok, r12 = 0;

	asm volatile("mov $0x1b, %%ebx; mov $0x1c, %%r12d; mov $0x1d, %%r13d; mov $0x1e, %%r14d; mov $0x1f, %%r15d\n"
		     "push %%rbp; mov $0x1a, %%ebp; mov %3, %%eax; xor %%edi, %%edi; syscall\n"
		     "xor %%ecx, %%ecx; cmp $0x1a, %%rbp; sete %%cl; pop %%rbp\n"
		     "mov %%rbx, %0; mov %%rcx, %1; sub $0x1d, %%r13; sub $0x1e, %%r14; sub $0x1f, %%r15\n"
		     "sub $0x1c, %%r12; or %%r13, %%r12; or %%r14, %%r12; or %%r15, %%r12; mov %%r12, %2"
		     : "=m"(rbx), "=m"(rbp_ok), "=m"(r12) : "i"(__HYPERVISOR_xen_version)
		     : "rax", "rbx", "rcx", "rdi", "rsi", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	CHECK_EQ(rbx, 0x1b);
	CHECK_EQ(rbp_ok, 1);
	CHECK_EQ(r12, 0);
}

TEST(results_are_whole)
{
	/* Negative results are 64-bit negative numbers, as a 64-bit kernel compares them. */
	CHECK_EQ(HCALL(xen_version, 11, NULL), -38l);
	CHECK_EQ(HCALL(memory_op, 63, NULL), -38l);
	CHECK_EQ(HCALL(event_channel_op, 99, NULL), -38l);
	CHECK_EQ(HCALL(set_segment_base, 9, 0), -22l);
	CHECK_EQ(HCALL(mmu_update, NULL, 1, NULL, 4321), -3l);
}
