/* SPDX-License-Identifier: MIT */
/* Unit tests: disks and network interfaces of definitions. */
/* sources: tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_complete.c tools/lib/definition_cpus.c tools/lib/definition_disk.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_syntax.c tools/lib/definition_value.c tools/lib/err.c */
/* libs: -ljansson -luuid */
#include "test.h"
#include "definition_try.h"

#define R	1	/* read-only */
#define S	2	/* shared */
#define CD	4

static void disk_is(const char *text, const char *target, enum disk_format format, const char *vdev, unsigned flags, const char *script)
{
	char value[512];
	struct definition *d;

	snprintf(value, sizeof(value), "[\"%s\"]", text);
	d = good_with("disk = ", value);
	if (d && d->ndisks == 1) {
		const struct disk *k = &d->disks[0];

		if (target)
			CHECK_STR(k->target, target);
		else
			CHECK(k->target == NULL);
		CHECK_EQ(k->format, format);
		CHECK_STR(k->vdev, vdev);
		CHECK_EQ(k->readonly * R | k->shared * S | k->cdrom * CD, flags);
		CHECK_STR(k->script ? k->script : "", script ? script : "");
		CHECK_EQ(k->line, 4);
	}
	definition_free(d);
}

static void disk_refused(const char *text, const char *message)
{
	char lines[1024], expected[1024];

	snprintf(lines, sizeof(lines), "name='t'\nkernel='/k'\nmemory=64\ndisk = [\"%s\"]", text);
	snprintf(expected, sizeof(expected), "disk \"%s\": %s", text, message);
	refused(lines, 4, expected);
}

