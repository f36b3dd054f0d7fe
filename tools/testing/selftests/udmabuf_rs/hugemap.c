// SPDX-License-Identifier: GPL-2.0
/*
 * hugemap: mappings stay right where one entry of a page table maps many pages, and
 * such entries are there where they can be.
 */
#include "hugemap.h"
#include "importer_test.h"
#include <linux/userfaultfd.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	0x8000
#endif

HUGE_FIXTURE(hugemap);

/* What is seen ---------------------------------------------------------------- */

TEST_F(hugemap, bytes_both_ways)
{
	struct scene *s = &self->s;
	size_t page, bad;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		uint64_t seed = (i + 1) * 10000000ULL;
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		for (page = 0; page < s->pages; page++)
			if (looked_at(s, page))
				fill(in_file(s, page), s->pg, seed + page);
		for (bad = 0, page = 0; page < s->pages; page++)
			if (looked_at(s, page))
				bad += matches(b + page * s->pg, s->pg, seed + page) != s->pg;
		EXPECT_EQ(0, bad);
		for (page = 0; page < s->pages; page++)
			if (looked_at(s, page))
				fill(b + page * s->pg, s->pg, seed + s->pages + page);
		for (bad = 0, page = 0; page < s->pages; page++)
			if (looked_at(s, page))
				bad += matches(in_file(s, page), s->pg, seed + s->pages + page) !=
				       s->pg;
		EXPECT_EQ(0, bad);
	}
}

TEST_F(hugemap, first_touch_is_a_write)
{
	struct scene *s = &self->s;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		put(s, b, 0, s->pages, 10 + i);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 10 + i));
	}
}

TEST_F(hugemap, last_page_first)
{
	struct scene *s = &self->s;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong_backwards(s, b, 0, s->pages, 1));
	}
}

/* Offsets in the buffer and addresses that have nothing to do with each other. */
TEST_F(hugemap, from_odd_pages_of_the_buffer)
{
	struct scene *s = &self->s;
	size_t from[] = { 1, 7, s->per / 2, s->per - 1, s->per, s->per + 1, s->pages - 1 };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(from); i++) {
		size_t n = s->pages - from[i];
		/* At last: where the page would be, were the buffer mapped from its start. */
		size_t at[] = { 0, 1, s->congruent, (s->congruent + from[i]) % s->per };

		if (n > 2 * s->per + s->per / 4)
			n = 2 * s->per + s->per / 4;
		for (j = 0; j < ARRAY_SIZE(at); j++) {
			char *b;

			ASSERT_TRUE(clear(s));
			b = map_pages(s, at[j], from[i], n, PROT_READ);
			ASSERT_NE(MAP_FAILED, b);
			EXPECT_EQ(0, wrong(s, b, from[i], n, 1));
		}
	}
}

#define GUARDS	16

/* Whether page @i of the slots that @at and @n pages lie in is a neighbour to look at. */
static bool is_guard(const struct scene *s, size_t i, size_t at, size_t n)
{
	if (i >= at && i < at + n)
		return false;
	return (i + 1) % s->per <= 1 || (i < at ? at - i : i - (at + n) + 1) <= GUARDS;
}

static void guards_set(const struct scene *s, size_t at, size_t n, char byte)
{
	size_t i, end = (at + n + s->per - 1) / s->per * s->per;

	for (i = at / s->per * s->per; i < end; i++)
		if (is_guard(s, i, at, n))
			memset(s->base + i * s->pg, byte, s->pg);
}

static size_t guards_wrong(const struct scene *s, size_t at, size_t n, char byte)
{
	size_t i, j, count = 0, end = (at + n + s->per - 1) / s->per * s->per;

	for (i = at / s->per * s->per; i < end; i++) {
		if (!is_guard(s, i, at, n))
			continue;
		for (j = 0; j < s->pg; j += 8)
			count += s->base[i * s->pg + j] != byte;
	}
	return count;
}

/*
 * The core offers the driver whole slots to map, whatever of them is another's. It
 * does so for those that nobody has touched, which is why the neighbours are
 * touched before in one round, and after in the other.
 */
