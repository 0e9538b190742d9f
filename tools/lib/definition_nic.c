/* SPDX-License-Identifier: MIT */
/* Network interfaces: strings of the list `vif`. */
#include <lib/definition_value.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_INTERVAL_US	50000	/* when none is given */

struct reading {
	const struct value *v;
	struct nic *n;
	struct err *e;
};

static int bad(struct reading *r, const char *key, const char *found, const char *expected)
{
	return value_error(r->v, r->e, "vif \"%s\": found %s=%s, expected %s", r->v->text, key, found, expected);
}

static int set_string(struct reading *r, char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
	return *field ? 0 : value_no_memory(r->e);
}

int definition_mac(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		unsigned value = 0, digits = 0;

		for (; isxdigit((unsigned char)*text) && digits < 2; digits++, text++)
			value = value * 16 +
				(unsigned)(isdigit((unsigned char)*text) ? *text - '0' : tolower((unsigned char)*text) - 'a' + 10);
		if (digits == 0 || (i < 5 ? *text != ':' && *text != '-' : *text != 0))
			return -EINVAL;
		mac[i] = (uint8_t)value;
		text++;
	}
	return 0;
}

static int set_mac(struct reading *r, const char *value)
{
	char text[18];
	uint8_t m[6];

	if (definition_mac(value, m))
		return bad(r, "mac", value, "six bytes such as 00:16:3e:01:02:03");
	if (m[0] & 1)
		return bad(r, "mac", value, "the address of one interface: this is a multicast address, its first byte is odd");
	if (memcmp(m, "\0\0\0\0\0\0", 6) == 0)
		return bad(r, "mac", value, "an address that is not 0");
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return set_string(r, &r->n->mac, text);
}

/* Addresses between blanks, each with or without a prefix length. */
static int set_ip(struct reading *r, const char *value)
{
	const char *s = value;

	while (*s) {
		char one[INET6_ADDRSTRLEN + 5];
		size_t len = strcspn(s, " ");
		uint8_t address[16];
		char *slash, *end;
		bool six;

		if (len == 0 || len >= sizeof(one))
			return bad(r, "ip", value, "addresses with a blank between them");
		memcpy(one, s, len);
		one[len] = 0;
		slash = strchr(one, '/');
		if (slash)
			*slash++ = 0;
		six = strchr(one, ':') != NULL;
		if (inet_pton(six ? AF_INET6 : AF_INET, one, address) != 1)
			return bad(r, "ip", value, "IPv4 or IPv6 addresses with a blank between them");
		if (slash && (!isdigit((unsigned char)*slash) || strtoul(slash, &end, 10) > (six ? 128u : 32u) || *end))
			return bad(r, "ip", value, "the length of a prefix after '/'");
		s += len;
		s += strspn(s, " ");
	}
	return *value ? set_string(r, &r->n->ip, value) : bad(r, "ip", value, "an address");
}

/* Can an interface of Linux be called this? */
static bool is_interface(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (!isgraph((unsigned char)*name) || *name == '/' || *name == ':')
			return false;
	return true;
}

static int set_bridge(struct reading *r, const char *value)
{
	return *value ? set_string(r, &r->n->bridge, value) : bad(r, "bridge", value, "the name of a bridge");
}

static int set_vifname(struct reading *r, const char *value)
{
	if (!is_interface(value))
		return bad(r, "vifname", value, "a name for an interface: 1 to 15 characters without '/', ':' and blanks");
	return set_string(r, &r->n->vifname, value);
}

static int set_script(struct reading *r, const char *value)
{
	return set_string(r, &r->n->script, value);
}

static int set_model(struct reading *r, const char *value)
{
	return set_string(r, &r->n->model, value);
}

static int set_type(struct reading *r, const char *value)
{
	if (strcmp(value, "vif") && strcmp(value, "ioemu") && strcmp(value, "paravirtualised") && strcmp(value, "netfront"))
		return bad(r, "type", value, "vif or ioemu");
	return 0;
}

static int set_backend(struct reading *r, const char *value)
{
	if (strcmp(value, "0") && strcmp(value, "Domain-0"))
		return bad(r, "backend", value, "0: networks are served by Domain 0");
	return 0;
}

