/* SPDX-License-Identifier: MIT */
/* The API's methods, by file (docs/api.md). */
#ifndef LODGED_METHODS_H
#define LODGED_METHODS_H

#include <lodged/request.h>

/* method_guest.c */
method_fn method_check, method_create, method_pause, method_unpause, method_destroy, method_rename, method_definition;
/* method_list.c */
method_fn method_list, method_info, method_vcpu_list, method_uptime;
/* method_ask.c */
method_fn method_shutdown, method_reboot, method_sysrq;
/* dump.c */
method_fn method_dump_core;
/* method_stats.c */
method_fn method_stats;
/* method_machine.c */
method_fn method_version, method_dmesg, method_debug_keys;

#endif
