/* SPDX-License-Identifier: MIT */
/*
 * Writing into a new guest's memory.
 *
 * Mapping a foreign page costs more than filling it, so only pages that get something are mapped, each once, many at a time: first
 * a bitmap of them is made from the pieces, then window after window is mapped and filled.
 */
#include <errno.h>
#include <lib/build_load.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW	8192	/* pages mapped at a time */
#define PAGE	HV_PAGE_SIZE

struct window {
	uint64_t *pfns;		/* ascending */
	xen_pfn_t *mfns;
	size_t n;
	uint8_t *map;
};

void build_piece_add(struct build_image *im, struct build_piece piece)
{
	if (im->n < BUILD_PIECES && piece.len)
		im->pieces[im->n++] = piece;
}

static bool bit(const uint8_t *bitmap, uint64_t n)
{
	return bitmap[n / 8] >> n % 8 & 1;
}

/* Is there something to write into [pa, pa + len), which lies in the piece? */
static bool has_content(const struct build_image *im, const struct build_piece *p, uint64_t pa, uint64_t len)
{
	uint64_t at = p->filled_offset + (pa - p->pa);

	if (!im->memory_is_zero)
		return true;
	if (!p->data)
		return p->file >= 0;
	if (!p->filled)
		return true;
	return bit(p->filled, at / PAGE) || bit(p->filled, (at + len - 1) / PAGE);
}

static uint64_t clip(const struct build_piece *p, uint64_t pfn, uint64_t *len)
{
	uint64_t start = pfn * PAGE > p->pa ? pfn * PAGE : p->pa, end = (pfn + 1) * PAGE;

	if (end > p->pa + p->len)
		end = p->pa + p->len;
	*len = end - start;
	return start;
}

static void note_pages(const struct build_image *im, uint8_t *touched)
{
	for (unsigned i = 0; i < im->n; i++) {
		const struct build_piece *p = &im->pieces[i];

		for (uint64_t pfn = p->pa / PAGE; pfn * PAGE < p->pa + p->len; pfn++) {
			uint64_t len, pa = clip(p, pfn, &len);

			if (has_content(im, p, pa, len))
				touched[pfn / 8] |= (uint8_t)(1u << pfn % 8);
		}
	}
}

/* Halves: below the size where the C library turns to `rep movsb`, which costs the emulator an instruction per byte. */
static void copy(uint8_t *dst, const uint8_t *src, size_t len)
{
	size_t half = len < PAGE / 2 ? len : PAGE / 2;

	memcpy(dst, src, half);
	memcpy(dst + half, src + half, len - half);
}

/* Neighbours in the window are neighbours in memory here; as many as are neighbours in the guest, too, are read at once. */
static int read_file(const struct build_image *im, const struct build_piece *p, const struct window *w, size_t *i, struct err *e)
{
	uint64_t len, pa = clip(p, w->pfns[*i], &len), run = len;
	uint8_t *dst = w->map + *i * PAGE + pa % PAGE;

	while (*i + 1 < w->n && w->pfns[*i + 1] == w->pfns[*i] + 1 && w->pfns[*i + 1] * PAGE < p->pa + p->len) {
		++*i;
		clip(p, w->pfns[*i], &len);
		run += len;
	}
	for (uint64_t done = 0; done < run;) {
		ssize_t n = pread(p->file, dst + done, run - done, (off_t)(pa - p->pa + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? errno : EIO, "bad-ramdisk", "ramdisk %s: %s", im->file_path,
				       n < 0 ? strerror(errno) : "it was cut short while it was being read");
		done += (uint64_t)n;
	}
	return 0;
}

static int fill(const struct build_image *im, const struct build_piece *p, const struct window *w, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		uint64_t len, pa;
		uint8_t *dst;

		if ((w->pfns[i] + 1) * PAGE <= p->pa)
			continue;
		if (w->pfns[i] * PAGE >= p->pa + p->len)
			break;
		if (p->file >= 0) {
			int rc = read_file(im, p, w, &i, e);

			if (rc)
				return rc;
			continue;
		}
		pa = clip(p, w->pfns[i], &len);
		dst = w->map + i * PAGE + pa % PAGE;
		if (p->data)
			copy(dst, (const uint8_t *)p->data + (pa - p->pa), len);
		else
			memset(dst, 0, len);
	}
	return 0;
}

static int flush(struct hv *hv, uint16_t domid, const struct build_image *im, struct window *w, struct err *e)
{
	int rc = 0;

	if (!w->n)
		return 0;
	w->map = xenforeignmemory_map(hv->fmem, domid, PROT_READ | PROT_WRITE, w->n, w->mfns, NULL);
	if (!w->map)
		return err_set(e, errno, "build-failed", "cannot map the new guest's memory: %s", strerror(errno));
	for (unsigned i = 0; !rc && i < im->n; i++)
		if (!im->memory_is_zero || im->pieces[i].data || im->pieces[i].file >= 0)
			rc = fill(im, &im->pieces[i], w, e);
	xenforeignmemory_unmap(hv->fmem, w->map, w->n);
	w->n = 0;
	return rc;
}

int build_load(struct hv *hv, uint16_t domid, const struct build_image *im, struct err *e)
{
	uint8_t *touched = calloc(im->pages / 8 + 8, 1);
	struct window w = { .pfns = malloc(WINDOW * sizeof(*w.pfns)), .mfns = malloc(WINDOW * sizeof(*w.mfns)) };
	int rc = 0;

	if (!touched || !w.pfns || !w.mfns) {
		rc = err_set(e, ENOMEM, "no-memory", "no memory left to build the guest");
		goto out;
	}
	note_pages(im, touched);
	for (uint64_t pfn = 0; !rc && pfn < im->pages; pfn++) {
		uint64_t eight;

		/* Most of a guest's pages get nothing. */
		memcpy(&eight, touched + pfn / 8, sizeof(eight));
		if (pfn % 64 == 0 && !eight) {
			pfn += 63;
			continue;
		}
		if (!bit(touched, pfn))
			continue;
		w.pfns[w.n] = pfn;
		w.mfns[w.n++] = im->p2m[pfn];
		if (w.n == WINDOW)
			rc = flush(hv, domid, im, &w, e);
	}
	if (!rc)
		rc = flush(hv, domid, im, &w, e);
out:
	free(touched);
	free(w.pfns);
	free(w.mfns);
	return rc;
}
