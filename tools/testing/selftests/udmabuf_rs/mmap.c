// SPDX-License-Identifier: GPL-2.0
/*
 * mmap: mappings of a buffer and what touching, changing and peeking at them
 * does.
 */
#include "udmabuf_test.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

#define PAGES	16

UDMABUF_FIXTURE(mmap);

/* A buffer over all of a new memfd of @size bytes. */
static int buffer(int dev, size_t size, int *memfd)
{
	*memfd = memfd_new(size);
	return create(dev, *memfd, 0, size);
}

TEST_F(mmap, D3_both_directions_same_bytes)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	fill(a, size, 1);
	EXPECT_EQ(size, matches(b, size, 1));
	fill(b, size, 2);
	EXPECT_EQ(size, matches(a, size, 2));
}

TEST_F(mmap, D3_mmap_beyond_end_refused)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 4 * pg, &memfd);
	int prot = PROT_READ | PROT_WRITE;

	ASSERT_LE(0, buf);
	/* The memfd being larger makes no difference. */
	ASSERT_EQ(0, ftruncate(memfd, 64 * pg));
	EXPECT_EQ(0, map_error(buf, 0, 4 * pg, prot, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_error(buf, 0, 5 * pg, prot, MAP_SHARED));
	EXPECT_EQ(0, map_error(buf, 3 * pg, pg, prot, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_error(buf, 3 * pg, 2 * pg, prot, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_error(buf, 4 * pg, pg, prot, MAP_SHARED));
	EXPECT_EQ(-EINVAL, map_error(buf, 1ULL << 40, pg, prot, MAP_SHARED));
	EXPECT_GT(0, map_error(buf, 0x7ffffffffffff000ULL, pg, prot, MAP_SHARED));
}

TEST_F(mmap, private_mapping_is_refused)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 4 * pg, &memfd);

	ASSERT_LE(0, buf);
	EXPECT_EQ(-EINVAL, map_error(buf, 0, pg, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_error(buf, 0, pg, PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(-EINVAL, map_error(buf, 0, pg, PROT_NONE, MAP_PRIVATE));
}

TEST_F(mmap, D4_writable_mapping_of_a_buffer)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, pg, &memfd);
	char *b, byte = 0;

	ASSERT_LE(0, buf);
	EXPECT_EQ(O_RDWR, fcntl(buf, F_GETFL) & O_ACCMODE);
	b = map_rw(buf, pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_W));
	b[17] = 'k';
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_W));
	EXPECT_EQ(1, pread(memfd, &byte, 1, 17));
	EXPECT_EQ('k', byte);
}

TEST_F(mmap, partial_mappings_at_odd_pages)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 33 * pg, &memfd);
	char *a = map_rw(memfd, 33 * pg);
	size_t first, n;

	ASSERT_LE(0, buf);
	tag_pages(a, 33, 3);
	for (first = 1; first < 33; first += 3) {
		for (n = 1; first + n <= 33; n += 5) {
			char *b = map_at(buf, first * pg, n * pg, PROT_READ);

			ASSERT_NE(MAP_FAILED, b);
			/* Last page first: faults come in any order. */
			EXPECT_EQ(word_at(3, first + n - 1), page_tag(b, n - 1));
			EXPECT_EQ(word_at(3, first), page_tag(b, 0));
			munmap(b, n * pg);
		}
	}
}

TEST_F(mmap, mapping_over_a_list_at_odd_pages)
{
	size_t pg = page_size();
	int memfd = memfd_new(64 * pg), buf, i;
	struct udmabuf_create_item items[32];
	char *a = map_rw(memfd, 64 * pg), *b;

	tag_pages(a, 64, 4);
	for (i = 0; i < 32; i++) {
		items[i] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = (63 - 2 * i) * pg, .size = pg,
		};
	}
	buf = create_list(self->dev, items, 32);
	ASSERT_LE(0, buf);
	b = map_at(buf, 5 * pg, 20 * pg, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 19; i >= 0; i--)
		EXPECT_EQ(word_at(4, 63 - 2 * (5 + i)), page_tag(b, i));
}

