/* SPDX-License-Identifier: MIT */
/* What Domain 0 is told about the screen (ABI: struct dom0_vga_console_info in <xen/xen.h>). */
#include <boot/dom0.h>
#include <core/console.h>

static bool graphics(const struct boot_graphics *g, bool efi, struct dom0_vga_console_info *info)
{
	u64 size = (u64)g->pitch * g->height;

	/* The ABI has 16 bits for these. */
	if (g->width > 0xffff || g->height > 0xffff || g->pitch > 0xffff || !size) {
		log_warn("the screen of %ux%u pixels is too large for Domain 0 to be told\n", g->width, g->height);
		return false;
	}
	info->video_type = efi ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
	info->u.vesa_lfb.width = (u16)g->width;
	info->u.vesa_lfb.height = (u16)g->height;
	info->u.vesa_lfb.bytes_per_line = (u16)g->pitch;
	info->u.vesa_lfb.bits_per_pixel = g->bpp;
	info->u.vesa_lfb.lfb_base = (u32)g->base;
	info->u.vesa_lfb.ext_lfb_base = (u32)(g->base >> 32);
	info->u.vesa_lfb.lfb_size = (u32)DIV_ROUND_UP(size, KiB(64));
	info->u.vesa_lfb.red_pos = g->red_pos;
	info->u.vesa_lfb.red_size = g->red_size;
	info->u.vesa_lfb.green_pos = g->green_pos;
	info->u.vesa_lfb.green_size = g->green_size;
	info->u.vesa_lfb.blue_pos = g->blue_pos;
	info->u.vesa_lfb.blue_size = g->blue_size;
	if (g->bpp == 32 && g->red_size == 8 && g->green_size == 8 && g->blue_size == 8) {
		/* The byte that no colour has: the positions of all four add up to 0 + 8 + 16 + 24. */
		info->u.vesa_lfb.rsvd_size = 8;
		info->u.vesa_lfb.rsvd_pos = (u8)(48 - g->red_pos - g->green_pos - g->blue_pos);
	}
	return true;
}

bool dom0_screen(const struct boot_info *bi, struct dom0_vga_console_info *info)
{
	switch (bi->screen) {
	case SCREEN_GRAPHICS:
		return graphics(&bi->graphics, bi->efi_system_table.v, info);
	case SCREEN_TEXT:
		info->video_type = XEN_VGATYPE_TEXT_MODE_3;
		info->u.text_mode_3.font_height = 16;
		info->u.text_mode_3.cursor_y = 24;
		info->u.text_mode_3.rows = 25;
		info->u.text_mode_3.columns = 80;
		return true;
	default:
		return false;
	}
}
