/* SPDX-License-Identifier: MIT */
/* The API's methods, by file (docs/api.md). */
#ifndef LODGED_METHODS_H
#define LODGED_METHODS_H

#include <lodged/request.h>

/* method_guest.c */
method_fn method_check, method_create, method_pause, method_unpause, method_destroy, method_rename, method_definition;
/* method_image.c */
method_fn method_image_list, method_image_import, method_image_export, method_image_remove, method_image_build;
/* method_new.c */
method_fn method_new, method_remove;
/* method_list.c */
method_fn method_list, method_info, method_vcpu_list, method_uptime;
/* method_ask.c */
method_fn method_shutdown, method_reboot, method_sysrq;
/* dump.c */
method_fn method_dump_core;
/* method_stats.c */
method_fn method_stats;
/* method_change.c */
method_fn method_vcpu_set, method_vcpu_pin, method_mem_set, method_mem_max;
/* method_device.c */
method_fn method_block_list, method_block_attach, method_block_detach, method_cd_insert, method_cd_eject, method_network_list, method_network_attach, method_network_detach,
	method_network_rate;
/* method_machine.c */
method_fn method_version, method_dmesg, method_debug_keys;

#endif
