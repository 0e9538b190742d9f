/* SPDX-License-Identifier: MIT */
/* The image's final page permissions. */
#ifndef BOOT_PROTECT_H
#define BOOT_PROTECT_H

/* Map the image by 4 KiB pages: text executable, constants read-only, data not executable; a guard page in the boot stack. After memory_init(). */
void protect_image(void);
/* Remove the identity mapping of low memory: the last thing that needed it was starting processors. */
void unmap_low_memory(void);
/* Give .init.text and .init.data to the heap: nothing in them may be used any more. */
void free_init_memory(void);

#endif
