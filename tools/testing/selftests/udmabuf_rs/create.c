// SPDX-License-Identifier: GPL-2.0
/*
 * create: both ioctls, what they accept and what they answer.
 *
 * Also built for 32-bit callers (create_32). Names that start with C or D and
 * a number prove that row of the project's requirements.
 */
#include "udmabuf_test.h"
#include <linux/sync_file.h>
#include <stddef.h>

#define PAGES	16

UDMABUF_FIXTURE(create);

/*
 * The refusal tests say one thing each and share the rest: the errno, no
 * descriptor more than before, and no page of @memfd still held.
 */
#define EXPECT_REFUSED(err, memfd, attempt) do {			\
	int fds_before_ = count_fds();					\
	int got_ = (attempt);						\
	EXPECT_EQ(-(err), got_);					\
	if (got_ >= 0)							\
		close(got_);						\
	EXPECT_EQ(fds_before_, count_fds());				\
	EXPECT_EQ(0, seal_write(memfd));				\
	close(memfd);							\
} while (0)

static struct udmabuf_create_item item(int memfd, uint64_t offset, uint64_t size)
{
	struct udmabuf_create_item it = {
		.memfd = memfd,
		.offset = offset,
		.size = size,
	};

	return it;
}

TEST_F(create, whole_memfd)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size);
	char *a, *b;
	int buf;

	ASSERT_LE(0, memfd);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	fill(a, size, 1);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(size, matches(b, size, 1));
}

TEST_F(create, range_inside_memfd)
{
	size_t pg = page_size(), size = PAGES * pg;
	int memfd = memfd_new(size);
	char *a, *b;
	int buf;

	ASSERT_LE(0, memfd);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, PAGES, 2);
	buf = create(self->dev, memfd, 3 * pg, 5 * pg);
	ASSERT_LE(0, buf);
	EXPECT_EQ(5 * pg, buf_size(buf));
	b = map_rw(buf, 5 * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(word_at(2, 3 + i), page_tag(b, i));
	*(volatile char *)(b + 4 * pg) = 'x';
	EXPECT_EQ('x', a[7 * pg]);
}

TEST_F(create, last_page_of_memfd)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg);
	int buf = create(self->dev, memfd, (PAGES - 1) * pg, pg);

	ASSERT_LE(0, buf);
	EXPECT_EQ(pg, buf_size(buf));
}

TEST_F(create, pages_not_yet_there_are_made_and_read_zero)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size);
	int buf = create(self->dev, memfd, 0, size);
	struct stat st;
	char *b;

	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(size, zero_up_to(b, size));
	ASSERT_EQ(0, fstat(memfd, &st));
	EXPECT_EQ(size, (size_t)st.st_blocks * 512);
}

TEST_F(create, page_beyond_4_GiB_in_the_file)
{
	uint64_t at = 5 * GIB + page_size();
	int memfd = memfd_new(6 * GIB);
	uint64_t word = 0x1122334455667788ULL;
	int buf;
	uint64_t *b;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(sizeof(word), (size_t)pwrite(memfd, &word, sizeof(word), at));
	buf = create(self->dev, memfd, at, page_size());
	ASSERT_LE(0, buf);
	b = map_rw(buf, page_size());
	ASSERT_NE(MAP_FAILED, (void *)b);
	EXPECT_EQ(word, *b);
}