TEST_F(hugemap, neighbours_in_a_slot_stay_themselves)
{
	struct scene *s = &self->s;
	struct {
		size_t at, n;
	} parts[] = {
		{ 1, s->per / 2 }, { 1, s->per - 1 }, { 0, s->per - 1 }, { s->per - 1, 2 },
		{ s->per / 2 + 1, s->per }, { s->per / 2 + 1, s->per + s->per / 2 },
		{ s->per / 2, s->per + s->per / 2 - 1 }, { 0, 1 }, { s->per - 1, 1 },
	};
	size_t i, round;

	for (i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		/* Pages where they are best for large entries, and somewhere else. */
		size_t n = parts[i / 2].n, at = parts[i / 2].at;
		size_t first = i % 2 ? 5 : (at + s->per - s->congruent) % s->per;

		if (first + n > s->pages)
			first = s->pages - n;
		for (round = 0; round < 2; round++) {
			char *b;

			ASSERT_TRUE(clear(s));
			if (round)
				guards_set(s, at, n, 'g');
			b = map_pages(s, at, first, n, PROT_READ | PROT_WRITE);
			ASSERT_NE(MAP_FAILED, b);
			EXPECT_EQ(0, wrong(s, b + n / 2 * s->pg, first + n / 2, 1, 1));
			EXPECT_EQ(0, wrong_backwards(s, b, first, n, 1));
			EXPECT_EQ(0, guards_wrong(s, at, n, round ? 'g' : 0));
			guards_set(s, at, n, 'h');
			EXPECT_EQ(0, wrong(s, b, first, n, 1));
			EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 1));
			put(s, b, first, n, 2);
			EXPECT_EQ(0, guards_wrong(s, at, n, 'h'));
			put_in_files(s, 0, s->pages, 1);
		}
	}
}

/* Two parts of the buffer in one slot, the second of which belongs elsewhere. */
TEST_F(hugemap, two_mappings_in_a_slot)
{
	struct scene *s = &self->s;
	size_t border[] = { 1, s->per / 2 + 1, s->per - 1 }, i;

	for (i = 0; i < ARRAY_SIZE(border); i++) {
		size_t n = border[i], rest = s->per - n, first = s->per + 9;
		char *b, *c;

		ASSERT_TRUE(clear(s));
		b = map_pages(s, 0, 0, n, PROT_READ | PROT_WRITE);
		ASSERT_NE(MAP_FAILED, b);
		c = map_pages(s, n, first, rest, PROT_READ);
		ASSERT_NE(MAP_FAILED, c);
		EXPECT_EQ(0, wrong_backwards(s, c, first, rest, 1));
		EXPECT_EQ(0, wrong(s, b, 0, n, 1));
		EXPECT_EQ(SIGSEGV, touch(c, true));
		ASSERT_EQ(0, munmap(b, n * s->pg));
		EXPECT_EQ(0, wrong(s, c, first, rest, 1));
	}
}

/* mprotect -------------------------------------------------------------------- */

TEST_F(hugemap, one_page_protected)
{
	struct scene *s = &self->s;
	int i, touched;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at);
		char *b, *m;

		touched = i % 2;
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		m = b + page * s->pg;
		*in_file(s, page) = 'f';
		if (touched)
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		ASSERT_EQ(0, mprotect(m, s->pg, PROT_READ));
		EXPECT_EQ(SIGSEGV, touch(m, true));
		EXPECT_EQ(SIGSEGV, touch(m + s->pg - 1, true));
		EXPECT_EQ('f', *(volatile char *)m);
		EXPECT_EQ(0, touch(m - s->pg, true));
		EXPECT_EQ(0, touch(m + s->pg, true));
		EXPECT_EQ('w', *in_file(s, page + 1));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		ASSERT_EQ(0, mprotect(m, s->pg, PROT_NONE));
		EXPECT_EQ(SIGSEGV, touch(m, false));
		EXPECT_EQ(0, wrong(s, b, 0, page, 1));
		EXPECT_EQ(0, wrong(s, m + s->pg, page + 1, s->pages - page - 1, 1));
		ASSERT_EQ(0, mprotect(m, s->pg, PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, touch(m, true));
		EXPECT_EQ('w', *in_file(s, page));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
	}
}

TEST_F(hugemap, all_protected_and_back)
{
	struct scene *s = &self->s;
	size_t size = s->pages * s->pg;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		put(s, b, 0, s->pages, 20 + i);
		ASSERT_EQ(0, mprotect(b, size, PROT_NONE));
		EXPECT_EQ(SIGSEGV, touch(b, false));
		EXPECT_EQ(SIGSEGV, touch(b + size - 1, false));
		EXPECT_EQ(SIGSEGV, touch(b + size / 2, true));
		ASSERT_EQ(0, mprotect(b, size, PROT_READ));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 20 + i));
		EXPECT_EQ(SIGSEGV, touch(b, true));
		EXPECT_EQ(SIGSEGV, touch(b + size / 2, true));
		EXPECT_EQ(SIGSEGV, touch(b + size - 1, true));
		ASSERT_EQ(0, mprotect(b, size, PROT_READ | PROT_WRITE));
		put(s, b, 0, s->pages, 30 + i);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 30 + i));
	}
}

