/* SPDX-License-Identifier: MIT */
/*
 * A guest's debug registers (source: Intel SDM vol. 3 ch. 17.2).
 *
 * They are in the processor only while a breakpoint is enabled and the vCPU runs; DR7 is 0 otherwise. Breakpoints on the hypervisor's part
 * of the address space are refused, so that a guest cannot watch or disturb it. A data breakpoint on guest memory does hit
 * when the hypervisor copies to or from there; trap_dispatch() ignores that.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <pv/pv.h>
#include <x86/cr.h>
#include <x86/layout.h>

#define DR6_ONES	0xffff0ff0UL
#define DR6_ZEROES	(BIT(12) | ~0xffffffffUL)
#define DR7_ONES	BIT(10)
#define DR7_ZEROES	(BIT(11) | BIT(12) | BIT(14) | BIT(15) | ~0xffffffffUL)
#define DR7_GD		BIT(13)
#define DR7_ENABLES	0xffUL
/* R/W and LEN fields of breakpoint i. */
#define DR7_RW(v, i)	((v) >> (16 + (i) * 4) & 3)
#define DR7_LEN(v, i)	((v) >> (18 + (i) * 4) & 3)
enum { RW_EXEC, RW_WRITE, RW_IO, RW_ACCESS };

#define write_dr(n, v)	__asm__ volatile("mov %0, %%db" #n :: "r"(v))

static void load_address(unsigned reg, u64 val)
{
	switch (reg) {
	case 0:
		write_dr(0, val);
		break;
	case 1:
		write_dr(1, val);
		break;
	case 2:
		write_dr(2, val);
		break;
	case 3:
		write_dr(3, val);
		break;
	}
}

static bool active(const struct vcpu *v)
{
	return v->pv->dr[7] & DR7_ENABLES;
}

void pv_load_debugregs(const struct vcpu *v)
{
	if (!active(v))
		return;
	for (unsigned i = 0; i < 4; i++)
		load_address(i, v->pv->dr[i]);
	write_dr(6, DR6_ONES);
	write_dr(7, v->pv->dr[7]);
}

void pv_unload_debugregs(const struct vcpu *v)
{
	if (active(v))
		write_dr(7, 0UL);
}

void pv_reset_debugregs(struct vcpu *v)
{
	memset(v->pv->dr, 0, sizeof(v->pv->dr));
	v->pv->dr[6] = DR6_ONES;
	v->pv->dr[7] = DR7_ONES;
}

static int check_dr7(u64 val)
{
	for (unsigned i = 0; i < 4; i++) {
		if (!(val >> (i * 2) & 3))
			continue;
		/* Port accesses are emulated: a breakpoint on one would never hit. */
		if (DR7_RW(val, i) == RW_IO)
			return -EPERM;
		if (DR7_RW(val, i) == RW_EXEC && DR7_LEN(val, i))
			return -EINVAL;
	}
	return 0;
}

static int set_dr7(struct vcpu *v, u64 val)
{
	bool was_active = active(v);
	int rc;

	val = (val | DR7_ONES) & ~(DR7_ZEROES | DR7_GD);
	rc = check_dr7(val);
	if (rc)
		return rc;
	v->pv->dr[7] = val;
	if (v != current)
		return 0;
	if (active(v))
		pv_load_debugregs(v);
	else if (was_active)
		write_dr(7, 0UL);
	return 0;
}

int pv_set_debugreg(struct vcpu *v, unsigned reg, u64 val)
{
	switch (reg) {
	case 0 ... 3:
		/* The longest breakpoint covers 8 bytes, aligned. */
		if (!is_canonical(val) || (val >= HYP_VIRT_START && val < HYP_VIRT_END))
			return -EINVAL;
		v->pv->dr[reg] = val;
		if (v == current && active(v))
			load_address(reg, val);
		return 0;
	case 4:
	case 6:
		v->pv->dr[6] = (val | DR6_ONES) & ~DR6_ZEROES;
		return 0;
	case 5:
	case 7:
		return set_dr7(v, val);
	default:
		return -EINVAL;
	}
}

int pv_get_debugreg(const struct vcpu *v, unsigned reg, u64 *val)
{
	if (reg > 7)
		return -EINVAL;
	if (reg == 4 || reg == 5)
		reg += 2;
	*val = v->pv->dr[index_nospec(reg, 8)];
	return 0;
}
