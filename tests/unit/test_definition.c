/* SPDX-License-Identifier: MIT */
/* Unit tests: definitions: the language, keys, overrides, checks. */
/* sources: tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_complete.c tools/lib/definition_cpus.c tools/lib/definition_disk.c tools/lib/definition_json.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_syntax.c tools/lib/definition_value.c tools/lib/err.c */
/* libs: -ljansson -luuid */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "definition_try.h"

static const char least[] = "name='t'\nkernel='/k'\nmemory=64\n";	/* three lines */

/* What `extra` becomes when it is written like this. */
static void text_is(const char *written, const char *expected)
{
	struct definition *d = good_with("extra = ", written);

	CHECK_STR(d ? d->cmdline : NULL, expected);
	definition_free(d);
}

/* With these lines behind the least definition, from line 4 on. */
static void bad(const char *lines, int line, const char *message)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s", least, lines);
	refused(text, line, message);
}

TEST(all_keys)
{
	struct definition *d = good(
		"# all that there is\n"
		"name = \"web1\"; uuid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'\n"
		"type = 'pv'\n"
		"kernel = \"/boot/vmlinuz\"\n"
		"ramdisk = '/boot/initrd'\n"
		"root = '/dev/xvda1 ro'\n"
		"extra = \"console=hvc0\"\n"
		"memory = 256\n"
		"maxmem = 0x200\n"
		"vcpus = 2\n"
		"maxvcpus = 010\n"
		"cpus = [ '0-3,^2', \"all\", ]\n"
		"cpu_weight = '512'\n"
		"cap = 150\n"
		"disk = [ 'phy:/dev/x,xvda,w' ]\n"
		"vif = [ 'bridge=br0', '' ]\n"
		"on_poweroff = 'preserve'\n"
		"on_reboot = 'destroy'\n"
		"on_crash = 'rename-restart'\n"
		"on_watchdog = 'coredump-restart'");

	if (!d)
		return;
	CHECK_STR(d->file, "/etc/xen/vm/web1");
	CHECK_STR(d->name, "web1");
	CHECK_EQ(d->uuid[0], 0x6b);
	CHECK_EQ(d->uuid[15], 0xc8);
	CHECK_EQ(d->type, GUEST_PV);
	CHECK_STR(d->kernel, "/boot/vmlinuz");
	CHECK_STR(d->ramdisk, "/boot/initrd");
	CHECK_STR(d->cmdline, "root=/dev/xvda1 ro console=hvc0");
	CHECK_EQ(d->memory_kib, 256 << 10);
	CHECK_EQ(d->maxmem_kib, 512 << 10);
	CHECK_EQ(d->vcpus, 2);
	CHECK_EQ(d->maxvcpus, 8);
	CHECK_EQ(d->ncpus, 2);
	CHECK_STR(d->cpus[0], "0-3,^2");
	CHECK_EQ(d->cpu_weight, 512);
	CHECK_EQ(d->cpu_cap, 150);
	CHECK_EQ(d->ndisks, 1);
	CHECK_EQ(d->nnics, 2);
	CHECK_EQ(d->on_poweroff, ACTION_PRESERVE);
	CHECK_EQ(d->on_reboot, ACTION_DESTROY);
	CHECK_EQ(d->on_crash, ACTION_RENAME_RESTART);
	CHECK_EQ(d->on_watchdog, ACTION_COREDUMP_RESTART);
	CHECK_STR(warnings, "");
	definition_free(d);
}

TEST(least_definition_and_defaults)
{
	struct definition *d = good(least);

	if (!d)
		return;
	CHECK_EQ(d->type, GUEST_PV);
	CHECK(!d->ramdisk && !d->cmdline);
	CHECK_EQ(d->vcpus, 1);
	CHECK_EQ(d->on_poweroff, ACTION_DESTROY);
	CHECK_EQ(d->on_reboot, ACTION_RESTART);
	CHECK_EQ(d->on_crash, ACTION_DESTROY);
	definition_free(d);

	/* Only maxmem, as the classic tool takes it. */
	d = good("name='t';kernel='/k';maxmem=32");
	CHECK(d && d->memory_kib == 32 << 10);
	definition_free(d);
}