TEST_F(create, list_of_several_memfds_in_order)
{
	size_t pg = page_size();
	struct udmabuf_create_item items[3];
	char *b;
	int buf, i;

	for (i = 0; i < 3; i++) {
		int memfd = memfd_new(8 * pg);
		char *a;

		ASSERT_LE(0, memfd);
		a = map_rw(memfd, 8 * pg);
		ASSERT_NE(MAP_FAILED, a);
		tag_pages(a, 8, 10 + i);
		items[i] = item(memfd, i * pg, (i + 1) * pg);
	}
	buf = create_list(self->dev, items, 3);
	ASSERT_LE(0, buf);
	ASSERT_EQ(6 * pg, buf_size(buf));
	b = map_rw(buf, 6 * pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(word_at(10, 0), page_tag(b, 0));
	EXPECT_EQ(word_at(11, 1), page_tag(b, 1));
	EXPECT_EQ(word_at(11, 2), page_tag(b, 2));
	EXPECT_EQ(word_at(12, 2), page_tag(b, 3));
	EXPECT_EQ(word_at(12, 4), page_tag(b, 5));
}

TEST_F(create, list_of_one_is_create)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * pg);
	struct udmabuf_create_item it = item(memfd, pg, 2 * pg);
	int buf = create_list(self->dev, &it, 1);

	ASSERT_LE(0, buf);
	EXPECT_EQ(2 * pg, buf_size(buf));
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, same_page_twice_is_one_page_seen_twice)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * pg);
	struct udmabuf_create_item items[] = {
		item(memfd, pg, pg), item(memfd, 0, pg), item(memfd, pg, pg),
	};
	int buf = create_list(self->dev, items, 3);
	char *b;

	ASSERT_LE(0, buf);
	b = map_rw(buf, 3 * pg);
	ASSERT_NE(MAP_FAILED, b);
	b[2 * pg + 5] = 'z';
	EXPECT_EQ('z', *(volatile char *)(b + 5));
	EXPECT_EQ(0, *(volatile char *)(b + pg + 5));
	munmap(b, 3 * pg);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, overlapping_ranges)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct udmabuf_create_item items[] = {
		item(memfd, 0, 4 * pg), item(memfd, 2 * pg, 4 * pg), item(memfd, 0, 8 * pg),
	};
	char *a, *b;
	int buf;

	a = map_rw(memfd, 8 * pg);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, 8, 3);
	munmap(a, 8 * pg);
	buf = create_list(self->dev, items, 3);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 16 * pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(word_at(3, 3), page_tag(b, 3));
	EXPECT_EQ(word_at(3, 2), page_tag(b, 4));
	EXPECT_EQ(word_at(3, 0), page_tag(b, 8));
	EXPECT_EQ(word_at(3, 7), page_tag(b, 15));
	munmap(b, 16 * pg);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, two_buffers_over_the_same_pages)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * pg);
	int one = create(self->dev, memfd, 0, 4 * pg);
	int two = create(self->dev, memfd, pg, 2 * pg);
	char *a, *b;

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	a = map_rw(one, 4 * pg);
	b = map_rw(two, 2 * pg);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	a[2 * pg] = 'q';
	EXPECT_EQ('q', *(volatile char *)(b + pg));
	munmap(a, 4 * pg);
	munmap(b, 2 * pg);
	close(one);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(two);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, hugetlb_whole)
{
	int memfd, buf;
	char *a, *b;

	NEED_HUGE(2);
	memfd = memfd_new_huge(2 * HUGE);
	ASSERT_LE(0, memfd);
	buf = create(self->dev, memfd, 0, 2 * HUGE);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, 2 * HUGE);
	b = map_rw(buf, 2 * HUGE);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(2 * HUGE, zero_up_to(b, 2 * HUGE));
	tag_pages(a, 2 * HUGE / page_size(), 4);
	for (size_t i = 0; i < 2 * HUGE / page_size(); i += 37)
		EXPECT_EQ(word_at(4, i), page_tag(b, i));
}