/* "10Mb/s", "250KB/s", "1MB/s@20ms": bits or bytes each second, and the interval in which they are counted. */
static int set_rate(struct reading *r, const char *value)
{
	static const char expected[] = "a rate such as 10Mb/s, 250KB/s or 1MB/s@20ms";
	static const struct { const char *unit; uint64_t us; } intervals[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	uint64_t rate, unit, interval = RATE_INTERVAL_US;
	char *s;

	if (!isdigit((unsigned char)*value))
		return bad(r, "rate", value, expected);
	errno = 0;
	rate = strtoull(value, &s, 10);
	unit = *s == 'G' ? 1000000000 : *s == 'M' ? 1000000 : *s == 'K' ? 1000 : 1;
	if (errno || rate > UINT64_MAX / unit)
		return bad(r, "rate", value, expected);
	rate *= unit;
	s += *s == 'G' || *s == 'M' || *s == 'K';
	if (*s != 'b' && *s != 'B')
		return bad(r, "rate", value, expected);
	rate = *s++ == 'b' ? rate / 8 : rate;
	if (strncmp(s, "/s", 2))
		return bad(r, "rate", value, expected);
	s += 2;
	if (*s == '@') {
		size_t i = 0;

		interval = isdigit((unsigned char)s[1]) ? strtoull(s + 1, &s, 10) : 0;
		while (i < 3 && strcmp(intervals[i].unit, s))
			i++;
		if (i == 3 || interval == 0 || interval > 60000000 || interval * intervals[i].us > 60000000)
			return bad(r, "rate", value, "an interval from 1us to 60s after '@'");
		interval *= intervals[i].us;
		s += strlen(s);
	}
	/* Bytes in an interval, which the backend counts in 32 bits. */
	rate = rate > UINT64_MAX / interval ? UINT64_MAX : rate * interval / 1000000;
	if (*s || rate == 0 || rate > UINT32_MAX)
		return bad(r, "rate", value, *s ? expected : "from 1 byte to 4 GB in an interval");
	r->n->rate_bytes = rate;
	r->n->rate_interval_us = (uint32_t)interval;
	return 0;
}

static int set_devid(struct reading *r, const char *value)
{
	char *end;
	unsigned long n = isdigit((unsigned char)*value) ? strtoul(value, &end, 10) : NIC_DEVID_MAX + 1;

	if (n > NIC_DEVID_MAX || *end)
		return bad(r, "devid", value, "a number from 0 to 1023");
	r->n->devid = (uint32_t)n;
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct reading *r, const char *value);
} keys[] = {
	{ "mac", set_mac },
	{ "bridge", set_bridge },
	{ "ip", set_ip },
	{ "script", set_script },
	{ "rate", set_rate },
	{ "vifname", set_vifname },
	{ "model", set_model },
	{ "type", set_type },
	{ "backend", set_backend },
	{ "devid", set_devid },
};
static const char *const key_names[] = { "mac", "bridge", "ip", "script", "rate", "vifname", "model", "type", "backend", "devid", NULL };
static const char *const unused[] = { "gatewaydev", "netdev", "trusted", "accel", "mtu", "vlan", NULL };

static int set_key(struct reading *r, const struct value_warn *w, const char *part)
{
	const char *equals = strchr(part, '='), *guess;
	size_t len = equals ? (size_t)(equals - part) : strlen(part);

	while (len > 0 && isspace((unsigned char)part[len - 1]))
		len--;
	for (size_t i = 0; equals && i < sizeof(keys) / sizeof(*keys); i++)
		if (strlen(keys[i].key) == len && strncmp(keys[i].key, part, len) == 0)
			return keys[i].set(r, equals + 1 + strspn(equals + 1, " \t"));
	for (size_t i = 0; equals && unused[i]; i++) {
		if (strlen(unused[i]) == len && strncmp(unused[i], part, len) == 0) {
			value_warn(w, r->v, "not-used", "vif \"%s\": %s is not used", r->v->text, unused[i]);
			return 0;
		}
	}
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)len, part);
	guess = value_guess(word, key_names);
	if (!equals)
		return value_error(
			r->v, r->e, "vif \"%s\": found \"%s\", expected key=value with commas between them", r->v->text, part);
	return value_error(r->v, r->e, "vif \"%s\": there is no key %s%s%s%s", r->v->text, word, guess ? "; did you mean " : "",
		guess ? guess : "", guess ? "?" : "");
}

int nic_parse(const struct value *v, const struct value_warn *w, struct nic *n, struct err *e)
{
	struct reading r = { .v = v, .n = n, .e = e };
	const char *text = v->text;

	n->line = v->line;
	while (text) {
		char *part = value_part(&text, ',');
		int rc;

		if (!part)
			return value_no_memory(e);
		rc = *part ? set_key(&r, w, part) : 0;
		free(part);
		if (rc)
			return rc;
	}
	return 0;
}