TEST(strings)
{
	text_is("\"a b\"", "a b");
	text_is("'a # ; b'", "a # ; b");
	text_is("'a \"b\"'", "a \"b\"");
	text_is("\"it's\"", "it's");
	text_is("'\\tx'", "\tx");
	text_is("\"a\\\\b \\x41\\101 \\\"c\\\" \\'\"", "a\\b AA \"c\" '");
	text_is("'\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	text_is("''", "");
	text_is("12", "12");

	bad("extra='a", 4, "a string is not closed: expected ' before the end of the line");
	bad("extra=\"a\nb\"", 4, "a string is not closed: expected \" before the end of the line");
	bad("extra='a\\'", 4, "a string is not closed: expected ' before the end of the line");
	bad("\nextra='\\q'", 5, "a string has a wrong escape sequence after its '\\'; a backslash itself is written '\\\\'");
	bad("extra='\\0'", 4, "a string has a wrong escape sequence after its '\\'; a backslash itself is written '\\\\'");
	bad("extra='\\x'", 4, "a string has a wrong escape sequence after its '\\'; a backslash itself is written '\\\\'");
	bad("extra='\xe4'", 4, "found the byte 0xe4 in a string, expected text in UTF-8");
	bad("extra='\xc0\x80'", 4, "found the byte 0xc0 in a string, expected text in UTF-8");
	bad("extra='\xed\xa0\x80'", 4, "found the byte 0xed in a string, expected text in UTF-8");
	bad("extra='\xf4\x90\x80\x80'", 4, "found the byte 0xf4 in a string, expected text in UTF-8");
	bad("extra='\x1b[2J'", 4, "found the control character 0x1b in a string");
	bad("extra='a\\nb'", 4, "the kernel's command line has control characters in it");
}

TEST(statements)
{
	struct definition *d;

	d = good("\xef\xbb\xbfname='t';;kernel='/k' ; memory=64;\r\n\t vcpus = 2 # two\r\n\n;");
	CHECK(d && d->vcpus == 2);
	definition_free(d);

	bad("vcpus=2 cap=3", 4, "found cap after the value of vcpus, expected the end of the line or ';'");
	bad("vcpus 2", 4, "found 2 after vcpus, expected '='");
	bad("vcpus", 4, "found the end after vcpus, expected '='");
	bad("vcpus +2", 4, "found 2 after vcpus, expected '='");
	bad("= 2", 4, "found '=', expected a line of the form key = value");
	bad("12 = 2", 4, "found 12, expected a line of the form key = value");
	bad("\n\n\x01", 6, "found the byte 0x01, expected a line of the form key = value");
	bad("on_crash = restart", 4, "found restart, expected a number, a string in quotes, or a list in [ ]");
	bad("vcpus = -1", 4, "found '-', expected a number, a string in quotes, or a list in [ ]");
	bad("vcpus =\n2", 4, "found the end of the line, expected a number, a string in quotes, or a list in [ ]");
	bad("vcpus = # none\n", 4, "found the end of the line, expected a number, a string in quotes, or a list in [ ]");
	bad("import os", 4, "found os after import, expected '='");
	CHECK(parse_bytes("name='a\0b'", 10) == NULL && error.line == 1);
	CHECK_STR(error.text, "found a NUL byte: this is not a text file");
}

TEST(numbers)
{
	bad("vcpus = 1.5", 4, "vcpus: found 1.5, expected a whole number from 1 to 512");
	bad("vcpus = 0", 4, "vcpus: found 0, expected a whole number from 1 to 512");
	bad("vcpus = 08", 4, "vcpus: found 08, expected a whole number from 1 to 512");
	bad("vcpus = 0xg", 4, "vcpus: found 0xg, expected a whole number from 1 to 512");
	bad("vcpus = ' 2'", 4, "vcpus: found \" 2\", expected a whole number from 1 to 512");
	bad("vcpus = ''", 4, "vcpus: found \"\", expected a whole number from 1 to 512");
	bad("vcpus = [2]", 4, "vcpus: found a list, expected a whole number from 1 to 512");
	bad("vcpus = 99999999999999999999999", 4, "vcpus: found 99999999999999999999999, expected a whole number from 1 to 512");
	bad("memory = '2G'", 4, "memory: found \"2G\", expected a whole number of MiB from 1 to 16777216");
	bad("maxmem = 63", 4, "maxmem: found 63 MiB, expected at least memory, 64 MiB");
	bad("vcpus = 4\nmaxvcpus = 2", 5, "maxvcpus: found 2, expected at least vcpus, 4, and at most 512");
	bad("cap = 101", 4, "cap: found 101, expected percent of one processor: at most 100 for 1 vCPU");
	bad("cpu_weight = 0", 4, "cpu_weight: found 0, expected a whole number from 1 to 65535");
}

TEST(lists)
{
	struct definition *d = good_with("disk = ", "[\n 'phy:/dev/x,xvda,w', # first\n\n 'phy:/dev/y,xvdb,r'\n,\n]\ndisk += ['phy:/dev/z,xvdc,w']");

	CHECK(d && d->ndisks == 3);
	if (d && d->ndisks == 3) {
		CHECK_EQ(d->disks[0].line, 5);
		CHECK_EQ(d->disks[1].line, 7);
		CHECK_STR(d->disks[2].target, "/dev/z");
	}
	definition_free(d);

	d = good_with("disk = ", "[ ]");
	CHECK(d && d->ndisks == 0);
	definition_free(d);

	bad("disk = 'phy:/dev/x,xvda,w'", 4, "disk: found \"phy:/dev/x,xvda,w\", expected a list: strings in [ ] with commas between them");
	bad("disk = [\n'a'\n'b']", 6, "found ''' in a list, expected ',' or ']'");
	bad("disk = [\n'a',,]", 5, "found ',', expected a number, a string in quotes, or a list in [ ]");
	bad("disk = [\n'a'\n", 6, "found the end in a list, expected ',' or ']'");
	bad("disk = [\n", 5, "a list that begins in line 4 is not closed: expected ']'");
	bad("disk = [ 1 ]", 4, "disk: found 1, expected a string in quotes");
	bad("disk = [ ['a'] ]", 4, "disk: found a list, expected a string in quotes");
	bad("extra = ['a']", 4, "extra: found a list, expected one string");
	bad("unknown = [[[[[[[[ [1] ]]]]]]]]", 4, "lists are nested more than 8 deep");
}

TEST(limits)
{
	char *text = malloc((1 << 20) + 2);
	size_t n;

	memset(text, '\n', (1 << 20) + 2);
	CHECK(parse_bytes(text, (1 << 20) + 1) == NULL);
	CHECK_STR(error.text, "this is longer than 1 MiB, and so no definition");
	n = (size_t)sprintf(text, "x=[");
	for (int i = 0; i < 4097; i++)
		n += (size_t)sprintf(text + n, "1,");
	CHECK(parse_bytes(text, n) == NULL);
	CHECK_STR(error.text, "a list has more than 4096 items");
	for (int i = n = 0; i < 4097; i++)
		n += (size_t)sprintf(text + n, "x%d=1;", i);
	CHECK(parse_bytes(text, n) == NULL);
	CHECK_STR(error.text, "there are more than 4096 settings");
	memset(text, '[', 1 << 20);
	CHECK(parse_bytes(text, 1 << 20) == NULL);
	memcpy(text, "x=", 2);
	CHECK(parse_bytes(text, 1 << 20) == NULL);
	CHECK_STR(error.text, "lists are nested more than 8 deep");
	free(text);
}

TEST(appending)
{
	struct definition *d = good_with("", "extra = 'a'\nextra += ' b'\nroot += '/dev/xvda'");

	CHECK_STR(d ? d->cmdline : "", "root=/dev/xvda a b");
	definition_free(d);
	bad("extra = 'a'\nextra += ['b']", 5, "+= appends a string to a string or a list to a list; extra is something else (line 4)");
	bad("vcpus += 1\nvcpus += 1", 5, "+= appends a string to a string or a list to a list; vcpus is something else (line 4)");
}

TEST(warnings_of_keys)
{
	struct definition *d = good_with("", "vnc = 1\nmemroy = 12\nxyzzy = 'a'\nvcpus = 1\nvcpus = 2\ncmdline = 'c'\nextra = 'e'\nclock = 1");

	CHECK(d && d->vcpus == 2);
	CHECK_STR(d ? d->cmdline : "", "c");
	definition_free(d);
	CHECK_STR(warnings,
		"/etc/xen/vm/web1:8: vcpus is set again; the value of line 7 is not used\n"
		"/etc/xen/vm/web1:4: vnc is not used\n"
		"/etc/xen/vm/web1:5: there is no key memroy; did you mean memory?\n"
		"/etc/xen/vm/web1:6: there is no key xyzzy; it is not used\n"
		"/etc/xen/vm/web1:10: extra is not used: cmdline is the whole command line\n"
		"/etc/xen/vm/web1:11: there is no key clock; it is not used\n");
}

TEST(values_of_keys)
{
	struct definition *d;

	refused("kernel='/k'\nmemory=1", 0, "name is missing: expected a line such as name = \"web1\"");
	refused("name='t'\nmemory=1", 0, "kernel is missing: expected the path of a kernel, such as kernel = \"/boot/vmlinuz\"");
	refused("name='t'\nkernel='/k'", 0, "memory is missing: expected a number of MiB, such as memory = 512");
	refused("name='t'\nkernel=''\nmemory=1", 2, "kernel is missing: expected the path of a kernel, such as kernel = \"/boot/vmlinuz\"");
	bad("name = 'a b'", 4, "name: found \"a b\", expected letters, digits and . _ + : @ -, beginning with a letter or digit");
	bad("name = '../x'", 4, "name: found \"../x\", expected letters, digits and . _ + : @ -, beginning with a letter or digit");
	bad("name = ''", 4, "name: found \"\", expected 1 to 63 characters");
	bad("name = 17", 4, "name: found \"17\": a name of digits alone would be taken for a domain id");
	bad("name = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", 4, "name: found \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\": this would be taken for a UUID");
	bad("name = 'Domain-0'", 4, "name: found \"Domain-0\", which is Domain 0's");
	bad("uuid = '6ba7'", 4, "uuid: found \"6ba7\", expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	bad("type = 'linux'", 4, "type: found \"linux\", expected pv, pvh or hvm");
	bad("builder = 'xen'", 4, "builder: found \"xen\", expected generic, linux or hvm");
	bad("on_crash = 'explode'", 4, "on_crash: found \"explode\", expected destroy, restart, preserve, rename-restart, coredump-destroy or coredump-restart");
	bad("cpus = '0-'", 4, "cpus: found \"0-\", expected a list such as 0-3,^2 or all");
	bad("cpus = '^1'", 4, "cpus: found \"^1\", which names no processor");
	bad("cpus = ['0', '1']", 4, "cpus: found a list for 2 vCPUs, expected at most 1");
	bad("cpus = ['0', ['1']]", 4, "cpus: found a list, expected a list such as \"0-3,^2\"");

	d = good_with("uuid = ", "'6BA7B8109DAD11D180B400C04FD430C8'");
	CHECK(d && d->uuid[0] == 0x6b);
	definition_free(d);
	d = good_with("builder = ", "'hvm'");
	CHECK(d && d->type == GUEST_HVM);
	definition_free(d);
	d = good_with("builder = ", "'hvm'\ntype = 'pvh'");
	CHECK(d && d->type == GUEST_PVH);
	definition_free(d);
	d = good_with("builder = ", "'linux'");
	CHECK(d && d->type == GUEST_PV);
	definition_free(d);
	d = good_with("cpus = ", "'0-3,^2'");
	CHECK(d && d->ncpus == 1);
	definition_free(d);
	d = good_with("bootloader = ", "'pygrub'");
	CHECK(d != NULL);
	CHECK_STR(warnings, "/etc/xen/vm/web1:4: bootloader is not used: kernel is given\n");
	definition_free(d);
	refused("name='t';memory=1\nbootloader='pygrub'", 2,
		"bootloader: found \"pygrub\", expected a kernel instead: to start what is on the guest's own disk, kernel = \"/usr/lib/grub-xen/grub-x86_64-xen.bin\" (PV GRUB, Debian's package grub-xen-host)");
}

TEST(long_command_line)
{
	char line[1100] = "extra='";

	memset(line + 7, 'x', 1023);
	strcpy(line + 7 + 1023, "'");
	struct definition *d = good_with("", line);

	CHECK(d && strlen(d->cmdline) == 1023);
	definition_free(d);
	strcpy(line + 7 + 1023, "x'");
	bad(line, 4, "the kernel's command line is 1024 bytes long, expected at most 1023");
}

TEST(paths)
{
	struct definition *d = good_with("ramdisk = ", "'./sub//initrd'\ndisk = ['x.img,raw,xvda,w', 'phy:vg/lv,xvdb,w']");

	CHECK_STR(d ? d->ramdisk : "", "/etc/xen/vm/sub/initrd");
	CHECK(d && d->ndisks == 2);
	if (d && d->ndisks == 2) {
		CHECK_STR(d->disks[0].target, "/etc/xen/vm/x.img");
		CHECK_STR(d->disks[1].target, "/dev/vg/lv");
	}
	definition_free(d);
}

TEST(overrides)
{
	char *good_ones[] = { "memory=256", "vif=['bridge=br0']", "name=web2", "extra+= quiet;x", "vcpus=2;cap=150", "kernel=vmlinuz", "ramdisk=" };
	struct definition *d = NULL;
	char cwd[4096];

	CHECK(chdir("/tmp") == 0 && getcwd(cwd, sizeof(cwd)));
	CHECK_EQ(definition_parse("/d/web1", "name='t';kernel='/k';memory=64;extra='a';ramdisk='/r'", 53, good_ones, 7, note_warning, NULL, &d, &error), 0);
	if (!d)
		return;
	CHECK_EQ(d->memory_kib, 256 << 10);
	CHECK_EQ(d->nnics, 1);
	CHECK_EQ(d->nics[0].line, 0);
	CHECK_STR(d->name, "web2");
	CHECK_STR(d->cmdline, "a quiet;x");
	CHECK_EQ(d->vcpus, 2);
	CHECK_EQ(d->cpu_cap, 150);
	CHECK_STR(d->kernel, "/tmp/vmlinuz");
	CHECK(!d->ramdisk);
	definition_free(d);

	struct { char *text; const char *message; } bad_ones[] = {
		{ "vcpus=many", "vcpus: found \"many\", expected a whole number from 1 to 512" },
		{ "memory=2G", "memory: found \"2G\", expected a whole number of MiB from 1 to 16777216" },
		{ "extra='a", "a string is not closed: expected ' before the end of the line" },
		{ "disk=xvda", "disk: found \"xvda\", expected a list: strings in [ ] with commas between them" },
		{ "vcpus=", "vcpus: found \"\", expected a whole number from 1 to 512" },
		{ "maxmem=4", "maxmem: found 4 MiB, expected at least memory, 64 MiB" },
		{ "web1", "found the end after web1, expected '='" },
	};
	for (size_t i = 0; i < sizeof(bad_ones) / sizeof(*bad_ones); i++) {
		CHECK_EQ(definition_parse("/d/web1", least, strlen(least), &bad_ones[i].text, 1, note_warning, NULL, &d, &error), -22);
		CHECK_STR(error.text, bad_ones[i].message);
		CHECK_STR(error.file, "command line");
		CHECK_EQ(error.line, 0);
	}
}

TEST(completing)
{
	struct definition *a = good_with("vif = ", "['', '']"), *b = good_with("vif = ", "['', '']"), *c = good("name='u';kernel='/k';memory=64;vif=['']");

	if (!a || !b || !c)
		return;
	CHECK_EQ(definition_complete(a, &error), 0);
	CHECK_EQ(definition_complete(b, &error), 0);
	CHECK_EQ(definition_complete(c, &error), 0);
	CHECK(memcmp(a->uuid, b->uuid, 16) == 0);	/* the same each time */
	CHECK_EQ(a->uuid[6] >> 4, 5);
	CHECK(memcmp(a->uuid, c->uuid, 16) != 0);
	CHECK_STR(a->nics[0].mac, b->nics[0].mac);
	CHECK(strncmp(a->nics[0].mac, "00:16:3e:", 9) == 0);
	CHECK(strcmp(a->nics[0].mac, a->nics[1].mac) != 0);
	CHECK(strcmp(a->nics[0].mac, c->nics[0].mac) != 0);
	CHECK_EQ(a->maxmem_kib, a->memory_kib);
	CHECK_EQ(a->maxvcpus, 1);
	definition_free(a);
	definition_free(b);
	definition_free(c);
}

TEST(cpu_lists)
{
	static const struct { const char *text; unsigned bits; } lists[] = {
		{ "0", 1 }, { "0-3", 15 }, { "0-3,^2", 11 }, { " 0 - 3 , ^ 2", 0xffff }, { "all", 0xff }, { "all,^0", 0xfe }, { "none", 0 },
		{ "^0,0-1", 3 }, { "7", 0x80 }, { "8", 0xffff }, { "2-1", 0xffff }, { "", 0xffff }, { "1,", 0xffff }, { "a", 0xffff },
		{ "nodes:0", 0xffff }, { "99999999999999999999", 0xffff }, { "allx", 0xffff },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		uint8_t bits[1];
		int rc = definition_cpus(lists[i].text, bits, 8, &error);

		if (lists[i].bits == 0xffff)
			CHECK_EQ(rc, -22);
		else
			CHECK(rc == 0 && bits[0] == lists[i].bits);
	}
	CHECK_EQ(definition_cpus("8", (uint8_t[1]){ 0 }, 8, &error), -22);
	CHECK_STR(error.text, "cpus: found \"8\", but the processors are 0 to 7");
}

TEST(finding_and_loading)
{
	char dir[] = "/tmp/lodge-test-XXXXXX", path[64], *found;
	struct definition *d;
	FILE *f;

	CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0 && mkdir("vm", 0700) == 0 && mkdir("folder", 0700) == 0);
	setenv("LODGE_DEFINITIONS", dir, 1);
	f = fopen("vm/a", "w");
	fputs(least, f);
	fclose(f);
	f = fopen("b.cfg", "w");
	fputs("x", f);
	fclose(f);

	snprintf(path, sizeof(path), "%s/vm/a", dir);
	CHECK_EQ(definition_find("a", &found, &error), 0);
	CHECK_STR(found, path);
	CHECK_EQ(definition_load(found, NULL, 0, NULL, NULL, &d, &error), 0);
	CHECK_STR(d->file, path);
	definition_free(d);
	free(found);
	snprintf(path, sizeof(path), "%s/b.cfg", dir);
	CHECK_EQ(definition_find("b", &found, &error), 0);
	CHECK_STR(found, path);
	CHECK_EQ(definition_load(found, NULL, 0, NULL, NULL, &d, &error), -22);
	CHECK_EQ(error.line, 1);
	free(found);
	CHECK_EQ(definition_find("./b.cfg", &found, &error), 0);
	free(found);
	CHECK_EQ(definition_find("c", &found, &error), -2);
	snprintf(path, sizeof(path), "nor %s/c.cfg", dir);
	CHECK(strstr(error.text, path) != NULL);
	CHECK_EQ(definition_find("./c", &found, &error), -2);
	CHECK_EQ(definition_find("./folder", &found, &error), -21);
	CHECK_EQ(definition_find("folder", &found, &error), -2);
	CHECK_EQ(definition_load("c", NULL, 0, NULL, NULL, &d, &error), -2);
	CHECK_STR(error.text, "cannot open the definition c: No such file or directory");
	CHECK_EQ(definition_load("folder", NULL, 0, NULL, NULL, &d, &error), -21);

	/* A file that is too long is not read to its end. */
	int fd = open("long", O_WRONLY | O_CREAT, 0600);

	CHECK(ftruncate(fd, 1l << 40) == 0);
	close(fd);
	CHECK_EQ(definition_load("long", NULL, 0, NULL, NULL, &d, &error), -27);
	for (size_t i = 0; i < 3; i++)
		unlink(((const char *[]){ "vm/a", "b.cfg", "long" })[i]);
	CHECK(rmdir("vm") == 0 && rmdir("folder") == 0 && rmdir(dir) == 0);
}
