/* SPDX-License-Identifier: MIT */
/* Unit tests: definitions as JSON, there and back. */
/* sources: tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_complete.c tools/lib/definition_cpus.c tools/lib/definition_disk.c tools/lib/definition_item.c tools/lib/definition_json.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_syntax.c tools/lib/definition_text.c tools/lib/definition_value.c tools/lib/err.c */
/* libs: -ljansson -luuid */
#include "test.h"
#include "definition_try.h"

static const char full[] =
	"name='web1'\nkernel='/k'\nramdisk='/r'\nextra='a \"b\" \xc3\xa4'\nmemory=64\nmaxmem=128\nvcpus=2\nmaxvcpus=4\ncpus=['0','all']\ncpu_weight=5\ncap=7\n"
	"disk=['/a,raw,xvda,w', 'phy:/b,xvdb,r', ',,hdc,cdrom', 'nbd:x,xvdd,w!']\nvif=['', 'mac=00:16:3e:1:2:3,bridge=b,ip=10.0.0.1,rate=1MB/s,vifname=v,script=s,model=m']\n"
	"on_poweroff='preserve'\non_reboot='destroy'\non_crash='restart'\non_watchdog='preserve'";

TEST(there_and_back)
{
	struct definition *d = good(full), *e = NULL, *f;
	json_t *a, *b, *c;

	if (!d)
		return;
	CHECK_EQ(definition_complete(d, &error), 0);
	a = definition_to_json(d);
	CHECK_EQ(definition_from_json(a, &e, &error), 0);
	if (!e)
		return;
	b = definition_to_json(e);
	CHECK(json_equal(a, b));
	CHECK(memcmp(d->uuid, e->uuid, 16) == 0);
	CHECK_EQ(e->on_reboot, ACTION_DESTROY);
	f = definition_copy(e);
	c = definition_to_json(f);
	CHECK(json_equal(a, c));
	json_decref(a);
	json_decref(b);
	json_decref(c);
	definition_free(d);
	definition_free(e);
	definition_free(f);
}

TEST(canonical_text)
{
	struct definition *d = good("name='t';kernel='/k';memory=64;disk=['/x,raw,xvda,w'];vif=['bridge=b']");
	json_t *json = definition_to_json(d);
	char *text = json_dumps(json, JSON_COMPACT);

	CHECK_STR(text, "{\"name\":\"t\",\"type\":\"pv\",\"file\":\"/etc/xen/vm/web1\",\"kernel\":\"/k\",\"memory_kib\":65536,\"vcpus\":1,"
		"\"disks\":[{\"target\":\"/x\",\"vdev\":\"xvda\",\"format\":\"raw\",\"line\":1}],\"nics\":[{\"bridge\":\"b\",\"line\":1}],"
		"\"on_poweroff\":\"destroy\",\"on_reboot\":\"restart\",\"on_crash\":\"destroy\",\"on_watchdog\":\"destroy\"}");
	free(text);
	json_decref(json);
	definition_free(d);
}

/* The least object with more members. */
static void from(const char *more, const char *message)
{
	char text[1024];
	struct definition *d = NULL;
	json_error_t where;
	json_t *json;
	int rc;

	snprintf(text, sizeof(text), "{\"name\": \"t\", \"kernel\": \"/k\", \"memory_kib\": 65536%s%s}", *more ? ", " : "", more);
	json = json_loads(text, JSON_ALLOW_NUL, &where);
	CHECK(json != NULL);
	error = (struct err){ 0 };
	rc = definition_from_json(json, &d, &error);
	CHECK_STR(error.text, message);
	CHECK_EQ(rc, *message ? -22 : 0);
	CHECK_EQ(rc == 0, d != NULL);
	definition_free(d);
	json_decref(json);
}

