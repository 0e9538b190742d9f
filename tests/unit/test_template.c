/* SPDX-License-Identifier: MIT */
/* Unit tests: images that machines are made from, machines, and the folders of both: as a whole or not at all. */
/* sources: tools/lib/template.c tools/lib/machine.c tools/lib/folder.c tools/lib/image.c tools/lib/qcow2.c tools/lib/block.c tools/lib/block_holder.c tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_cpus.c tools/lib/definition_disk.c tools/lib/definition_item.c tools/lib/definition_json.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_syntax.c tools/lib/definition_value.c tools/lib/definition_complete.c tools/lib/size.c tools/lib/err.c lib/number.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson -luuid */
#include "test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/folder.h>
#include <lib/image.h>
#include <lib/machine.h>
#include <lib/template.h>
#include <sys/stat.h>

static char base[64], images[128], machines[128], definitions[128];
static struct machine_place place = { machines, definitions };

static char *in(const char *format, ...)
{
	static char text[8][512];
	static int n;
	va_list ap;
	int len;

	n = (n + 1) % 8;
	len = snprintf(text[n], sizeof(text[n]), "%s/", base);
	va_start(ap, format);
	vsnprintf(text[n] + len, sizeof(text[n]) - (size_t)len, format, ap);
	va_end(ap);
	return text[n];
}

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void put(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	CHECK(f);
	if (f) {
		CHECK_EQ(fwrite(data, 1, size, f), size);
		fclose(f);
	}
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htobe32(v);
	memcpy(at, &v, 4);
}

/* A qcow2 header, with a backing file or NULL. */
static void put_qcow2(const char *path, const char *backing)
{
	uint8_t d[4096] = "QFI\xfb";

	put32(d + 4, 3);
	put32(d + 20, 12);
	put32(d + 28, 8 << 20);
	put32(d + 96, 4);
	put32(d + 100, 104);
	if (backing) {
		put32(d + 104, 0xe2792aca);
		put32(d + 108, 5);
		memcpy(d + 112, "qcow2", 5);
		put32(d + 12, 136);
		put32(d + 16, (uint32_t)strlen(backing));
		memcpy(d + 136, backing, strlen(backing));
	}
	put(path, d, sizeof(d));
}

static void set_up(void)
{
	strcpy(base, "/tmp/" FOLDER_TEMPORARY "test-XXXXXX");
	CHECK(mkdtemp(base));
	/* The folder of the images is where a link leads, as somebody has it who needs room for them. */
	mkdir(in("lib"), 0755);
	mkdir(in("room"), 0755);
	CHECK_EQ(symlink(in("room"), in("lib/images")), 0);
	snprintf(images, sizeof(images), "%s/lib/images", base);
	snprintf(machines, sizeof(machines), "%s/machines", base);
	snprintf(definitions, sizeof(definitions), "%s/vm", base);
	mkdir(definitions, 0755);
	image_allow_folders(images);
}

static void tear_down(void)
{
	struct err e;

	CHECK_EQ(folder_remove(base, &e), 0);
	CHECK(!there(base));
}

static void code_is(int rc, const struct err *e, const char *code)
{
	CHECK(rc < 0);
	CHECK_STR(e->code, code);
}

static int publish(const char *name, struct err *e)
{
	json_t *about = json_pack("{s:i, s:s}", "created", 7, "system", "Test 1");
	char *folder, path[600];
	int rc;

	CHECK_EQ(folder_begin(images, &folder, e), 0);
	snprintf(path, sizeof(path), "%s/" TEMPLATE_DISK, folder);
	put_qcow2(path, NULL);
	rc = template_publish(images, folder, name, about, e);
	if (rc)
		CHECK(there(folder));
	free(folder);
	json_decref(about);
	return rc;
}

