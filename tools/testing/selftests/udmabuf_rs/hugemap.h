/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers of several kinds of memory, and mappings of them at all kinds of
 * addresses, for the subjects about page table entries that map many pages.
 *
 * What such a large entry maps (a PMD: 2 MiB, or 32 MiB with pages of 16 KiB) is
 * called a slot here, wherever it begins in the address space. Most tests hold for
 * a driver that has no large entries as well.
 */
#ifndef HUGEMAP_H
#define HUGEMAP_H

#include "udmabuf_test.h"

#define THP_DIR		"/sys/kernel/mm/transparent_hugepage/"
#define SHMEM_THP	THP_DIR "shmem_enabled"

/* All pages are looked at, up to so many. Of more, some are, and those at the edges of slots. */
#define MANY_PAGES	8192
#define SOME_PAGES	1024

/* The memory ------------------------------------------------------------------ */

enum memory_kind { NONE, SMALL, SHMEM_HUGE, HUGETLB, GIGANTIC };

#define FILES	2
#define PIECES	5

/* A number of pages: halves of a slot, and pages on top of or below them. */
struct span {
	int halves;
	int pages;
};

/* What a buffer is made of: pieces of files, in order. */
struct layout {
	enum memory_kind files[FILES];
	struct {
		int file;
		struct span from, size;
	} pieces[PIECES];
};

static const struct layout layout_small_pages = {
	.files = { SMALL },
	.pieces = { { 0, { 0, 0 }, { 5, 3 } } },
};

static const struct layout layout_shmem_huge_pages = {
	.files = { SHMEM_HUGE },
	.pieces = { { 0, { 0, 0 }, { 5, 3 } } },
};

static const struct layout layout_hugetlb = {
	.files = { HUGETLB },
	.pieces = { { 0, { 0, 0 }, { 5, 3 } } },
};

/* No slot of the buffer begins where a huge page does. */
static const struct layout layout_hugetlb_from_an_odd_page = {
	.files = { HUGETLB },
	.pieces = { { 0, { 0, 1 }, { 5, 3 } } },
};

static const struct layout layout_hugetlb_in_disorder = {
	.files = { HUGETLB },
	.pieces = {
		{ 0, { 4, 0 }, { 2, 0 } }, { 0, { 0, 0 }, { 2, 0 } }, { 0, { 2, 0 }, { 1, 3 } },
	},
};

/* A huge page across slots of the buffer, one that is a slot, and half of one. */
static const struct layout layout_mixed = {
	.files = { SMALL, HUGETLB },
	.pieces = {
		{ 0, { 0, 0 }, { 1, 3 } }, { 1, { 0, 0 }, { 2, 0 } }, { 0, { 1, 3 }, { 1, -3 } },
		{ 1, { 2, 0 }, { 2, 0 } }, { 1, { 4, 0 }, { 1, 3 } },
	},
};

/* All of a page of 1 GiB, and small pages that end in the middle of a slot. */
static const struct layout layout_hugetlb_1_GiB = {
	.files = { GIGANTIC, SMALL },
	.pieces = { { 0, { 0, 0 }, { 0, 0 } }, { 1, { 0, 0 }, { 3, 3 } } },
};

/* Pages of the buffer that are next to each other in one file. */
struct piece {
	size_t first, pages;
	char *bytes;
};

struct scene {
	int dev, kmsg, buf;
	size_t pg, slot;		/* in bytes */
	size_t per;			/* pages in a slot */
	size_t pages, step;		/* of the buffer; how many of them are looked at */
	int memfd[FILES];
	char *file[FILES];
	size_t file_size[FILES];
	struct piece piece[PIECES];
	int pieces;
	char *area;			/* where mappings are made, see clear() */
	size_t area_size;
	char *base, *other;
	size_t congruent;
	long long size_limit;
	char shmem_thp[16];		/* what was set before, if it was changed */
	bool gigantic;
};

/* Of page tables that are one page, what an entry of the next level maps. */
static inline size_t slot_size(void)
{
	long long size = read_number(THP_DIR "hpage_pmd_size");

	return size > 0 ? size : page_size() * (page_size() / sizeof(uint64_t));
}

static inline size_t in_pages(const struct scene *s, struct span span)
{
	return span.halves * (s->per / 2) + span.pages;
}

/*
 * One for all tests: to clear a page of 1 GiB takes seconds, and once given back to
 * a pool it would have to be cleared again.
 */
static int gigantic_memfd = -1;