TEST(everything_is_checked)
{
	from("", "");
	from("\"vcpus\": 1, \"uuid\": \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"", "");
	from("\"vcpu\": 1", "the definition has an unknown member vcpu");
	from("\"vcpus\": \"1\"", "the definition's vcpus is not a number in its range");
	from("\"vcpus\": -1", "the definition's vcpus is not a number in its range");
	from("\"vcpus\": 4294967296", "the definition's vcpus is not a number in its range");
	from("\"vcpus\": 1.5", "the definition's vcpus is not a number in its range");
	from("\"vcpus\": 513", "vcpus: found 513, expected 1 to 512");
	from("\"memory_kib\": 9223372036854775807", "memory: found 9223372036854775807 KiB, expected 1 MiB to 16 TiB");
	from("\"ramdisk\": 1", "the definition's ramdisk is not a string");
	from("\"ramdisk\": \"a\\u0000b\"", "the definition's ramdisk is not a string");
	from("\"ramdisk\": \"x\"", "ramdisk: found \"x\", expected an absolute path");
	from("\"ramdisk\": \"/x\\ny\"", "ramdisk: the path has control characters in it");
	from("\"name\": \"a/b\"", "name: found \"a/b\", expected letters, digits and . _ + : @ -, beginning with a letter or digit");
	from("\"uuid\": \"x\"", "the definition's uuid is not a UUID");
	from("\"type\": \"xx\"", "the definition's type is not one of its names");
	from("\"on_crash\": null", "the definition's on_crash is not one of its names");
	from("\"cpus\": [1]", "the definition's cpus is not a list of strings");
	from("\"cpus\": \"all\"", "the definition's cpus is not a list (of at most 4096)");
	from("\"disks\": {}", "the definition's disks is not a list (of at most 4096)");
	from("\"disks\": [1]", "the definition's item of disks is not an object");
	from("\"disks\": [{}]", "disk: found \"\" as a device, expected a name such as xvda or xvda1");
	from("\"disks\": [{\"vdev\": \"xvda\"}]", "disk xvda: it has no target; only a CD drive can be empty");
	from("\"disks\": [{\"vdev\": \"xvda\", \"target\": \"x\"}]", "disk: found \"x\", expected an absolute path");
	from("\"disks\": [{\"vdev\": \"xvda\", \"target\": \"/x\", \"foo\": 1}]", "the definition has an unknown member disks.foo");
	from("\"disks\": [{\"vdev\": \"xvda\", \"target\": \"/x\", \"readonly\": 1}]", "the definition's disks.readonly is not true or false");
	from("\"disks\": [{\"vdev\": \"xvda\", \"target\": \"/x\", \"format\": \"x\"}]", "the definition's disks.format is not one of its names");
	from("\"disks\": [{\"vdev\": \"xvda\", \"target\": \"/x\"}, {\"vdev\": \"d0\", \"target\": \"/y\"}]", "disk: two disks are d0");
	from("\"nics\": [{\"mac\": \"01:00:00:00:00:00\"}]", "vif: found mac=01:00:00:00:00:00, expected six bytes such as 00:16:3e:01:02:03");
	from("\"nics\": [{\"mac\": \"0:16:3e:1:2:3\"}]", "vif: found mac=0:16:3e:1:2:3, expected six bytes such as 00:16:3e:01:02:03");
	from("\"nics\": [{\"bridge\": \"a b\"}]", "vif: found bridge=a b, expected the name of a bridge");
	from("\"nics\": [{\"vifname\": \"a-name-too-long-for-it\"}]", "vif: found vifname=a-name-too-long-for-it, expected a name of at most 15 characters");
	from("\"nics\": [{\"ip\": \"$(reboot)\"}]", "vif: found ip=$(reboot), expected addresses");
	from("\"nics\": [{\"rate_bytes\": 5}]", "vif: found a bad rate");
}

TEST(line_of_a_device)
{
	struct definition *d = NULL;
	json_error_t where;
	json_t *json = json_loads("{\"file\": \"/d/web1\", \"name\": \"t\", \"kernel\": \"/k\", \"memory_kib\": 65536, \"disks\": [{\"vdev\": \"foo\", \"line\": 7}]}", 0, &where);

	CHECK_EQ(definition_from_json(json, &d, &error), -22);
	CHECK_STR(error.file, "/d/web1");
	CHECK_EQ(error.line, 7);
	json_decref(json);
	json = json_array();
	CHECK_EQ(definition_from_json(json, &d, &error), -22);
	CHECK_STR(error.text, "the definition is not an object");
	json_decref(json);
}

TEST(text_is_read_again)
{
	static const char text[] =
		"name = \"web1\"\nuuid = \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"\ntype = \"pv\"\nkernel = \"/k\"\nramdisk = \"/r\"\n"
		"cmdline = \"a \\\"b\\\" \\\\ \\t\"\nmemory = 64\nmaxmem = 128\nvcpus = 2\nmaxvcpus = 4\ncpus = [\n\t\"0\",\n\t\"all\",\n]\n"
		"cpu_weight = 5\ncap = 7\ndisk = [\n\t\"format=raw,vdev=xvda,access=rw,target=/a,b\",\n\t\"vdev=hdc,access=ro,devtype=cdrom\",\n"
		"\t\"format=raw,vdev=xvdd,access=rw!,script=block-nbd,target=x\",\n]\n"
		"vif = [\n\t\"mac=00:16:3e:01:02:03,bridge=b,ip=10.0.0.1,script=s,vifname=v,model=m,rate=1000000B/s@50000us\",\n\t\"devid=7\",\n\t\"\",\n]\n"
		"on_poweroff = \"preserve\"\non_reboot = \"destroy\"\non_crash = \"restart\"\non_watchdog = \"preserve\"\n";
	struct definition *d = good(text);
	char *again;

	if (!d)
		return;
	CHECK_STR(warnings, "");
	CHECK_EQ(d->nics[2].devid, 8);
	again = definition_to_text(d);
	CHECK_STR(again, text);
	free(again);
	d->memory_kib++;	/* a file has MiB alone */
	again = definition_to_text(d);
	CHECK(again && strstr(again, "memory = 65\n"));
	free(again);
	definition_free(d);
}

TEST(numbers_of_interfaces)
{
	struct definition *d = good("name='t';kernel='/k';memory=64;vif=['devid=2','','devid=9','']");

	CHECK_EQ(d->nics[1].devid, 3);
	CHECK_EQ(d->nics[3].devid, 10);
	definition_remove_nic(d, 0);
	CHECK_EQ(d->nnics, 3);
	CHECK_EQ(definition_complete(d, &error), 0);
	CHECK_EQ(d->nics[0].devid, 3);
	definition_free(d);
	from("\"nics\": [{\"devid\": 3}, {\"devid\": 3}]", "vif: found devid=3 behind 3, expected numbers that rise, at most 1023");
	from("\"nics\": [{\"devid\": 1024}]", "vif: found devid=1024, expected at most 1023");
	from("\"nics\": [{\"devid\": 1023}, {}]", "vif: found devid=1024 behind 1023, expected numbers that rise, at most 1023");
}

TEST(items_of_the_command_line)
{
	json_t *json = NULL;
	char *text;

	warnings[0] = 0;
	CHECK_EQ(definition_disk_item("phy:/dev/x,xvdb,r", note_warning, NULL, &json, &error), 0);
	text = json_dumps(json, JSON_COMPACT);
	CHECK_STR(text, "{\"target\":\"/dev/x\",\"vdev\":\"xvdb\",\"format\":\"raw\",\"readonly\":true}");
	free(text);
	json_decref(json);
	CHECK_EQ(definition_nic_item("bridge=b,vlan=3", note_warning, NULL, &json, &error), 0);
	text = json_dumps(json, JSON_COMPACT);
	CHECK_STR(text, "{\"bridge\":\"b\"}");
	CHECK_STR(warnings, "command line: vif \"bridge=b,vlan=3\": vlan is not used\n");
	free(text);
	json_decref(json);
	CHECK_EQ(definition_nic_item("", note_warning, NULL, &json, &error), 0);
	CHECK_EQ(json_object_size(json), 0);
	json_decref(json);
	CHECK_EQ(definition_disk_item("/x", note_warning, NULL, &json, &error), -22);
	CHECK_STR(error.file, "command line");
	CHECK_EQ(definition_nic_item("bridge", note_warning, NULL, &json, &error), -22);
	CHECK_STR(error.text, "vif \"bridge\": found \"bridge\", expected key=value with commas between them");
}