TEST_F(mmap, read_only_mapping_cannot_be_written)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 2 * pg, &memfd);
	char *b = map_at(buf, 0, 2 * pg, PROT_READ);

	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, touch(b, false));
	EXPECT_EQ(SIGSEGV, touch(b, true));
	EXPECT_EQ(SIGSEGV, touch(b + pg, true));
	/* Until asked otherwise: the buffer was opened for writing. */
	ASSERT_EQ(0, mprotect(b, 2 * pg, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, touch(b, true));
	EXPECT_EQ(0, touch(b + pg, true));
	EXPECT_EQ('w', b[0]);
	ASSERT_EQ(0, mprotect(b, pg, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(b, true));
	EXPECT_EQ(0, touch(b + pg, true));
	ASSERT_EQ(0, mprotect(b, 2 * pg, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(b, false));
	ASSERT_EQ(0, mprotect(b, 2 * pg, PROT_READ));
	EXPECT_EQ('w', b[pg]);
}

TEST_F(mmap, mremap_cannot_grow_but_shrink_and_move)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 8 * pg, &memfd);
	char *b, *c;

	ASSERT_LE(0, buf);
	b = map_rw(buf, 4 * pg);
	ASSERT_NE(MAP_FAILED, b);
	tag_pages(b, 4, 5);
	EXPECT_EQ(MAP_FAILED, mremap(b, 4 * pg, 8 * pg, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(b, 4 * pg, 1024 * pg, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);

	c = mmap(NULL, 4 * pg, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(c, mremap(b, 4 * pg, 4 * pg, MREMAP_MAYMOVE | MREMAP_FIXED, c));
	EXPECT_EQ(word_at(5, 0), page_tag(c, 0));
	EXPECT_EQ(word_at(5, 3), page_tag(c, 3));
	EXPECT_EQ(SIGSEGV, touch(b, false));
	ASSERT_EQ(c, mremap(c, 4 * pg, 2 * pg, 0));
	EXPECT_EQ(word_at(5, 1), page_tag(c, 1));
	EXPECT_EQ(SIGSEGV, touch(c + 2 * pg, false));
	munmap(c, 2 * pg);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* A mapping that could grow gave its faults pages from behind the array of pages. */
TEST_F(mmap, CVE_2023_2008_no_fault_beyond_the_end)
{
	static const struct { size_t old, new; int flags; } ways[] = {
		{ 4, 5, 0 }, { 4, 5, MREMAP_MAYMOVE }, { 4, 600, MREMAP_MAYMOVE },
		{ 1, 600, MREMAP_MAYMOVE }, { 0, 5, MREMAP_MAYMOVE }, { 0, 600, MREMAP_MAYMOVE },
		{ 4, 5, MREMAP_MAYMOVE | MREMAP_DONTUNMAP },
	};
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 4 * pg, &memfd);
	char *area, *b;

	ASSERT_LE(0, buf);
	/* The memfd has pages there, and the address space has room. */
	ASSERT_EQ(0, ftruncate(memfd, 1024 * pg));
	area = mmap(NULL, 1024 * pg, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, munmap(area, 1024 * pg));
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		b = mmap(area, 4 * pg, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, buf, 0);
		ASSERT_EQ(area, b);
		EXPECT_EQ(MAP_FAILED, mremap(b, ways[i].old * pg, ways[i].new * pg, ways[i].flags))
			TH_LOG("mremap %zu", i);
		EXPECT_EQ(SIGSEGV, touch(b + 4 * pg, true));
		EXPECT_EQ(0, touch(b + 3 * pg, true));
		munmap(b, 4 * pg);
	}
	/* Which maps pages 3 and 4, 4, or 2 and 3 in place of the first. */
	for (size_t i = 0; i < 3; i++) {
		static const size_t pages[] = { 3, 4, 2 }, counts[] = { 2, 1, 2 };
		size_t page = pages[i], count = counts[i];

		b = mmap(area, 4 * pg, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, buf, 0);
		ASSERT_EQ(area, b);
		tag_pages(b, 4, 6);
		EXPECT_EQ(page + count > 4 ? -1 : 0,
			  syscall(SYS_remap_file_pages, b, count * pg, 0, page, 0));
		if (page + count <= 4)
			EXPECT_EQ(word_at(6, page), page_tag(b, 0));
		EXPECT_EQ(SIGSEGV, touch(b + 4 * pg, false));
		munmap(b, 4 * pg);
	}
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(mmap, moved_before_it_was_touched)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 8 * pg, &memfd);
	char *a = map_rw(memfd, 8 * pg), *b, *c;

	tag_pages(a, 8, 6);
	b = map_at(buf, pg, 7 * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	/* From its middle, so that page offsets and addresses part ways. */
	c = mmap(NULL, 3 * pg, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(c, mremap(b + 2 * pg, 3 * pg, 3 * pg, MREMAP_MAYMOVE | MREMAP_FIXED, c));
	EXPECT_EQ(word_at(6, 3), page_tag(c, 0));
	EXPECT_EQ(word_at(6, 5), page_tag(c, 2));
	EXPECT_EQ(word_at(6, 1), page_tag(b, 0));
	EXPECT_EQ(word_at(6, 6), page_tag(b, 5));
	EXPECT_EQ(SIGSEGV, touch(b + 3 * pg, false));
}

TEST_F(mmap, unmapped_in_the_middle)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, PAGES * pg, &memfd);
	char *a = map_rw(memfd, PAGES * pg), *b = map_rw(buf, PAGES * pg);

	ASSERT_NE(MAP_FAILED, b);
	tag_pages(a, PAGES, 7);
	EXPECT_EQ(word_at(7, 0), page_tag(b, 0));
	ASSERT_EQ(0, munmap(b + 5 * pg, 3 * pg));
	EXPECT_EQ(SIGSEGV, touch(b + 5 * pg, false));
	EXPECT_EQ(SIGSEGV, touch(b + 7 * pg, false));
	EXPECT_EQ(word_at(7, 4), page_tag(b, 4));
	EXPECT_EQ(word_at(7, 8), page_tag(b, 8));
	EXPECT_EQ(word_at(7, 15), page_tag(b, 15));
}

TEST_F(mmap, fixed_at_odd_addresses)
{
	size_t pg = page_size(), pages = 1024, i;
	int memfd, buf = buffer(self->dev, pages * pg, &memfd);
	char *a, *hole;

	ASSERT_LE(0, buf);
	a = map_rw(memfd, pages * pg);
	tag_pages(a, pages, 8);
	hole = mmap(NULL, 2 * pages * pg, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	for (i = 0; i < 8; i++) {
		size_t from = i * 13, at = i * 29, n = 900;
		char *b = mmap(hole + at * pg, n * pg, PROT_READ, MAP_SHARED | MAP_FIXED,
			       buf, from * pg);

		ASSERT_EQ(hole + at * pg, b);
		EXPECT_EQ(word_at(8, from + n / 2), page_tag(b, n / 2));
		EXPECT_EQ(word_at(8, from), page_tag(b, 0));
		EXPECT_EQ(word_at(8, from + n - 1), page_tag(b, n - 1));
	}
}

TEST_F(mmap, D4_mapping_outlives_every_descriptor)
{
	size_t pg = page_size();
	int dev = node_open();
	int memfd, buf = buffer(dev, PAGES * pg, &memfd);
	int watch = dup(memfd);
	char *b = map_rw(buf, PAGES * pg);

	ASSERT_NE(MAP_FAILED, b);
	close(buf);
	close(memfd);
	close(dev);
	/* First touched only now. */
	fill(b, PAGES * pg, 9);
	EXPECT_EQ(PAGES * pg, matches(b, PAGES * pg, 9));
	EXPECT_EQ(-EBUSY, seal_write(watch));
	munmap(b, PAGES * pg);
	EXPECT_EQ(0, seal_write_soon(watch));
}

/*
 * Not a row of the C driver's table of faults, but of ours: the cost of a fault
 * is bounded. The C driver maps all of it at the first touch.
 */
TEST_F(mmap, own_one_touch_does_not_map_everything)
{
	size_t pg = page_size(), size = 64 * MIB;
	int memfd = memfd_new(size), buf;
	long long before;
	char *b;

	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	before = vm_pte();
	b[size / 2 + 5 * pg] = 1;
	/* One table of each level. All of it would be 32 more of 4 KiB, or one of 16 KiB. */
	EXPECT_GE(3 * pg / 1024, vm_pte() - before);
	b[0] = 1;
	EXPECT_GE(5 * pg / 1024, vm_pte() - before);
}

TEST_F(mmap, window_stays_inside_its_mapping)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 4 * MIB, &memfd);
	char *guard, *b;

	ASSERT_LE(0, buf);
	guard = mmap(NULL, 64 * pg, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, guard);
	memset(guard, 'g', 64 * pg);
	b = mmap(guard + 20 * pg, 3 * pg, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 buf, 100 * pg);
	ASSERT_EQ(guard + 20 * pg, b);
	b[pg] = 1;
	for (size_t i = 0; i < 64 * pg; i += pg) {
		if (i >= 20 * pg && i < 23 * pg)
			continue;
		EXPECT_EQ('g', guard[i]);
	}
}