TEST_F(create, hugetlb_part_at_an_offset_inside_a_huge_page)
{
	size_t pg = page_size(), n = 2 * HUGE / pg;
	int memfd, buf;
	char *a, *b;

	NEED_HUGE(2);
	memfd = memfd_new_huge(2 * HUGE);
	ASSERT_LE(0, memfd);
	a = map_rw(memfd, 2 * HUGE);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, n, 5);
	munmap(a, 2 * HUGE);

	/* Three pages in the middle of the first huge page ... */
	buf = create(self->dev, memfd, 7 * pg, 3 * pg);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 3 * pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(word_at(5, 7), page_tag(b, 0));
	EXPECT_EQ(word_at(5, 9), page_tag(b, 2));
	munmap(b, 3 * pg);
	close(buf);

	/* ... and six across the border of the two. */
	buf = create(self->dev, memfd, HUGE - 2 * pg, 6 * pg);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 6 * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(word_at(5, n / 2 - 2 + i), page_tag(b, i));
	munmap(b, 6 * pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, several_items_on_one_huge_page)
{
	size_t pg = page_size(), last = HUGE / pg - 1;
	struct udmabuf_create_item items[20];
	int memfd, buf, i;
	char *a, *b;

	NEED_HUGE(1);
	memfd = memfd_new_huge(HUGE);
	ASSERT_LE(0, memfd);
	a = map_rw(memfd, HUGE);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, HUGE / pg, 6);
	munmap(a, HUGE);
	/* Neighbours in the list and on the page: runs merge, pins must not. */
	for (i = 0; i < 20; i++)
		items[i] = item(memfd, (i < 10 ? i : last - i) * pg, pg);
	buf = create_list(self->dev, items, 20);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 20 * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(word_at(6, i < 10 ? i : last - i), page_tag(b, i));
	munmap(b, 20 * pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/*
 * Items that start and end anywhere, half of them where the last one ended, so
 * that runs merge inside huge pages and across them. A pin that is lost, or
 * given back twice, shows in the counters and in whether the memfd can be
 * sealed again.
 */
TEST_F(create, items_cut_at_random_give_every_pin_back)
{
	size_t pg = page_size(), in_huge = HUGE / pg;
	struct udmabuf_create_item items[120];
	uint64_t seed = now_us();
	int memfd[2], tries, i;
	size_t pages[2] = { 4 * in_huge, 256 };

	NEED_HUGE(4);
	memfd[0] = memfd_new_huge(4 * HUGE);
	memfd[1] = memfd_new(256 * pg);
	for (i = 0; i < 2; i++) {
		char *a;

		ASSERT_LE(0, memfd[i]);
		a = map_rw(memfd[i], pages[i] * pg);
		ASSERT_NE(MAP_FAILED, a);
		tag_pages(a, pages[i], 7 + i);
		munmap(a, pages[i] * pg);
	}
	TH_LOG("seed %llu", (unsigned long long)seed);
	srand48(seed);

	for (tries = 0; tries < 20; tries++) {
		size_t at[2] = {}, total = 0, page = 0, k;
		long long before = pins_outstanding();
		size_t wrong = 0;
		int buf;
		char *b;

		for (i = 0; i < 120; i++) {
			int which = lrand48() % 8 == 0;
			size_t start = at[which], length;

			if (start == pages[which] || lrand48() % 2)
				start = lrand48() % pages[which];
			length = 1 + lrand48() % (lrand48() % 4 ? 20 : in_huge + 20);
			if (length > pages[which] - start)
				length = pages[which] - start;
			items[i] = item(memfd[which], start * pg, length * pg);
			at[which] = start + length;
			total += length;
		}
		buf = create_list(self->dev, items, 120);
		ASSERT_LE(0, buf);
		b = map_rw(buf, total * pg);
		ASSERT_NE(MAP_FAILED, b);
		for (i = 0; i < 120; i++) {
			int which = items[i].memfd == (uint32_t)memfd[1];

			for (k = 0; k < items[i].size / pg; k++, page++)
				wrong += word_at(7 + which, items[i].offset / pg + k) !=
					 page_tag(b, page);
		}
		EXPECT_EQ(0, wrong);
		munmap(b, total * pg);
		EXPECT_EQ(-EBUSY, seal_write(memfd[0]));
		close(buf);
		EXPECT_EQ(before, pins_outstanding());
	}
	EXPECT_EQ(0, seal_write_soon(memfd[0]));
	EXPECT_EQ(0, seal_write_soon(memfd[1]));
}

/*
 * Adjacent items of one descriptor are merged before pinning. Those of two
 * descriptors of the same memfd are not: each item pins the folio once more.
 */
TEST_F(create, adjacent_items_of_two_descriptors_give_every_pin_back)
{
	size_t pg = page_size();
	struct udmabuf_create_item items[32];
	long long before;
	int memfd, other, buf, i;
	char *a, *b;

	NEED_HUGE(1);
	memfd = memfd_new_huge(HUGE);
	other = dup(memfd);
	ASSERT_LE(0, other);
	a = map_rw(memfd, HUGE);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, HUGE / pg, 9);
	munmap(a, HUGE);
	before = pins_outstanding();
	for (i = 0; i < 32; i++)
		items[i] = item(i & 1 ? other : memfd, (3 + 2 * i) * pg, 2 * pg);
	buf = create_list(self->dev, items, 32);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 64 * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < 64; i++)
		EXPECT_EQ(word_at(9, 3 + i), page_tag(b, i));
	munmap(b, 64 * pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(before, pins_outstanding());
}

#define MEMFDS	20

/* More than the driver remembers the descriptors of. */
TEST_F(create, many_memfds_in_turn)
{
	size_t pg = page_size();
	struct udmabuf_create_item items[MEMFDS * PAGES / 2];
	int memfds[MEMFDS], count = MEMFDS * PAGES / 2, buf, i;
	char *a, *b;

	for (i = 0; i < MEMFDS; i++) {
		memfds[i] = memfd_new(PAGES * pg);
		ASSERT_LE(0, memfds[i]);
		a = map_rw(memfds[i], PAGES * pg);
		ASSERT_NE(MAP_FAILED, a);
		tag_pages(a, PAGES, i);
		munmap(a, PAGES * pg);
	}
	/* Every other page, so that none goes on where another ends. */
	for (i = 0; i < count; i++)
		items[i] = item(memfds[i % MEMFDS], i / MEMFDS * 2 * pg, pg);
	buf = create_list(self->dev, items, count);
	ASSERT_LE(0, buf);
	b = map_rw(buf, count * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < count; i++)
		EXPECT_EQ(word_at(i % MEMFDS, i / MEMFDS * 2), page_tag(b, i));
	munmap(b, count * pg);
	close(buf);
	for (i = 0; i < MEMFDS; i++) {
		EXPECT_EQ(0, seal_write_soon(memfds[i]));
		close(memfds[i]);
	}
}

#define TURNS	500

/* Makes buffers of pages of @first and @second in turn until @until; exits with an errno. */
static void take_turns(int dev, int first, int second, uint64_t until)
{
	static struct udmabuf_create_item items[2 * TURNS];
	int buf;

	for (int i = 0; i < 2 * TURNS; i++)
		items[i] = item(i & 1 ? second : first, i / 2 * 2 * page_size(), page_size());
	do {
		buf = create_list(dev, items, 2 * TURNS);
		if (buf < 0)
			_exit(-buf);
		close(buf);
	} while (now_us() < until);
	_exit(0);
}

