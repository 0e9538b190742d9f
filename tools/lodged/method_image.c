/* SPDX-License-Identifier: MIT */
/*
 * Methods for the images that machines are made from.
 *
 * Each is made in a folder without a name, which gets its name when all is in it and on the disk. Whoever is killed before that
 * leaves a folder that the next manager removes.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/folder.h>
#include <lib/image.h>
#include <lib/kernel.h>
#include <lib/qcow2.h>
#include <lib/template.h>
#include <lodged/convert.h>
#include <lodged/log.h>
#include <lodged/methods.h>
#include <lodged/templates.h>
#include <lodged/worker.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUILDERS	"/usr/lib/lodge/builders"
#define OWN_BUILDERS	"/etc/lodge/builders"		/* an administrator's */
#define BUILD_LOG	"/var/log/lodge/build.log"
#define BUILD_SIZE_KIB	(2u << 20)
#define BUILD_MIN_KIB	(64u << 10)
#define BUILD_MAX_KIB	(1u << 30)
#define CMDLINE_MAX	1023
#define BUILT		85				/* percent, when its builder is done */

const struct machine_place machine_place = { MACHINE_DIR, MACHINE_DEFINITIONS };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

void templates_lock(bool removing)
{
	if (removing)
		pthread_rwlock_wrlock(&lock);
	else
		pthread_rwlock_rdlock(&lock);
}

void templates_unlock(void)
{
	pthread_rwlock_unlock(&lock);
}

void templates_recover(void)
{
	folder_sweep(TEMPLATE_DIR);
	machine_sweep(&machine_place);
}

void templates_progress(struct session *s, int percent, const char *text)
{
	if (s->percent)
		s->percent(percent, text, s->ctx);
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* --- looking --- */

static json_t *describe(const struct template *t)
{
	json_t *j = json_pack("{s:s, s:I, s:I, s:s, s:o}", "name", t->name, "size_kib", (json_int_t)(t->size >> 10), "disk_kib",
		(json_int_t)(t->taken >> 10), "disk", t->disk, "machines", machine_upon(&machine_place, t->disk));

	if (j && t->kernel)
		json_object_set_new(j, "kernel", json_string(t->kernel));
	if (j && t->ramdisk)
		json_object_set_new(j, "ramdisk", json_string(t->ramdisk));
	if (j)
		json_object_update_missing(j, t->about);
	return j;
}

int method_image_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *only = request_string(params, "image");
	json_t *names = only ? json_pack("[s]", only) : template_names(TEMPLATE_DIR), *images = json_array(), *name;
	int rc = 0;
	size_t i;

	json_array_foreach(names, i, name) {
		struct template t;

		/* One that goes meanwhile, or is damaged, is none. */
		rc = template_read(TEMPLATE_DIR, json_string_value(name), &t, e);
		if (!rc)
			json_array_append_new(images, describe(&t));
		template_free(&t);
		if (rc && only)
			break;
		rc = 0;
	}
	json_decref(names);
	if (rc)
		json_decref(images);
	else
		*result = json_pack("{s:o}", "images", images);
	return rc;
}

/* --- making --- */

/* An image that is being made. */
struct making {
	const char *name;
	char *folder;
	json_t *about;
};

static int begin(struct making *m, const char *name, struct err *e)
{
	char *path;
	int rc = template_check_name(name, e);

	*m = (struct making){ .name = name };
	if (rc)
		return rc;
	if (asprintf(&path, TEMPLATE_DIR "/%s", name) < 0)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	/* Whoever is first to be complete has the name, but most often it is known from the start. */
	if (exists(path))
		rc = err_set(e, EEXIST, "image-exists", "there is an image %s already", name);
	free(path);
	if (!rc)
		rc = folder_begin(TEMPLATE_DIR, &m->folder, e);
	if (!rc)
		m->about = json_pack("{s:I}", "created", (json_int_t)time(NULL));
	return rc;
}

static int end(struct making *m, int rc, struct err *e)
{
	struct err ignored;

	if (!rc)
		rc = template_publish(TEMPLATE_DIR, m->folder, m->name, m->about, e);
	if (rc && m->folder)
		folder_remove(m->folder, &ignored);
	if (!rc)
		log_line("image %s: made", m->name);
	else if (m->folder)
		log_err(m->name, e);
	free(m->folder);
	json_decref(m->about);
	return rc;
}

static char *in_folder(const struct making *m, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s", m->folder, file) < 0 ? NULL : path;
}

