/* SPDX-License-Identifier: MIT */
/* A user's own scripts for disks and networks. */
#include <errno.h>
#include <lodged/script.h>
#include <lodged/spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT_DIR	"/etc/xen/scripts"
#define SCRIPT_LOG	"/var/log/lodge/scripts.log"
#define SCRIPT_PATIENCE	60

int script_find(const char *name, char *path, size_t size, struct err *e)
{
	if ((size_t)snprintf(path, size, "%s%s", *name == '/' ? "" : SCRIPT_DIR "/", name) >= size)
		return err_set(e, ENAMETOOLONG, "no-script", "the script name %.80s… is too long", name);
	if (access(path, X_OK))
		return err_set(e, errno, "no-script",
			errno == ENOENT ? "there is no script %s" : "the script %s cannot be run (%m)", path);
	return 0;
}

/* It ended with a status that is not 0. Such scripts say why in the store. */
static int failed(struct session *s, const char *path, const char *word, const char *backend, int status, struct err *e)
{
	char *why = store_read(s->store, "%s/hotplug-error", backend);

	if (why && *why)
		err_set(e, EIO, "script-failed", "the script `%s %s` says: %.300s", path, word, why);
	else
		err_set(e, EIO, "script-failed", "the script `%s %s` failed with status %d; its output is in " SCRIPT_LOG, path,
			word, status);
	free(why);
	return -EIO;
}

int script_run(struct session *s, const char *name, enum script_job job, const char *backend, const char *vif, struct err *e)
{
	static const char *const words[] = { "online", "offline", "add", "remove" };
	bool is_vif = job == SCRIPT_VIF_ONLINE || job == SCRIPT_VIF_OFFLINE;
	char path[512], env[5][600];
	const char *vars[] = { env[0], env[1], env[2], env[3], is_vif ? env[4] : NULL, NULL };
	const char *argv[] = { path, words[job], is_vif ? "type_if=vif" : NULL, NULL };
	int rc = script_find(name, path, sizeof(path), e);

	if (rc)
		return rc;
	snprintf(env[0], sizeof(env[0]), "script=%s", path);
	snprintf(env[1], sizeof(env[1]), "XENBUS_TYPE=%s", is_vif ? "vif" : "vbd");
	snprintf(env[2], sizeof(env[2]), "XENBUS_PATH=%s", backend);
	snprintf(env[3], sizeof(env[3]), "XENBUS_BASE_PATH=backend");
	snprintf(env[4], sizeof(env[4]), "vif=%s", vif ? vif : "");
	rc = spawn_run(argv, vars, NULL, SCRIPT_LOG, SCRIPT_PATIENCE);
	if (rc == -ETIMEDOUT)
		return err_set(e, EIO, "script-failed", "the script `%s %s` did not end within %d seconds", path, words[job],
			SCRIPT_PATIENCE);
	if (rc < 0)
		return err_set(e, -rc, "script-failed", "the script %s cannot be run: %s", path, strerror(-rc));
	return rc ? failed(s, path, words[job], backend, rc, e) : 0;
}