/* Takes the inode lock for writing, over and over. */
static void grow(int memfd, uint64_t size, uint64_t until)
{
	do {
		size += page_size();
		if (ftruncate(memfd, size))
			_exit(errno);
	} while (now_us() < until);
	_exit(0);
}

/* Two locks that are held at a time must not be waited for in any order. */
TEST_F_TIMEOUT(create, two_memfds_in_turn_both_ways_while_both_grow, 60)
{
	uint64_t size = 2 * TURNS * page_size(), until;
	int a = memfd_new(size), b = memfd_new(size), i;
	pid_t pid[6];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	until = now_us() + 3000000;
	for (i = 0; i < 6; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		if (i < 4)
			take_turns(self->dev, i & 1 ? a : b, i & 1 ? b : a, until);
		grow(i & 1 ? a : b, size, until);
	}
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, wait_status(pid[i]));
	EXPECT_EQ(0, seal_write_soon(a));
	EXPECT_EQ(0, seal_write_soon(b));
	close(a);
	close(b);
}

/* The most bytes that are pinned at a time: the second window begins inside a huge page. */
#define WINDOW	(124 * MIB)

TEST_F(create, hugetlb_over_124_MiB_from_inside_a_huge_page)
{
	size_t pg = page_size(), from = 5 * pg, size = WINDOW + 2 * MIB;
	long long before;
	int memfd, buf;
	char *a, *b;

	NEED_HUGE(64);
	memfd = memfd_new_huge(64 * HUGE);
	ASSERT_LE(0, memfd);
	before = pins_outstanding();
	buf = create(self->dev, memfd, from, size);
	ASSERT_LE(0, buf);
	/* On both sides of the border between the windows. */
	a = map_rw(memfd, 64 * HUGE);
	ASSERT_NE(MAP_FAILED, a);
	a[from + WINDOW - pg] = 'l';
	a[from + WINDOW] = 'r';
	munmap(a, 64 * HUGE);
	b = map_at(buf, WINDOW - pg, 2 * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ('l', b[0]);
	EXPECT_EQ('r', b[pg]);
	munmap(b, 2 * pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(before, pins_outstanding());
	close(memfd);
}

TEST_F(create, shmem_and_hugetlb_in_one_list)
{
	size_t pg = page_size();
	int small = memfd_new(4 * pg), big;
	struct udmabuf_create_item items[3];
	char *b;
	int buf;

	NEED_HUGE(1);
	big = memfd_new_huge(HUGE);
	ASSERT_LE(0, big);
	ASSERT_EQ(1, pwrite(small, "a", 1, pg));
	ASSERT_EQ(1, pwrite(small, "c", 1, 3 * pg));
	b = map_rw(big, HUGE);
	ASSERT_NE(MAP_FAILED, b);
	b[9 * pg] = 'b';
	munmap(b, HUGE);
	items[0] = item(small, pg, pg);
	items[1] = item(big, 9 * pg, 2 * pg);
	items[2] = item(small, 3 * pg, pg);
	buf = create_list(self->dev, items, 3);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 4 * pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ('a', b[0]);
	EXPECT_EQ('b', b[pg]);
	EXPECT_EQ('c', b[3 * pg]);
}

TEST_F(create, D3_size_by_fstat_and_lseek)
{
	size_t size = 3 * page_size();
	int memfd = memfd_new(size);
	int buf = create(self->dev, memfd, 0, size);

	ASSERT_LE(0, buf);
	EXPECT_EQ(size, buf_size(buf));
	EXPECT_EQ((off_t)size, lseek(buf, 0, SEEK_END));
	EXPECT_EQ(0, lseek(buf, 0, SEEK_SET));
	EXPECT_EQ(-1, lseek(buf, 1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(buf, -1, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(buf, 0, SEEK_CUR));
	EXPECT_EQ(EINVAL, errno);
	/* The size never changes, whatever becomes of the memfd. */
	ASSERT_EQ(0, ftruncate(memfd, 2 * size));
	EXPECT_EQ(size, buf_size(buf));
	EXPECT_EQ(-1, ftruncate(buf, 2 * size));
}

TEST_F(create, cloexec_as_asked)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg);
	struct udmabuf_create_item it = item(memfd, 0, pg);

	EXPECT_EQ(FD_CLOEXEC, fcntl(create_flags(self->dev, memfd, 0, pg, 1), F_GETFD));
	EXPECT_EQ(0, fcntl(create_flags(self->dev, memfd, 0, pg, 0), F_GETFD));
	EXPECT_EQ(FD_CLOEXEC, fcntl(create_list_raw(self->dev, &it, 1, 1, 1), F_GETFD));
	EXPECT_EQ(0, fcntl(create_list_raw(self->dev, &it, 1, 1, 0), F_GETFD));
}

TEST_F(create, unknown_flag_bits_are_ignored)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg);
	struct udmabuf_create_item it = item(memfd, 0, pg);
	int bit;

	/* A Go client passes O_CLOEXEC, 0x80000. Bit 0 alone has a meaning. */
	for (bit = 1; bit < 32; bit++) {
		int one = create_flags(self->dev, memfd, 0, pg, 1U << bit);
		int two = create_list_raw(self->dev, &it, 1, 1, 1U << bit);

		EXPECT_LE(0, one);
		EXPECT_LE(0, two);
		EXPECT_EQ(0, fcntl(one, F_GETFD));
		EXPECT_EQ(0, fcntl(two, F_GETFD));
		close(one);
		close(two);
	}
	EXPECT_EQ(FD_CLOEXEC, fcntl(create_flags(self->dev, memfd, 0, pg, ~0U), F_GETFD));
}

