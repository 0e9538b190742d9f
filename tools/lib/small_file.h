/* SPDX-License-Identifier: MIT */
/* Files of a few lines, such as the kernel's in /proc and /sys. */
#ifndef TOOLS_LIB_SMALL_FILE_H
#define TOOLS_LIB_SMALL_FILE_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* What fits of the file, with a 0 behind it: its length; or -1, and the text is empty. */
static inline ssize_t small_file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

#endif
