/* SPDX-License-Identifier: MIT */
/* Other programs. */
#include <errno.h>
#include <fcntl.h>
#include <lib/logfile.h>
#include <lodged/spawn.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX		16

/* A file with the input: unlike a pipe it needs nobody to feed it. */
static int input_file(const char *input)
{
	size_t len = strlen(input);
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, input, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static pid_t start(const char *const argv[], const char *const env[], int input, const char *log)
{
	const char *full[ENV_MAX + 2] = { "PATH=" SPAWN_PATH };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	pid_t pid;
	int rc;

	for (int i = 0; env && env[i] && i < ENV_MAX; i++)
		full[i + 1] = env[i];
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (log)
		logfile_limit(log);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(&files);
	if (input >= 0)
		posix_spawn_file_actions_adddup2(&files, input, 0);
	else
		posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0640);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	rc = posix_spawnp(&pid, argv[0], &files, &attr, (char *const *)argv, (char *const *)full);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc ? -rc : pid;
}

pid_t spawn_start(const char *const argv[], const char *log)
{
	return start(argv, NULL, -1, log);
}

static int wait_for(pid_t pid, int timeout_s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status, rc = 0;

	if (pidfd >= 0) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };

		do
			rc = poll(&p, 1, timeout_s * 1000);
		while (rc < 0 && errno == EINTR);
		close(pidfd);
		if (!rc)
			kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (pidfd >= 0 && !rc)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int spawn_run(const char *const argv[], const char *const env[], const char *input, const char *log, int timeout_s)
{
	int fd = input ? input_file(input) : -1;
	pid_t pid;

	if (input && fd < 0)
		return fd;
	pid = start(argv, env, fd, log);
	if (fd >= 0)
		close(fd);
	return pid < 0 ? pid : wait_for(pid, timeout_s);
}