TEST_F(create, pad_of_an_item_is_ignored)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg);
	struct udmabuf_create_item it = item(memfd, 0, pg);

	it.__pad = 0xdeadbeef;
	EXPECT_LE(0, create_list(self->dev, &it, 1));
}

TEST_F(create, item_in_place_of_create)
{
	/* Kodi does so: the layouts are the same and __pad is then the flags. */
	size_t pg = page_size();
	struct udmabuf_create_item it = item(memfd_new(pg), 0, pg);
	int buf = ioctl(self->dev, UDMABUF_CREATE, &it);

	ASSERT_EQ(sizeof(struct udmabuf_create), sizeof(it));
	ASSERT_LE(0, buf);
	EXPECT_EQ(0, fcntl(buf, F_GETFD));
	EXPECT_EQ(pg, buf_size(buf));
}

TEST_F(create, layout_of_the_contract)
{
	EXPECT_EQ(24, sizeof(struct udmabuf_create));
	EXPECT_EQ(24, sizeof(struct udmabuf_create_item));
	EXPECT_EQ(8, sizeof(struct udmabuf_create_list));
	EXPECT_EQ(8, offsetof(struct udmabuf_create, offset));
	EXPECT_EQ(16, offsetof(struct udmabuf_create_item, size));
	EXPECT_EQ(0x40187542, UDMABUF_CREATE);
	EXPECT_EQ(0x40087543, UDMABUF_CREATE_LIST);
}

TEST_F(create, node_opened_read_only_makes_writable_buffers)
{
	int dev = open(node_path(), O_RDONLY | O_CLOEXEC);
	size_t pg = page_size();
	int memfd = memfd_new(pg), buf;
	char *b, byte = 0;

	ASSERT_LE(0, dev);
	buf = create(dev, memfd, 0, pg);
	ASSERT_LE(0, buf);
	EXPECT_EQ(O_RDWR, fcntl(buf, F_GETFL) & O_ACCMODE);
	b = map_rw(buf, pg);
	ASSERT_NE(MAP_FAILED, b);
	b[9] = 'w';
	EXPECT_EQ(1, pread(memfd, &byte, 1, 9));
	EXPECT_EQ('w', byte);
}

TEST_F(create, node_opened_write_only)
{
	int dev = open(node_path(), O_WRONLY | O_CLOEXEC);
	size_t pg = page_size();

	ASSERT_LE(0, dev);
	EXPECT_LE(0, create(dev, memfd_new(pg), 0, pg));
}

TEST_F(create, exporter_is_called_udmabuf)
{
	size_t pg = page_size();
	int buf = create(self->dev, memfd_new(pg), 0, pg);
	char path[64], text[1024];

	ASSERT_LE(0, buf);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", buf);
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "exp_name:\tudmabuf\n"));
	EXPECT_EQ((long long)pg, read_key(path, "size"));
	EXPECT_EQ(1, read_key(path, "count"));
}

TEST_F(create, name_can_be_set)
{
	size_t pg = page_size();
	int buf = create(self->dev, memfd_new(pg), 0, pg);
	char path[64], text[1024];

	ASSERT_LE(0, buf);
	EXPECT_EQ(0, ioctl(buf, DMA_BUF_SET_NAME_B, "camera"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", buf);
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "name:\tcamera\n"));
}

