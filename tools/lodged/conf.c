/* SPDX-License-Identifier: MIT */
/* The manager's settings. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/network.h>
#include <lib/size.h>
#include <lodged/conf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX	65536
#define PREFIX_DEFAULT	22	/* 1021 guests: a bridge of the kernel has 1024 ports */

void conf_defaults(struct conf *c)
{
	*c = (struct conf){.network = true,
		.bridge = "lodge0",
		.prefix = PREFIX_DEFAULT,
		.domain = "lodge.internal",
		.nat = true,
		.dump_folder = "/var/lib/lodge/dump",
		.image_folders = "/var/lib/lodge/images",
		.resolv_conf = "/etc/resolv.conf"};
}

static int set_bool(bool *out, const char *v)
{
	static const char *const yes[] = { "yes", "on", "true", "1" }, *const no[] = { "no", "off", "false", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (!strcmp(v, yes[i]) || !strcmp(v, no[i])) {
			*out = !strcmp(v, yes[i]);
			return 0;
		}
	}
	return -EINVAL;
}

/* "10.5.0.1/22", "auto", "off". */
static int set_network(struct conf *c, const char *v)
{
	struct in_addr a;
	char text[20], *end;
	const char *slash = strchr(v, '/');
	uint32_t mask;

	if (!strcmp(v, "auto") || !strcmp(v, "off")) {
		c->network = *v == 'a';
		c->address = 0;
		return 0;
	}
	if (!slash || (size_t)(slash - v) >= sizeof(text))
		return -EINVAL;
	memcpy(text, v, (size_t)(slash - v));
	text[slash - v] = '\0';
	c->prefix = (unsigned int)strtoul(slash + 1, &end, 10);
	if (inet_pton(AF_INET, text, &a) != 1 || *end || !isdigit((unsigned char)slash[1]) || c->prefix < 16 || c->prefix > 28)
		return -EINVAL;
	c->network = true;
	c->address = ntohl(a.s_addr);
	mask = 0xffffffffU >> c->prefix;
	if (!(c->address & mask))
		c->address++;		/* the network was named: its first address is Domain 0's */
	return (c->address & mask) == mask ? -EINVAL : 0;
}

static int set_bridge(struct conf *c, const char *v)
{
	if (!net_name_valid(v))
		return -EINVAL;
	snprintf(c->bridge, sizeof(c->bridge), "%s", v);
	return 0;
}

static int set_domain(struct conf *c, const char *v)
{
	size_t n = strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	if (!n || v[n] || n >= sizeof(c->domain) || *v == '.' || *v == '-')
		return -EINVAL;
	snprintf(c->domain, sizeof(c->domain), "%s", v);
	return 0;
}

static int set_resolv(struct conf *c, const char *v)
{
	if (!strcmp(v, "off"))
		v = "";
	else if (*v != '/' || strlen(v) >= sizeof(c->resolv_conf))
		return -EINVAL;
	snprintf(c->resolv_conf, sizeof(c->resolv_conf), "%s", v);
	return 0;
}

static int set_nat(struct conf *c, const char *v)
{
	return set_bool(&c->nat, v);
}

static int set_dump_folder(struct conf *c, const char *v)
{
	if (*v != '/' || strlen(v) >= sizeof(c->dump_folder))
		return -EINVAL;
	snprintf(c->dump_folder, sizeof(c->dump_folder), "%s", v);
	return 0;
}

/* The defaults stay as well. */
static int set_image_folders(struct conf *c, const char *v)
{
	size_t have = strlen(c->image_folders);

	for (const char *at = v; at; at = strchr(at, ':')) {
		at += at != v;
		if (*at != '/')
			return -EINVAL;
	}
	return (size_t)snprintf(c->image_folders + have, sizeof(c->image_folders) - have, ":%s", v) < sizeof(c->image_folders) - have ? 0
		: -EINVAL;
}

static int set_dump_for(struct conf *c, const char *v)
{
	c->dump_for_crash = !strcmp(v, "crash");
	return c->dump_for_crash || !strcmp(v, "gdb") ? 0 : -EINVAL;
}

static int set_dom0_min(struct conf *c, const char *v)
{
	if (!strcmp(v, "auto") || !strcmp(v, "off")) {
		c->dom0_min_kib = *v == 'a' ? CONF_DOM0_MIN_AUTO : CONF_DOM0_MIN_OFF;
		return 0;
	}
	c->dom0_min_kib = size_kib(v);
	return c->dom0_min_kib < DOM0_LEAST_KIB ? -EINVAL : 0;
}

