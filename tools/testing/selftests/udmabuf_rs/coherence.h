/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the coherence matrix share: a buffer, a device of the
 * test importer, and who can see which bytes.
 *
 * A test whose name begins with r04_ fills the cells of row 4 of the matrix; the
 * rows are listed in ../../checklib/matrix.py. Whoever writes a page writes a
 * pattern of its own number (a seed), so that old bytes are told from new ones.
 *
 * Environment:
 *   COHERENCE_DEVICE  faux (default) or edu: whose mapping is tested
 *   COHERENCE_MEMORY  how that device must reach memory, or no test counts:
 *                     direct, elsewhere (a bounce buffer, or a
 *                     staging), translated; anything when it is not set
 */
#ifndef COHERENCE_H
#define COHERENCE_H

#include "importer_test.h"

#define TLB_USED	"/sys/kernel/debug/swiotlb/io_tlb_used"

/* The directions in which a device may write. */
static const int writing[] = { IMPORTER_BIDIRECTIONAL, IMPORTER_FROM_DEVICE };

/* How the device of a slot reaches the memory. */
static inline const char *importer_reaches(int importer, int slot)
{
	struct importer_segments segments;

	if (importer_segments(importer, slot, &segments))
		return "no mapping";
	if (segments.translated)
		return "translated";
	return segments.elsewhere ? "elsewhere" : "direct";
}

/* The fixture --------------------------------------------------------------- */

/* Buffers that a device has been found to reach in another way than asked for. */
#define PLACES	16

struct scene {
	int kmsg, dev, importer;
	int device;
	bool elsewhere;
	size_t page, pages, size;
	int memfd, buf;
	char *a;		/* the memfd's mapping */
	char *b;		/* the dma-buf's */
	char *bytes;		/* a page that is copied to the device or from it */
	const char *missing;	/* why nothing can be tested here */
};

static inline bool is_edu(void)
{
	return !strcmp(env_or("COHERENCE_DEVICE", "faux"), "edu");
}

/*
 * A buffer which the device reaches in the way that COHERENCE_MEMORY says. Those
 * that do not fit are kept until one does: their memory is not given out again.
 */
static inline int scene_buffer(struct scene *s)
{
	const char *wanted = env_or("COHERENCE_MEMORY", ""), *found = "";
	int held[2 * PLACES], n = 0, err;

	while (n < 2 * PLACES) {
		s->memfd = memfd_new(s->size);
		s->buf = s->memfd < 0 ? s->memfd : create(s->dev, s->memfd, 0, s->size);
		if (s->buf < 0)
			return s->buf;
		err = importer_map(s->importer, 0, s->buf, s->device, IMPORTER_TO_DEVICE);
		if (err)
			return err;
		found = importer_reaches(s->importer, 0);
		importer_slot(s->importer, IMPORTER_UNMAP, 0);
		if (!*wanted || !strcmp(wanted, found))
			break;
		held[n++] = s->memfd;
		held[n++] = s->buf;
	}
	s->missing = n == 2 * PLACES ? found : NULL;
	s->elsewhere = !strcmp(found, "elsewhere");
	while (n)
		close(held[--n]);
	return 0;
}

static inline int scene_open(struct scene *s)
{
	int err;

	s->kmsg = kmsg_open();
	s->dev = node_open();
	if (s->dev < 0)
		return s->dev;
	s->importer = importer_open();
	if (s->importer < 0)
		return s->importer;
	/* An earlier test that failed may have left it without the faux device. */
	importer_call(s->importer, IMPORTER_PLUG, NULL);
	s->device = is_edu() ? IMPORTER_EDU : IMPORTER_FAUX;
	s->page = page_size();
	/* What edu transfers takes a fifth of a second a page. */
	s->pages = is_edu() ? 2 : 16;
	s->size = s->pages * s->page;
	s->bytes = malloc(s->page);
	err = s->bytes ? scene_buffer(s) : -ENOMEM;
	if (err)
		return err;
	s->a = map_rw(s->memfd, s->size);
	s->b = map_rw(s->buf, s->size);
	return s->a == MAP_FAILED || s->b == MAP_FAILED ? -ENOMEM : 0;
}

#define COHERENCE_FIXTURE(subject)					\
FIXTURE(subject)							\
{									\
	struct scene s;							\
};									\
FIXTURE_SETUP(subject)							\
{									\
	ASSERT_EQ(0, scene_open(&self->s));				\
	if (self->s.missing)						\
		SKIP(return, "the device reaches this memory another way: %s", \
		     self->s.missing);					\
}									\
FIXTURE_TEARDOWN(subject)						\
{									\
	close(self->s.importer);					\
	EXPECT_EQ(0, kmsg_reports(self->s.kmsg));			\
}									\
struct subject##_needs_semicolon

/* Who sees what ------------------------------------------------------------- */

static inline int device_unmap(struct scene *s, int slot)
{
	return importer_slot(s->importer, IMPORTER_UNMAP, slot);
}

/* -EXDEV where the device reaches the memory in another way than the test wants. */
static inline int device_map(struct scene *s, int slot, int direction)
{
	const char *wanted = env_or("COHERENCE_MEMORY", "");
	int err = importer_map(s->importer, slot, s->buf, s->device, direction);

	if (err || !*wanted || !strcmp(wanted, importer_reaches(s->importer, slot)))
		return err;
	device_unmap(s, slot);
	return -EXDEV;
}

/* The device writes a page. */
static inline int device_puts(struct scene *s, int slot, size_t page, uint64_t seed)
{
	fill(s->bytes, s->page, seed);
	return importer_copy(s->importer, IMPORTER_WRITE, slot, page * s->page, s->bytes, s->page);
}

/* 0 when the device reads what was written under that seed, -EIO when not. */
static inline int device_has(struct scene *s, int slot, size_t page, uint64_t seed)
{
	int err;

	memset(s->bytes, 0xee, s->page);
	err = importer_copy(s->importer, IMPORTER_READ, slot, page * s->page, s->bytes, s->page);
	if (err)
		return err;
	return matches(s->bytes, s->page, seed) == s->page ? 0 : -EIO;
}

static inline void cpu_puts(struct scene *s, size_t page, uint64_t seed)
{
	fill(s->b + page * s->page, s->page, seed);
}

static inline int cpu_has(struct scene *s, size_t page, uint64_t seed)
{
	return matches(s->b + page * s->page, s->page, seed) == s->page ? 0 : -EIO;
}

/* A bracket in which the CPU writes one page. */
static inline int bracket_puts(struct scene *s, size_t page, uint64_t seed)
{
	int err = buf_sync(s->buf, SYNC_START_W);

	if (err)
		return err;
	cpu_puts(s, page, seed);
	return buf_sync(s->buf, SYNC_END_W);
}

/* A bracket in which the CPU reads one page: 0, -EIO for other bytes, -errno. */
static inline int bracket_has(struct scene *s, size_t page, uint64_t seed)
{
	int err = buf_sync(s->buf, SYNC_START_R), same;

	if (err)
		return err;
	same = cpu_has(s, page, seed);
	err = buf_sync(s->buf, SYNC_END_R);
	return err ? err : same;
}

/* The same from another process, which has nothing to do with ours but the buffer. */
static inline int other_bracket_has(struct scene *s, size_t page, uint64_t seed)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(bracket_has(s, page, seed) ? 1 : 0);
	if (pid < 0)
		return -errno;
	status = wait_status(pid);
	return status == 1 ? -EIO : status;
}

#endif /* COHERENCE_H */