TEST_F(create, sync_file_out_and_in)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_WRITE };
	struct sync_file_info info = {};
	size_t pg = page_size();
	int buf = create(self->dev, memfd_new(pg), 0, pg);

	ASSERT_LE(0, buf);
	if (ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out)) {
		ASSERT_EQ(ENOTTY, errno);
		SKIP(return, "no sync files in this kernel (CONFIG_SYNC_FILE)");
	}
	ASSERT_LE(0, out.fd);
	ASSERT_EQ(0, ioctl(out.fd, SYNC_IOC_FILE_INFO, &info));
	/* No fence is pending on a new buffer. */
	EXPECT_EQ(1, info.status);
	in.fd = out.fd;
	EXPECT_EQ(0, ioctl(buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	out.flags = 0;
	EXPECT_EQ(-1, ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(create, other_ioctls_are_ENOTTY)
{
	char arg[64] = {};
	static const unsigned long others[] = {
		_IOW('u', 0x41, struct udmabuf_create),
		_IOW('u', 0x42, __u32),
		_IOWR('u', 0x42, struct udmabuf_create),
		_IOW('v', 0x42, struct udmabuf_create),
		_IO('u', 0x42),
		DMA_BUF_IOCTL_SYNC,
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		errno = 0;
		EXPECT_EQ(-1, ioctl(self->dev, others[i], arg));
		EXPECT_EQ(ENOTTY, errno);
	}
}

TEST_F(create, node_has_no_other_operation)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->dev, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->dev, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-ENODEV, map_error(self->dev, 0, page_size(), PROT_READ, MAP_SHARED));
}

TEST_F(create, EFAULT_for_a_bad_pointer)
{
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE_LIST, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE, (void *)-8L));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(create, EFAULT_for_an_argument_that_ends_in_a_gap)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg), err;
	char *end = end_of_memory(1);
	struct udmabuf_create c = { .memfd = memfd, .size = pg };

	ASSERT_NE(NULL, end);
	/* Ends exactly at the border: fine. Sixteen bytes later: not. */
	memcpy(end - sizeof(c), &c, sizeof(c));
	err = ioctl(self->dev, UDMABUF_CREATE, end - sizeof(c));
	EXPECT_LE(0, err);
	close(err);
	memcpy(end - 8, &c, 8);
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE, end - 8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, EFAULT_for_a_list_that_ends_in_a_gap)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * pg), i, buf;
	char *end = end_of_memory(1);
	struct udmabuf_create_list *head;

	ASSERT_NE(NULL, end);
	head = (void *)(end - sizeof(*head) - 2 * sizeof(head->list[0]));
	head->flags = 0;
	for (i = 0; i < 2; i++)
		head->list[i] = item(memfd, i * pg, pg);
	head->count = 2;
	buf = ioctl(self->dev, UDMABUF_CREATE_LIST, head);
	EXPECT_LE(0, buf);
	close(buf);
	for (head->count = 3; head->count < 400; head->count += 99) {
		EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE_LIST, head));
		EXPECT_EQ(EFAULT, errno);
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create, unaligned_offset_or_size)
{
	size_t pg = page_size();
	static const long off[] = { 1, 512, 2048, 4095, 4097 };
	int memfd;

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		memfd = memfd_new(8 * pg);
		EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, off[i], pg));
		memfd = memfd_new(8 * pg);
		EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, off[i]));
	}
}

TEST_F(create, unaligned_item_behind_good_ones)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct udmabuf_create_item items[] = {
		item(memfd, 0, pg), item(memfd, pg, pg), item(memfd, 2 * pg, 100),
	};

	EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 3));
}

TEST_F(create, zero_size)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);

	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, 0));
}

TEST_F(create, zero_count)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct udmabuf_create_item it = item(memfd, 0, pg);

	EXPECT_REFUSED(EINVAL, memfd, create_list_raw(self->dev, &it, 1, 0, 0));
}

TEST_F(create, all_sizes_zero)
{
	int memfd = memfd_new(page_size());
	struct udmabuf_create_item items[] = { item(memfd, 0, 0), item(memfd, 0, 0) };

	EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 2));
}

TEST_F(create, zero_size_item_among_others)
{
	size_t pg = page_size();
	int at;

	for (at = 0; at < 3; at++) {
		int memfd = memfd_new(8 * pg);
		struct udmabuf_create_item items[] = {
			item(memfd, 0, pg), item(memfd, pg, pg), item(memfd, 2 * pg, pg),
		};

		items[at].size = 0;
		EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 3));
	}
}

TEST_F(create, zero_size_item_among_others_at_an_offset)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct udmabuf_create_item items[] = {
		item(memfd, 0, pg), item(memfd, 4 * pg, 0),
	};

	EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 2));
}

TEST_F(create, offset_plus_size_overflows)
{
	size_t pg = page_size();
	static const struct { uint64_t offset, size; } bad[] = {
		{ 0xfffffffffffff000ULL, 0x1000 },
		{ 0xfffffffffffff000ULL, 0x2000 },
		{ 0x7ffffffffffff000ULL, 0x1000 },
		{ 0x7ffffffffffff000ULL, 0x2000 },
		{ 0x8000000000000000ULL, 0x1000 },
		{ 0x1000, 0xfffffffffffff000ULL },
		{ 0, 0xfffffffffffff000ULL },
		{ 0, 0x8000000000000000ULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int memfd = memfd_new(8 * pg);

		EXPECT_REFUSED(EINVAL, memfd,
			       create(self->dev, memfd, bad[i].offset, bad[i].size));
	}
}

TEST_F(create, sizes_of_a_list_overflow)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg), i;
	struct udmabuf_create_item items[18];

	/* 16 of them add up to 2^64 exactly, the last two are a good start. */
	items[0] = item(memfd, 0, pg);
	items[17] = item(memfd, pg, pg);
	for (i = 1; i < 17; i++)
		items[i] = item(memfd, 0, 1ULL << 60);
	EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 18));
}