TEST(disks_in_order)
{
	disk_is("phy:/dev/x,xvda,w", "/dev/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("file:/x.img,xvda,w", "/x.img", DISK_RAW, "xvda", 0, NULL);
	disk_is("/x.qcow2,qcow2,xvda,rw", "/x.qcow2", DISK_QCOW2, "xvda", 0, NULL);
	disk_is("/x,raw,xvda2,ro", "/x", DISK_RAW, "xvda2", R, NULL);
	disk_is("/x,,xvda,r", "/x", DISK_RAW, "xvda", R, NULL);
	disk_is("/x,,xvda", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("/x,raw,xvda,", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is(" /x , vhd , sdb1 , w! ", "/x", DISK_VHD, "sdb1", S, NULL);
	disk_is("/x,xvda,w", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("/x,raw,51712,w", "/x", DISK_RAW, "51712", 0, NULL);
	disk_is("phy:vg/lv,xvda,r", "/dev/vg/lv", DISK_RAW, "xvda", R, NULL);
	disk_is("rel.img,raw,xvda,w", "/etc/xen/vm/rel.img", DISK_RAW, "xvda", 0, NULL);
}

TEST(disks_with_keys)
{
	disk_is("format=raw,vdev=xvda,access=rw,target=/dev/a,b=c", "/dev/a,b=c", DISK_RAW, "xvda", 0, NULL);
	disk_is("vdev=xvda, access=ro , target = /x", "/x", DISK_RAW, "xvda", R, NULL);
	disk_is("/x,vdev=xvda,access=ro", "/x", DISK_RAW, "xvda", R, NULL);
	disk_is("/x,format=qcow2,xvda,w", "/x", DISK_QCOW2, "xvda", 0, NULL);
	disk_is("/x,raw,vdev=xvda,r", "/x", DISK_RAW, "xvda", R, NULL);
	disk_is("/by-path/a=b,raw,xvda,w", "/by-path/a=b", DISK_RAW, "xvda", 0, NULL);
	disk_is("/x,raw,xvda,rw,backendtype=qdisk,backend=0", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("/x,raw,xvda,rw,discard,direct-io-safe", "/x", DISK_RAW, "xvda", 0, NULL);
	CHECK_STR(warnings, "");
	disk_is("/x,raw,xvda,rw,no-discard", "/x", DISK_RAW, "xvda", 0, NULL);
	CHECK_STR(warnings, "/etc/xen/vm/web1:4: disk \"/x,raw,xvda,rw,no-discard\": no-discard is not used\n");
	disk_is("vdev=xvda,access=w,script=block-foo,target=a:b", "a:b", DISK_RAW, "xvda", 0, "block-foo");
}

TEST(disks_with_prefixes)
{
	disk_is("tap2:aio:/x,xvda,w", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("tap:qcow2:/x,xvda,w", "/x", DISK_QCOW2, "xvda", 0, NULL);
	disk_is("tap:tapdisk:aio:/x,xvda,w", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("raw:/x,xvda,w", "/x", DISK_RAW, "xvda", 0, NULL);
	disk_is("qcow2:/x,xvda,w", "/x", DISK_QCOW2, "xvda", 0, NULL);
	disk_is("vhd:/x,xvda,w", "/x", DISK_VHD, "xvda", 0, NULL);
	disk_is("nbd:host:10,xvda,w", "host:10", DISK_RAW, "xvda", 0, "block-nbd");
	disk_is("iscsi:iqn=x,xvda,w", "iqn=x", DISK_RAW, "xvda", 0, "block-iscsi");
	disk_is("drbd:res,xvda,w", "res", DISK_RAW, "xvda", 0, "block-drbd");
	disk_is("other:/x,raw,xvda,w", "/etc/xen/vm/other:/x", DISK_RAW, "xvda", 0, NULL);
}

TEST(cd_drives)
{
	disk_is("/x.iso,raw,hdc,devtype=cdrom", "/x.iso", DISK_RAW, "hdc", CD | R, NULL);
	disk_is("file:/x.iso,hdc:cdrom,r", "/x.iso", DISK_RAW, "hdc", CD | R, NULL);
	disk_is("phy:/dev/cdrom,hdc,cdrom,r", "/dev/cdrom", DISK_RAW, "hdc", CD | R, NULL);
	disk_is(",,hdc,cdrom", NULL, DISK_EMPTY, "hdc", CD | R, NULL);
	disk_is(",,hdc,cdrom,script=block-foo", NULL, DISK_EMPTY, "hdc", CD | R, "block-foo");
	disk_is("/x.iso,,hdc,r,devtype=disk", "/x.iso", DISK_RAW, "hdc", R, NULL);
	disk_refused(",,xvda,w", "it has no target; only a CD drive (devtype=cdrom) can be empty");
}

TEST(wrong_disks)
{
	disk_refused("/x,foo,xvda,rw", "found \"foo\" as its format, expected raw, qcow2, qcow, vhd, or nothing");
	disk_refused("/x,raw,foo,rw", "found \"foo\" as its device, expected a name such as xvda or xvda1");
	disk_refused("/x,raw,hdc:tape,rw", "found \"hdc:tape\" as its device, expected a name such as xvda or xvda1");
	disk_refused("/x,raw,xvda,foo", "found \"foo\" as its access, expected r or w (ro, rw; w! for a disk that is shared)");
	disk_refused("/x,raw,xvda,w,more", "found \"more\" after the access, expected nothing more");
	disk_refused("/x,raw", "it has no device name; expected TARGET,FORMAT,DEVICE,ACCESS such as /x.img,raw,xvda,w");
	disk_refused("/x", "it has no device name; expected TARGET,FORMAT,DEVICE,ACCESS such as /x.img,raw,xvda,w");
	disk_refused("", "it has no device name; expected TARGET,FORMAT,DEVICE,ACCESS such as /x.img,raw,xvda,w");
	disk_refused("/x,raw,xvda,w,acess=r", "there is no key acess; did you mean access?");
	disk_refused("vdev=xvda,zz=1,target=/x", "there is no key zz");
	disk_refused("/x,raw,xvda,w,devtype=tape", "found \"tape\" as its devtype, expected disk or cdrom");
	disk_refused("/x,raw,xvda,w,backend=storage", "found \"storage\" as its backend, expected 0: disks are served by Domain 0");
	disk_refused("/x,raw,xvda,w,backendtype=foo", "found \"foo\" as its backendtype, expected phy, tap or qdisk (it is not used: Lodge chooses)");
	disk_refused("/x,empty,xvda,w", "it has the format empty, and a target");
	refused("name='t'\nkernel='/k'\nmemory=64\ndisk = ['/x,raw,xvda,w',\n'/y,raw,51712,w']", 5, "disk: two disks are 51712");
}

TEST(device_numbers)
{
	static const struct { const char *name; int number; } names[] = {
		{ "xvda", 202 << 8 }, { "xvda1", 202 << 8 | 1 }, { "xvda15", 202 << 8 | 15 }, { "xvdb", 202 << 8 | 16 }, { "xvdp", 202 << 8 | 240 },
		{ "xvdq", 1 << 28 | 16 << 8 }, { "xvda16", 1 << 28 | 16 }, { "xvdz", 1 << 28 | 25 << 8 }, { "xvdaa", 1 << 28 | 26 << 8 },
		{ "xvdaa255", 1 << 28 | 26 << 8 | 255 }, { "sda", 8 << 8 }, { "sdp15", 8 << 8 | 255 }, { "hda", 3 << 8 }, { "hda63", 3 << 8 | 63 },
		{ "hdb", 3 << 8 | 64 }, { "hdc", 22 << 8 }, { "hdd2", 22 << 8 | 66 }, { "d0", 202 << 8 }, { "d0p1", 202 << 8 | 1 }, { "d16", 1 << 28 | 16 << 8 },
		{ "51712", 51712 }, { "0xca00", 51712 },
		{ "", -1 }, { "xvd", -1 }, { "xvd1", -1 }, { "xvda0", -1 }, { "xvda01", -1 }, { "xvda256", -1 }, { "xvda1x", -1 }, { "xvdA", -1 },
		{ "sdq", -1 }, { "sda16", -1 }, { "hde", -1 }, { "hda64", -1 }, { "d", -1 }, { "dx", -1 }, { "d0p", -1 }, { "d0p0", -1 }, { "d0x", -1 }, { "d1048576", -1 },
		{ "0", -1 }, { "12x", -1 }, { "536870912", -1 }, { "xvdzzzzzz", -1 }, { "vda", -1 }, { "../xvda", -1 }, { "99999999999999999999", -1 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (definition_vdev_number(names[i].name) != names[i].number)
			TEST_FAIL("%s is %#x, expected %#x", names[i].name, (unsigned)definition_vdev_number(names[i].name), (unsigned)names[i].number);
}

static struct definition *nic(const char *text)
{
	char value[512];

	snprintf(value, sizeof(value), "[\"%s\"]", text);
	return good_with("vif = ", value);
}

TEST(nics)
{
	struct definition *d = nic("mac=00:16:3E:1:2:3, bridge = br0,ip=10.0.0.1 fe80::1/64,script=vif-route,rate=10Mb/s,vifname=web0,model=e1000,type=ioemu,backend=0");

	if (d && d->nnics == 1) {
		CHECK_STR(d->nics[0].mac, "00:16:3e:01:02:03");
		CHECK_STR(d->nics[0].bridge, "br0");
		CHECK_STR(d->nics[0].ip, "10.0.0.1 fe80::1/64");
		CHECK_STR(d->nics[0].script, "vif-route");
		CHECK_STR(d->nics[0].vifname, "web0");
		CHECK_STR(d->nics[0].model, "e1000");
		CHECK_EQ(d->nics[0].rate_bytes, 62500);
		CHECK_EQ(d->nics[0].rate_interval_us, 50000);
		CHECK_EQ(d->nics[0].line, 4);
	}
	definition_free(d);
	d = nic("");
	CHECK(d && d->nnics == 1 && !d->nics[0].mac && !d->nics[0].bridge && !d->nics[0].rate_bytes);
	definition_free(d);
	d = nic("gatewaydev=eth0,");
	CHECK(d != NULL);
	CHECK_STR(warnings, "/etc/xen/vm/web1:4: vif \"gatewaydev=eth0,\": gatewaydev is not used\n");
	definition_free(d);
	/* What the bridge of a script says is the script's. */
	d = nic("bridge=ovsbr0.100:20:30,script=vif-openvswitch");
	CHECK(d != NULL);
	definition_free(d);
}

TEST(rates)
{
	static const struct { const char *text; uint64_t bytes; uint32_t us; } rates[] = {
		{ "1MB/s@20ms", 20000, 20000 }, { "100Kb/s", 625, 50000 }, { "5GB/s@1us", 5000, 1 }, { "250KB/s@1s", 250000, 1000000 }, { "80b/s@1s", 10, 1000000 },
	};
	static const char *const bad[] = { "10", "10M", "10Mb", "Mb/s", "-1Mb/s", "10Mb/s@", "10Mb/s@1h", "10Mb/s@0s", "10Mb/s@99999999999s", "0b/s", "99999999999GB/s",
		"1b/s", "10GB/s@1s", "10Mb/sx", "10Mb/m" };
	char text[128];

	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct definition *d;

		snprintf(text, sizeof(text), "rate=%s", rates[i].text);
		d = nic(text);
		if (d) {
			CHECK_EQ(d->nics[0].rate_bytes, rates[i].bytes);
			CHECK_EQ(d->nics[0].rate_interval_us, rates[i].us);
		}
		definition_free(d);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "name='t'\nkernel='/k'\nmemory=64\nvif = ['rate=%s']", bad[i]);
		if (parse_bytes(text, strlen(text)))
			TEST_FAIL("accepted: %s", bad[i]);
		CHECK_EQ(error.line, 4);
		CHECK(strstr(error.text, "expected") != NULL);
	}
}

static void nic_refused(const char *text, const char *message)
{
	char lines[1024], expected[1024];

	snprintf(lines, sizeof(lines), "name='t'\nkernel='/k'\nmemory=64\nvif = [\"%s\"]", text);
	snprintf(expected, sizeof(expected), "vif \"%s\": %s", text, message);
	refused(lines, 4, expected);
}

TEST(wrong_nics)
{
	nic_refused("mac=zz", "found mac=zz, expected six bytes such as 00:16:3e:01:02:03");
	nic_refused("mac=00:16:3e:01:02", "found mac=00:16:3e:01:02, expected six bytes such as 00:16:3e:01:02:03");
	nic_refused("mac=00:16:3e:01:02:03:04", "found mac=00:16:3e:01:02:03:04, expected six bytes such as 00:16:3e:01:02:03");
	nic_refused("mac=01:16:3e:01:02:03", "found mac=01:16:3e:01:02:03, expected the address of one interface: this is a multicast address, its first byte is odd");
	nic_refused("mac=0:0:0:0:0:0", "found mac=0:0:0:0:0:0, expected an address that is not 0");
	nic_refused("bridge", "found \"bridge\", expected key=value with commas between them");
	nic_refused("bridge=", "found bridge=, expected the name of a bridge");
	nic_refused("brige=br0", "there is no key brige; did you mean bridge?");
	nic_refused("ip=10.0.0.256", "found ip=10.0.0.256, expected IPv4 or IPv6 addresses with a blank between them");
	nic_refused("ip=10.0.0.1/33", "found ip=10.0.0.1/33, expected the length of a prefix after '/'");
	nic_refused("vifname=a/b", "found vifname=a/b, expected a name for an interface: 1 to 15 characters without '/', ':' and blanks");
	nic_refused("vifname=sixteen-letters.", "found vifname=sixteen-letters., expected a name for an interface: 1 to 15 characters without '/', ':' and blanks");
	nic_refused("backend=net", "found backend=net, expected 0: networks are served by Domain 0");
	refused("name='t'\nkernel='/k'\nmemory=64\nvif = ['bridge=br0/../x']", 4, "vif: found bridge=br0/../x, expected the name of a bridge");
	refused("name='t'\nkernel='/k'\nmemory=64\nvif = ['mac=00:16:3e:1:2:3',\n'mac=00:16:3E:01:02:03']", 5,
		"vif: two interfaces have the address 00:16:3e:01:02:03");
}
