/* SPDX-License-Identifier: MIT */
/* The table of the API's methods. */
#include <lodged/methods.h>

const struct method methods[] = {
	{ "version", method_version, "" },
	{ "check", method_check, "!definition:object" },
	{ "create", method_create, "!definition:object paused:bool" },
	{ "list", method_list, "guest:any members:list" },
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
	{ "vcpu_set", method_vcpu_set, "!guest:any !vcpus:number" },
	{ "vcpu_pin", method_vcpu_pin, "!guest:any !vcpu:any hard:string soft:string" },
	{ "mem_set", method_mem_set, "!guest:any !memory_kib:number" },
	{ "mem_max", method_mem_max, "!guest:any !maxmem_kib:number" },
	{ "block_list", method_block_list, "!guest:any" },
	{ "block_attach", method_block_attach, "!guest:any !disk:object" },
	{ "block_detach", method_block_detach, "!guest:any !vdev:string force:bool" },
	{ "cd_insert", method_cd_insert, "!guest:any !disk:object" },
	{ "cd_eject", method_cd_eject, "!guest:any !vdev:string force:bool" },
	{ "network_list", method_network_list, "!guest:any" },
	{ "network_attach", method_network_attach, "!guest:any !nic:object" },
	{ "network_detach", method_network_detach, "!guest:any !nic:any force:bool" },
	{ "network_rate", method_network_rate, "!guest:any !nic:any rate_bytes:number rate_interval_us:number" },
	{ "dmesg", method_dmesg, "clear:bool" },
	{ "debug_keys", method_debug_keys, "!keys:string" },
	{ "stats", method_stats, "guest:any" },
	{ "sysrq", method_sysrq, "!guest:any !key:string" },
	{ "uptime", method_uptime, "guest:any" },
};
const size_t nmethods = sizeof(methods) / sizeof(methods[0]);
