/* SPDX-License-Identifier: MIT */
/* Getting at Domain 0's kernel: from a boot module as distributions ship it to an ELF image in memory. */
#include <boot/bzimage.h>
#include <boot/dom0.h>
#include <core/console.h>
#include <core/panic.h>
#include <memory/heap.h>

#define KERNEL_MAX	GiB(1)	/* unpacked: more is no kernel */

void dom0_unpack_kernel(const struct boot_module *m, struct dom0_kernel *k)
{
	const char *error = NULL;
	struct bzimage img;
	size_t out;
	void *scratch;

	if (bzimage_parse(paddr_to_virt(m->start), m->size, &img, &error))
		boot_fail("Domain 0's kernel (the first module): %s", error);
	if (img.format == UNPACK_ELF) {
		*k = (struct dom0_kernel){ .elf = (void *)img.data, .size = img.len };
		return;
	}
	error = unpack_unsupported(img.format);
	if (error)
		boot_fail("Domain 0's kernel (the first module): %s", error);

	if (!img.size || img.size > KERNEL_MAX)
		boot_fail("Domain 0's kernel claims to be %zu MiB large", img.size >> 20);
	*k = (struct dom0_kernel){ .pages = PFN_UP(img.size) };
	k->elf = alloc_run(k->pages);
	scratch = alloc_run(PFN_UP(UNPACK_WORK_SIZE));
	if (!k->elf || !scratch)
		boot_fail("no %zu MiB of memory to unpack Domain 0's kernel", (img.size + UNPACK_WORK_SIZE) >> 20);
	if (unpack(img.data, img.len, k->elf, img.size, scratch, &out, &error))
		boot_fail("cannot unpack Domain 0's kernel (the first module): %s", error);
	/* LZ4 has neither an end mark nor a checksum. */
	if (out != img.size)
		boot_fail("cannot unpack Domain 0's kernel (the first module): it is cut off");
	free_run(scratch, PFN_UP(UNPACK_WORK_SIZE));
	k->size = out;
}
