/* SPDX-License-Identifier: MIT */
/*
 * Unpacking of a kernel file by a child process in a jail.
 *
 * The file may be a guest's: its headers lie, its data attacks the libraries that unpack it, and somebody may cut it short
 * meanwhile. So nothing of it is looked at in this process. The child is another user with no way to get privileges, to open files,
 * or to start processes; what it can do is read the file, write to the output, and answer in a page of shared memory. That page is
 * believed as little as the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boot/bzimage.h>
#include <boot/unpack_codecs.h>
#include <lib/child.h>
#include <lib/kernel.h>
#include <lib/kernel_unpack.h>
#include <lib/small_file.h>

#define NOBODY		65534
#define CPU_SECONDS	120
#define IN_FD		3
#define OUT_FD		4

/* The child's answer. */
struct report {
	uint32_t done;
	uint64_t size;
	char error[160];	/* "" : none */
};

size_t kernel_bitmap_offset(size_t base, size_t size)
{
	return base + ALIGN_UP(size, KERNEL_PAGE);
}

size_t kernel_file_size(size_t base, size_t size)
{
	return kernel_bitmap_offset(base, size) + DIV_ROUND_UP(DIV_ROUND_UP(size, KERNEL_PAGE), 8);
}

/* The libraries' memory, as boot/unpack_codecs.c wants it. */
void *unpack_malloc(size_t size)
{
	return malloc(size);
}

void *unpack_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void unpack_free(void *block)
{
	free(block);
}

static void decode(enum unpack_format format, struct unpack_job *job)
{
	switch (format) {
	case UNPACK_GZIP:
		return unpack_gzip(job);
	case UNPACK_XZ:
		return unpack_xz(job);
	case UNPACK_LZ4:
		return unpack_lz4(job);
	case UNPACK_ZSTD:
		return unpack_zstd(job);
	default:
		memcpy(job->dst, job->src, job->len);
		job->out = job->len;
	}
}

const char *kernel_unpack_here(const void *in, size_t in_size, size_t max, void *(*output)(void *ctx, size_t size), void *ctx,
			       size_t *size)
{
	struct unpack_job job = { 0 };
	const char *error = NULL;
	struct bzimage k;

	if (bzimage_parse(in, in_size, &k, &error))
		return error;
	if (k.size > max)
		return "it is larger than 512 MiB when unpacked";
	job.dst = output(ctx, k.size);
	if (!job.dst)
		return "no memory or disk space left to unpack it";
	job.src = k.data;
	job.len = k.len;
	job.cap = k.size;
	decode(k.format, &job);
	if (!job.error && job.out != k.size)
		return "the unpacked data is smaller than announced";
	*size = job.out;
	return job.error;
}

struct output {
	size_t base;
	uint8_t *map;
};

static void *map_output(void *ctx, size_t size)
{
	struct output *o = ctx;
	size_t total = kernel_file_size(o->base, size);

	if (ftruncate(OUT_FD, (off_t)total))
		return NULL;
	o->map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, OUT_FD, 0);
	return o->map == MAP_FAILED ? NULL : o->map + o->base;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Note the pages that are not zero, and give back the space of the others. */
static void find_holes(const struct output *o, size_t size)
{
	uint8_t *image = o->map + o->base, *bitmap = o->map + kernel_bitmap_offset(o->base, size);
	size_t hole = 0;

	for (size_t at = 0; at < size; at += KERNEL_PAGE) {
		size_t n = size - at < KERNEL_PAGE ? size - at : KERNEL_PAGE, page = at / KERNEL_PAGE;

		if (is_zero(image + at, n)) {
			hole += n;
			continue;
		}
		if (hole)
			fallocate(OUT_FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(o->base + at - hole), (off_t)hole);
		hole = 0;
		bitmap[page / 8] |= (uint8_t)(1u << page % 8);
	}
	if (hole)
		fallocate(OUT_FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(o->base + size - hole), (off_t)hole);
}

static void limit(int what, rlim_t value)
{
	struct rlimit r = { value, value };

	setrlimit(what, &r);
}

/* Bytes of address space in use. */
static rlim_t address_space(void)
{
	char text[64];

	return small_file_read("/proc/self/statm", text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) : RLIM_INFINITY;
}

static const char *drop_privileges(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
		return "cannot become another user to unpack it";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return "cannot give up privileges to unpack it";
	return NULL;
}

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What malloc(), the output and the end need (sigaltstack: AddressSanitizer). */
static const char *filter_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_mmap), ALLOW(__NR_munmap), ALLOW(__NR_mremap), ALLOW(__NR_mprotect), ALLOW(__NR_madvise), ALLOW(__NR_brk),
		ALLOW(__NR_ftruncate), ALLOW(__NR_fallocate), ALLOW(__NR_futex), ALLOW(__NR_getrandom), ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_sigaltstack), ALLOW(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? "cannot confine the process that is to unpack it" : NULL;
}