struct toucher {
	volatile char *mem;
	size_t size;
	int nr;
	size_t bad;
};

static void *first_touch(void *arg)
{
	struct toucher *t = arg;
	size_t pg = page_size(), n = t->size / pg, i;

	/* Every thread in another order, all of them over every page. */
	for (i = 0; i < n; i++) {
		size_t page = (i * 129 + t->nr * 4099) % n;

		t->bad += page_tag((void *)t->mem, page) != word_at(11, page);
		t->mem[page * pg + 64 + t->nr] = t->nr + 1;
	}
	return NULL;
}

/* @b is a mapping of @n_bytes whose pages carry the tags of seed 11. */
static size_t touch_by_threads(char *b, size_t n_bytes)
{
	struct toucher t[8];
	pthread_t threads[8];
	size_t bad = 0, page;
	int i;

	for (i = 0; i < 8; i++) {
		t[i] = (struct toucher){ .mem = b, .size = n_bytes, .nr = i };
		if (pthread_create(&threads[i], NULL, first_touch, &t[i]))
			return SIZE_MAX;
	}
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		bad += t[i].bad;
	}
	for (page = 0; page < n_bytes / page_size(); page++)
		for (i = 0; i < 8; i++)
			bad += b[page * page_size() + 64 + i] != i + 1;
	return bad;
}