TEST_F(hugemap, read_only_mapping_made_writable)
{
	struct scene *s = &self->s;
	size_t size = s->pages * s->pg;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_pages(s, shift(s, i), 0, s->pages, PROT_READ);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, i ? 40 + i - 1 : 1));
		EXPECT_EQ(SIGSEGV, touch(b, true));
		EXPECT_EQ(SIGSEGV, touch(b + (s->per + 1) * s->pg, true));
		EXPECT_EQ(SIGSEGV, touch(b + size - 1, true));
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, i ? 40 + i - 1 : 1));
		ASSERT_EQ(0, mprotect(b, size, PROT_READ | PROT_WRITE));
		put(s, b, 0, s->pages, 40 + i);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 40 + i));
	}
}

/* munmap ---------------------------------------------------------------------- */

/* Counts the wrong pages at @mem, where page 0 of the buffer is, but for those @gone. */
static size_t wrong_but(const struct scene *s, char *mem, const bool *gone)
{
	size_t i, count = 0;

	for (i = 0; i < s->pages; i++)
		if (!gone[i])
			count += wrong(s, mem + i * s->pg, i, 1, 1);
	return count;
}

TEST_F(hugemap, holes_in_front_in_the_middle_and_at_the_end)
{
	struct scene *s = &self->s;
	bool *gone = malloc(s->pages);
	size_t i, j;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at);
		const struct {
			size_t first, n;
		} holes[] = {
			{ 0, 1 }, { 11, 5 }, { s->per - at - 1, 2 }, { page - 3, 1 },
			{ page, 4 }, { s->pages - 1, 1 },
		};
		char *b;

		memset(gone, 0, s->pages);
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		if (i % 2)
			put(s, b, 0, s->pages, 1);
		for (j = 0; j < ARRAY_SIZE(holes); j++) {
			char *hole = b + holes[j].first * s->pg;

			ASSERT_EQ(0, munmap(hole, holes[j].n * s->pg));
			memset(gone + holes[j].first, true, holes[j].n);
			EXPECT_EQ(SIGSEGV, touch(hole, false));
			EXPECT_EQ(SIGSEGV, touch(hole + holes[j].n * s->pg - 1, true));
		}
		EXPECT_EQ(0, wrong_but(s, b, gone));
		for (j = 0; j < ARRAY_SIZE(holes); j++)
			EXPECT_EQ(SIGSEGV, touch(b + holes[j].first * s->pg, false));
		/* A second mapping has no holes. */
		ASSERT_EQ(b, map_all(s, at));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
	}
	free(gone);
}

TEST_F(hugemap, hole_that_others_move_into)
{
	struct scene *s = &self->s;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		size_t at = shift(s, i), page = middle_page(s, at), n = 5, end = page + n;
		char *b, *m;

		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		m = b + page * s->pg;
		ASSERT_EQ(m, mmap(m, n * s->pg, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		EXPECT_EQ(n * s->pg, zero_up_to(m, n * s->pg));
		memset(m, 'm', n * s->pg);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 1));
		EXPECT_EQ(0, wrong(s, b, 0, page, 1));
		EXPECT_EQ(0, wrong(s, b + end * s->pg, end, s->pages - end, 1));
		/* And other pages of the same buffer. */
		ASSERT_EQ(m, mmap(m, n * s->pg, PROT_READ, MAP_SHARED | MAP_FIXED, s->buf,
				  3 * s->pg));
		EXPECT_EQ(0, wrong(s, m, 3, n, 1));
		EXPECT_EQ(0, wrong(s, b, 0, page, 1));
		EXPECT_EQ(0, wrong(s, b + end * s->pg, end, s->pages - end, 1));
	}
}

/* mremap ---------------------------------------------------------------------- */

static char *move(const struct scene *s, char *from, size_t n, char *to)
{
	return mremap(from, n * s->pg, n * s->pg, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/* To where large entries can stay as they are, and to where they cannot. */
TEST_F(hugemap, moved_as_a_whole)
{
	struct scene *s = &self->s;
	size_t size = s->pages * s->pg;
	int i, touched;

	for (i = 0; i < 2 * SHIFTS; i++) {
		uint64_t seed = 50 + i;
		char *b, *to;

		touched = i % 2;
		ASSERT_TRUE(clear(s));
		b = map_all(s, s->congruent);
		ASSERT_NE(MAP_FAILED, b);
		put_in_files(s, 0, s->pages, seed);
		if (touched)
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, seed));
		to = s->other + shift(s, i / 2) * s->pg;
		ASSERT_EQ(to, move(s, b, s->pages, to));
		EXPECT_EQ(SIGSEGV, touch(b, false));
		EXPECT_EQ(SIGSEGV, touch(b + s->slot, true));
		EXPECT_EQ(SIGSEGV, touch(b + size - 1, false));
		EXPECT_EQ(0, wrong(s, to, 0, s->pages, seed));
		put(s, to, 0, s->pages, seed + 20);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, seed + 20));
		/* And back, touched for sure. */
		ASSERT_EQ(b, move(s, to, s->pages, b));
		EXPECT_EQ(SIGSEGV, touch(to, false));
		EXPECT_EQ(SIGSEGV, touch(to + size - 1, true));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, seed + 20));
	}
}

