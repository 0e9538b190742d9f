/* SPDX-License-Identifier: MIT */
/* What the keys of a definition mean: settings become a struct definition. */
#include <lib/definition_value.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

struct reader {
	const struct settings *settings;
	const struct value_base *base;
	struct value_warn warn;
	struct definition *d;
	struct err *e;
};

static int wrong(struct reader *r, const struct setting *s, const struct value *v, const char *expected)
{
	char found[80];

	return value_error(v, r->e, "%s: found %s, expected %s", s->key, value_describe(v, found, sizeof(found)), expected);
}

/* A whole number from min to max: decimal, 0x…, or 0… (octal); in quotes or not. what: said of it, " of MiB". */
static int get_number(struct reader *r, const struct setting *s, const char *what, uint64_t min, uint64_t max, uint64_t *out)
{
	const struct value *v = &s->value;
	char expected[128], *end;

	snprintf(expected, sizeof(expected), "a whole number%s from %llu to %llu", what, (unsigned long long)min,
		(unsigned long long)max);
	if (v->kind == VALUE_LIST || !isdigit((unsigned char)v->text[0]))
		return wrong(r, s, v, expected);
	errno = 0;
	*out = strtoull(v->text, &end, 0);
	if (*end || errno || *out < min || *out > max)
		return wrong(r, s, v, expected);
	return 0;
}

static int get_string(struct reader *r, const struct setting *s, char **out)
{
	if (s->value.kind == VALUE_LIST)
		return wrong(r, s, &s->value, "one string");
	free(*out);
	*out = strdup(s->value.text);
	return *out ? 0 : value_no_memory(r->e);
}

static int set_name(struct reader *r, const struct setting *s)
{
	return get_string(r, s, &r->d->name);
}