TEST_F(create, beyond_the_end_of_the_memfd)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);

	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, 9 * pg));
	memfd = memfd_new(8 * pg);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 8 * pg, pg));
	memfd = memfd_new(8 * pg);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 7 * pg, 2 * pg));
	memfd = memfd_new(0);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, pg));
	/* The last page is there only in part: the range ends past the end. */
	memfd = memfd_new(pg + 100);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, 2 * pg));
}

TEST_F(create, nothing_is_allocated_when_beyond_the_end)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct stat st;

	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 0, 9 * pg));
	ASSERT_EQ(0, fstat(memfd, &st));
	EXPECT_EQ(0, st.st_blocks);
}

TEST_F(create, bad_item_behind_good_ones_unpins_them)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct udmabuf_create_item items[] = {
		item(memfd, 0, 4 * pg), item(memfd, 4 * pg, 4 * pg), item(memfd, 8 * pg, pg),
	};

	EXPECT_REFUSED(EINVAL, memfd, create_list(self->dev, items, 3));
	memfd = memfd_new(8 * pg);
	items[0].memfd = memfd;
	items[1].memfd = memfd;
	items[2] = item(-1, 0, pg);
	EXPECT_REFUSED(EBADFD, memfd, create_list(self->dev, items, 3));
}

TEST_F(create, EBADFD_for_what_is_no_memfd)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg);
	int closed = memfd_new(pg);
	int pipefd[2], fd;

	EXPECT_EQ(-EBADFD, create(self->dev, -1, 0, pg));
	EXPECT_EQ(-EBADFD, create(self->dev, INT_MAX, 0, pg));
	close(closed);
	EXPECT_EQ(-EBADFD, create(self->dev, closed, 0, pg));

	ASSERT_EQ(0, pipe2(pipefd, O_CLOEXEC));
	EXPECT_EQ(-EBADFD, create(self->dev, pipefd[0], 0, pg));
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	EXPECT_EQ(-EBADFD, create(self->dev, fd, 0, pg));
	close(fd);
	/* Not a file of the root, which is tmpfs itself in a small machine. */
	fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-EBADFD, create(self->dev, fd, 0, pg));
	close(fd);
	fd = fd_reopen(memfd, O_PATH);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADFD, create(self->dev, fd, 0, pg));
	close(fd);
	EXPECT_EQ(-EBADFD, create(self->dev, self->dev, 0, pg));
	fd = create(self->dev, memfd, 0, pg);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADFD, create(self->dev, fd, 0, pg));
}

TEST_F(create, alignment_limits_and_total_come_before_the_descriptor)
{
	/* The order in which upstream looks at things that are wrong at once. */
	size_t pg = page_size();
	struct udmabuf_create_item items[2];
	int memfd = memfd_new(pg);

	EXPECT_EQ(-EINVAL, create(self->dev, -1, 1, pg));
	EXPECT_EQ(-EINVAL, create(self->dev, -1, 0, 1));
	EXPECT_EQ(-EINVAL, create(self->dev, -1, 0, 0));
	items[0] = item(-1, 0, pg);
	items[1] = item(memfd, 0, pg + 1);
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
	/* Items are looked at in their order. */
	items[0] = item(-1, 0, pg);
	items[1] = item(memfd, 8 * pg, pg);
	EXPECT_EQ(-EBADFD, create_list(self->dev, items, 2));
	items[0] = item(memfd, 8 * pg, pg);
	items[1] = item(-1, 0, pg);
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
}

TEST_F(create, C11_bad_fd_before_any_allocation)
{
	EXPECT_EQ(-EBADFD, create(self->dev, -1, 0, 1ULL << 40));
	/* A WARN in the kernel log, too, fails this test (see the fixture). */
}

TEST_F(create, C11_range_before_any_allocation)
{
	int memfd = memfd_new(page_size());

	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, 1ULL << 40));
}

