/* SPDX-License-Identifier: MIT */
/* Paths as clients write them. */
#include <stored/path.h>
#include <stored/quota.h>
#include <stdio.h>
#include <string.h>

#define VALID "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@"

/* Where the part that the quota counts starts: behind /local/domain/N/ of whichever domain. */
static size_t counted_from(const char *path)
{
	unsigned int domid;
	int n = 0;

	return sscanf(path, "/local/domain/%5u/%n", &domid, &n) == 1 ? (size_t)n : 0;
}

int path_canonical(char *out, const char *in, u16 domid, bool special)
{
	size_t len = strlen(in);
	int n;

	if (len > XENSTORE_ABS_PATH_MAX)
		return -EINVAL;
	if (in[0] == '/' || (special && in[0] == '@'))
		n = snprintf(out, PATH_BUFFER, "%s", in);
	else if (in[0] == '@' || len > XENSTORE_REL_PATH_MAX)
		return -EINVAL;
	else
		n = snprintf(out, PATH_BUFFER, "/local/domain/%u/%s", domid, in);
	if (n >= PATH_BUFFER)
		return -EINVAL;

	len = (size_t)n;
	if (len == 1 && out[0] == '/')
		return 0;
	if (strspn(out, VALID) != len || out[len - 1] == '/' || strstr(out, "//"))
		return -EINVAL;
	return len - counted_from(out) > quota[QUOTA_PATH] ? -EINVAL : 0;
}

size_t path_home(const char *path, u16 domid)
{
	char home[32];
	size_t n = (size_t)snprintf(home, sizeof(home), "/local/domain/%u/", domid);

	return strncmp(path, home, n) == 0 ? n : 0;
}
