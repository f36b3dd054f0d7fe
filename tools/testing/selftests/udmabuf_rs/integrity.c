// SPDX-License-Identifier: GPL-2.0
/*
 * integrity: no byte that is not the user's, and none of the user's lost.
 */
#include "udmabuf_test.h"

#define MARKER	0x5ec7e75ec7e75ec7ULL

UDMABUF_FIXTURE(integrity);

/* Leaves @size bytes of freed memory that say MARKER, of a process now dead. */
static bool leave_secrets(size_t size)
{
	pid_t pid = fork();

	if (!pid) {
		uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		for (size_t i = 0; i < size / sizeof(*p); i++)
			p[i] = MARKER;
		_exit(0);
	}
	return pid > 0 && !wait_status(pid);
}

/* Some memory worth filling with secrets, without driving the machine to swap. */
static size_t secret_size(void)
{
	size_t size = mem_available() / 2;

	return size > 512 * MIB ? 512 * MIB : size;
}

static size_t count_word(const void *mem, size_t size, uint64_t word)
{
	const uint64_t *words = mem;
	size_t n = 0;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		n += words[i] == word;
	return n;
}

static bool kernel_zeroes_pages(void)
{
	char cmdline[4096];

	read_text("/proc/cmdline", cmdline, sizeof(cmdline));
	return !strstr(cmdline, "init_on_alloc=0");
}

TEST_F_TIMEOUT(integrity, C1_fallocated_memfd_shows_no_old_memory, 60)
{
	size_t size = 64 * MIB;
	int memfd = memfd_new(size), buf;
	char *b;

	if (kernel_zeroes_pages())
		SKIP(return, "needs a boot with init_on_alloc=0, or the kernel hides it");
	ASSERT_TRUE(leave_secrets(secret_size()));
	ASSERT_EQ(0, fallocate(memfd, 0, 0, size));
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, count_word(b, size, MARKER));
	EXPECT_EQ(size, zero_up_to(b, size));
}

TEST_F(integrity, C1_fallocated_memfd_keeps_what_the_buffer_wrote)
{
	size_t size = 4 * MIB;
	int memfd = memfd_new(size), buf;
	char *copy = malloc(size), *a, *b;

	ASSERT_EQ(0, fallocate(memfd, 0, 0, size));
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 1);
	/* read(2) first: mapping the memfd is what zeroes in the C driver. */
	ASSERT_EQ((ssize_t)size, pread(memfd, copy, size, 0));
	EXPECT_EQ(size, matches(copy, size, 1));
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	EXPECT_EQ(size, matches(a, size, 1));
	EXPECT_EQ(size, matches(b, size, 1));
}

TEST_F(integrity, C1_mapping_the_memfd_leaves_the_buffer_alone)
{
	size_t size = 4 * MIB;
	int memfd = memfd_new(size), buf;
	char *a, *b;

	ASSERT_EQ(0, fallocate(memfd, 0, 0, size));
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 2);
	a = map_at(memfd, 0, size, PROT_READ);
	ASSERT_NE(MAP_FAILED, a);
	EXPECT_EQ(size, matches(a, size, 2));
	EXPECT_EQ(size, matches(b, size, 2));
}

TEST_F(integrity, C1_written_fallocated_and_hole_pages_in_one_file)
{
	size_t pg = page_size(), size = 96 * pg, i;
	int memfd = memfd_new(size), buf;
	char *page = malloc(pg), *b;
	size_t bad = 0;

	/* By turns: written, allocated only, a hole; and once a part of a page. */
	ASSERT_TRUE(leave_secrets(64 * MIB));
	for (i = 0; i < 96; i += 3) {
		fill(page, pg, i);
		ASSERT_EQ((ssize_t)pg, pwrite(memfd, page, pg, i * pg));
		ASSERT_EQ(0, fallocate(memfd, FALLOC_FL_KEEP_SIZE, (i + 1) * pg, pg));
	}
	ASSERT_EQ(4, pwrite(memfd, "part", 4, 4 * pg + 100));
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, memcmp(b + 4 * pg + 100, "part", 4));
	memset(b + 4 * pg + 100, 0, 4);
	for (i = 0; i < 96; i++) {
		bad += pg != (i % 3 ? zero_up_to(b + i * pg, pg) :
			      matches(b + i * pg, pg, i));
	}
	EXPECT_EQ(0, bad);
	/* Then through the buffer, and back by read(2). */
	for (i = 0; i < 96; i++)
		fill(b + i * pg, pg, 200 + i);
	for (i = 0; i < 96; i++) {
		ASSERT_EQ((ssize_t)pg, pread(memfd, page, pg, i * pg));
		bad += matches(page, pg, 200 + i) != pg;
	}
	EXPECT_EQ(0, bad);
}

