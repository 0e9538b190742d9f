/* SPDX-License-Identifier: MIT */
/* Unit tests: disks in Domain 0: what a path is, who has it, loop devices; device events; network names. */
/* sources: tools/lib/block.c tools/lib/block_holder.c tools/lib/uevent.c tools/lib/network.c tools/lib/netlink.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <lib/block_holder.h>
#include <lib/network.h>
#include <lib/uevent.h>
#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static char dir[64], image[96];

/* A file of a megabyte. */
static void make_image(void)
{
	int fd;

	strcpy(dir, "/tmp/lodge-block-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/disk image", dir);
	fd = open(image, O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void remove_image(void)
{
	CHECK_EQ(unlink(image), 0);
	CHECK_EQ(rmdir(dir), 0);
}

TEST(identities)
{
	struct block_id id, other;
	struct err e;
	char link_path[128];

	make_image();
	CHECK_EQ(block_identify(image, &id, &e), 0);
	CHECK(id.is_file && id.ino);
	snprintf(link_path, sizeof(link_path), "%s/link", dir);
	CHECK_EQ(symlink(image, link_path), 0);
	CHECK_EQ(block_identify(link_path, &other, &e), 0);
	CHECK(other.ino == id.ino && other.dev == id.dev);
	unlink(link_path);
	CHECK_EQ(block_identify("/no/such", &id, &e), -ENOENT);
	CHECK_STR(e.code, "no-disk");
	CHECK_EQ(block_identify("/dev/null", &id, &e), -EINVAL);
	CHECK_EQ(block_identify(dir, &id, &e), -EINVAL);
	CHECK_EQ(truncate(image, 0), 0);
	CHECK_EQ(block_identify(image, &id, &e), -EINVAL);
	CHECK_STR(e.code, "bad-disk");
	remove_image();
}

TEST(free_and_busy_files)
{
	struct block_id id;
	struct err e;
	int fd, there[2];
	pid_t child;
	char c;

	make_image();
	CHECK_EQ(block_identify(image, &id, &e), 0);
	CHECK_EQ(block_check_free(image, &id, true, &e), 0);
	fd = open(image, O_RDONLY);	/* a reader, such as a backup: no harm */
	CHECK_EQ(block_check_free(image, &id, false, &e), 0);
	close(fd);
	CHECK_EQ(pipe(there), 0);
	child = fork();
	if (child == 0) {
		open(image, O_RDWR);
		close(there[0]);
		close(there[1]);
		pause();
	}
	close(there[1]);
	CHECK_EQ(read(there[0], &c, 1), 0);	/* the child has it open */
	close(there[0]);
	if (getuid() == 0) {
		CHECK_EQ(block_check_free(image, &id, true, &e), -EBUSY);
		CHECK_STR(e.code, "disk-in-use");
		CHECK(strstr(e.text, "process"));
		CHECK_EQ(block_check_free(image, &id, false, &e), -EBUSY);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	remove_image();
}

TEST(disks_that_cannot_be_written)
{
	struct block_id id;
	char self[256];
	struct err e;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	make_image();
	CHECK_EQ(block_identify(image, &id, &e), 0);
	CHECK_EQ(block_check_open(image, &id, false, &e), 0);
	CHECK_EQ(truncate(image, 1 << 19), 0);	/* its size does not make it another */
	CHECK_EQ(block_check_open(image, &id, false, &e), 0);
	id.ino++;
	CHECK_EQ(block_check_open(image, &id, false, &e), -EBUSY);
	remove_image();
	/* A program that runs can be read, and not written. */
	self[n > 0 ? n : 0] = '\0';
	CHECK_EQ(block_identify(self, &id, &e), 0);
	CHECK_EQ(block_check_open(self, &id, true, &e), 0);
	CHECK_EQ(block_check_open(self, &id, false, &e), -ETXTBSY);
	CHECK_STR(e.code, "bad-disk");
	CHECK(strstr(e.text, "writing"));
}

/* Others open the file all the time while it is asked whether somebody has it: nobody is hurt. */
TEST(opened_while_it_is_asked_for)
{
	struct block_id id;
	int status = 0, opens = 0;
	struct err e;
	pid_t child;

	make_image();
	CHECK_EQ(block_identify(image, &id, &e), 0);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 2000; i++) {
			int rc = block_check_free(image, &id, true, &e);

			if (rc && rc != -EBUSY)
				_exit(1);
			if (block_check_open(image, &id, false, &e))
				_exit(2);
		}
		_exit(0);
	}
	for (; !waitpid(child, &status, WNOHANG); opens++) {
		int fd = open(image, O_RDONLY | O_NONBLOCK);

		if (fd >= 0)
			close(fd);
	}
	CHECK(opens);
	CHECK_EQ(status, 0);
	remove_image();
}

static bool keep_none(const char *tag, void *ctx)
{
	return strcmp(tag, "lodge:test:xvda");
}

TEST(loop_devices)
{
	char name[64], found[BLOCK_TAG_MAX];
	struct loop_info64 info;
	struct block_id id;
	struct err e;
	dev_t dev;
	int fd;

	if (getuid() || access("/dev/loop-control", W_OK))
		return;		/* only root can */
	make_image();
	CHECK_EQ(block_identify(image, &id, &e), 0);
	if (block_attach(image, &id, true, "lodge:test:xvda", &dev, &e)) {
		printf("no loop devices here: %s\n", e.text);
		remove_image();
		return;
	}
	block_device_name(dev, name, sizeof(name));
	CHECK(!strncmp(name, "/dev/loop", 9));
	fd = open(name, O_RDONLY);
	CHECK_EQ(ioctl(fd, LOOP_GET_STATUS64, &info), 0);
	CHECK(info.lo_flags & LO_FLAGS_READ_ONLY);
	snprintf(found, sizeof(found), "%s", (char *)info.lo_file_name);
	CHECK_STR(found, "lodge:test:xvda");
	close(fd);
	CHECK_EQ(block_check_free(image, &id, false, &e), 0);	/* readers among themselves */
	block_detach(dev, "lodge:other:xvda");			/* not this one */
	fd = open(name, O_RDONLY);
	CHECK_EQ(ioctl(fd, LOOP_GET_STATUS64, &info), 0);
	close(fd);
	block_sweep(keep_none, NULL);
	usleep(100000);
	fd = open(name, O_RDONLY);
	CHECK(ioctl(fd, LOOP_GET_STATUS64, &info) || strcmp((char *)info.lo_file_name, "lodge:test:xvda"));
	close(fd);
	CHECK_EQ(truncate(image, 1 << 19), 0);
	/* Another file under the name: not what was checked. */
	id.ino++;
	CHECK_EQ(block_attach(image, &id, true, "lodge:test:xvda", &dev, &e), -EBUSY);
	remove_image();
}

static bool is_8_1(dev_t dev, const void *arg)
{
	return dev == makedev(8, 1);
}

TEST(mounts)
{
	static const char table[] =
		"22 27 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
		"30 27 8:1 / /srv/with\\040space ro,relatime shared:8 - ext4 /dev/sda1 rw\n"
		"not a line\n";
	static const char read_only[] = "30 27 8:1 / /srv ro,relatime - ext4 /dev/sda1 ro\n";
	char where[64] = "";
	bool writable;
	FILE *f = fmemopen((void *)table, sizeof(table) - 1, "r");

	CHECK(block_find_mount(f, is_8_1, NULL, where, sizeof(where), &writable));
	CHECK_STR(where, "/srv/with space");
	CHECK(writable);	/* the superblock is */
	fclose(f);
	f = fmemopen((void *)read_only, sizeof(read_only) - 1, "r");
	CHECK(block_find_mount(f, is_8_1, NULL, where, sizeof(where), &writable));
	CHECK(!writable);
	fclose(f);
}

TEST(events)
{
	static const char message[] = "online@/devices/vif-3-0\0ACTION=online\0DEVPATH=/devices/vif-3-0\0SUBSYSTEM=xen-backend\0"
				      "XENBUS_PATH=backend/vif/3/0\0vif=vif3.0\0SEQNUM=77";
	char buf[512];
	struct uevent u;

	memcpy(buf, message, sizeof(message));
	CHECK_EQ(uevent_parse(buf, sizeof(message), &u), 0);
	CHECK_STR(u.action, "online");
	CHECK_STR(u.subsystem, "xen-backend");
	CHECK_STR(u.device, "vif-3-0");
	CHECK_STR(u.path, "backend/vif/3/0");
	CHECK_STR(u.vif, "vif3.0");
	/* Cut off anywhere: nothing is read beyond. */
	for (size_t n = 0; n < sizeof(message); n++) {
		char *exact = malloc(n + 1);

		memcpy(exact, message, n);
		uevent_parse(exact, n, &u);
		free(exact);
	}
	memcpy(buf, "libudev\0xxx", 12);
	CHECK_EQ(uevent_parse(buf, 12, &u), -EINVAL);
}

TEST(network_names)
{
	uint8_t mac[6];

	CHECK(net_name_valid("xenbr0") && net_name_valid("a") && net_name_valid("vif1.0-emu"));
	CHECK(!net_name_valid("") && !net_name_valid("..") && !net_name_valid("a/b") && !net_name_valid("sixteencharslong"));
	CHECK_EQ(net_parse_mac("00:16:3e:0a:0B:ff", mac), 0);
	CHECK_EQ(mac[5], 0xff);
	CHECK_EQ(net_parse_mac("00:16:3e:0a:0b", mac), -EINVAL);
	CHECK_EQ(net_parse_mac("00:16:3e:0a:0b:ff:00", mac), -EINVAL);
	CHECK_EQ(net_parse_mac("0:16:3e:0a:0b:ff", mac), -EINVAL);
	CHECK_EQ(net_parse_mac("", mac), -EINVAL);
}

static void count(uint32_t address, unsigned int prefix, bool own, unsigned int index, void *ctx)
{
	*(unsigned int *)ctx += own && address == 0x7f000001;
}

TEST(addresses)
{
	unsigned int loopback = 0;
	int fd = net_open();

	CHECK(fd >= 0);
	CHECK_EQ(net_each_address(fd, count, &loopback), 0);
	CHECK(loopback <= 1);
	CHECK_EQ(net_each_route(fd, count, &loopback), 0);
	close(fd);
}