/* Before the file is touched. *in, *out become IN_FD and OUT_FD, and nothing else stays open. */
static const char *enter_jail(int in, int out, size_t in_size)
{
	rlim_t used = address_space();
	const char *error;

	/* Both away from the places they are to take. */
	in = fcntl(in, F_DUPFD, OUT_FD + 1);
	out = fcntl(out, F_DUPFD, OUT_FD + 1);
	if (in < 0 || out < 0 || dup2(in, IN_FD) < 0 || dup2(out, OUT_FD) < 0)
		return "no file descriptor left to unpack it";
	syscall(SYS_close_range, OUT_FD + 1, ~0U, 0);
	for (int fd = 0; fd < IN_FD; fd++)
		close(fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	error = drop_privileges();
	if (error)
		return error;
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, CPU_SECONDS);
	limit(RLIMIT_FSIZE, kernel_file_size(KERNEL_PAGE, KERNEL_MAX));
	limit(RLIMIT_NOFILE, 0);
	limit(RLIMIT_NPROC, 0);
	/* The output, and the libraries' tables. */
	if (used != RLIM_INFINITY)
		limit(RLIMIT_AS, used + KERNEL_MAX + in_size + (64UL << 20));
	return filter_calls();
}

static void __attribute__((noreturn)) child(int in, size_t in_size, int out, size_t base, struct report *r)
{
	struct output o = { .base = base };
	const char *error;
	size_t size = 0;
	void *file;

	child_signals();
	error = enter_jail(in, out, in_size);
	if (!error) {
		file = mmap(NULL, in_size, PROT_READ, MAP_PRIVATE, IN_FD, 0);
		error = file == MAP_FAILED ? "it cannot be read" : kernel_unpack_here(file, in_size, KERNEL_MAX, map_output, &o, &size);
	}
	if (!error)
		find_holes(&o, size);
	if (error)
		strncpy(r->error, error, sizeof(r->error) - 1);
	r->size = size;
	r->done = 1;
	_exit(0);
}

/* Why a child ended without an answer. */
static int explain(const char *path, int out, int status, struct err *e)
{
	struct statvfs fs;
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig == SIGBUS && !fstatvfs(out, &fs) && fs.f_bavail * fs.f_frsize < (1UL << 20))
		return err_set(e, ENOSPC, "no-space",
			       "kernel %s: no space left to unpack it where kernels are kept (%s)", path, KERNEL_CACHE);
	if (sig == SIGBUS)
		return err_set(e, EIO, "bad-kernel",
			       "kernel %s: it was changed or could not be read while it was being unpacked", path);
	if (sig == SIGXCPU)
		return err_set(e, ETIME, "bad-kernel",
			       "kernel %s: unpacking it takes more than %d seconds: the file is damaged, or an attack", path,
			       CPU_SECONDS);
	if (sig == SIGKILL)
		return err_set(e, ENOMEM, "no-memory",
			       "kernel %s: unpacking it was ended from outside, most likely for lack of memory", path);
	return err_set(e, ENOEXEC, "bad-kernel",
		       "kernel %s: unpacking it failed (signal %d): the file is damaged, or an attack", path, sig);
}

/* The child's answer is as little to be trusted as the file. */
static int judge(const char *path, struct report *r, size_t *size, struct err *e)
{
	r->error[sizeof(r->error) - 1] = '\0';
	for (char *c = r->error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (r->error[0])
		return err_set(e, ENOEXEC, "bad-kernel", "kernel %s: %s", path, r->error);
	if (r->size == 0 || r->size > KERNEL_MAX)
		return err_set(e, EFBIG, "bad-kernel",
			       "kernel %s: its unpacked size is impossible", path);
	*size = r->size;
	return 0;
}

int kernel_unpack(const char *path, int in, size_t in_size, int out, size_t base, size_t *size, struct err *e)
{
	struct report *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct report answer;
	int status = 0;
	pid_t pid;

	if (r == MAP_FAILED)
		return err_set(e, ENOMEM, "no-memory", "no memory left");
	pid = fork();
	if (pid == 0)
		child(in, in_size, out, base, r);
	if (pid < 0) {
		munmap(r, sizeof(*r));
		return err_set(e, errno, "no-memory", "cannot start a process to unpack kernel %s: %s", path, strerror(errno));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	answer = *r;
	munmap(r, sizeof(*r));
	if (!answer.done || !WIFEXITED(status))
		return explain(path, out, status, e);
	return judge(path, &answer, size, e);
}