/* "off", "9101", "10.0.0.1:9101", "[::1]:9101". */
static int set_metrics(struct conf *c, const char *v)
{
	const char *colon = strrchr(v, ':'), *port = colon ? colon + 1 : v;
	size_t digits = strspn(port, "0123456789"), n = colon ? (size_t)(colon - v) : 0;
	unsigned long number = strtoul(port, NULL, 10);
	char text[48] = "127.0.0.1", out[16];
	bool v6 = n > 2 && *v == '[' && v[n - 1] == ']';

	c->metrics_port = 0;
	if (!strcmp(v, "off"))
		return 0;
	if (!digits || digits > 5 || port[digits] || !number || number > 65535 || n >= sizeof(text))
		return -EINVAL;
	if (colon)
		snprintf(text, sizeof(text), "%.*s", (int)(v6 ? n - 2 : n), v6 ? v + 1 : v);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, out) != 1)
		return -EINVAL;
	snprintf(c->metrics_address, sizeof(c->metrics_address), "%.45s", text);
	c->metrics_port = (unsigned int)number;
	return 0;
}

static int set_persistent_grants(struct conf *c, const char *v)
{
	return set_bool(&c->persistent_grants, v);
}

static const struct setting {
	const char *key;
	int (*set)(struct conf *c, const char *value);
	const char *expected;
} settings[] = {
	{ "network", set_network, "auto, off, or an address with a prefix from 16 to 28, as in 10.5.0.1/22" },
	{ "bridge", set_bridge, "the name of an interface (at most 15 characters)" },
	{ "domain", set_domain, "a domain name (at most 63 characters)" },
	{ "dom0_min_memory", set_dom0_min, "auto, off, or a size of at least 128 MiB (in MiB, or with a unit: 512, 512m, 2g)" },
	{ "dump_folder", set_dump_folder, "an absolute path" },
	{ "dump_for", set_dump_for, "gdb or crash" },
	{ "image_folders", set_image_folders, "absolute paths with ':' between them" },
	{ "metrics", set_metrics, "off, a port (of 127.0.0.1), or an address and a port, as in 10.0.0.1:9101 or [::1]:9101" },
	{ "nat", set_nat, "yes or no" },
	{ "persistent_grants", set_persistent_grants, "yes or no" },
	{ "resolv_conf", set_resolv, "an absolute path, or off" },
};

static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static int parse_line(struct conf *c, const char *name, int number, char *line, struct err *e)
{
	char *value, *key;

	line[strcspn(line, "#")] = '\0';
	key = trim(line);
	if (!*key)
		return 0;
	value = strchr(key, '=');
	if (!value)
		return err_set_at(e, name, number, EINVAL, "bad-settings", "found `%.80s`, expected KEY = VALUE", key);
	*value++ = '\0';
	key = trim(key);
	value = trim(value);
	if (strlen(value) >= 2 && (*value == '"' || *value == '\'') && value[strlen(value) - 1] == *value) {
		value[strlen(value) - 1] = '\0';
		value++;
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!strcmp(key, settings[i].key))
			return settings[i].set(c, value)
				       ? err_set_at(e, name, number, EINVAL, "bad-settings", "%s: found `%.80s`, expected %s", key,
						 value, settings[i].expected)
				       : 0;
	return err_set_at(e, name, number, EINVAL, "bad-settings", "there is no setting `%.80s`", key);
}

int conf_parse(struct conf *c, const char *name, const char *text, size_t len, struct err *e)
{
	int number = 1, rc = 0;

	while (len && !rc) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		char line[1024];

		if (n >= sizeof(line) || memchr(text, '\0', n))
			return err_set_at(e, name, number, EINVAL, "bad-settings", "the line is too long or not text");
		memcpy(line, text, n);
		line[n] = '\0';
		rc = parse_line(c, name, number++, line, e);
		n += !!end;
		text += n;
		len -= n;
	}
	return rc;
}

int conf_load(struct conf *c, const char *path, struct err *e)
{
	static char text[FILE_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	conf_defaults(c);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "bad-settings", "cannot open %s: %m", path);
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0 || n > FILE_MAX)
		return err_set(
			e, n < 0 ? errno : EFBIG, "bad-settings", "%s cannot be read, or is longer than %d bytes", path, FILE_MAX);
	return conf_parse(c, path, text, (size_t)n, e);
}