TEST_F(mmap, first_touch_by_many_threads)
{
	size_t size = 8 * MIB;
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	tag_pages(a, size / page_size(), 11);
	EXPECT_EQ(0, touch_by_threads(b, size));
}

/* A mapping of all of @buf at an address and an offset that allow huge entries. */
static char *map_aligned(int buf, size_t size)
{
	char *hole = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)hole + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	if (hole == MAP_FAILED)
		return MAP_FAILED;
	return mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, buf, 0);
}

TEST_F(mmap, hugetlb_first_touch_by_many_threads)
{
	size_t size = 4 * HUGE;
	int memfd, buf;
	char *a, *b;

	NEED_HUGE(4);
	memfd = memfd_new_huge(size);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, size / page_size(), 11);
	b = map_aligned(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, touch_by_threads(b, size));
}

/*
 * Is memory ever allocated with the lock held that keeps large and small page
 * table entries apart? Lockdep has seen it if it was done once: then the lock
 * comes before that of reclaim. A negative errno where lockdep is not there.
 */
static int entry_sizes_before_reclaim(void)
{
	FILE *classes = fopen("/proc/lockdep", "re");
	bool inside = false, seen = false, before = false;
	char line[512];

	if (!classes)
		return -errno;
	while (fgets(line, sizeof(line), classes)) {
		if (line[0] != ' ' && line[0] != '\n')
			inside = strstr(line, "entry_sizes");
		seen |= inside;
		before |= inside && strstr(line, "fs_reclaim");
	}
	fclose(classes);
	return seen ? before : -ENODATA;
}