/* The disk's file, empty, and all of the image in it. */
static int put_disk(struct session *s, struct making *m, const struct image *im, int from, const char *what, struct err *e)
{
	char *path = in_folder(m, TEMPLATE_DISK);
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	int rc = fd < 0 ? err_set(e, path ? errno : ENOMEM, "cannot-write", "cannot make a file in %s: %s", m->folder,
		strerror(path ? errno : ENOMEM)) : 0;

	if (fd >= 0)
		close(fd);
	if (!rc)
		rc = convert_image(s, im, DISK_QCOW2, path, from, 99, what, e);
	free(path);
	return rc;
}

static int is_text(const char *what, const char *text, size_t max, struct err *e)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)text[i]))
			return err_set(e, EINVAL, "bad-request", "%s has control characters in it", what);
	return n > max ? err_set(e, EINVAL, "bad-request", "%s is longer than %zu characters", what, max) : 0;
}

/* A kernel that can be started, with its RAM disk and command line. */
static int put_kernel(struct session *s, struct making *m, const json_t *params, struct err *e)
{
	const char *kernel = request_string(params, "kernel"), *ramdisk = request_string(params, "ramdisk"), *cmdline = request_string(params, "cmdline");
	char *to = NULL, *to_ramdisk = NULL;
	struct kernel k;
	int rc;

	if (!kernel && (ramdisk || cmdline))
		return err_set(e, EINVAL, "bad-request", "a RAM disk and a command line go with a kernel, and there is none");
	if (!kernel)
		return 0;
	if (*kernel != '/' || (ramdisk && *ramdisk != '/'))
		return err_set(e, EINVAL, "bad-request", "the path of the kernel or the RAM disk is not absolute");
	rc = cmdline ? is_text("the command line", cmdline, CMDLINE_MAX, e) : 0;
	if (!rc && !(rc = kernel_open(kernel, s->progress, s->ctx, &k, e)))
		kernel_close(&k);
	to = in_folder(m, TEMPLATE_KERNEL);
	to_ramdisk = in_folder(m, TEMPLATE_RAMDISK);
	if (!rc && (!to || !to_ramdisk))
		rc = err_set(e, ENOMEM, "no-memory", "out of memory");
	if (!rc)
		rc = folder_copy(kernel, to, e);
	if (!rc && ramdisk)
		rc = folder_copy(ramdisk, to_ramdisk, e);
	if (!rc && cmdline)
		json_object_set_new(m->about, "cmdline", json_string(cmdline));
	free(to);
	free(to_ramdisk);
	return rc;
}

/* Whom nobody has asked for a format: a file that begins as qcow2 images do is one, everything else a raw disk. */
static int find_format(const char *file, const char *format, enum disk_format *out, struct err *e)
{
	int fd, known = format ? disk_format_find(format) : -1;
	char magic[4] = "";

	if (format && known != DISK_RAW && known != DISK_QCOW2)
		return err_set(e, EOPNOTSUPP, "not-supported", "found the format %.40s, expected raw or qcow2", format);
	if (format) {
		*out = (enum disk_format)known;
		return 0;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "no-disk", "%s cannot be opened: %m", file);
	*out = read(fd, magic, sizeof(magic)) == sizeof(magic) && qcow2_magic(magic, sizeof(magic)) ? DISK_QCOW2 : DISK_RAW;
	close(fd);
	return 0;
}

/* Nobody may write to it meanwhile. */
static int check_unused(const struct image *im, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < im->n && !rc; i++) {
		struct claim_key key = claim_disk_key(&im->layers[i].id, 0);

		rc = registry_claim(NULL, false, &key, CLAIM_READ, im->layers[i].path, e);
		if (!rc)
			rc = block_check_free(im->layers[i].path, &im->layers[i].id, false, e);
	}
	return rc;
}

static int import(struct session *s, struct making *m, const json_t *params, struct err *e)
{
	const char *file = request_string(params, "file"), *format = request_string(params, "format");
	enum disk_format f = DISK_RAW;
	struct image im = { 0 };
	int rc = *file == '/' ? find_format(file, format, &f, e) : err_set(e, EINVAL, "bad-request", "the file's path is not absolute: %.200s", file);

	if (!rc)
		rc = image_read(file, f, &im, e);
	if (!rc && !format && im.n > 1)
		rc = err_set(e, EINVAL, "bad-image", "%s lies upon another file, %s; if that is to be so, say that its format is qcow2", file,
			im.layers[1].path);
	if (!rc)
		rc = check_unused(&im, e);
	if (!rc && f == DISK_QCOW2)
		rc = convert_check(s, &im, e);
	if (!rc)
		rc = put_kernel(s, m, params, e);
	if (!rc)
		rc = put_disk(s, m, &im, 0, "copying the disk", e);
	image_free(&im);
	return rc;
}

