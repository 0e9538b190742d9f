/* SPDX-License-Identifier: MIT */
/* The table of the API's methods. */
#include <lodged/methods.h>

const struct method methods[] = {
	{ "version", method_version, "" },
	{ "check", method_check, "!definition:object" },
	{ "create", method_create, "!definition:object paused:bool" },
	{ "list", method_list, "guest:any" },
	{ "info", method_info, "!guest:any" },
	{ "definition", method_definition, "!guest:any" },
	{ "pause", method_pause, "!guest:any" },
	{ "unpause", method_unpause, "!guest:any" },
	{ "shutdown", method_shutdown, "!guest:any wait:bool timeout_s:number no_restart:bool" },
	{ "reboot", method_reboot, "!guest:any wait:bool timeout_s:number" },
	{ "destroy", method_destroy, "!guest:any" },
	{ "dump_core", method_dump_core, "!guest:any file:string live:bool for_crash:bool" },
	{ "rename", method_rename, "!guest:any !name:string" },
	{ "vcpu_list", method_vcpu_list, "guest:any" },
	{ "dmesg", method_dmesg, "clear:bool" },
	{ "debug_keys", method_debug_keys, "!keys:string" },
	{ "stats", method_stats, "guest:any" },
	{ "sysrq", method_sysrq, "!guest:any !key:string" },
	{ "uptime", method_uptime, "guest:any" },
};
const size_t nmethods = sizeof(methods) / sizeof(methods[0]);