TEST_F(mmap, own_B1_no_memory_is_allocated_under_the_lock_of_entries)
{
	size_t size = 8 * MIB;
	int memfd, buf = buffer(self->dev, size, &memfd), answer;
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	/* New page tables, for reading and writing, at the first page and in between. */
	for (size_t at = 0; at < size; at += HUGE / 2)
		EXPECT_EQ(0, touch(b + at, at & HUGE));
	answer = entry_sizes_before_reclaim();
	if (answer == -ENOENT)
		SKIP(return, "needs a kernel with lockdep (/proc/lockdep)");
	EXPECT_EQ(0, answer);
}

TEST_F(mmap, hugetlb_mapping_split_and_protected)
{
	size_t size = 4 * HUGE, pg = page_size(), n = size / pg, i;
	int memfd, buf;
	char *a, *b;

	NEED_HUGE(4);
	memfd = memfd_new_huge(size);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, n, 12);
	b = map_aligned(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < n; i += 100)
		EXPECT_EQ(word_at(12, i), page_tag(b, i));
	/* Inside the first huge page: a hole; inside the second: read only. */
	ASSERT_EQ(0, munmap(b + 10 * pg, 20 * pg));
	ASSERT_EQ(0, mprotect(b + HUGE + 7 * pg, 5 * pg, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(b + 10 * pg, false));
	EXPECT_EQ(SIGSEGV, touch(b + 29 * pg, false));
	EXPECT_EQ(SIGSEGV, touch(b + HUGE + 7 * pg, true));
	EXPECT_EQ(SIGSEGV, touch(b + HUGE + 11 * pg, true));
	EXPECT_EQ(0, touch(b + HUGE + 12 * pg + 100, true));
	for (i = 0; i < n; i++) {
		if (i >= 10 && i < 30)
			continue;
		EXPECT_EQ(word_at(12, i), page_tag(b, i));
	}
	munmap(b, size);
}

/* A mapping that begins and ends in the middle of huge pages. */
TEST_F(mmap, hugetlb_mapping_that_fits_no_huge_page)
{
	size_t size = 3 * HUGE, pg = page_size(), first = HUGE / pg / 5, n = size / pg * 3 / 4, i;
	int memfd, buf;
	char *a, *b, *hole;

	NEED_HUGE(3);
	memfd = memfd_new_huge(size);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, size / pg, 13);
	hole = map_aligned(buf, size);
	ASSERT_NE(MAP_FAILED, hole);
	munmap(hole, size);
	/* Same offset inside a huge page as in the buffer: the best case ... */
	b = mmap(hole + first * pg, n * pg, PROT_READ, MAP_SHARED | MAP_FIXED, buf, first * pg);
	ASSERT_EQ(hole + first * pg, b);
	for (i = n; i-- > 0;)
		EXPECT_EQ(word_at(13, first + i), page_tag(b, i));
	munmap(b, n * pg);
	/* ... and another one: no huge entry can be right. */
	b = mmap(hole, n * pg, PROT_READ, MAP_SHARED | MAP_FIXED, buf, first * pg);
	ASSERT_EQ(hole, b);
	for (i = 0; i < n; i++)
		EXPECT_EQ(word_at(13, first + i), page_tag(b, i));
}