TEST(names)
{
	struct err e;

	CHECK(!template_check_name("debian-12.5_x", &e) && !template_check_name("0", &e));
	for (const char *const *n = (const char *const[]){ "", ".", "..", ".x", "a/b", "../x", "a b", "a\n", "-x", "a:b", "\xc3\xa4", NULL }; *n; n++)
		code_is(template_check_name(*n, &e), &e, "bad-name");
}

TEST(images_come_and_go)
{
	struct template t;
	json_t *names;
	struct err e;

	set_up();
	names = template_names(images);
	CHECK_EQ(json_array_size(names), 0);
	json_decref(names);
	CHECK_EQ(publish("b", &e), 0);
	CHECK_EQ(publish("a", &e), 0);
	code_is(publish("a", &e), &e, "image-exists");
	names = template_names(images);
	CHECK_EQ(json_array_size(names), 2);	/* the one that was refused is none */
	CHECK_STR(json_string_value(json_array_get(names, 0)), "a");
	json_decref(names);
	CHECK_EQ(template_read(images, "a", &t, &e), 0);
	CHECK_EQ(t.size, 8 << 20);
	CHECK(!t.kernel && !t.ramdisk && json_integer_value(json_object_get(t.about, "created")) == 7);
	template_free(&t);
	for (const char *const *n = (const char *const[]){ "c", "../images/a", "", "a/", ".lodge-x", NULL }; *n; n++) {
		code_is(template_read(images, *n, &t, &e), &e, "no-such-image");
		template_free(&t);
	}
	unlink(in("lib/images/a/" TEMPLATE_DISK));
	code_is(template_read(images, "a", &t, &e), &e, "bad-image");
	template_free(&t);
	CHECK_EQ(template_remove(images, "a", &e), 0);
	CHECK(!there(in("lib/images/a")) && there(in("lib/images/b")));
	folder_sweep(images);
	CHECK_EQ(rmdir(in("room")), -1);
	CHECK_EQ(template_remove(images, "b", &e), 0);
	CHECK_EQ(rmdir(in("room")), 0);		/* nothing else is in there */
	tear_down();
}

static void begin(const char *name)
{
	struct err e;
	char path[512];

	CHECK_EQ(machine_begin(&place, name, &e), 0);
	snprintf(path, sizeof(path), "%s/%s/" MACHINE_DISK, machines, name);
	put_qcow2(path, in("lib/images/a/" TEMPLATE_DISK));
}

TEST(machines_come_and_go)
{
	struct err e;
	json_t *names;

	set_up();
	CHECK_EQ(publish("a", &e), 0);
	begin("m2");
	begin("m1");
	code_is(machine_begin(&place, "m1", &e), &e, "name-taken");
	CHECK_EQ(machine_finish(&place, "m1", "name = \"m1\"\n", &e), 0);
	CHECK(there(in("vm/m1")) && !there(in("machines/m1/unfinished")));
	put(in("vm/m2"), "x", 1);
	code_is(machine_finish(&place, "m2", "name = \"m2\"\n", &e), &e, "name-taken");
	machine_undo(&place, "m2");
	CHECK(!there(in("machines/m2")) && there(in("vm/m2")));
	code_is(machine_begin(&place, "m2", &e), &e, "name-taken");
	put(in("m3.cfg"), "x", 1);
	code_is(machine_begin(&place, "m3", &e), &e, "name-taken");
	names = machine_upon(&place, in("lib/images/a/" TEMPLATE_DISK));
	CHECK_EQ(json_array_size(names), 1);
	json_decref(names);
	names = machine_upon(&place, in("vm/m1"));
	CHECK_EQ(json_array_size(names), 0);
	json_decref(names);
	for (const char *const *n = (const char *const[]){ "m2", "../machines/m1", "", ".", NULL }; *n; n++)
		code_is(machine_find(&place, *n, &e), &e, "no-such-machine");
	CHECK_EQ(machine_find(&place, "m1", &e), 0);
	mkdir(in("auto"), 0755);
	CHECK_EQ(symlink("../vm/m1", in("auto/10-m1")), 0);
	CHECK_EQ(symlink("../vm/m2", in("auto/m2")), 0);
	CHECK_EQ(machine_remove(&place, "m1", &e), 0);
	CHECK(!there(in("machines/m1")) && !there(in("vm/m1")) && !there(in("auto/10-m1")) && there(in("auto/m2")));
	CHECK_EQ(rmdir(machines), 0);
	tear_down();
}

