/* SPDX-License-Identifier: MIT */
/* Helpers of the MMU hypercalls. */

#include <hypercall/mmu.h>

int mmu_get_other_owner(u16 id, struct domain **out)
{
	struct domain *d = current->domain;

	/* By convention a domain does not name itself here. */
	if (id == d->id)
		return -ESRCH;
	if (id == DOMID_IO) {
		*out = dom_io;
		return 0;
	}
	if (!d->privileged)
		return -EPERM;
	*out = id == DOMID_XEN ? dom_xen : domain_get(id);
	return *out ? 0 : -ESRCH;
}

void mmu_put_other_owner(struct domain *d)
{
	if (d != dom_io && d != dom_xen)
		domain_put(d);
}

int mmu_cpus_of_vcpus(const void *guest_bitmap, cpumask_t *out)
{
	struct domain *d = current->domain;

	cpumask_zero(out);
	for (u32 word = 0; word < DIV_ROUND_UP(d->max_vcpus, 64); word++) {
		u64 bits;

		if (copy_from_guest_idx(&bits, guest_bitmap, word, sizeof(bits)))
			return -EFAULT;
		for (; bits; bits &= bits - 1) {
			struct vcpu *v = domain_vcpu(d, word * 64 + (u32)__builtin_ctzl(bits));

			if (v)
				cpumask_or(out, out, &v->dirty_cpus);
		}
	}
	return 0;
}

int mmu_batch_resume(struct mmu_batch *b)
{
	b->count &= ~(u32)MMU_PREEMPTED;
	return b->pdone ? copy_from_guest(&b->before, (void *)b->pdone, sizeof(b->before)) : 0;
}

long mmu_batch_stop(const struct mmu_batch *b, u32 done, long rc, u64 nr, size_t size)
{
	u32 total = b->before + done;

	if (b->pdone && copy_to_guest((void *)b->pdone, &total, sizeof(total)))
		return -EFAULT;
	if (rc != -ERESTART)
		return rc;
	return hypercall_continue(nr, 4, b->uops + done * size, (b->count - done) | MMU_PREEMPTED, b->pdone, b->foreigndom);
}