TEST_F(mmap, D4_fork_child_sees_and_is_seen)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, PAGES * pg, &memfd);
	char *b = map_rw(buf, PAGES * pg);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, b);
	b[0] = 'p';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* One page the parent touched, one it did not. */
		CHILD_CHECK(b[0] == 'p');
		b[0] = 'c';
		b[9 * pg] = 'd';
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ('c', *(volatile char *)b);
	EXPECT_EQ('d', *(volatile char *)(b + 9 * pg));
}

TEST_F(mmap, C18_proc_mem_reads_a_mapping)
{
	size_t size = PAGES * page_size(), pg = page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char *copy = malloc(size);

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_LE(0, mem);
	fill(a, size, 14);
	/* Never touched through the mapping itself, and across its pages. */
	ASSERT_EQ((ssize_t)size, pread(mem, copy, size, (uintptr_t)b));
	EXPECT_EQ(0, memcmp(a, copy, size));
	ASSERT_EQ(16, pread(mem, copy, 16, (uintptr_t)b + 3 * pg - 8));
	EXPECT_EQ(0, memcmp(a + 3 * pg - 8, copy, 16));
}

TEST_F(mmap, C18_proc_mem_writes_a_mapping)
{
	size_t size = PAGES * page_size(), pg = page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_LE(0, mem);
	ASSERT_EQ(11, pwrite(mem, "hello world", 11, (uintptr_t)b + 2 * pg - 5));
	EXPECT_EQ(0, memcmp(a + 2 * pg - 5, "hello world", 11));
}

TEST_F(mmap, C18_proc_mem_does_not_write_what_is_read_only)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b = map_at(buf, 0, size, PROT_READ);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char byte;

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_LE(0, mem);
	fill(a, size, 15);
	EXPECT_EQ(-1, pwrite(mem, "bad", 3, (uintptr_t)b));
	EXPECT_EQ(size, matches(a, size, 15));
	EXPECT_EQ(1, pread(mem, &byte, 1, (uintptr_t)b));
	EXPECT_EQ(a[0], byte);
}

TEST_F(mmap, C18_proc_mem_at_an_offset_of_the_buffer)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, PAGES * pg, &memfd);
	char *a = map_rw(memfd, PAGES * pg), *b = map_at(buf, 5 * pg, 4 * pg, PROT_READ);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint64_t word;

	ASSERT_NE(MAP_FAILED, b);
	tag_pages(a, PAGES, 16);
	ASSERT_EQ(8, pread(mem, &word, 8, (uintptr_t)b + 3 * pg));
	EXPECT_EQ(word_at(16, 8), word);
}

/* Bytes of @mem that are @byte, up to the first that is not. */
static size_t run_of(const char *mem, char byte, size_t size)
{
	size_t n = 0;

	while (n < size && mem[n] == byte)
		n++;
	return n;
}

/* The buffer is longer than the mapping, which anonymous memory follows in the address space. */
TEST_F(mmap, C18_proc_mem_across_the_end_of_a_mapping)
{
	size_t pg = page_size(), edge = 4 * pg;
	int memfd, buf = buffer(self->dev, PAGES * pg, &memfd);
	char *a = map_rw(memfd, PAGES * pg), *b, copy[200], *other;
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, mem);
	ASSERT_NE(MAP_FAILED, a);
	other = mmap(NULL, 8 * pg, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, other);
	memset(other, 'o', 8 * pg);
	b = mmap(other, edge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, buf, 0);
	ASSERT_EQ(other, b);
	memset(a, 'b', PAGES * pg);

	ASSERT_EQ(200, pread(mem, copy, 200, (uintptr_t)b + edge - 100));
	EXPECT_EQ(100, run_of(copy, 'b', 200));
	EXPECT_EQ(100, run_of(copy + 100, 'o', 100));
	memset(copy, 'w', 200);
	ASSERT_EQ(200, pwrite(mem, copy, 200, (uintptr_t)b + edge - 100));
	EXPECT_EQ(edge - 100, run_of(a, 'b', PAGES * pg));
	EXPECT_EQ(100, run_of(a + edge - 100, 'w', 200));
	EXPECT_EQ(pg, run_of(a + edge, 'b', pg));
	EXPECT_EQ(100, run_of(b + edge, 'w', pg));
	EXPECT_EQ(pg - 100, run_of(b + edge + 100, 'o', pg - 100));
}