TEST_F(hugemap, moved_in_part)
{
	struct scene *s = &self->s;
	size_t i, j;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2);
		size_t first[] = { 0, s->per - at + 3, s->per - at, s->per / 2 + 1 };
		size_t n[] = { 3, 5, s->per, s->per };

		for (j = 0; j < ARRAY_SIZE(first); j++) {
			size_t end = first[j] + n[j];
			/* Half of the time where a large entry keeps its place in a slot. */
			size_t into = i % 2 ? (at + first[j]) % s->per : 9;
			char *b, *to = s->other + into * s->pg;

			if (end > s->pages)
				continue;
			ASSERT_TRUE(clear(s));
			b = map_all(s, at);
			ASSERT_NE(MAP_FAILED, b);
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
			ASSERT_EQ(to, move(s, b + first[j] * s->pg, n[j], to));
			EXPECT_EQ(SIGSEGV, touch(b + first[j] * s->pg, true));
			EXPECT_EQ(SIGSEGV, touch(b + end * s->pg - 1, false));
			EXPECT_EQ(0, wrong(s, to, first[j], n[j], 1));
			EXPECT_EQ(0, wrong(s, b, 0, first[j], 1));
			EXPECT_EQ(0, wrong(s, b + end * s->pg, end, s->pages - end, 1));
			EXPECT_EQ(0, guards_wrong(s, at, s->pages, 0));
		}
	}
}

TEST_F(hugemap, moved_onto_itself)
{
	struct scene *s = &self->s;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		size_t at = shift(s, i), page = middle_page(s, at), n = 5, end = page + n;
		char *b, *to;

		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		to = b + page * s->pg;
		ASSERT_EQ(to, move(s, b + 3 * s->pg, n, to));
		EXPECT_EQ(SIGSEGV, touch(b + 3 * s->pg, false));
		EXPECT_EQ(SIGSEGV, touch(b + (3 + n) * s->pg - 1, false));
		EXPECT_EQ(0, wrong(s, to, 3, n, 1));
		EXPECT_EQ(0, wrong(s, b, 0, 3, 1));
		EXPECT_EQ(0, wrong(s, b + (3 + n) * s->pg, 3 + n, page - 3 - n, 1));
		EXPECT_EQ(0, wrong(s, b + end * s->pg, end, s->pages - end, 1));
	}
}

TEST_F(hugemap, shrinks_and_does_not_grow)
{
	struct scene *s = &self->s;
	int i;

	for (i = 0; i < SHIFTS; i++) {
		size_t left[] = { s->pages - 1, 2 * s->per, s->per + 7, s->per - 1, 1 };
		size_t n = s->pages, j;
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, n, 1));
		for (j = 0; j < ARRAY_SIZE(left); j++) {
			ASSERT_EQ(b, mremap(b, n * s->pg, left[j] * s->pg, 0));
			EXPECT_EQ(SIGSEGV, touch(b + left[j] * s->pg, false));
			EXPECT_EQ(SIGSEGV, touch(b + n * s->pg - 1, true));
			n = left[j];
			EXPECT_EQ(0, wrong(s, b, 0, n, 1));
			EXPECT_EQ(MAP_FAILED, mremap(b, n * s->pg, (n + 1) * s->pg,
						     MREMAP_MAYMOVE));
			EXPECT_EQ(EFAULT, errno);
			EXPECT_EQ(MAP_FAILED, mremap(b, n * s->pg, n * s->pg,
						     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
			EXPECT_EQ(0, wrong(s, b, 0, n, 1));
		}
	}
}

/* madvise, mlock and those that walk page tables -------------------------------- */

TEST_F(hugemap, advice_on_parts)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_FREE, MADV_NOHUGEPAGE, MADV_HUGEPAGE,
		MADV_COLLAPSE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_RANDOM, MADV_WILLNEED,
		MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_MERGEABLE, MADV_DODUMP,
	};
	struct scene *s = &self->s;
	size_t n = s->per + 1;
	int i, j;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		for (j = 0; j < ARRAY_SIZE(advices); j++) {
			/* Whatever the answer: these bytes are the buffer's. */
			madvise(b + (s->per / 2 + 1) * s->pg, n * s->pg, advices[j]);
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1))
				TH_LOG("advice %d", advices[j]);
		}
		put(s, b, 0, s->pages, 2);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
		put_in_files(s, 0, s->pages, 1);
	}
}