TEST_F(integrity, C1_range_of_a_fallocated_memfd)
{
	size_t pg = page_size(), size = 64 * pg;
	int memfd = memfd_new(size), buf;
	char *page = malloc(pg), *b;
	size_t bad = 0;

	ASSERT_EQ(0, fallocate(memfd, 0, 0, size));
	buf = create(self->dev, memfd, 10 * pg, 20 * pg);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 20 * pg);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, 20 * pg, 3);
	for (size_t i = 0; i < 64; i++) {
		ASSERT_EQ((ssize_t)pg, pread(memfd, page, pg, i * pg));
		if (i < 10 || i >= 30)
			bad += zero_up_to(page, pg) != pg;
		else
			bad += memcmp(page, b + (i - 10) * pg, pg) != 0;
	}
	EXPECT_EQ(0, bad);
}

#define SHMEM_THP	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* A memfd of @size bytes that has folios of 2 MiB which were never written; or -errno. */
static int fallocated_in_huge_pages(size_t size)
{
	long long before = read_key("/proc/meminfo", "ShmemHugePages");
	int memfd = memfd_new(size), err = 0;

	if (write_text(SHMEM_THP, "always"))
		return -ENODEV;
	if (fallocate(memfd, 0, 0, size))
		err = -errno;
	write_text(SHMEM_THP, "never");
	if (!err && read_key("/proc/meminfo", "ShmemHugePages") - before < (long long)(size / KIB))
		err = -ENOMEM;
	if (err)
		close(memfd);
	return err ?: memfd;
}

/*
 * A folio is marked uptodate as a whole, so all of it must have been zeroed: also
 * the pages before and after the range of the buffer.
 */
TEST_F_TIMEOUT(integrity, C1_fallocated_huge_pages_show_no_old_memory, 60)
{
	size_t pg = page_size(), size = 16 * HUGE, from = 7 * pg, n = size - 3 * HUGE;
	int memfd, buf;
	char *a, *b;

	if (kernel_zeroes_pages())
		SKIP(return, "needs a boot with init_on_alloc=0, or the kernel hides it");
	ASSERT_TRUE(leave_secrets(secret_size()));
	memfd = fallocated_in_huge_pages(size);
	if (memfd == -ENODEV || memfd == -ENOMEM)
		SKIP(return, "no transparent huge pages for shmem: %s", strerror(-memfd));
	ASSERT_LE(0, memfd);
	buf = create(self->dev, memfd, from, n);
	ASSERT_LE(0, buf);
	b = map_rw(buf, n);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, count_word(b, n, MARKER));
	EXPECT_EQ(n, zero_up_to(b, n));
	fill(b, n, 1);
	a = map_at(memfd, 0, size, PROT_READ);
	ASSERT_NE(MAP_FAILED, a);
	EXPECT_EQ(from, zero_up_to(a, from));
	EXPECT_EQ(n, matches(a + from, n, 1));
	EXPECT_EQ(0, count_word(a + from + n, size - from - n, MARKER));
	EXPECT_EQ(size - from - n, zero_up_to(a + from + n, size - from - n));
}

/* Pushes the pages of @memfd out of memory as far as that goes. */
static void page_out(int memfd, size_t size)
{
	volatile char *p = map_at(memfd, 0, size, PROT_READ);

	for (size_t i = 0; i < size; i += page_size())
		(void)p[i];
	madvise((void *)p, size, MADV_PAGEOUT);
	munmap((void *)p, size);
}

/* How many pages of @memfd are in memory. */
static size_t resident(int memfd, size_t size)
{
	size_t n = size / page_size(), count = 0, i;
	unsigned char *vec = calloc(n, 1);
	void *p = map_at(memfd, 0, size, PROT_READ);

	if (!mincore(p, size, vec))
		for (i = 0; i < n; i++)
			count += vec[i] & 1;
	munmap(p, size);
	free(vec);
	return count;
}

