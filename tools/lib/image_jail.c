/* SPDX-License-Identifier: MIT */
/*
 * Where qemu-nbd runs.
 *
 * It reads what guests write and what users bring, with code that was not written for that alone. So it is nobody, with one capability:
 * to open files whoever owns them, since those of images are root's. That is for the image's own files only: Landlock keeps it from
 * all others. It needs no socket but the one that it gets, and no other process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <lib/image_jail.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY		65534
#define READ		((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE)
#define WRITE		((uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE)
#define PROGRAMS	(READ | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define EVERYTHING	((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)	/* what the first version of Landlock knows */

static int allow(int rules, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
}

/* The system's, where there is such a thing. */
static int allow_programs(int rules)
{
	static const struct {
		const char *path;
		uint64_t access;
	} places[] = { { "/usr", PROGRAMS }, { "/lib", PROGRAMS }, { "/lib64", PROGRAMS }, { "/etc/ld.so.cache", READ }, { "/dev/null", READ | WRITE } };
	int rc = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && !rc; i++) {
		int fd = open(places[i].path, O_PATH | O_CLOEXEC);

		if (fd < 0)
			continue;
		rc = allow(rules, fd, places[i].access);
		close(fd);
	}
	return rc;
}

static int allow_layer(int rules, const struct image_layer *l, uint64_t access, struct err *e)
{
	int fd = open(l->path, O_PATH | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0)
		return err_set(e, errno, "bad-disk", "the image %s cannot be opened (%m)", l->path);
	if (fstat(fd, &st) || (l->id.is_file ? !S_ISREG(st.st_mode) || st.st_dev != l->id.dev || st.st_ino != l->id.ino
			: !S_ISBLK(st.st_mode) || st.st_rdev != l->id.dev))
		rc = err_set(e, EBUSY, "disk-in-use", "the image %s was replaced by another one just now", l->path);
	else if ((rc = allow(rules, fd, access)))
		err_set(e, -rc, "internal", "qemu-nbd cannot be confined to %s: %s", l->path, strerror(-rc));
	close(fd);
	return rc;
}

int image_jail_rules(const struct image *im, bool readonly, struct err *e)
{
	struct landlock_ruleset_attr all = { .handled_access_fs = EVERYTHING };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0), rc;

	if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return -EOPNOTSUPP;
	if (rules < 0)
		return err_set(e, errno, "internal", "qemu-nbd cannot be confined: %m");
	fcntl(rules, F_SETFD, FD_CLOEXEC);
	rc = allow_programs(rules);
	if (rc)
		err_set(e, -rc, "internal", "qemu-nbd cannot be confined to the system's programs: %s", strerror(-rc));
	for (size_t i = 0; i < im->n && !rc; i++)
		rc = allow_layer(rules, &im->layers[i], i || readonly ? READ : READ | WRITE, e);
	if (!rc)
		return rules;
	close(rules);
	return rc;
}

int image_jail_output(int rules, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC), rc = fd < 0 ? -errno : allow(rules, fd, READ | WRITE);

	if (fd >= 0)
		close(fd);
	return rc;
}

#define DENY(nr, with) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (with))

/*
 * What it has no business with: other processes, sockets of its own, name spaces, and what changes files by their paths, which
 * Landlock leaves alone. clone3() has its flags in memory, where they cannot be looked at; without it the C library uses clone().
 */
static int filter_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		DENY(__NR_socket, EPERM), DENY(__NR_kill, EPERM), DENY(__NR_tkill, EPERM), DENY(__NR_rt_sigqueueinfo, EPERM),
		DENY(__NR_rt_tgsigqueueinfo, EPERM), DENY(__NR_pidfd_open, EPERM), DENY(__NR_pidfd_send_signal, EPERM), DENY(__NR_ptrace, EPERM),
		DENY(__NR_process_vm_readv, EPERM), DENY(__NR_process_vm_writev, EPERM), DENY(__NR_setpriority, EPERM),
		DENY(__NR_prlimit64, EPERM), DENY(__NR_unshare, EPERM), DENY(__NR_setns, EPERM), DENY(__NR_clone3, ENOSYS),
		DENY(__NR_io_uring_setup, ENOSYS), DENY(__NR_bpf, EPERM), DENY(__NR_perf_event_open, EPERM), DENY(__NR_userfaultfd, EPERM),
		DENY(__NR_keyctl, EPERM), DENY(__NR_add_key, EPERM), DENY(__NR_request_key, EPERM), DENY(__NR_mount, EPERM),
		DENY(__NR_truncate, EPERM), DENY(__NR_setxattr, EPERM), DENY(__NR_lsetxattr, EPERM), DENY(__NR_removexattr, EPERM),
		DENY(__NR_lremovexattr, EPERM), DENY(__NR_utime, EPERM), DENY(__NR_utimes, EPERM), DENY(__NR_futimesat, EPERM),
		DENY(__NR_utimensat, EPERM), DENY(__NR_fork, EPERM), DENY(__NR_vfork, EPERM),
		/* A thread, no process. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

static int set_capability(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t mask = 1u << CAP_DAC_OVERRIDE;
	struct __user_cap_data_struct data[2] = { { .effective = mask, .permitted = mask, .inheritable = mask } };

	if (syscall(SYS_capset, &head, data) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))
		return -errno;
	return 0;
}

static int become_nobody(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cap != CAP_DAC_OVERRIDE)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);	/* the kernel may know fewer */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
		syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY))
		return -errno;
	return set_capability();
}

int image_jail_enter(int rules)
{
	struct rlimit none = { 0, 0 };
	int rc = 0;

	setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || (rules >= 0 && syscall(SYS_landlock_restrict_self, rules, 0)))
		return -errno;
	if (geteuid() == 0)
		rc = become_nobody();
	return rc ? rc : filter_calls();
}
