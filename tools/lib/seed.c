/* SPDX-License-Identifier: MIT */
/* What a machine is told at its first start. Source: "NoCloud" and "Module reference" of cloud-init's documentation. */
#include <ctype.h>
#include <errno.h>
#include <lib/seed.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_MAX	32
#define HOST_NAME_MAX_	63

/* In a message, they would make more than a line of it. */
static int check_text(const char *what, const char *text, const char *code, struct err *e)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return err_set(e, EINVAL, code, "%s has control characters in it, such as line breaks", what);
	return 0;
}

static int check_user(const char *user, struct err *e)
{
	size_t n = strlen(user);
	bool good = n && n <= USER_MAX && (islower((unsigned char)*user) || *user == '_');

	for (size_t i = 0; i < n && good; i++)
		good = islower((unsigned char)user[i]) || isdigit((unsigned char)user[i]) || user[i] == '_' || user[i] == '-';
	if (check_text("the user's name", user, "bad-user", e))
		return -EINVAL;
	return good ? 0 : err_set(e, EINVAL, "bad-user",
		"found \"%.60s\", expected the name of a user: small letters, digits, _ and -, beginning with a letter, at most %d", user, USER_MAX);
}

/* "TYPE BASE64 [COMMENT]", as in authorized_keys but without options, which could have a command run. */
static int check_key(const char *key, struct err *e)
{
	static const char *const types[] = { "ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-nistp256 ", "ecdsa-sha2-nistp384 ", "ecdsa-sha2-nistp521 ",
		"sk-ssh-ed25519@openssh.com ", "sk-ecdsa-sha2-nistp256@openssh.com " };
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	const char *data = NULL;
	size_t n;

	if (check_text("a key", key, "bad-key", e))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types) && !data; i++)
		if (!strncmp(key, types[i], strlen(types[i])))
			data = key + strlen(types[i]);
	n = data ? strspn(data, base64) : 0;
	if (n < 20 || (data[n] && data[n] != ' ') || strlen(key) > SEED_KEY_MAX)
		return err_set(e, EINVAL, "bad-key", "found \"%.40s\", expected a public key of SSH, such as ssh-ed25519 AAAA…", key);
	return 0;
}

int seed_check(const struct seed *s, struct err *e)
{
	int rc = s->user ? check_user(s->user, e) : 0;
	json_t *key;
	size_t i;

	if (json_array_size(s->keys) > SEED_KEYS_MAX)
		return err_set(e, EINVAL, "bad-key", "%zu keys are too many, %d are possible", json_array_size(s->keys), SEED_KEYS_MAX);
	json_array_foreach((json_t *)s->keys, i, key) {
		if (!rc && !json_is_string(key))
			rc = err_set(e, EINVAL, "bad-key", "a key is not a string");
		if (!rc)
			rc = check_key(json_string_value(key), e);
	}
	return rc;
}

/* Names of guests may have characters in them that names of hosts may not. */
static void host_name(const char *name, char host[HOST_NAME_MAX_ + 1])
{
	size_t n = 0;

	for (; *name && n < HOST_NAME_MAX_; name++)
		host[n++] = isalnum((unsigned char)*name) || *name == '.' ? *name : '-';
	while (n && !isalnum((unsigned char)host[n - 1]))
		n--;
	host[n] = '\0';
	if (*host == '-')
		*host = 'h';
}

char *seed_meta_data(const struct seed *s)
{
	char host[HOST_NAME_MAX_ + 1], *text;
	json_t *j;

	host_name(s->name, host);
	j = json_pack("{s:s, s:s}", "instance-id", s->instance, "local-hostname", host);
	text = j ? json_dumps(j, JSON_ENSURE_ASCII | JSON_INDENT(1)) : NULL;
	json_decref(j);
	return text;
}

char *seed_user_data(const struct seed *s)
{
	json_t *keys = s->keys ? json_deep_copy(s->keys) : json_array(), *j;
	char *text, *all = NULL;

	/* With a user, that is the only one; without, the image's own has the keys. */
	if (s->user && strcmp(s->user, "root"))
		j = json_pack("{s:[{s:s, s:b, s:s, s:s, s:o}]}", "users", "name", s->user, "lock_passwd", 1, "shell", "/bin/bash", "sudo",
			"ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys", keys);
	else if (s->user)
		j = json_pack("{s:b, s:[{s:s, s:o}]}", "disable_root", 0, "users", "name", "root", "ssh_authorized_keys", keys);
	else
		j = json_pack("{s:o}", "ssh_authorized_keys", keys);
	text = j ? json_dumps(j, JSON_ENSURE_ASCII | JSON_INDENT(1)) : NULL;
	if (text && asprintf(&all, "#cloud-config\n%s\n", text) < 0)
		all = NULL;
	free(text);
	json_decref(j);
	return all;
}