static void __attribute__((constructor)) gigantic_prepare(void)
{
	if (pool(GIB, "free_hugepages") > 0)
		gigantic_memfd = memfd_of_huge_pages(GIB, GIB);
}

/* Frame numbers of @n pages from @mem, which must have been touched; 0: not there. */
static inline void frames(const struct scene *s, const char *mem, size_t n, uint64_t *frame)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t i, bytes = n * sizeof(*frame);
	off_t from = (uintptr_t)mem / s->pg * sizeof(*frame);

	if (fd < 0 || pread(fd, frame, bytes, from) != (ssize_t)bytes)
		memset(frame, 0, bytes);
	close(fd);
	for (i = 0; i < n; i++)
		frame[i] = frame[i] >> 63 ? frame[i] & ((1ULL << 55) - 1) : 0;
}

/* Whether the @per pages of @frame are what a large entry can map. */
static inline bool is_large(const struct scene *s, const uint64_t *frame)
{
	size_t i;

	if (!frame[0] || frame[0] % s->per)
		return false;
	for (i = 1; i < s->per; i++)
		if (frame[i] != frame[0] + i)
			return false;
	return true;
}

/* Bytes of page @page of the buffer, by the memfd that it is of. */
static inline char *in_file(const struct scene *s, size_t page)
{
	int i = s->pieces - 1;

	while (page < s->piece[i].first)
		i--;
	return s->piece[i].bytes + (page - s->piece[i].first) * s->pg;
}

/* Which page it is: every one has a word for it, not in its first 64 bytes --- */

static inline bool looked_at(const struct scene *s, size_t page)
{
	return page % s->step == 0 || (page + 1) % s->per <= 1 || page + 1 == s->pages;
}

static inline volatile uint64_t *tag(const struct scene *s, char *bytes, size_t page)
{
	return (volatile uint64_t *)(bytes + 64 + page * 200 % (s->pg - 72) / 8 * 8);
}

/* Writes the tags of @n pages from @first to @mem, where that page is mapped. */
static inline void put(const struct scene *s, char *mem, size_t first, size_t n, uint64_t seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (looked_at(s, first + i))
			*tag(s, mem + i * s->pg, first + i) = word_at(seed, first + i);
}

/* Counts the pages at @mem that are not those from @first on. */
static inline size_t wrong(const struct scene *s, char *mem, size_t first, size_t n, uint64_t seed)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++)
		if (looked_at(s, first + i))
			count += *tag(s, mem + i * s->pg, first + i) != word_at(seed, first + i);
	return count;
}

static inline void put_in_files(const struct scene *s, size_t first, size_t n, uint64_t seed)
{
	size_t i;

	for (i = first; i < first + n; i++)
		if (looked_at(s, i))
			*tag(s, in_file(s, i), i) = word_at(seed, i);
}

static inline size_t wrong_in_files(const struct scene *s, size_t first, size_t n, uint64_t seed)
{
	size_t i, count = 0;

	for (i = first; i < first + n; i++)
		if (looked_at(s, i))
			count += *tag(s, in_file(s, i), i) != word_at(seed, i);
	return count;
}

/* Every page once, last page first. */
static inline size_t wrong_backwards(const struct scene *s, char *mem, size_t first, size_t n,
				     uint64_t seed)
{
	size_t i, count = 0;

	for (i = n; i-- > 0;)
		count += wrong(s, mem + i * s->pg, first + i, 1, seed);
	return count;
}

/* Where it is mapped ---------------------------------------------------------- */