TEST_F(mmap, C18_debugger_peeks_and_pokes)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, 2 * pg, &memfd);
	char *a = map_rw(memfd, 2 * pg), *b = map_rw(buf, 2 * pg);
	int status;
	pid_t pid;
	long word;

	ASSERT_NE(MAP_FAILED, b);
	tag_pages(a, 2, 17);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, b + pg, 0);
	EXPECT_EQ(0, errno);
	EXPECT_EQ((long)word_at(17, 1), word);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, b + pg, 0x1234));
	EXPECT_EQ(0x1234, (long)page_tag(a, 1));
	ptrace(PTRACE_CONT, pid, 0, 0);
	EXPECT_EQ(0, wait_status(pid));
}

/* It pins user pages, and there are none to pin in a PFN mapping. */
TEST_F(mmap, process_vm_readv_is_refused_cleanly)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, pg, &memfd);
	char *b = map_rw(buf, pg), byte;
	struct iovec to = { &byte, 1 }, from = { b, 1 };

	ASSERT_NE(MAP_FAILED, b);
	b[0] = 1;
	EXPECT_EQ(-1, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(mmap, system_calls_read_and_write_a_mapping)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *b = map_rw(buf, size);
	int other = memfd_new(size);
	char *c = map_rw(other, size);

	ASSERT_NE(MAP_FAILED, b);
	/* Faults from inside the kernel, on pages never touched before. */
	fill(c, size, 18);
	ASSERT_EQ((ssize_t)size, pread(other, b, size, 0));
	EXPECT_EQ(size, matches(b, size, 18));
	memset(c, 0, size);
	munmap(b, size);
	b = map_rw(buf, size);
	ASSERT_EQ((ssize_t)size, pwrite(other, b, size, 0));
	EXPECT_EQ(size, matches(c, size, 18));
}

TEST_F(mmap, madvise_and_mlock)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 19);
	/* Whether it drops the entries or refuses: the bytes stay. */
	madvise(b, size, MADV_DONTNEED);
	EXPECT_EQ(size, matches(b, size, 19));
	madvise(b, size, MADV_DONTFORK);
	madvise(b, size, MADV_PAGEOUT);
	madvise(b, size, MADV_COLD);
	EXPECT_EQ(size, matches(b, size, 19));
	EXPECT_NE(0, madvise(b, size, MADV_REMOVE));
	EXPECT_EQ(size, matches(b, size, 19));
	EXPECT_EQ(0, mlock(b, size));
	EXPECT_EQ(0, munlock(b, size));
	EXPECT_EQ(size, matches(b, size, 19));
}

TEST_F(mmap, populate_at_once)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, buf, 0);

	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 22);
	EXPECT_EQ(size, matches(b, size, 22));
}

TEST_F(mmap, msync_and_mincore)
{
	size_t size = PAGES * page_size();
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *b = map_rw(buf, size);
	unsigned char vec[PAGES];

	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 20);
	/* There is nothing to write back; no answer may cost bytes. */
	msync(b, size, MS_SYNC);
	EXPECT_EQ(0, mincore(b, size, vec));
	EXPECT_EQ(size, matches(b, size, 20));
}