static size_t surviving(int memfd, size_t size, uint64_t seed)
{
	char *p = map_at(memfd, 0, size, PROT_READ);
	size_t good;

	if (p == MAP_FAILED)
		return 0;
	good = matches(p, size, seed);
	munmap(p, size);
	return good;
}

/* A task that touches the pages of a memfd again and again, which locks them for a moment. */
struct toucher {
	char *at;
	size_t size;
	bool stop;
	uint64_t rounds;
};

static void *touch_until_stopped(void *arg)
{
	struct toucher *shared = arg;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		madvise(shared->at, shared->size, MADV_DONTNEED);
		for (size_t i = 0; i < shared->size; i += page_size())
			(void)*(volatile char *)(shared->at + i);
		__atomic_fetch_add(&shared->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* A page that is locked when it is pinned is not taken for one that was never written. */
TEST_F_TIMEOUT(integrity, pages_that_others_lock_keep_their_bytes, 60)
{
	struct toucher shared = { .size = 256 * page_size() };
	int memfd = memfd_new(shared.size), buf = 0;
	pthread_t thread;

	shared.at = map_rw(memfd, shared.size);
	ASSERT_NE(MAP_FAILED, shared.at);
	fill(shared.at, shared.size, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_until_stopped, &shared));
	while (buf >= 0 && __atomic_load_n(&shared.rounds, __ATOMIC_ACQUIRE) < 1000) {
		buf = create(self->dev, memfd, 0, shared.size);
		close(buf);
	}
	shared.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LE(0, buf);
	EXPECT_EQ(shared.size, surviving(memfd, shared.size, 1));
}

TEST_F(integrity, C2_bytes_outlive_the_buffer_under_memory_pressure)
{
	size_t size = 4 * MIB;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 1);
	munmap(b, size);
	close(buf);
	ASSERT_EQ(0, seal_write_soon(memfd));
	page_out(memfd, size);
	EXPECT_EQ(size, surviving(memfd, size, 1));
}

TEST_F(integrity, C2_fallocated_and_written_through_the_buffer)
{
	size_t size = 4 * MIB;
	int memfd = memfd_new(size), buf;
	char *b;

	ASSERT_EQ(0, fallocate(memfd, 0, 0, size));
	buf = create(self->dev, memfd, 0, size);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 2);
	munmap(b, size);
	close(buf);
	ASSERT_EQ(0, seal_write_soon(memfd));
	page_out(memfd, size);
	EXPECT_EQ(size, surviving(memfd, size, 2));
}

TEST_F(integrity, C2_bytes_outlive_a_killed_writer)
{
	size_t size = 4 * MIB;
	int memfd = memfd_new(size);
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int buf = create(self->dev, memfd, 0, size);
		char *b = map_rw(buf, size);

		fill(b, size, 3);
		raise(SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, wait_status(pid));
	ASSERT_EQ(0, seal_write_soon(memfd));
	page_out(memfd, size);
	EXPECT_EQ(size, surviving(memfd, size, 3));
}

#define NEED_SWAP() do {							\
	if (read_key("/proc/meminfo", "SwapFree") < 32 * 1024)			\
		SKIP(return, "needs 32 MiB of swap");				\
} while (0)

TEST_F(integrity, C2_through_swap_after_the_buffer_is_gone)
{
	size_t size = 8 * MIB, pages = size / page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *b = map_rw(buf, size);

	NEED_SWAP();
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 4);
	munmap(b, size);
	close(buf);
	ASSERT_EQ(0, seal_write_soon(memfd));
	page_out(memfd, size);
	/* Else this shows nothing. */
	EXPECT_GT(pages / 2, resident(memfd, size));
	EXPECT_EQ(size, surviving(memfd, size, 4));
}

TEST_F_TIMEOUT(integrity, changed_after_it_came_back_from_swap, 120)
{
	size_t size = 8 * MIB, pages = size / page_size();
	int memfd = memfd_new(size), buf;
	char *a = map_rw(memfd, size), *b;

	NEED_SWAP();
	fill(a, size, 5);
	munmap(a, size);
	page_out(memfd, size);
	EXPECT_GT(pages / 2, resident(memfd, size));
	/* Pinning brings it in, clean, with a copy left in swap. */
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(size, matches(b, size, 5));
	fill(b, size, 6);
	munmap(b, size);
	close(buf);
	ASSERT_EQ(0, seal_write_soon(memfd));
	page_out(memfd, size);
	EXPECT_EQ(size, surviving(memfd, size, 6));
}