TEST_F(hugemap, locked_in_part_synced_and_looked_up)
{
	struct scene *s = &self->s;
	size_t size = s->pages * s->pg;
	unsigned char *vec = malloc(s->pages);
	int i;

	for (i = 0; i < SHIFTS; i++) {
		size_t at = shift(s, i);
		char *b, *m;

		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		m = b + middle_page(s, at) * s->pg;
		EXPECT_EQ(0, mlock(m, 3 * s->pg));
		put(s, b, 0, s->pages, 60 + i);
		EXPECT_EQ(0, mlock(b, size));
		EXPECT_EQ(0, munlock(m, s->pg));
		msync(b, size, MS_SYNC);
		EXPECT_EQ(0, mincore(b, size, vec));
		EXPECT_EQ(0, munlock(b, size));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 60 + i));
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 60 + i));
	}
}

/* Bytes that can be read from @path, 0 where there is no such file. */
static size_t read_all(const char *path)
{
	static char bytes[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t all = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		all += n;
	if (fd >= 0)
		close(fd);
	return all;
}

TEST_F(hugemap, proc_walks_its_page_tables)
{
	struct scene *s = &self->s;
	size_t n = s->pages < 4 * s->per ? s->pages : 4 * s->per;
	uint64_t *frame = malloc(n * sizeof(*frame));
	int i;

	for (i = 0; i < SHIFTS; i++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, i));
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		EXPECT_LT(0, read_all("/proc/self/smaps"));
		read_all("/proc/self/smaps_rollup");
		read_all("/proc/self/numa_maps");
		frames(s, b, n, frame);
		write_text("/proc/self/clear_refs", "1");
		write_text("/proc/self/clear_refs", "4");
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		put(s, b, 0, s->pages, 2);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
		put_in_files(s, 0, s->pages, 1);
	}
}

/* What it would catch are faults of pages that come and go: there are none. */
TEST_F(hugemap, userfaultfd_is_refused)
{
	static const uint64_t features[] = { 0, UFFD_FEATURE_WP_ASYNC };
	struct scene *s = &self->s;
	char *b = map_all(s, s->congruent);
	int i, j;

	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		struct uffdio_api api = { .api = UFFD_API, .features = features[i] };
		int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

		if (fd < 0)
			SKIP(return, "userfaultfd: %s", strerror(errno));
		/* Not every kernel has every feature. */
		if (ioctl(fd, UFFDIO_API, &api)) {
			EXPECT_NE(0, features[i]);
			close(fd);
			continue;
		}
		for (j = 0; j < 2; j++) {
			struct uffdio_register args = {
				.range = { (uintptr_t)b, s->slot },
				.mode = j ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
			};

			EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &args));
			EXPECT_EQ(EINVAL, errno);
		}
		close(fd);
	}
	EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
}

/* Others that look at it ------------------------------------------------------- */

TEST_F(hugemap, C18_proc_mem_reads_and_writes)
{
	struct scene *s = &self->s;
	size_t n = s->pages < 4 * s->per ? s->pages : 4 * s->per;
	char *copy = malloc(n * s->pg), *b = map_all(s, s->congruent);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), touched;

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_LE(0, mem);
	ASSERT_NE(NULL, copy);
	for (touched = 0; touched < 2; touched++) {
		uint64_t seed = 2 + touched;

		ASSERT_EQ((ssize_t)(n * s->pg), pread(mem, copy, n * s->pg, (uintptr_t)b));
		EXPECT_EQ(0, wrong(s, copy, 0, n, 1));
		put(s, copy, 0, n, seed);
		ASSERT_EQ((ssize_t)(n * s->pg), pwrite(mem, copy, n * s->pg, (uintptr_t)b));
		EXPECT_EQ(0, wrong_in_files(s, 0, n, seed));
		EXPECT_EQ(0, wrong(s, b, 0, n, seed));
		put_in_files(s, 0, n, 1);
	}
	free(copy);
}

TEST_F(hugemap, system_calls_copy_from_and_to_it)
{
	struct scene *s = &self->s;
	char bytes[64], back[64];
	int i, pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	for (i = 0; i < SHIFTS; i++) {
		size_t at = shift(s, i), page = 2 * s->per - at;
		char *b, *border;

		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		/* Over the border of two slots that nobody has touched. */
		border = b + page * s->pg;
		memset(in_file(s, page - 1) + s->pg - 32, 'x' - i, 32);
		memset(in_file(s, page), 'a' + i, 32);
		ASSERT_EQ(64, write(pipes[1], border - 32, 64));
		ASSERT_EQ(64, read(pipes[0], back, 64));
		EXPECT_EQ('x' - i, back[0]);
		EXPECT_EQ('x' - i, back[31]);
		EXPECT_EQ('a' + i, back[32]);
		EXPECT_EQ('a' + i, back[63]);
		ASSERT_TRUE(clear(s));
		ASSERT_EQ(b, map_all(s, at));
		memset(bytes, 'A' + i, sizeof(bytes));
		ASSERT_EQ(64, write(pipes[1], bytes, 64));
		ASSERT_EQ(64, read(pipes[0], border - 32, 64));
		EXPECT_EQ('A' + i, in_file(s, page - 1)[s->pg - 1]);
		EXPECT_EQ('A' + i, in_file(s, page)[31]);
	}
}

