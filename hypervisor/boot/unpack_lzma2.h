/* SPDX-License-Identifier: MIT */
/* LZMA2, memory to memory. */
#ifndef BOOT_UNPACK_LZMA2_H
#define BOOT_UNPACK_LZMA2_H

#include <boot/unpack_codecs.h>

/*
 * Decode the LZMA2 data at job->src + *pos to job->dst + job->out. *pos is then
 * behind its end mark, and job->out behind what was written. Safe against any content
 * of src. Returns NULL, or what is wrong; *pos and job->out then mean nothing. Data
 * that less than LZMA2_TAIL bytes follow is taken to be truncated: in an XZ file its
 * index and footer do. Context: as unpack_xz().
 */
const char *unpack_lzma2(struct unpack_job *job, size_t *pos);

/* Bytes that a damaged symbol may make the decoder read behind its data, see unpack_lzma2.c. */
#define LZMA2_TAIL	21

#endif