TEST_F(integrity, pinned_pages_stay_in_memory)
{
	size_t size = 4 * MIB, pages = size / page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 7);
	page_out(memfd, size);
	EXPECT_EQ(pages, resident(memfd, size));
	EXPECT_EQ(size, matches(b, size, 7));
	EXPECT_EQ(size, surviving(memfd, size, 7));
}

/* Pattern @seed through the memfd, seen in the buffer, and the other way. */
static void both_ways(struct __test_metadata *_metadata, int dev, int memfd, size_t size)
{
	char *a = map_rw(memfd, size), *b;
	int buf = create(dev, memfd, 0, size);

	ASSERT_LE(0, buf);
	ASSERT_NE(MAP_FAILED, a);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
	fill(a, size, 1);
	EXPECT_EQ(size, matches(b, size, 1));
	fill(b, size, 2);
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(size, matches(a, size, 2));
	munmap(a, size);
	munmap(b, size);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(size, surviving(memfd, size, 2));
	close(memfd);
}

TEST_F_TIMEOUT(integrity, pattern_over_64_MiB_of_small_pages, 60)
{
	both_ways(_metadata, self->dev, memfd_new(64 * MIB), 64 * MIB);
}

TEST_F_TIMEOUT(integrity, pattern_over_64_MiB_of_hugetlb_pages, 60)
{
	NEED_HUGE(32);
	both_ways(_metadata, self->dev, memfd_new_huge(64 * MIB), 64 * MIB);
}

/* A task that makes a huge page of the first 2 MiB of a memfd, when told to. */
struct collapser {
	pthread_barrier_t barrier;
	char *at;
	bool stop;
	int collapsed;
};

static void *collapse_when_told(void *arg)
{
	struct collapser *shared = arg;

	for (;;) {
		pthread_barrier_wait(&shared->barrier);
		if (shared->stop)
			return NULL;
		shared->collapsed += !madvise(shared->at, HUGE, MADV_COLLAPSE);
		pthread_barrier_wait(&shared->barrier);
	}
}

/* Pages of @buf that are not those of @memfd, both of 2 MiB. */
static size_t parted_pages(int memfd, int buf, uint64_t seed)
{
	size_t pages = HUGE / page_size(), parted = 0;
	char *b = map_rw(buf, HUGE);
	uint64_t word;

	if (b == MAP_FAILED)
		return pages;
	tag_pages(b, pages, seed);
	for (size_t i = 0; i < pages; i++) {
		if (pread(memfd, &word, sizeof(word), i * page_size()) != sizeof(word))
			word = 0;
		parted += word != page_tag(b, i);
	}
	munmap(b, HUGE);
	return parted;
}

/* Anyone who maps a memfd can have its pages replaced by a huge one while they are pinned. */
TEST_F_TIMEOUT(integrity, C21_huge_page_made_while_pinning, 240)
{
	struct collapser shared = {};
	int rounds = 400, parted = 0;
	uint64_t alone = 0;
	pthread_t thread;
	char *area;

	pthread_barrier_init(&shared.barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, collapse_when_told, &shared));
	area = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	shared.at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	/* The first round is nothing but a huge page. */
	for (int round = 0; round <= rounds; round++) {
		int memfd = memfd_new(HUGE), buf;
		uint64_t start;

		ASSERT_EQ(shared.at, mmap(shared.at, HUGE, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, memfd, 0));
		tag_pages(shared.at, HUGE / page_size(), round);
		start = now_us();
		pthread_barrier_wait(&shared.barrier);
		/* So that the pins come at different steps of it. */
		while (now_us() < start + alone * (round % 50) / 40)
			;
		if (!round) {
			pthread_barrier_wait(&shared.barrier);
			alone = now_us() - start;
			close(memfd);
			if (!shared.collapsed)
				SKIP(return, "no huge pages for memfds in this kernel");
			continue;
		}
		buf = create(self->dev, memfd, 0, HUGE);
		pthread_barrier_wait(&shared.barrier);
		ASSERT_LE(0, buf);
		parted += parted_pages(memfd, buf, round + 1) > 0;
		close(buf);
		close(memfd);
	}
	shared.stop = true;
	pthread_barrier_wait(&shared.barrier);
	pthread_join(thread, NULL);
	TH_LOG("%d of %d memfds were made a huge page", shared.collapsed - 1, rounds);
	munmap(area, 2 * HUGE);
	EXPECT_LT(1, shared.collapsed);
	EXPECT_EQ(0, parted)
		TH_LOG("%d of %d buffers parted from their memfds", parted, rounds);
}