/* There are no pages to take a reference to, in a large entry no more than in others. */
TEST_F(hugemap, nobody_gets_hold_of_its_pages)
{
	struct scene *s = &self->s;
	char *b = map_all(s, s->congruent), bytes[64];
	struct iovec to = { bytes, sizeof(bytes) };
	int pipes[2], touched;

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_EQ(0, pipe(pipes));
	for (touched = 0; touched < 2; touched++) {
		struct iovec from = { b + s->slot, sizeof(bytes) };

		EXPECT_EQ(-1, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, process_vm_writev(getpid(), &to, 1, &from, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, vmsplice(pipes[1], &from, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
	}
}

TEST_F(hugemap, through_an_importer)
{
	struct scene *s = &self->s;
	int importer = importer_open(), i;
	size_t size = s->pages * s->pg;

	if (importer < 0)
		SKIP(return, "needs the test importer");
	ASSERT_EQ(0, importer_vmap(importer, 0, s->buf));
	for (i = 0; i < SHIFTS; i++) {
		size_t from = i % 2 ? s->per / 2 + 1 : 0;
		char *b;

		ASSERT_TRUE(clear(s));
		b = mmap(s->base + (shift(s, i) + from) * s->pg, size - from * s->pg,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, importer,
			 IMPORTER_MMAP_OFFSET(0) + from * s->pg);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, from, s->pages - from, 1));
		put(s, b, from, s->pages - from, 2);
		EXPECT_EQ(0, wrong_in_files(s, from, s->pages - from, 2));
		put_in_files(s, 0, s->pages, 1);
		ASSERT_EQ(0, munmap(b + (s->per - 1) * s->pg, 2 * s->pg));
		EXPECT_EQ(0, wrong(s, b, from, s->per - 1, 1));
	}
	close(importer);
}

TEST_F(hugemap, outlives_every_descriptor)
{
	struct scene *s = &self->s;
	char *b = map_all(s, s->congruent), *a = s->file[0];
	int i;

	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, wrong(s, b, 0, s->per, 1));
	close(s->buf);
	for (i = 0; i < FILES; i++)
		close(s->memfd[i]);
	EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
	put(s, b, 0, s->pages, 2);
	EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
	/* The last mapping of all, whose parts go one by one. */
	for (i = 0; i < FILES; i++)
		if (s->file_size[i])
			munmap(s->file[i], s->file_size[i]);
	ASSERT_EQ(SIGSEGV, touch(a, false));
	ASSERT_EQ(0, munmap(b + 3 * s->pg, s->slot));
	EXPECT_EQ(0, wrong(s, b, 0, 3, 2));
	EXPECT_EQ(0, wrong(s, b + (s->per + 3) * s->pg, s->per + 3, s->pages - s->per - 3, 2));
}

/*
 * Large entries and page tables of a page of a buffer that is there twice: what is
 * written to it in one place shows in the other.
 */
TEST_F(hugemap, the_same_pages_twice)
{
	struct scene *s = &self->s;
	size_t at[] = { 0, 5 }, i, page;
	char *first, *second;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_TRUE(clear(s));
		first = map_all(s, s->congruent);
		ASSERT_NE(MAP_FAILED, first);
		second = mmap(s->other + (s->congruent + at[i]) * s->pg, s->pages * s->pg,
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, s->buf, 0);
		ASSERT_NE(MAP_FAILED, second);
		put(s, first, 0, s->pages, 2 + i);
		EXPECT_EQ(0, wrong(s, second, 0, s->pages, 2 + i));
		page = middle_page(s, s->congruent);
		ASSERT_EQ(0, munmap(first + page * s->pg, s->pg));
		EXPECT_EQ(0, wrong(s, second, 0, s->pages, 2 + i));
		EXPECT_EQ(SIGSEGV, touch(first + page * s->pg, false));
	}
}

/* Poison --------------------------------------------------------------------- */

#define KPF_HWPOISON	19
#define KPF_THP		22

/* What the kernel says of the page with the frame number @frame. */
static bool page_flag(uint64_t frame, int flag)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t flags = 0;

	if (fd < 0)
		return false;
	if (pread(fd, &flags, sizeof(flags), frame * sizeof(flags)) != sizeof(flags))
		flags = 0;
	close(fd);
	return flags >> flag & 1;
}