static int set_uuid(struct reader *r, const struct setting *s)
{
	const char *text = s->value.text;
	char dashed[37];

	if (s->value.kind != VALUE_LIST && strlen(text) == 32) {
		snprintf(dashed, sizeof(dashed), "%.8s-%.4s-%.4s-%.4s-%.12s", text, text + 8, text + 12, text + 16, text + 20);
		text = dashed;
	}
	if (s->value.kind == VALUE_LIST || uuid_parse(text, r->d->uuid) || uuid_is_null(r->d->uuid))
		return wrong(r, s, &s->value, "a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	return 0;
}

static int set_type(struct reader *r, const struct setting *s)
{
	static const char *const old[] = { "linux", "generic" };	/* values of `builder` */
	int type = s->value.kind == VALUE_LIST ? -1 : guest_type_find(s->value.text);

	if (strcmp(s->key, "builder") == 0) {
		for (size_t i = 0; i < 2 && s->value.kind != VALUE_LIST; i++)
			if (strcmp(old[i], s->value.text) == 0)
				type = GUEST_PV;
		if (settings_find(r->settings, "type"))
			return 0;
	}
	if (type < 0)
		return wrong(r, s, &s->value, strcmp(s->key, "type") ? "generic, linux or hvm" : "pv, pvh or hvm");
	r->d->type = (enum guest_type)type;
	return 0;
}

static int set_path(struct reader *r, const struct setting *s, char **out)
{
	if (s->value.kind == VALUE_LIST)
		return wrong(r, s, &s->value, "a path");
	if (*s->value.text == 0)
		return 0;	/* as if it were not there */
	*out = value_path(r->base, &s->value, s->value.text);
	return *out ? 0 : value_no_memory(r->e);
}

static int set_kernel(struct reader *r, const struct setting *s)
{
	return set_path(r, s, &r->d->kernel);
}

static int set_ramdisk(struct reader *r, const struct setting *s)
{
	return set_path(r, s, &r->d->ramdisk);
}

static int check_string(struct reader *r, const struct setting *s)
{
	return s->value.kind == VALUE_LIST ? wrong(r, s, &s->value, "one string") : 0;
}

/* cmdline is all of it; else it is root= and extra. */
static int set_cmdline(struct reader *r, const struct setting *s)
{
	const struct setting *whole = settings_find(r->settings, "cmdline"), *root, *extra;
	int rc = check_string(r, s);

	if (rc)
		return rc;
	if (whole && whole != s) {
		value_warn(&r->warn, &s->value, "not-used", "%s is not used: cmdline is the whole command line", s->key);
		return 0;
	}
	if (r->d->cmdline)
		return 0;
	if (whole)
		return get_string(r, s, &r->d->cmdline);
	root = settings_find(r->settings, "root");
	extra = settings_find(r->settings, "extra");
	if ((root && check_string(r, root)) || (extra && check_string(r, extra)))
		return -EINVAL;
	if (asprintf(&r->d->cmdline, "%s%s%s%s", root ? "root=" : "", root ? root->value.text : "", root && extra ? " " : "",
		extra ? extra->value.text : "") < 0) {
		r->d->cmdline = NULL;
		return value_no_memory(r->e);
	}
	return 0;
}

static int set_memory(struct reader *r, const struct setting *s)
{
	uint64_t mib;
	int rc = get_number(r, s, " of MiB", 1, DEFINITION_MEMORY_MAX >> 10, &mib);

	if (rc)
		return rc;
	*(strcmp(s->key, "memory") ? &r->d->maxmem_kib : &r->d->memory_kib) = mib << 10;
	return 0;
}

static int set_u32(struct reader *r, const struct setting *s, const char *what, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t n;
	int rc = get_number(r, s, what, min, max, &n);

	if (rc == 0)
		*out = (uint32_t)n;
	return rc;
}

static int set_vcpus(struct reader *r, const struct setting *s)
{
	return set_u32(r, s, "", 1, DEFINITION_VCPUS_MAX, strcmp(s->key, "vcpus") ? &r->d->maxvcpus : &r->d->vcpus);
}

static int set_weight(struct reader *r, const struct setting *s)
{
	return set_u32(r, s, "", 1, 65535, &r->d->cpu_weight);
}

static int set_cap(struct reader *r, const struct setting *s)
{
	return set_u32(r, s, " (percent of one processor)", 0, 100 * DEFINITION_VCPUS_MAX, &r->d->cpu_cap);
}

/* One string for all vCPUs, or a list of one for each. */
static int set_cpus(struct reader *r, const struct setting *s)
{
	const struct value *items = s->value.kind == VALUE_LIST ? s->value.items : &s->value;
	size_t n = s->value.kind == VALUE_LIST ? s->value.nitems : 1;

	r->d->cpus = calloc(n ? n : 1, sizeof(*r->d->cpus));
	if (!r->d->cpus)
		return value_no_memory(r->e);
	for (; r->d->ncpus < n; r->d->ncpus++) {
		if (items[r->d->ncpus].kind == VALUE_LIST)
			return wrong(r, s, &items[r->d->ncpus], "a list such as \"0-3,^2\"");
		r->d->cpus[r->d->ncpus] = strdup(items[r->d->ncpus].text);
		if (!r->d->cpus[r->d->ncpus])
			return value_no_memory(r->e);
	}
	return 0;
}

/* A list of strings; how many, or -EINVAL. */
static int check_list(struct reader *r, const struct setting *s)
{
	if (s->value.kind != VALUE_LIST)
		return wrong(r, s, &s->value, "a list: strings in [ ] with commas between them");
	for (size_t i = 0; i < s->value.nitems; i++)
		if (s->value.items[i].kind != VALUE_STRING)
			return wrong(r, s, &s->value.items[i], "a string in quotes");
	return 0;
}

static int set_disks(struct reader *r, const struct setting *s)
{
	int rc = check_list(r, s);

	if (rc)
		return rc;
	r->d->disks = calloc(s->value.nitems + 1, sizeof(*r->d->disks));
	if (!r->d->disks)
		return value_no_memory(r->e);
	for (size_t i = 0; i < s->value.nitems && rc == 0; i++)
		rc = disk_parse(&s->value.items[i], r->base, &r->warn, &r->d->disks[r->d->ndisks++], r->e);
	return rc;
}

static int set_nics(struct reader *r, const struct setting *s)
{
	int rc = check_list(r, s);

	if (rc)
		return rc;
	r->d->nics = calloc(s->value.nitems + 1, sizeof(*r->d->nics));
	if (!r->d->nics)
		return value_no_memory(r->e);
	for (size_t i = 0; i < s->value.nitems && rc == 0; i++)
		rc = nic_parse(&s->value.items[i], &r->warn, &r->d->nics[r->d->nnics++], r->e);
	return rc;
}

static int set_action(struct reader *r, const struct setting *s)
{
	const char *text = s->value.text;
	int action = -1;

	if (s->value.kind != VALUE_LIST)
		action = guest_action_find(strcmp(text, "rename_restart") == 0 ? "rename-restart" : text);
	if (action < 0)
		return wrong(r, s, &s->value, "destroy, restart, preserve, rename-restart, coredump-destroy or coredump-restart");
	if (strcmp(s->key, "on_poweroff") == 0)
		r->d->on_poweroff = (enum guest_action)action;
	else if (strcmp(s->key, "on_reboot") == 0)
		r->d->on_reboot = (enum guest_action)action;
	else if (strcmp(s->key, "on_crash") == 0)
		r->d->on_crash = (enum guest_action)action;
	else
		r->d->on_watchdog = (enum guest_action)action;
	return 0;
}

/* A boot loader of Domain 0's would read the guest's disk with Domain 0's rights; PV GRUB does it within the guest. */
static int set_bootloader(struct reader *r, const struct setting *s)
{
	if (settings_find(r->settings, "kernel")) {
		value_warn(&r->warn, &s->value, "not-used", "bootloader is not used: kernel is given");
		return 0;
	}
	return wrong(r, s, &s->value,
		"a kernel instead: to start what is on the guest's own disk, kernel = \"/usr/lib/grub-xen/grub-x86_64-xen.bin\" "
		"(PV GRUB, Debian's package grub-xen-host)");
}

static const struct {
	const char *name;
	int (*set)(struct reader *r, const struct setting *s);
} keys[] = {
	{ "name", set_name },
	{ "uuid", set_uuid },
	{ "type", set_type },
	{ "builder", set_type },
	{ "kernel", set_kernel },
	{ "ramdisk", set_ramdisk },
	{ "bootloader", set_bootloader },
	{ "cmdline", set_cmdline },
	{ "root", set_cmdline },
	{ "extra", set_cmdline },
	{ "memory", set_memory },
	{ "maxmem", set_memory },
	{ "vcpus", set_vcpus },
	{ "maxvcpus", set_vcpus },
	{ "cpus", set_cpus },
	{ "cpu_weight", set_weight },
	{ "cap", set_cap },
	{ "disk", set_disks },
	{ "vif", set_nics },
	{ "on_poweroff", set_action },
	{ "on_reboot", set_action },
	{ "on_crash", set_action },
	{ "on_watchdog", set_action },
};
#define NKEYS	(sizeof(keys) / sizeof(*keys))

/* Keys of the same language that make no difference here. */
static const char *const unused[] = {
	"acpi", "acpi_firmware", "acpi_laptop_slate", "acpi_s3", "acpi_s4", "altp2m", "altp2mhvm", "apic", "bios",
	"bios_path_override", "blkdev_start", "boot", "bootloader_args", "channel", "claim_mode", "cpuid", "cpus_soft",
	"device_model", "device_model_args", "device_model_args_hvm", "device_model_args_pv", "device_model_override",
	"device_model_stubdomain_override", "device_model_stubdomain_seclabel", "device_model_user", "device_model_version",
	"device_tree", "dhcp", "dm_restrict", "driver_domain", "dtdev", "e820_host", "event_channels", "extratime", "features",
	"firmware_override", "gateway", "gfx_passthru", "gic_version", "hap", "hdtype", "hostname", "hpet", "hvmloader",
	"init_seclabel", "iomem", "ioports", "irqs", "keymap", "latency", "lmce", "localtime", "max_event_channels",
	"max_grant_frames", "max_grant_version", "max_maptrack_frames", "mca_caps", "mmio_hole", "ms_vm_genid", "msr_relaxed",
	"nestedhvm", "netmask", "nics", "nographic", "nomigrate", "numa_placement", "on_soft_reset", "on_xend_start",
	"on_xend_stop", "opengl", "p9", "pae", "passthrough", "pci", "pci_msitranslate", "pci_permissive", "pci_power_mgmt",
	"pci_seize", "period", "pool", "processor_trace_buf_kb", "pvcalls", "pvh", "pvshim", "pvshim_cmdline", "pvshim_extra",
	"pvshim_path", "rdm", "rdm_mem_boundary", "rtc_timeoffset", "sched", "scsi", "sdl", "seclabel", "serial",
	"shadow_memory", "slice", "smbios_firmware", "soundhw", "spice", "spice_clipboard_sharing", "spice_image_compression",
	"spice_streaming_video", "spiceagent_mouse", "spicedisable_ticketing", "spicehost", "spicepasswd", "spiceport",
	"spicetls_port", "spiceusbredirection", "spicevdagent", "stdvga", "stubdomain_cmdline", "stubdomain_kernel",
	"stubdomain_memory", "stubdomain_ramdisk", "suppress_spurious_page_faults", "tee", "timer_mode", "tsc_mode", "usb",
	"usbctrl", "usbdev", "usbdevice", "usbversion", "vdispl", "vendor_device", "vfb", "vga", "videoram", "vif2", "viridian",
	"vkb", "vkb_device", "vmtrace_buf_kb", "vnc", "vncconsole", "vncdisplay", "vnclisten", "vncpasswd", "vncunused",
	"vncviewer", "vnuma", "vpt_align", "vscsi", "vsnd", "vtpm", "vuart", "xauthority", "xen_platform_pci",
	"xend_suspend_evtchn_compat",
	NULL,
};

static void warn_unknown(struct reader *r, const struct setting *s)
{
	const char *names[NKEYS + 1], *guess;

	for (size_t i = 0; unused[i]; i++) {
		if (strcmp(unused[i], s->key) == 0) {
			value_warn(&r->warn, &s->value, "not-used", "%s is not used", s->key);
			return;
		}
	}
	for (size_t i = 0; i < NKEYS; i++)
		names[i] = keys[i].name;
	names[NKEYS] = NULL;
	guess = value_guess(s->key, names);
	guess = guess ? guess : value_guess(s->key, unused);
	value_warn(&r->warn, &s->value, "unknown-key", "there is no key %.60s%s%s%s", s->key,
		guess ? "; did you mean " : "; it is not used", guess ? guess : "", guess ? "?" : "");
}

static int read_settings(struct reader *r)
{
	for (size_t i = 0; i < r->settings->n; i++) {
		const struct setting *s = &r->settings->items[i];
		size_t k = 0;
		int rc;

		while (k < NKEYS && strcmp(keys[k].name, s->key))
			k++;
		if (k == NKEYS) {
			warn_unknown(r, s);
			continue;
		}
		rc = keys[k].set(r, s);
		if (rc)
			return rc;
	}
	if (r->d->memory_kib == 0)
		r->d->memory_kib = r->d->maxmem_kib;
	if (r->d->vcpus == 0)
		r->d->vcpus = 1;
	return 0;
}

/* definition_check(), with the place of the key that is at fault. */
static int check(struct reader *r, const char *file)
{
	const struct setting *s;
	const char *key = "vif";
	int rc = definition_number_nics(r->d, r->e);

	if (rc == 0)
		rc = definition_check(r->d, &key, r->e);
	if (rc == 0)
		return 0;
	s = settings_find(r->settings, key);
	if (!s && strcmp(key, "cmdline") == 0) {
		s = settings_find(r->settings, "extra");
		s = s ? s : settings_find(r->settings, "root");
	}
	snprintf(r->e->code, sizeof(r->e->code), "bad-definition");
	if (r->e->line == 0) {
		snprintf(r->e->file, sizeof(r->e->file), "%s", s ? s->value.file : file);
		r->e->line = s ? s->value.line : 0;
	} else {
		snprintf(r->e->file, sizeof(r->e->file), "%s", file);
	}
	return rc;
}

/* Where relative paths start, and the file's own path, absolute. */
static int set_base(struct value_base *base, const char *file, char **path)
{
	base->cwd = getcwd(NULL, 0);
	if (!base->cwd)		/* the folder is gone: relative paths lead nowhere */
		base->cwd = strdup("/");
	*path = base->cwd ? value_join(base->cwd, file) : NULL;
	base->file_dir = *path ? strndup(*path, (size_t)(strrchr(*path, '/') - *path)) : NULL;
	return base->file_dir ? 0 : -ENOMEM;
}

int definition_parse(const char *file, const char *text, size_t len, char *const *overrides, size_t noverrides,
		     definition_warn_fn *warn, void *warn_ctx, struct definition **out, struct err *e)
{
	struct settings settings = { 0 };
	struct value_base base = { 0 };
	struct reader r = { .settings = &settings, .base = &base, .warn = { warn, warn_ctx }, .e = e };
	int rc = 0;

	r.d = calloc(1, sizeof(*r.d));
	if (!r.d || set_base(&base, file, &r.d->file)) {
		rc = value_no_memory(e);
		goto out;
	}
	r.d->on_reboot = ACTION_RESTART;
	rc = settings_parse(&settings, file, text, len, warn, warn_ctx, e);
	for (size_t i = 0; i < noverrides && rc == 0; i++)
		rc = settings_override(&settings, overrides[i], e);
	if (rc == 0)
		rc = read_settings(&r);
	if (rc == 0)
		rc = check(&r, file);
out:
	settings_free(&settings);
	free(base.cwd);
	free(base.file_dir);
	if (rc) {
		definition_free(r.d);
		return rc;
	}
	*out = r.d;
	return 0;
}