/* Makes all of the area anonymous memory that nobody has touched yet. */
static inline bool clear(const struct scene *s)
{
	return mmap(s->area, s->area_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == s->area;
}

/* Maps @n pages of the buffer from @first, @at pages behind the start of a slot. */
static inline char *map_pages(const struct scene *s, size_t at, size_t first, size_t n, int prot)
{
	return mmap(s->base + at * s->pg, n * s->pg, prot, MAP_SHARED | MAP_FIXED, s->buf,
		    first * s->pg);
}

static inline char *map_all(const struct scene *s, size_t at)
{
	return map_pages(s, at, 0, s->pages, PROT_READ | PROT_WRITE);
}

/* Addresses of page 0: in the middle of a slot, and so that large entries can be, too. */
#define SHIFTS	4

static inline size_t shift(const struct scene *s, int nr)
{
	const size_t shifts[SHIFTS] = { 0, s->congruent, 1, s->per / 2 + 3 };

	return shifts[nr];
}

/* The word in brackets of a file that lists all there are. */
static inline int read_choice(const char *path, char *choice, size_t size)
{
	char line[256], *start, *end;

	if (read_text(path, line, sizeof(line)) < 0)
		return -ENODEV;
	start = strchr(line, '[');
	end = start ? strchr(start, ']') : NULL;
	if (!end)
		return -ENODEV;
	snprintf(choice, size, "%.*s", (int)(end - start - 1), start + 1);
	return 0;
}

/* A memfd of one kind; @why: why this machine has none. */
static inline int memfd_of_kind(struct scene *s, enum memory_kind kind, size_t size,
				const char **why)
{
	switch (kind) {
	case SHMEM_HUGE:
		*why = "no transparent huge pages for shmem in this kernel";
		if (read_choice(SHMEM_THP, s->shmem_thp, sizeof(s->shmem_thp)) ||
		    write_text(SHMEM_THP, "advise"))
			return -ENODEV;
		break;
	case HUGETLB:
		*why = "no huge pages of the size that a large entry maps";
		if (!pool_ready(s->slot, size / s->slot))
			return -ENODEV;
		*why = NULL;
		return memfd_of_huge_pages(s->slot, size);
	case GIGANTIC:
		*why = "no page of 1 GiB: boot with hugepagesz=1G hugepages=1";
		if (gigantic_memfd < 0)
			return -ENODEV;
		*why = NULL;
		return dup(gigantic_memfd);
	default:
		break;
	}
	*why = NULL;
	return memfd_new(size);
}

static inline int scene_open_files(struct scene *s, const struct layout *layout,
				   const size_t *pages, const char **why)
{
	int i;

	for (i = 0; i < FILES; i++) {
		enum memory_kind kind = layout->files[i];
		size_t size = pages[i] * s->pg;

		s->memfd[i] = -1;
		if (kind == NONE)
			continue;
		if (kind == HUGETLB || kind == SHMEM_HUGE)
			size = (size + s->slot - 1) / s->slot * s->slot;
		s->memfd[i] = memfd_of_kind(s, kind, size, why);
		if (s->memfd[i] < 0)
			return s->memfd[i];
		s->file_size[i] = size;
		s->file[i] = map_rw(s->memfd[i], size);
		if (s->file[i] == MAP_FAILED)
			return -errno;
		if (kind == SHMEM_HUGE)
			madvise(s->file[i], size, MADV_HUGEPAGE);
	}
	return 0;
}

/* Only where there is room for it, so that the two places cannot touch each other. */
static inline bool scene_find_area(struct scene *s)
{
	size_t align = s->gigantic ? GIB : s->slot;
	size_t room = (s->pages * s->pg + align - 1) / align * align + 2 * align;

	s->area_size = 2 * room + 2 * align;
	s->area = mmap(NULL, s->area_size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->area == MAP_FAILED)
		return false;
	s->base = (char *)(((uintptr_t)s->area + 2 * align - 1) / align * align);
	s->other = s->base + room;
	return clear(s);
}

/* 0, or -errno, with @why set where it is no failure that there is none. */
static inline int scene_open(struct scene *s, const struct layout *layout, const char **why)
{
	struct udmabuf_create_item items[PIECES];
	size_t needed[FILES] = {};
	uint64_t *frame;
	int i, err;

	s->size_limit = param_get("size_limit_mb");
	s->pg = page_size();
	s->slot = slot_size();
	s->per = s->slot / s->pg;
	s->gigantic = layout->files[0] == GIGANTIC;
	for (i = 0; i < PIECES; i++) {
		int file = layout->pieces[i].file;
		size_t from = in_pages(s, layout->pieces[i].from);
		size_t size = in_pages(s, layout->pieces[i].size);

		if (layout->files[file] == GIGANTIC && !i)
			size = GIB / s->pg;
		if (!size)
			break;
		if (needed[file] < from + size)
			needed[file] = from + size;
		s->piece[i] = (struct piece){ .first = s->pages, .pages = size };
		items[i].offset = from * s->pg;
		items[i].size = size * s->pg;
		s->pages += size;
		s->pieces++;
	}
	s->step = s->pages > MANY_PAGES ? s->pages / SOME_PAGES : 1;
	err = scene_open_files(s, layout, needed, why);
	if (err)
		return err;
	for (i = 0; i < s->pieces; i++) {
		items[i].memfd = s->memfd[layout->pieces[i].file];
		s->piece[i].bytes = s->file[layout->pieces[i].file] + items[i].offset;
	}
	put_in_files(s, 0, s->pages, 1);

	frame = malloc(s->per * sizeof(*frame));
	frames(s, s->file[0], s->per, frame);
	err = layout->files[0] == SHMEM_HUGE && !is_large(s, frame) ? -ENOMEM : 0;
	free(frame);
	*why = err ? "the kernel had no huge page to give" : NULL;
	if (err)
		return err;

	/* Where the buffer begins so that its first huge page is a slot, if it has any. */
	s->congruent = s->per / 3;
	for (i = s->pieces - 1; i >= 0; i--)
		if (layout->files[layout->pieces[i].file] != SMALL)
			s->congruent = (items[i].offset / s->pg + s->per -
					s->piece[i].first % s->per) % s->per;

	if (s->size_limit < 2 * s->pages * s->pg / MIB)
		param_set_number("size_limit_mb", 2 * s->pages * s->pg / MIB);
	s->buf = create_list(s->dev, items, s->pieces);
	if (s->buf < 0)
		return s->buf;
	return scene_find_area(s) ? 0 : -ENOMEM;
}

static inline void scene_close(struct scene *s)
{
	if (s->size_limit > 0)
		param_set_number("size_limit_mb", s->size_limit);
	if (*s->shmem_thp)
		write_text(SHMEM_THP, s->shmem_thp);
}

/* A page in the middle of the second slot of the address space, if @at is where page 0 is. */
static inline size_t middle_page(const struct scene *s, size_t at)
{
	return 2 * s->per - at - 7;
}

/* What touching costs ------------------------------------------------------------ */

/* KiB of page tables that touching the pages at @mem takes, and page faults. */
struct cost {
	long long kib, faults;
};

static inline long long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static inline struct cost cost_of_touching(const struct scene *s, const char *mem, size_t n)
{
	long long kib, faults;
	size_t i;

	/* Tables further up are there then, and what libc needs. */
	if (s->area) {
		s->area[0] = 'a';
		s->area[s->area_size - 1] = 'a';
	}
	vm_pte();
	kib = vm_pte();
	faults = minor_faults();
	for (i = 0; i < n; i++)
		(void)((const volatile char *)mem)[i * s->pg];
	faults = minor_faults() - faults;
	return (struct cost){ vm_pte() - kib, faults };
}

/* The fixture of a subject, and its variants -------------------------------------- */

#define HUGE_FIXTURE(subject)						\
FIXTURE(subject)							\
{									\
	struct scene s;							\
};									\
FIXTURE_VARIANT(subject)						\
{									\
	const struct layout *layout;					\
};									\
FIXTURE_VARIANT_ADD(subject, small_pages)				\
{									\
	.layout = &layout_small_pages,					\
};									\
FIXTURE_VARIANT_ADD(subject, shmem_huge_pages)				\
{									\
	.layout = &layout_shmem_huge_pages,				\
};									\
FIXTURE_VARIANT_ADD(subject, hugetlb)					\
{									\
	.layout = &layout_hugetlb,					\
};									\
FIXTURE_VARIANT_ADD(subject, hugetlb_from_an_odd_page)			\
{									\
	.layout = &layout_hugetlb_from_an_odd_page,			\
};									\
FIXTURE_VARIANT_ADD(subject, hugetlb_in_disorder)			\
{									\
	.layout = &layout_hugetlb_in_disorder,				\
};									\
FIXTURE_VARIANT_ADD(subject, mixed)					\
{									\
	.layout = &layout_mixed,					\
};									\
FIXTURE_VARIANT_ADD(subject, hugetlb_1_GiB)				\
{									\
	.layout = &layout_hugetlb_1_GiB,				\
};									\
FIXTURE_SETUP(subject)							\
{									\
	struct scene *s = &self->s;					\
	const char *why = NULL;						\
	int err;							\
									\
	s->kmsg = kmsg_open();						\
	s->dev = node_open();						\
	ASSERT_LE(0, s->dev)						\
		TH_LOG("%s: %s", node_path(), strerror(-s->dev));	\
	err = scene_open(s, variant->layout, &why);			\
	if (why)							\
		SKIP(return, "%s", why);				\
	ASSERT_EQ(0, err)						\
		TH_LOG("%s", strerror(-err));				\
}									\
FIXTURE_TEARDOWN(subject)						\
{									\
	scene_close(&self->s);						\
	EXPECT_EQ(0, kmsg_reports(self->s.kmsg));			\
}									\
struct subject##_needs_semicolon

#endif /* HUGEMAP_H */