/*
 * The kernel does not use a bad page again once it is given back, unless it is part of
 * a transparent huge page then. A hole makes it a page on its own.
 */
static bool throw_away(struct scene *s, size_t page, uint64_t frame)
{
	int i;

	clear(s);
	close(s->buf);
	/* Who releases the buffer may be late. */
	for (i = 0; i < 20; i++) {
		if (!page_flag(frame, KPF_THP))
			return true;
		fallocate(s->memfd[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * s->pg,
			  s->pg);
		sleep_us(50000);
	}
	return false;
}

/* Which frames the buffer is made of. Its memfds must be touched for that. */
static uint64_t *all_frames(const struct scene *s)
{
	uint64_t *frame = calloc(s->pages, sizeof(*frame));
	size_t page;
	int i;

	for (page = 0; page < s->pages; page++)
		(void)*(volatile char *)in_file(s, page);
	for (i = 0; i < s->pieces; i++)
		frames(s, s->piece[i].bytes, s->piece[i].pages, frame + s->piece[i].first);
	return frame;
}

/*
 * A page with a memory error among those that a large entry would map. Of a huge
 * page of hugetlb no part is good any more; of any other memory, the rest is.
 */
TEST_F(hugemap, own_poisoned_page_in_a_slot)
{
	struct scene *s = &self->s;
	size_t bad = s->per + 5, i, lost = 0, wrong_pages = 0;
	bool hugetlb = variant->layout->files[0] == HUGETLB || s->pieces > 1;
	uint64_t *frame;
	int shifts, status;
	char *page;
	pid_t pid;

	if (s->gigantic)
		SKIP(return, "a page of 1 GiB is too good for that");
	frame = all_frames(s);
	page = in_file(s, bad);
	/* In a child, since it may be killed; it is the only one that has the page mapped. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		touch(page, false);
		_exit(madvise(page, s->pg, MADV_HWPOISON) ? errno : 0);
	}
	for (i = 0; i < FILES; i++)
		if (s->file_size[i])
			munmap(s->file[i], s->file_size[i]);
	status = wait_status(pid);
	if (!page_flag(frame[bad], KPF_HWPOISON) &&
	    !page_flag(frame[bad] / s->per * s->per, KPF_HWPOISON))
		SKIP(return, "MADV_HWPOISON: %s", status > 0 ? strerror(status) : "no effect");
	for (shifts = 0; shifts < SHIFTS; shifts++) {
		char *b;

		ASSERT_TRUE(clear(s));
		b = map_all(s, shift(s, shifts));
		ASSERT_NE(MAP_FAILED, b);
		lost = 0;
		for (i = 0; i < s->pages; i++) {
			bool same = frame[i] / s->per == frame[bad] / s->per;

			if (i == bad || (hugetlb && same)) {
				if (i != bad && i % 64)
					continue;
				lost++;
				EXPECT_EQ(SIGBUS, touch(b + i * s->pg, i & 1));
				EXPECT_EQ(BUS_MCEERR_AR, fault_code);
			} else if (!touch(b + i * s->pg, false)) {
				wrong_pages += wrong(s, b + i * s->pg, i, 1, 1);
			} else {
				wrong_pages++;
			}
		}
		EXPECT_LE(1, lost);
		EXPECT_EQ(0, wrong_pages);
	}
	EXPECT_TRUE(throw_away(s, bad, frame[bad]));
}

/* What it costs ---------------------------------------------------------------- */

#define NEED_LARGE_ENTRIES() do {						\
	if (access(THP_DIR "hpage_pmd_size", F_OK))				\
		SKIP(return, "no large entries in a kernel without huge pages");\
} while (0)

/* Pages that a fault maps at the least, where it needs a page table: that is one of 512 entries. */
#define WINDOW	512

/* Slots of a mapping, and the faults of touching all of it. */
struct slots {
	size_t large, tables, faults;
};

/* Of the mapping of @n pages of @frame, @at pages behind the start of a slot. */
static struct slots count_slots(const struct scene *s, size_t at, const uint64_t *frame, size_t n)
{
	struct slots slots = {};
	size_t start, from, to;

	for (start = at / s->per * s->per; start < at + n; start += s->per) {
		from = start > at ? start : at;
		to = start + s->per < at + n ? start + s->per : at + n;
		if (to - from == s->per && is_large(s, frame + from - at)) {
			slots.large++;
			slots.faults++;
		} else {
			slots.tables++;
			slots.faults += (to + WINDOW - 1) / WINDOW - from / WINDOW;
		}
	}
	return slots;
}

/* Two more are for what is around the end of a page of 1 GiB, one table further up each. */
static long long most_kib(const struct scene *s, struct slots slots)
{
	return (slots.tables + 2 * s->gigantic) * s->pg / 1024;
}

#define SOME_FAULTS	8

/*
 * A fault is for a slot, or for a window of one that is not contiguous memory, aligned.
 * Page tables are for the latter only.
 */
TEST_F(hugemap, own_large_entries_where_they_can_be)
{
	struct scene *s = &self->s;
	uint64_t *frame = all_frames(s);
	size_t first, large = 0;
	int i;

	NEED_LARGE_ENTRIES();
	for (i = 0; i < SHIFTS; i++) {
		for (first = 0; first < s->per; first += s->per / 2 + 1) {
			size_t n = s->pages - first, at = shift(s, i) + first;
			struct slots slots = count_slots(s, at, frame + first, n);
			struct cost cost;
			char *b;

			ASSERT_TRUE(clear(s));
			b = map_pages(s, at, first, n, PROT_READ | PROT_WRITE);
			ASSERT_NE(MAP_FAILED, b);
			cost = cost_of_touching(s, b, n);
			EXPECT_GE(most_kib(s, slots), cost.kib);
			EXPECT_GE(slots.faults + SOME_FAULTS, cost.faults)
				TH_LOG("%zu large entries, %zu tables", slots.large, slots.tables);
			large += slots.large;
		}
	}
	/* There were some, unless this is memory that has none. */
	EXPECT_EQ(variant->layout->files[0] != SMALL || s->pieces > 1, large > 0);
}

/* After mprotect of all, and a move that leaves pages where they are in a slot. */
TEST_F(hugemap, own_large_entries_after_mprotect_and_mremap)
{
	struct scene *s = &self->s;
	struct slots slots = count_slots(s, s->congruent, all_frames(s), s->pages);
	long long most = slots.faults + SOME_FAULTS;
	size_t size = s->pages * s->pg;
	struct cost cost;
	char *b, *to;

	NEED_LARGE_ENTRIES();
	b = map_all(s, s->congruent);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_GE(most, cost_of_touching(s, b, s->pages).faults);
	ASSERT_EQ(0, mprotect(b, size, PROT_READ));
	ASSERT_EQ(0, mprotect(b, size, PROT_READ | PROT_WRITE));
	put(s, b, 0, s->pages, 2);
	to = s->other + s->congruent * s->pg;
	ASSERT_EQ(to, move(s, b, s->pages, to));
	cost = cost_of_touching(s, to, s->pages);
	EXPECT_GE(most_kib(s, slots), cost.kib);
	EXPECT_GE(most, cost.faults);
	EXPECT_EQ(0, wrong(s, to, 0, s->pages, 2));
}

/* The numbers, as somebody would look at them who has one large buffer. */
UDMABUF_FIXTURE(hugemap_64_MiB);

/* A mapping of all of @buf where large entries can be. */
static char *map_aligned(int buf, size_t size, size_t align)
{
	char *hole = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)hole + align - 1) / align * align);

	if (hole == MAP_FAILED)
		return MAP_FAILED;
	return mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, buf, 0);
}