TEST_F_TIMEOUT(integrity, pattern_over_64_MiB_of_transparent_huge_pages, 60)
{
	long long before = read_key("/proc/meminfo", "ShmemHugePages"), gained;
	size_t size = 64 * MIB;
	int memfd = memfd_new(size);
	char *a;

	if (write_text(SHMEM_THP, "advise"))
		SKIP(return, "no transparent huge pages for shmem in this kernel");
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	madvise(a, size, MADV_HUGEPAGE);
	tag_pages(a, size / page_size(), 9);
	gained = read_key("/proc/meminfo", "ShmemHugePages") - before;
	write_text(SHMEM_THP, "never");
	if (gained < 2048)
		SKIP(return, "the kernel had no huge page to give");
	munmap(a, size);
	both_ways(_metadata, self->dev, memfd, size);
}

TEST_F(integrity, shuffled_list_is_a_shuffled_view)
{
	size_t pg = page_size(), n = 1024, i, j;
	struct udmabuf_create_item *items = calloc(n, sizeof(*items));
	int memfd = memfd_new(n * pg), buf;
	char *a = map_rw(memfd, n * pg), *b;

	for (i = 0; i < n; i++) {
		items[i].memfd = memfd;
		items[i].size = pg;
		items[i].offset = i * pg;
		fill(a + i * pg, pg, i);
	}
	srandom(4711);
	for (i = n - 1; i; i--) {
		struct udmabuf_create_item swap = items[i];

		j = random() % (i + 1);
		items[i] = items[j];
		items[j] = swap;
	}
	buf = create_list(self->dev, items, n);
	ASSERT_LE(0, buf);
	b = map_rw(buf, n * pg);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < n; i++)
		ASSERT_EQ(pg, matches(b + i * pg, pg, items[i].offset / pg));
	for (i = 0; i < n; i++)
		fill(b + i * pg, pg, 5000 + i);
	for (i = 0; i < n; i++)
		ASSERT_EQ(pg, matches(a + items[i].offset, pg, 5000 + i));
}

#define WRITERS	4

/*
 * Each process owns every fourth page, writes words of it at random, now here
 * and now there, and knows what must be in it. Nobody else's may change.
 */
static void random_writer(char *a, char *b, int buf, size_t pages, int nr)
{
	size_t pg = page_size(), mine = pages / WRITERS, i;
	uint64_t *shadow = calloc(mine, pg);
	unsigned int seed = nr + 1;

	for (i = 0; i < 20000; i++) {
		size_t page = rand_r(&seed) % mine, word = rand_r(&seed) % (pg / 8);
		uint64_t value = word_at(nr, i);
		char *mem = rand_r(&seed) & 1 ? a : b;

		if (i % 500 == 0)
			CHILD_CHECK(!buf_sync(buf, SYNC_START_RW));
		((uint64_t *)(mem + (page * WRITERS + nr) * pg))[word] = value;
		shadow[page * pg / 8 + word] = value;
		if (i % 500 == 499)
			CHILD_CHECK(!buf_sync(buf, SYNC_END_RW));
	}
	for (i = 0; i < mine; i++) {
		CHILD_CHECK(!memcmp(a + (i * WRITERS + nr) * pg, shadow + i * pg / 8, pg));
		CHILD_CHECK(!memcmp(b + (i * WRITERS + nr) * pg, shadow + i * pg / 8, pg));
	}
	_exit(0);
}

static uint64_t checksum(const void *mem, size_t size)
{
	const uint64_t *words = mem;
	uint64_t sum = 0;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		sum = (sum << 7 | sum >> 57) + words[i];
	return sum;
}

TEST_F_TIMEOUT(integrity, D4_random_writes_of_several_processes, 60)
{
	size_t pg = page_size(), pages = 256, size = pages * pg;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size), i;
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);
	pid_t pid[WRITERS];

	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			random_writer(a, b, buf, pages, i);
	}
	for (i = 0; i < WRITERS; i++)
		EXPECT_EQ(0, wait_status(pid[i]));
	EXPECT_EQ(checksum(a, size), checksum(b, size));
	EXPECT_NE(size, zero_up_to(a, size));
}

TEST_HARNESS_MAIN
