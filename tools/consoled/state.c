/* SPDX-License-Identifier: MIT */
/* The records that outlive the daemon, in a file on a memory file system. */
#include <consoled/state.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>

#define STATE_MAGIC	0x31307463656c6f63ULL	/* changes with struct record; in the record of DOMID_FIRST_RESERVED */
#define RECORDS		(DOMID_FIRST_RESERVED + 1)
#define STATE_SIZE	(RECORDS * sizeof(struct record))
#define LOCK_TRIES	50	/* a tenth of a second apart: the last daemon may be dying */

static struct record *records;
static int state_fd = -1;

/* Memory for part of the file: without it, a store to the mapping could be a SIGBUS. */
static bool reserve(size_t index)
{
	return fallocate(state_fd, 0, (off_t)(index * sizeof(struct record)), sizeof(struct record)) == 0;
}

static bool lock(void)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(state_fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK)
			return false;
		usleep(100000);
	}
	errno = EBUSY;
	return false;
}

int state_open(const char *path, struct err *e)
{
	struct stat st;

	state_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (state_fd < 0)
		return err_set(e, errno, "state", "cannot open %s: %s", path, strerror(errno));
	if (!lock()) {
		err_set(e, errno, "running", errno == EBUSY ? "a console daemon is running already (it has %s locked)" : "cannot lock %s", path);
		goto fail_close;
	}
	if (fstat(state_fd, &st) < 0 || (st.st_size != STATE_SIZE && (ftruncate(state_fd, 0) < 0 || ftruncate(state_fd, STATE_SIZE) < 0)) ||
	    !reserve(DOMID_FIRST_RESERVED))
		goto fail;
	records = mmap(NULL, STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, state_fd, 0);
	if (records == MAP_FAILED)
		goto fail;
	if (records[DOMID_FIRST_RESERVED].life != STATE_MAGIC) {
		/* Another version's: start over. */
		if (ftruncate(state_fd, 0) < 0 || ftruncate(state_fd, STATE_SIZE) < 0 || !reserve(DOMID_FIRST_RESERVED))
			goto fail_map;
		records[DOMID_FIRST_RESERVED].life = STATE_MAGIC;
	}
	return 0;

fail_map:
	munmap(records, STATE_SIZE);
fail:
	records = NULL;
	err_set(e, errno, "state", "cannot use %s: %s", path, strerror(errno));
fail_close:
	close(state_fd);
	state_fd = -1;
	return -e->error;
}

void state_close(void)
{
	if (records)
		munmap(records, STATE_SIZE);
	records = NULL;
	if (state_fd >= 0)
		close(state_fd);
	state_fd = -1;
}

struct record *state_get(uint16_t domid)
{
	return domid < DOMID_FIRST_RESERVED && reserve(domid) ? &records[domid] : NULL;
}
