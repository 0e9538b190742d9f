/* SPDX-License-Identifier: MIT */
/* Replaces the boot page tables' large, permissive image mapping. */
#include <boot/protect.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/smp.h>
#include <memory/heap.h>
#include <memory/init.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <x86/layout.h>

extern char image_start[], text_end[], rodata_end[], bss_end[], image_end[];
extern char init_text_start[], init_text_end[], init_data_start[], init_data_end[];
extern pte_t boot_l2_image[];

static u64 flags_for(const char *va)
{
	if (va < text_end)
		return PTE_HYP_RX;
	if (va < rodata_end || va >= bss_end)
		return PTE_HYP_RO;
	return PTE_HYP_RW;
}

void protect_image(void)
{
	for (u64 i = 0; i < PT_ENTRIES; i++) {
		char *base = image_start + i * MiB(2);
		pte_t *l1;

		if (base >= image_end) {
			boot_l2_image[i].v = 0;
			continue;
		}
		l1 = alloc_page_zeroed();
		if (!l1)
			panic("no memory for the image's page tables");
		for (u64 j = 0; j < PT_ENTRIES; j++) {
			char *va = base + j * PAGE_SIZE;

			if (va < image_end)
				l1[j] = pte_make(mfn(PFN_DOWN(IMAGE_PHYS + (u64)(va - image_start))), flags_for(va));
		}
		boot_l2_image[i] = pte_make(virt_to_mfn(l1), PTE_HYP_TABLE);
	}
	tlb_flush_local();
}

static void flush(void *unused)
{
	tlb_flush_local();
}

void unmap_low_memory(void)
{
	hyp_l4[0].v = 0;
	smp_call(&cpu_online, flush, NULL);
}

static void free_image_part(char *start, char *end)
{
	u64 phys = IMAGE_PHYS + (u64)(start - image_start);

	unmap_pages((u64)start, PFN_DOWN(end - start));
	memory_add(paddr(phys), paddr(phys + (u64)(end - start)));
}

void free_init_memory(void)
{
	free_image_part(init_text_start, init_text_end);
	free_image_part(init_data_start, init_data_end);
	log_info("%lu KiB of start-up code and data freed\n", (u64)(init_text_end - init_text_start + init_data_end - init_data_start) >> 10);
}