TEST_F(mmap, mapping_is_pfnmap_dontexpand_dontdump)
{
	size_t pg = page_size();
	int memfd, buf = buffer(self->dev, pg, &memfd);
	char *b = map_rw(buf, pg);
	char line[512], start[32], flags[512] = "";
	bool inside = false;
	FILE *smaps = fopen("/proc/self/smaps", "re");

	ASSERT_NE(MAP_FAILED, b);
	if (!smaps)
		SKIP(return, "no /proc/self/smaps");
	snprintf(start, sizeof(start), "%lx-", (unsigned long)b);
	while (fgets(line, sizeof(line), smaps)) {
		if (strchr(line, '-') && !strncmp(line, start, strlen(start)))
			inside = true;
		if (inside && !strncmp(line, "VmFlags:", 8)) {
			snprintf(flags, sizeof(flags), "%s", line + 8);
			break;
		}
	}
	fclose(smaps);
	EXPECT_NE(NULL, strstr(flags, " pf"));
	EXPECT_NE(NULL, strstr(flags, " de"));
	EXPECT_NE(NULL, strstr(flags, " dd"));
	EXPECT_NE(NULL, strstr(flags, " sh"));
	EXPECT_EQ(NULL, strstr(flags, " io"));
}

/*
 * Injects a memory error into a page of @memfd. Returns an errno if that failed. The
 * child that injects the error has the page mapped, and may be killed for it.
 */
static int poison(int memfd, size_t page)
{
	size_t pg = page_size();
	pid_t pid = fork();

	if (!pid) {
		char *a = map_at(memfd, page * pg, pg, PROT_READ | PROT_WRITE);

		touch(a, false);
		_exit(madvise(a, pg, MADV_HWPOISON) ? errno : 0);
	}
	return pid < 0 ? errno : wait_status(pid);
}

/* A page with a memory error answers SIGBUS, not stale bytes. */
TEST_F(mmap, own_poisoned_page_is_SIGBUS)
{
	size_t pg = page_size(), size = PAGES * pg;
	int memfd, buf = buffer(self->dev, size, &memfd);
	char *a = map_rw(memfd, size), *b;
	int status;

	ASSERT_LE(0, buf);
	tag_pages(a, PAGES, 21);
	munmap(a, size);
	status = poison(memfd, 5);
	if (status > 0)
		SKIP(return, "MADV_HWPOISON: %s", strerror(status));
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(SIGBUS, touch(b + 5 * pg, false));
	EXPECT_EQ(BUS_MCEERR_AR, fault_code);
	for (size_t i = 0; i < PAGES; i++) {
		if (i != 5)
			EXPECT_EQ(word_at(21, i), page_tag(b, i));
	}
	munmap(b, size);
}

TEST_F(mmap, C18_proc_mem_ends_at_a_poisoned_page)
{
	size_t pg = page_size(), size = PAGES * pg;
	int memfd, buf = buffer(self->dev, size, &memfd), status;
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size), copy[200];
	uint64_t word;

	ASSERT_LE(0, mem);
	ASSERT_NE(MAP_FAILED, b);
	tag_pages(a, PAGES, 23);
	munmap(a, size);
	status = poison(memfd, 5);
	if (status > 0)
		SKIP(return, "MADV_HWPOISON: %s", strerror(status));
	EXPECT_EQ(-1, pread(mem, &word, sizeof(word), (uintptr_t)b + 5 * pg));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, pwrite(mem, "bad", 3, (uintptr_t)b + 5 * pg));
	EXPECT_EQ(EIO, errno);
	/* A read that reaches the page is short. */
	EXPECT_EQ(100, pread(mem, copy, 200, (uintptr_t)b + 5 * pg - 100));
	ASSERT_EQ(sizeof(word), pread(mem, &word, sizeof(word), (uintptr_t)b + 6 * pg));
	EXPECT_EQ(word_at(23, 6), word);
	munmap(b, size);
}

TEST_HARNESS_MAIN