/* Whoever is killed at any moment leaves something that the next one makes whole, or nothing. */
TEST(killed_in_between)
{
	struct err e;
	char *folder;

	set_up();
	mkdir(machines, 0700);
	mkdir(in("machines/early"), 0700);		/* before its mark */
	begin("half");					/* before its definition */
	begin("late");					/* before the mark was taken away */
	put(in("vm/late"), "x", 1);
	begin("whole");
	CHECK_EQ(machine_finish(&place, "whole", "x", &e), 0);
	begin("going");					/* its removal, after the definition */
	CHECK_EQ(machine_finish(&place, "going", "x", &e), 0);
	put(in("machines/going/unfinished"), "", 0);
	unlink(in("vm/going"));
	begin("lost");					/* whose definition somebody has removed by hand: the disk stays */
	CHECK_EQ(machine_finish(&place, "lost", "x", &e), 0);
	unlink(in("vm/lost"));
	put(in("vm/" FOLDER_TEMPORARY "x-123456"), "x", 1);
	mkdir(in("machines/" FOLDER_TEMPORARY "gone-y"), 0700);
	put(in("machines/" FOLDER_TEMPORARY "gone-y/" MACHINE_DISK), "x", 1);
	machine_sweep(&place);
	CHECK(!there(in("machines/early")) && !there(in("machines/half")) && !there(in("machines/going")));
	CHECK(there(in("machines/late/" MACHINE_DISK)) && !there(in("machines/late/unfinished")));
	CHECK(there(in("machines/whole/" MACHINE_DISK)) && there(in("vm/whole")) && there(in("machines/lost/" MACHINE_DISK)));
	CHECK(!there(in("vm/" FOLDER_TEMPORARY "x-123456")) && !there(in("machines/" FOLDER_TEMPORARY "gone-y")));

	CHECK_EQ(folder_begin(images, &folder, &e), 0);
	free(folder);
	CHECK_EQ(publish("a", &e), 0);
	folder_sweep(images);
	CHECK_EQ(template_remove(images, "a", &e), 0);
	CHECK_EQ(rmdir(in("room")), 0);
	tear_down();
}

TEST(links_are_not_followed)
{
	struct err e;

	set_up();
	mkdir(in("precious"), 0700);
	put(in("precious/file"), "x", 1);
	CHECK_EQ(publish("a", &e), 0);
	CHECK_EQ(symlink(in("precious"), in("lib/images/a/link")), 0);
	CHECK_EQ(symlink(in("precious"), in("lib/images/" FOLDER_TEMPORARY "link")), 0);
	folder_sweep(images);
	CHECK_EQ(template_remove(images, "a", &e), 0);
	CHECK(there(in("precious/file")));
	tear_down();
}

TEST(copies)
{
	struct stat st;
	struct err e;

	set_up();
	put(in("from"), "0123456789", 10);
	CHECK_EQ(folder_copy(in("from"), in("to"), &e), 0);
	CHECK(!stat(in("to"), &st) && st.st_size == 10);
	code_is(folder_copy(in("from"), in("to"), &e), &e, "cannot-write");
	code_is(folder_copy(in("none"), in("other"), &e), &e, "no-file");
	code_is(folder_copy("/dev/zero", in("other"), &e), &e, "no-file");
	CHECK(!there(in("other")));
	CHECK_EQ(mkfifo(in("pipe"), 0600), 0);
	code_is(folder_copy(in("pipe"), in("other"), &e), &e, "no-file");
	tear_down();
}