int method_image_import(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct making m;
	int rc = begin(&m, request_string(params, "name"), e);

	if (!rc)
		rc = import(s, &m, params, e);
	rc = end(&m, rc, e);
	if (!rc)
		*result = json_pack("{s:s}", "name", request_string(params, "name"));
	return rc;
}

/* --- building --- */

/* Words that become arguments of a program. */
static bool is_word(const char *text, const char *more)
{
	if (!isalnum((unsigned char)*text) || strlen(text) > 200)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text))
			return false;
	return true;
}

static int find_builder(const char *builder, char *path, size_t size, struct err *e)
{
	static const char *const places[] = { OWN_BUILDERS, BUILDERS };

	if (is_word(builder, "._-"))
		for (size_t i = 0; i < 2; i++) {
			snprintf(path, size, "%s/%s", places[i], builder);
			if (!access(path, X_OK))
				return 0;
		}
	return err_set(e, ENOENT, "no-builder", "nothing here can build %.60s: there is no such program in " BUILDERS " or " OWN_BUILDERS, builder);
}

/* "packages=A,B"; allocated. */
static int join_packages(const json_t *packages, char **out, struct err *e)
{
	size_t size;
	FILE *f = open_memstream(out, &size);
	json_t *p;
	size_t i;
	int rc = 0;

	if (!f)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	fputs("packages=", f);
	json_array_foreach((json_t *)packages, i, p) {
		const char *name = json_string_value(p);

		if (!rc && (!name || !is_word(name, ".+-:")))
			rc = err_set(e, EINVAL, "bad-request", "found \"%.60s\", expected the name of a package", name ? name : "(no string)");
		fprintf(f, "%s%s", i ? "," : "", name ? name : "");
	}
	fclose(f);
	return rc;
}

/* "PERCENT TEXT" */
static void builder_says(const char *line, void *ctx)
{
	struct session *s = ctx;
	char *text;
	long percent = strtol(line, &text, 10);

	if (text != line && *text == ' ' && percent >= 0 && percent <= BUILT)
		templates_progress(s, (int)percent, text + 1);
}

/* What it has said about the image: lines "KEY=VALUE". */
static int take_about(struct making *m, struct err *e)
{
	char *path = in_folder(m, "about"), line[CMDLINE_MAX + 32];
	FILE *f = path ? fopen(path, "re") : NULL;
	int rc = 0;

	while (f && !rc && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(line, "system") && strcmp(line, "cmdline"))
			continue;
		rc = is_text("what the builder says of the image", value, CMDLINE_MAX, e);
		if (!rc)
			json_object_set_new(m->about, line, json_string(value));
	}
	if (f)
		fclose(f);
	if (path)
		unlink(path);
	free(path);
	return rc;
}

/* The raw disk that it has made becomes the image's. */
static int take_disk(struct session *s, struct making *m, struct err *e)
{
	char *raw = in_folder(m, "disk");
	struct image im = { 0 };
	int rc = raw ? image_read(raw, DISK_RAW, &im, e) : err_set(e, ENOMEM, "no-memory", "out of memory");

	if (!rc)
		rc = put_disk(s, m, &im, BUILT, "packing the disk", e);
	image_free(&im);
	if (raw)
		unlink(raw);
	free(raw);
	return rc;
}

static int build(struct session *s, struct making *m, const json_t *params, struct err *e)
{
	const char *release = request_string(params, "release"), *mirror = request_string(params, "mirror"), *builder = request_string(params, "builder");
	const json_t *size = json_object_get(params, "size_kib"), *packages = json_object_get(params, "packages");
	json_int_t kib = size ? json_integer_value(size) : BUILD_SIZE_KIB;
	char path[300], number[24], words[2][256], *list = NULL;
	const char *argv[8] = { path, m->folder, number };
	struct worker w = { .argv = argv, .log = BUILD_LOG, .line = builder_says, .ctx = s };
	int n = 3, rc = find_builder(builder, path, sizeof(path), e);

	if (!rc && (kib < BUILD_MIN_KIB || kib > BUILD_MAX_KIB))
		rc = err_set(e, EINVAL, "out-of-range", "found a size of %lld MiB, expected %u to %u MiB", (long long)kib >> 10, BUILD_MIN_KIB >> 10,
			BUILD_MAX_KIB >> 10);
	if (!rc && release && !is_word(release, ".-"))
		rc = err_set(e, EINVAL, "bad-request", "found \"%.60s\", expected the name of a release, such as bookworm", release);
	if (!rc && mirror && !is_word(mirror, ":/.-_~%+"))
		rc = err_set(e, EINVAL, "bad-request", "found \"%.60s\", expected the address of a mirror, such as http://deb.debian.org/debian", mirror);
	if (!rc && packages && json_array_size(packages))
		rc = join_packages(packages, &list, e);
	if (!rc)
		rc = worker_find("qemu-img", "qemu-utils", e);
	if (!rc) {
		snprintf(number, sizeof(number), "%lld", (long long)kib);
		snprintf(words[0], sizeof(words[0]), "release=%s", release ? release : "");
		snprintf(words[1], sizeof(words[1]), "mirror=%s", mirror ? mirror : "");
		if (release)
			argv[n++] = words[0];
		if (mirror)
			argv[n++] = words[1];
		argv[n] = list;
		rc = worker_run(s, &w, "build-failed", e);
	}
	free(list);
	if (!rc)
		rc = take_about(m, e);
	return rc ? rc : take_disk(s, m, e);
}

