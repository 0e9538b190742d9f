/* SPDX-License-Identifier: MIT */
/* The table of verbs: what each is called, takes, and says of itself. */
#include <lodge/verb.h>

#define ANY	(-1)
#define GUEST	"GUEST is a guest's name, its domain id or its UUID."

const struct verb verbs[] = {
	{
		.name = "autostart", .run = run_autostart, .operands = "",
		.summary = "start the guests of /etc/xen/auto",
		.help = "Each file there, mostly a link to a definition, is a guest; they are started in alphabetical order. For the start of\n"
			"Domain 0. What runs already is left alone; when one cannot be started, the others are.",
	}, {
		.name = "autostop", .run = run_autostop, .operands = "",
		.summary = "shut down all guests, for good",
		.help = "All guests that Lodge has made are asked to shut down, whatever their definitions say of what follows. Those that have not\n"
			"within the time are destroyed. For the end of Domain 0.",
		.options = { { OPT_TIMEOUT, "timeout", "SECONDS", "destroy those that still run after this time (120)" } },
	}, {
		.name = "block-attach", .run = run_block_attach, .operands = "GUEST DISK...", .min = 2, .max = ANY, .prints = true,
		.summary = "give a running guest another disk",
		.help = "DISK is what stands in the list disk of definitions, in one piece or in several:\n"
			"lodge block-attach web1 /srv/data.img,raw,xvdb,rw. " GUEST,
	}, {
		.name = "block-detach", .run = run_block_detach, .operands = "GUEST DEVICE", .min = 2, .max = 2,
		.summary = "take a disk away from a running guest",
		.help = "DEVICE is its name in the guest, such as xvdb, or its number. The guest is asked to let go of it. " GUEST,
		.options = { { 'f', "force", NULL, "do not ask: what the guest has not written yet is lost" } },
	}, {
		.name = "block-list", .run = run_block_list, .operands = "GUEST...", .min = 1, .max = ANY, .prints = true,
		.summary = "the disks of running guests",
		.help = "State: 4 is connected, less waits for the guest, more has closed. " GUEST,
	}, {
		.name = "cd-eject", .run = run_cd_eject, .operands = "GUEST DEVICE", .min = 2, .max = 2,
		.summary = "take the medium out of a running guest's CD drive",
		.help = "DEVICE is the drive's name in the guest, such as xvdc, or its number. It stays, and is empty. The guest is asked to let\n"
			"go of what is in it. " GUEST,
		.options = { { 'f', "force", NULL, "do not ask" } },
	}, {
		.name = "cd-insert", .run = run_cd_insert, .operands = "GUEST DEVICE FILE", .min = 3, .max = 3, .prints = true,
		.summary = "put a medium into a running guest's CD drive",
		.help = "DEVICE is the drive's name in the guest, such as xvdc, or its number; FILE an image or a block device (qcow2:FILE: an\n"
			"image of that format). What is in the drive is taken out first. " GUEST,
	}, {
		.name = "config", .run = run_config, .operands = "GUEST", .min = 1, .max = 1, .prints = true,
		.summary = "the definition of a guest as it runs",
		.help = "What it was started with, and what has been changed since. It can be saved, and read by lodge create. " GUEST,
	}, {
		.name = "console", .run = run_console, .operands = "GUEST", .min = 1, .max = 1,
		.summary = "attach to a guest's console",
		.help = "Shows what the guest has written before, then what it writes, and gives it what is typed.\nCtrl-] detaches. " GUEST,
		.options = {
			{ 'r', "read-only", NULL, "only look" },
			{ 'w', "wait", NULL, "attach again when the guest comes back after its end" },
			{ 'e', "exit-on-eof", NULL, "detach when standard input ends (it is then no terminal)" },
			{ 'b', "backlog", "KIB", "show this much of what it has written before; 16 unless given" },
			{ 't', "type", "TYPE", NULL }, { 'n', "num", "NUMBER", NULL },
		},
	}, {
		.name = "create", .run = run_create, .operands = "DEFINITION [KEY=VALUE]...", .min = 0, .max = ANY, .prints = true,
		.summary = "start a guest from its definition",
		.help = "DEFINITION is a file, or NAME for /etc/xen/vm/NAME or /etc/xen/NAME.cfg. KEY=VALUE replaces what the\n"
			"definition says, KEY+=VALUE adds to it: lodge create web1 memory=512 'vif=[\"bridge=br0\"]'",
		.options = {
			{ 'c', "console", NULL, "attach to the guest's console" },
			{ 'p', "paused", NULL, "leave the guest paused; lodge unpause lets it run" },
			{ 'q', "quiet", NULL, "no output unless there is an error" },
			{ 'n', "dry-run", NULL, "report all that would fail, and change nothing" },
			{ 'f', "defconfig", "FILE", "the definition; all operands are KEY=VALUE" },
			{ OPT_DRYRUN, "dryrun", NULL, NULL },
			{ 'd', NULL, NULL, NULL },
			{ 'e', NULL, NULL, NULL },
		},
	}, {
		.name = "debug-keys", .run = run_debug_keys, .operands = "KEYS", .min = 1, .max = 1,
		.summary = "press debug keys of the hypervisor",
		.help = "KEYS are letters; the output is in lodge dmesg. The key h lists them.",
	}, {
		.name = "destroy", .run = run_destroy, .operands = "GUEST...", .min = 1, .max = ANY,
		.summary = "end guests at once",
		.help = "Like pulling the plug; lodge shutdown asks the guest first. " GUEST,
		.options = { { 'f', NULL, NULL, NULL } },
	}, {
		.name = "dmesg", .run = run_dmesg, .operands = "", .prints = true,
		.summary = "the hypervisor's log",
		.help = "Prints the log that the hypervisor keeps in memory.",
		.options = { { 'c', "clear", NULL, "empty it afterwards" } },
	}, {
		.name = "domid", .run = run_domid, .operands = "GUEST", .min = 1, .max = 1, .prints = true,
		.summary = "the domain id of a guest",
		.help = "Prints the domain id. " GUEST,
	}, {
		.name = "domname", .run = run_domname, .operands = "GUEST", .min = 1, .max = 1, .prints = true,
		.summary = "the name of a guest",
		.help = "Prints the name. " GUEST,
	}, {
		.name = "dump-core", .run = run_dump_core, .operands = "GUEST [FILE]", .min = 1, .max = 2, .prints = true,
		.summary = "a guest's memory and registers, for a debugger",
		.help = "Writes a core file that gdb opens, or crash. FILE must not exist; without it, the file is made in the manager's folder,\n"
			"/var/lib/lodge/dump. The guest is paused meanwhile. " GUEST,
		.options = {
			{ 'l', "live", NULL, "let it run on; the file is then no picture of one moment" },
			{ 'c', "for-crash", NULL, "for crash, not for gdb" },
			{ 'L', NULL, NULL, NULL },
		},
	}, {
		.name = "help", .run = run_help, .operands = "[VERB]", .max = 2, .prints = true,
		.summary = "what lodge can do",
		.help = "Prints the list of verbs, or the help of one.",
	}, {
		.name = "image build", .run = run_image_build, .operands = "SYSTEM NAME", .min = 2, .max = 2, .prints = true,
		.summary = "make an image of a system from its packages",
		.help = "SYSTEM is debian, or another program in /etc/lodge/builders. The image has a kernel, systemd, cloud-init, OpenSSH, and\n"
			"gets its network by DHCP. lodge new makes machines from it.",
		.options = {
			{ 'r', "release", "NAME", "of the system, such as bookworm; Domain 0's unless given" },
			{ 's', "size", "SIZE", "of the disk, 2G unless given; a machine's can be larger" },
			{ 'p', "package", "NAME", "have this package as well; may be given several times" },
			{ 'm', "mirror", "URL", "fetch packages from there, and not where apt does here" },
			{ 'q', "quiet", NULL, "no output unless there is an error" },
		},
	}, {
		.name = "image export", .run = run_image_export, .operands = "IMAGE FILE", .min = 2, .max = 2, .prints = true,
		.summary = "write an image's disk to a file",
		.help = "FILE must not exist.",
		.options = {
			{ 'f', "format", "FORMAT", "raw or qcow2; qcow2 unless given" },
			{ 'q', "quiet", NULL, "no output unless there is an error" },
		},
	}, {
		.name = "image import", .run = run_image_import, .operands = "FILE NAME", .min = 2, .max = 2, .prints = true,
		.summary = "make an image of a disk that there is",
		.help = "FILE is a raw or qcow2 disk, and stays as it is. Without a kernel, machines are started by GRUB (package grub-xen-host),\n"
			"which reads /boot/grub/grub.cfg in the disk.",
		.options = {
			{ 'f', "format", "FORMAT", "raw or qcow2; what the file looks like unless given" },
			{ 'k', "kernel", "FILE", "the kernel of machines" },
			{ 'r', "ramdisk", "FILE", "its RAM disk" },
			{ 'c', "cmdline", "TEXT", "its command line" },
			{ 'q', "quiet", NULL, "no output unless there is an error" },
		},
	}, {
		.name = "image list", .run = run_image_list, .operands = "[IMAGE]...", .max = ANY, .prints = true,
		.summary = "the images that machines can be made from",
		.help = "Sizes are MiB: of the disk, and what the image takes. Machines lie upon it, and need it.",
	}, {
		.name = "image remove", .run = run_image_remove, .operands = "IMAGE...", .min = 1, .max = ANY,
		.summary = "remove images",
		.help = "One that machines need is refused.",
	}, {
		.name = "info", .run = run_info, .operands = "[GUEST]", .max = 1, .prints = true,
		.summary = "the machine and the hypervisor, or all about a guest",
		.help = "Without GUEST, what the machine and the hypervisor are; with it, what the guest is and has. " GUEST,
		.options = { { 'n', "numa", NULL, "memory of NUMA nodes as well" } },
	}, {
		.name = "list", .run = run_list, .operands = "[GUEST]...", .max = ANY, .prints = true,
		.summary = "the guests that exist",
		.help = "State: r runs now, b waits (idle), p paused, s shut down, c crashed, d dying. Mem is MiB. " GUEST,
		.options = {
			{ 'l', "long", NULL, "their definitions and devices, as JSON" },
			{ 'v', "verbose", NULL, "their UUIDs, and why they shut down" },
		},
	}, {
		.name = "mem-max", .run = run_mem_max, .operands = "GUEST SIZE", .min = 2, .max = 2,
		.summary = "the most memory that a running guest may have",
		.help = "SIZE is in MiB, or has a unit: 512m, 2g. The guest gets no more by itself: lodge mem-set gives it. " GUEST,
	}, {
		.name = "mem-set", .run = run_mem_set, .operands = "GUEST SIZE", .min = 2, .max = 2,
		.summary = "give a running guest more memory, or less",
		.help = "SIZE is in MiB, or has a unit: 512m, 2g. The guest's kernel is asked, and takes its time. GUEST may be Domain-0. " GUEST,
	}, {
		.name = "metrics", .run = run_metrics, .operands = "",
		.summary = "figures of the machine and its guests, for Prometheus",
		.help = "Prints processor time, memory, state, and what disks and networks have moved, of each guest, in Prometheus's text format.",
	}, {
		.name = "network-attach", .run = run_network_attach, .operands = "GUEST [INTERFACE]...", .min = 1, .max = ANY, .prints = true,
		.summary = "give a running guest another network interface",
		.help = "INTERFACE is what stands in the list vif of definitions, in one piece or in several; without it, an interface in the\n"
			"internal network: lodge network-attach web1 bridge=br0 mac=00:16:3e:01:02:03. " GUEST,
	}, {
		.name = "network-detach", .run = run_network_detach, .operands = "GUEST INTERFACE", .min = 2, .max = 2,
		.summary = "take a network interface away from a running guest",
		.help = "INTERFACE is its number (lodge network-list) or its MAC address. The guest is asked to let go of it. " GUEST,
		.options = { { 'f', "force", NULL, "do not ask" } },
	}, {
		.name = "network-list", .run = run_network_list, .operands = "GUEST...", .min = 1, .max = ANY, .prints = true,
		.summary = "the network interfaces of running guests",
		.help = "State: 4 is connected, less waits for the guest, more has closed. " GUEST,
	}, {
		.name = "network-rate", .run = run_network_rate, .operands = "GUEST INTERFACE RATE", .min = 3, .max = 3,
		.summary = "what a network interface may send at most",
		.help = "INTERFACE is its number (lodge network-list) or its MAC address; RATE, as rate= of definitions, such as 10Mb/s, or none. " GUEST,
	}, {
		.name = "new", .run = run_new, .operands = "NAME", .min = 1, .max = 1, .prints = true,
		.summary = "make a machine from an image",
		.help = "Writes the definition /etc/xen/vm/NAME and makes a disk that begins as the image's; lodge create NAME starts the\n"
			"machine. What it is told at its first start (its name, the user, the keys), the image's cloud-init reads.",
		.options = {
			{ 'i', "from", "IMAGE", "the image; lodge image list shows them" },
			{ 'm', "memory", "SIZE", "512 MiB unless given" },
			{ OPT_VCPUS, "vcpus", "NUMBER", "1 unless given" },
			{ 's', "size", "SIZE", "of its disk; that of the image unless given" },
			{ 'u', "user", "NAME", "a user who may become root; the image's own unless given" },
			{ 'k', "ssh-key", "KEY", "public key, or file of keys, of who may log in as the user; may be given several times" },
			{ 'q', "quiet", NULL, "no output unless there is an error" },
		},
	}, {
		.name = "pause", .run = run_pause, .operands = "GUEST...", .min = 1, .max = ANY,
		.summary = "stop guests until they are unpaused",
		.help = "A paused guest keeps its memory and devices, and gets no processor. " GUEST,
	}, {
		.name = "reboot", .run = run_reboot, .operands = "GUEST...", .max = ANY,
		.summary = "ask guests to reboot",
		.help = GUEST,
		.options = {
			{ 'a', "all", NULL, "all guests that Lodge has made" },
			{ 'w', "wait", NULL, "until they run again" },
			{ OPT_TIMEOUT, "timeout", "SECONDS", "give up waiting after this time (60)" },
			{ 'F', NULL, NULL, NULL },
		},
	}, {
		.name = "remove", .run = run_remove, .operands = "NAME...", .min = 1, .max = ANY,
		.summary = "remove machines made by lodge new, with their disks",
		.help = "Definition, disk and all that is on it. One that runs is refused. Asks first, unless there is no terminal to ask: then\n"
			"it needs --yes.",
		.options = { { 'y', "yes", NULL, "do not ask" } },
	}, {
		.name = "rename", .run = run_rename, .operands = "GUEST NAME", .min = 2, .max = 2,
		.summary = "give a guest another name",
		.help = "The guest is called NAME from now on; its definition's file is left as it is. " GUEST,
	}, {
		.name = "shutdown", .run = run_shutdown, .operands = "GUEST...", .max = ANY,
		.summary = "ask guests to shut down",
		.help = GUEST,
		.options = {
			{ 'a', "all", NULL, "all guests that Lodge has made" },
			{ 'n', "no-restart", NULL, "for good, whatever their definitions say of their end" },
			{ 'w', "wait", NULL, "until they have ended" },
			{ OPT_TIMEOUT, "timeout", "SECONDS", "give up waiting after this time (60)" },
			{ 'F', NULL, NULL, NULL },
		},
	}, {
		.name = "sysrq", .run = run_sysrq, .operands = "GUEST KEY", .min = 2, .max = 2,
		.summary = "press a magic SysRq key of a guest's kernel",
		.help = "KEY is one character; what it does is for the guest's kernel to say (h: help, s: sync, b: reboot at once). " GUEST,
	}, {
		.name = "top", .run = run_top, .operands = "", .prints = true,
		.summary = "who uses how much of the machine",
		.help = "Processors, memory, networks and disks of all guests, again and again. On a terminal, keys choose what is at the top, and\n"
			"q ends it. CPU(%) is of one processor; networks and disks are in bytes per second, as the guest sees it.",
		.options = {
			{ 'b', "batch", NULL, "one table after another, as without a terminal" },
			{ 'd', "delay", "SECONDS", "time between two tables (3)" },
			{ 'i', "iterations", "NUMBER", "end after this many; 0 or none: go on" },
			{ 's', "sort", "COLUMN", "name, cpu, memory, network or disk" },
		},
	}, {
		.name = "unpause", .run = run_unpause, .operands = "GUEST...", .min = 1, .max = ANY,
		.summary = "let paused guests run",
		.help = GUEST,
	}, {
		.name = "uptime", .run = run_uptime, .operands = "[GUEST]...", .max = ANY, .prints = true,
		.summary = "how long guests have been running",
		.help = GUEST,
		.options = { { 's', "short", NULL, "one line each, as uptime prints it" } },
	}, {
		.name = "vcpu-list", .run = run_vcpu_list, .operands = "[GUEST]...", .max = ANY, .prints = true,
		.summary = "the vCPUs of guests",
		.help = "CPU is the processor that the vCPU runs on or ran on last; affinity, those that it may (hard) and should (soft) run on. " GUEST,
	}, {
		.name = "vcpu-pin", .run = run_vcpu_pin, .operands = "GUEST VCPU CPUS [SOFT]", .min = 3, .max = 4,
		.summary = "the processors that a guest's vCPUs may run on",
		.help = "VCPU is a number, or all. CPUS is a list such as 0-3,^2 or all; SOFT, those of them that are preferred when they are idle.\n"
			"- in place of a list leaves it as it is. SOFT ends with the domain; CPUS stays when the guest restarts. " GUEST,
		.options = { { 'f', "force", NULL, NULL } },
	}, {
		.name = "vcpu-set", .run = run_vcpu_set, .operands = "GUEST NUMBER", .min = 2, .max = 2,
		.summary = "how many vCPUs of a running guest are online",
		.help = "From 1 to maxvcpus of its definition. The guest's kernel is asked, and takes its time. GUEST may be Domain-0. " GUEST,
		.options = { { 'i', "ignore-host", NULL, NULL } },
	}, {
		.name = "version", .run = run_version, .operands = "", .prints = true,
		.summary = "versions of lodge, its manager and the hypervisor",
		.help = "Prints one line for each.",
	},
	{ 0 },
};