TEST_F(hugemap_64_MiB, own_huge_pages_take_a_fault_each_and_no_page_tables)
{
	struct scene s = { .pg = page_size(), .slot = slot_size() };
	size_t size = 64 * MIB, n = size / s.slot;
	int memfd, buf;
	struct cost cost;
	char *a, *b;

	NEED_LARGE_ENTRIES();
	if (!pool_ready(s.slot, n))
		SKIP(return, "needs %zu free huge pages of %zu KiB", n, s.slot / 1024);
	memfd = memfd_of_huge_pages(s.slot, size);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	fill(a, size, 1);
	b = map_aligned(buf, size, s.slot);
	ASSERT_NE(MAP_FAILED, b);
	cost = cost_of_touching(&s, b, size / s.pg);
	EXPECT_GE(n + SOME_FAULTS, cost.faults);
	EXPECT_GE(3 * s.pg / 1024, cost.kib);
	EXPECT_EQ(size, matches(b, size, 1));
}

TEST_F(hugemap_64_MiB, own_small_pages_take_a_fault_for_many)
{
	struct scene s = { .pg = page_size(), .slot = slot_size() };
	size_t size = 64 * MIB, n = size / s.slot;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	struct cost cost;
	char *b;

	ASSERT_LE(0, buf);
	b = map_aligned(buf, size, s.slot);
	ASSERT_NE(MAP_FAILED, b);
	cost = cost_of_touching(&s, b, size / s.pg);
	EXPECT_GE(size / s.pg / WINDOW + SOME_FAULTS, cost.faults);
	EXPECT_GE((n + 3) * s.pg / 1024, cost.kib);
}

TEST_HARNESS_MAIN