int method_image_build(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct making m;
	int rc = begin(&m, request_string(params, "name"), e);

	if (!rc)
		rc = build(s, &m, params, e);
	if (!rc)
		json_object_set_new(m.about, "builder", json_string(request_string(params, "builder")));
	rc = end(&m, rc, e);
	if (!rc)
		*result = json_pack("{s:s}", "name", request_string(params, "name"));
	return rc;
}

/* --- giving away, removing --- */

static int file_exists(const char *file, struct err *e)
{
	return err_set(e, EEXIST, "file-exists", "there is a file %s already", file);
}

static int export(struct session *s, const struct template *t, const char *file, enum disk_format format, struct err *e)
{
	struct image im = { 0 };
	struct folder_draft d;
	int rc = folder_draft_begin(&d, file, e);

	if (rc)
		return rc;
	rc = image_read(t->disk, DISK_QCOW2, &im, e);
	if (!rc)
		rc = convert_image(s, &im, format, d.draft, 0, 99, "copying the disk", e);
	image_free(&im);
	if (rc)
		return folder_draft_end(&d, rc, e);
	rc = folder_draft_end(&d, 0, e);
	return rc == -EEXIST ? file_exists(file, e) : rc;
}

int method_image_export(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *file = request_string(params, "file"), *format = request_string(params, "format");
	int f = format ? disk_format_find(format) : DISK_QCOW2, rc;
	struct template t = { 0 };
	struct stat st = { 0 };

	if (f != DISK_RAW && f != DISK_QCOW2)
		return err_set(e, EOPNOTSUPP, "not-supported", "found the format %.40s, expected raw or qcow2", format);
	if (*file != '/')
		return err_set(e, EINVAL, "bad-request", "the file's path is not absolute: %.200s", file);
	if (exists(file))
		return file_exists(file, e);
	/* So that it is not removed while it is read. */
	templates_lock(false);
	rc = template_read(TEMPLATE_DIR, request_string(params, "image"), &t, e);
	if (!rc)
		rc = export(s, &t, file, (enum disk_format)f, e);
	templates_unlock();
	if (!rc && !stat(file, &st))
		*result = json_pack("{s:s, s:I}", "file", file, "kib", (json_int_t)(st.st_blocks / 2));
	template_free(&t);
	return rc;
}

static int check_unneeded(const struct template *t, struct err *e)
{
	json_t *machines = machine_upon(&machine_place, t->disk), *name;
	char list[300] = "";
	struct block_id id;
	struct claim_key key;
	size_t i, n = 0, shown = 0;
	int rc;

	json_array_foreach(machines, i, name) {
		size_t more = strlen(json_string_value(name)) + 2;

		if (n + more >= sizeof(list) - 24)
			break;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", json_string_value(name));
		shown++;
	}
	if (shown < json_array_size(machines))
		snprintf(list + n, sizeof(list) - n, " and %zu more", json_array_size(machines) - shown);
	json_decref(machines);
	if (*list)
		return err_set(e, EBUSY, "image-in-use", "the image %s is needed by the disks of %s; `lodge remove` removes a machine", t->name, list);
	rc = block_identify(t->disk, &id, e);
	if (rc)
		return rc;
	key = claim_disk_key(&id, 0);
	return registry_claim(NULL, false, &key, CLAIM_WRITE, t->disk, e);
}

int method_image_remove(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *name = request_string(params, "image");
	struct template t;
	int rc;

	templates_lock(true);
	rc = template_read(TEMPLATE_DIR, name, &t, e);
	/* One that is damaged can go as well. */
	if (!rc || !strcmp(e->code, "bad-image"))
		rc = t.disk ? check_unneeded(&t, e) : 0;
	if (!rc)
		rc = template_remove(TEMPLATE_DIR, name, e);
	templates_unlock();
	if (!rc)
		log_line("image %s: removed", name);
	template_free(&t);
	return rc;
}