TEST_F(create, C11_every_item_is_looked_at_before_one_is_pinned)
{
	int memfd = memfd_new(16 * MIB);
	struct udmabuf_create_item items[] = {
		item(memfd, 0, 16 * MIB), item(-1, 0, page_size()),
	};
	struct stat st;

	EXPECT_EQ(-EBADFD, create_list(self->dev, items, 2));
	ASSERT_EQ(0, fstat(memfd, &st));
	EXPECT_EQ(0, st.st_blocks);
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(create, EMFILE_leaves_nothing_behind)
{
	size_t pg = page_size();
	int memfd = memfd_new(8 * pg);
	struct rlimit old, none;
	int fds = count_fds();
	long long pins;
	int i, err = 0;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	/* Descriptors are handed out from the lowest: fill up to the next one. */
	none.rlim_cur = dup(memfd);
	close(none.rlim_cur);
	pins = pins_outstanding();
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
		err = create(self->dev, memfd, 0, 8 * pg);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
		EXPECT_EQ(-EMFILE, err);
		if (err >= 0)
			close(err);
	}
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(pins, pins_outstanding());
}

/* Tries to create @n buffers without privileges. Returns the number of ENFILE answers. */
static int refused_with_ENFILE(int dev, int memfd, uint64_t size, int n)
{
	pid_t pid = fork();
	int i, refused = 0;

	if (pid)
		return pid < 0 ? -errno : wait_status(pid);
	if (setresuid(65534, 65534, 65534))
		_exit(101);
	for (i = 0; i < n; i++)
		refused += create(dev, memfd, 0, size) == -ENFILE;
	_exit(refused);
}

/* Exporting fails after the pages have been pinned. */
TEST_F(create, ENFILE_leaves_nothing_behind)
{
	static const char limit[] = "/proc/sys/fs/file-max";
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), refused;
	long long pins = pins_outstanding();
	char before[64];

	ASSERT_LT(0, read_text(limit, before, sizeof(before)));
	ASSERT_EQ(0, write_text(limit, "1"));
	refused = refused_with_ENFILE(self->dev, memfd, size, 20);
	ASSERT_EQ(0, write_text(limit, before));
	EXPECT_EQ(20, refused);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(pins, pins_outstanding());
}

TEST_F(create, hugetlb_beyond_its_end_or_unaligned)
{
	int memfd;

	NEED_HUGE(1);
	memfd = memfd_new_huge(HUGE);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 0, HUGE + page_size()));
	memfd = memfd_new_huge(HUGE);
	EXPECT_REFUSED(EINVAL, memfd, create(self->dev, memfd, 100, HUGE / 2));
}

TEST_F(create, hugetlb_pool_runs_dry)
{
	struct udmabuf_create_item items[2];
	int memfd, shm = memfd_new(4 * page_size());
	long long nr = read_number(HUGE_DIR "free_hugepages");
	int buf;

	if (nr < 0)
		SKIP(return, "no 2 MiB huge pages in this kernel");
	memfd = memfd_new_huge((nr + 1) * HUGE);
	ASSERT_LE(0, memfd);
	items[0] = item(shm, 0, 4 * page_size());
	items[1] = item(memfd, 0, (nr + 1) * HUGE);
	buf = create_list(self->dev, items, 2);
	EXPECT_EQ(-ENOMEM, buf);
	EXPECT_EQ(0, seal_write_soon(shm));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

struct flipper {
	struct udmabuf_create_list *list;
	int memfd, other;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	volatile struct udmabuf_create_list *list = f->list;
	size_t pg = page_size();
	unsigned int i = 0;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		list->count = i & 1 ? 64 : 2;
		list->list[1].size = i & 2 ? pg : 2 * pg;
		list->list[1].offset = i & 4 ? 0 : 1ULL << 62;
		list->list[0].memfd = i & 8 ? f->memfd : -1;
		i++;
	}
	return NULL;
}

TEST_F(create, list_changed_while_it_is_read)
{
	size_t pg = page_size();
	int memfd = memfd_new(64 * pg), i, made = 0, refused = 0;
	struct flipper f = { .memfd = memfd };
	uint64_t until = now_us() + 1500000;
	pthread_t thread;

	f.list = calloc(1, sizeof(*f.list) + 64 * sizeof(f.list->list[0]));
	ASSERT_NE(NULL, f.list);
	for (i = 0; i < 64; i++)
		f.list->list[i] = item(memfd, i * pg % (32 * pg), pg);
	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, &f));
	while (now_us() < until) {
		int buf = ioctl(self->dev, UDMABUF_CREATE_LIST, f.list);
		uint64_t size, j;
		char *b;

		if (buf < 0) {
			EXPECT_TRUE(errno == EINVAL || errno == EBADFD);
			refused++;
			continue;
		}
		made++;
		size = buf_size(buf);
		/* Whatever was read, it was read once and is whole. */
		EXPECT_TRUE(size == 2 * pg || size == 3 * pg ||
			    size == 64 * pg || size == 65 * pg);
		b = map_rw(buf, size);
		ASSERT_NE(MAP_FAILED, b);
		for (j = 0; j < size; j += pg)
			*(volatile char *)(b + j) = 1;
		munmap(b, size);
		close(buf);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, made);
	EXPECT_LT(0, refused);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
