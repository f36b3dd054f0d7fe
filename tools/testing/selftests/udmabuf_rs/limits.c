// SPDX-License-Identifier: GPL-2.0
/*
 * limits: module parameters, what a request may cost, and how soon it lets go.
 */
#include "udmabuf_test.h"

#define INT_LIMIT	2147483647LL
#define LIST_MAX	65536

FIXTURE(limits)
{
	int dev;
	int kmsg;
	long long list_limit;
	long long size_limit_mb;
};

FIXTURE_SETUP(limits)
{
	self->kmsg = kmsg_open();
	self->list_limit = param_get("list_limit");
	self->size_limit_mb = param_get("size_limit_mb");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
}

FIXTURE_TEARDOWN(limits)
{
	param_set_number("list_limit", self->list_limit);
	param_set_number("size_limit_mb", self->size_limit_mb);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
	close(self->dev);
}

/* A list of @n times one page of @memfd, as a buffer or -errno. */
static int list_of_page(int dev, int memfd, size_t page, uint32_t n)
{
	struct udmabuf_create_item *items = calloc(n + 1, sizeof(*items));
	int fd;

	for (uint32_t i = 0; i < n; i++) {
		items[i].memfd = memfd;
		items[i].offset = page * page_size();
		items[i].size = page_size();
	}
	fd = create_list(dev, items, n);
	free(items);
	return fd;
}

/* As above of the first page, but the buffer is closed again: 0 or -errno. */
static int try_list(int dev, int memfd, uint32_t n)
{
	int fd = list_of_page(dev, memfd, 0, n);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int try_size(int dev, int memfd, uint64_t size)
{
	int fd = create(dev, memfd, 0, size);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

TEST_F(limits, defaults_are_upstream_s)
{
	EXPECT_EQ(1024, param_get("list_limit"));
	EXPECT_EQ(INT_LIMIT, param_get("size_limit_mb"));
}

TEST_F(limits, parameters_are_0644)
{
	static const char * const names[] = { "list_limit", "size_limit_mb" };
	char path[PATH_MAX];
	struct stat st;

	for (int i = 0; i < 2; i++) {
		param_path(path, sizeof(path), names[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0644, st.st_mode & 0777);
		EXPECT_EQ(0, st.st_uid);
	}
}

TEST_F(limits, count_at_the_default)
{
	int memfd = memfd_new(page_size());

	EXPECT_EQ(0, try_list(self->dev, memfd, 1024));
	EXPECT_EQ(-EINVAL, try_list(self->dev, memfd, 1025));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(limits, count_over_any_limit_reads_no_list)
{
	struct udmabuf_create_list head = { .count = 0xffffffff };

	/* There is nothing behind the head, and nobody looks. */
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE_LIST, &head));
	EXPECT_EQ(EINVAL, errno);
	head.count = 0x80000000;
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE_LIST, &head));
	EXPECT_EQ(EINVAL, errno);
	/* 24 times this is 8 in 32 bits. */
	head.count = 0x0aaaaaab;
	EXPECT_EQ(-1, ioctl(self->dev, UDMABUF_CREATE_LIST, &head));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(limits, list_limit_works_at_once_both_ways)
{
	int memfd = memfd_new(page_size());

	ASSERT_EQ(0, param_set("list_limit", "4"));
	EXPECT_EQ(4, param_get("list_limit"));
	EXPECT_EQ(0, try_list(self->dev, memfd, 4));
	EXPECT_EQ(-EINVAL, try_list(self->dev, memfd, 5));
	ASSERT_EQ(0, param_set("list_limit", "2000"));
	EXPECT_EQ(0, try_list(self->dev, memfd, 2000));
	EXPECT_EQ(-EINVAL, try_list(self->dev, memfd, 2001));
	ASSERT_EQ(0, param_set("list_limit", "0"));
	EXPECT_EQ(-EINVAL, try_list(self->dev, memfd, 1));
	/* A buffer of one range is no list. */
	EXPECT_EQ(0, try_size(self->dev, memfd, page_size()));
}

TEST_F(limits, size_limit_is_exact)
{
	int memfd = memfd_new(4 * MIB);
	size_t pg = page_size();
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd, .size = MIB / 2 },
		{ .memfd = memfd, .size = MIB / 2 },
	};
	int buf;

	ASSERT_EQ(0, param_set("size_limit_mb", "1"));
	EXPECT_EQ(0, try_size(self->dev, memfd, MIB));
	EXPECT_EQ(-EINVAL, try_size(self->dev, memfd, MIB + pg));
	/* The sum of a list counts. */
	buf = create_list(self->dev, items, 2);
	EXPECT_LE(0, buf);
	close(buf);
	items[1].size += pg;
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
	ASSERT_EQ(0, param_set("size_limit_mb", "2"));
	EXPECT_EQ(0, try_size(self->dev, memfd, 2 * MIB));
	EXPECT_EQ(-EINVAL, try_size(self->dev, memfd, 2 * MIB + pg));
	ASSERT_EQ(0, param_set("size_limit_mb", "0"));
	EXPECT_EQ(-EINVAL, try_size(self->dev, memfd, pg));
	ASSERT_EQ(0, param_set("size_limit_mb", "2147483647"));
	EXPECT_EQ(0, try_size(self->dev, memfd, 4 * MIB));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* In 32 bits, 2048 MiB are less than none, and 4096 MiB are none. */
TEST_F(limits, CVE_2025_37803_size_limits_of_2_GiB_and_more)
{
	static const long long limits[] = { 2047, 2048, 2049, 4095, 4096, 4097, 8192 };
	size_t pg = page_size();
	int memfd = memfd_new(pg);

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint64_t most = limits[i] * MIB;

		ASSERT_EQ(0, param_set_number("size_limit_mb", limits[i]));
		EXPECT_EQ(0, try_size(self->dev, memfd, pg));
		/* The descriptor comes after the limit. */
		EXPECT_EQ(-EBADFD, create(self->dev, -1, 0, most));
		EXPECT_EQ(-EINVAL, create(self->dev, -1, 0, most + pg));
		EXPECT_EQ(-EINVAL, create(self->dev, -1, 0, most + 4 * GIB));
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* Items of a list that takes a moment to read. The last one is changed meanwhile. */
#define FLIPPED	1024

struct flipper {
	struct udmabuf_create_list *list;
	bool stop;
};

/* Makes the last item of a list larger than the limit, and small again. */
static void *flip(void *arg)
{
	struct flipper *f = arg;
	volatile struct udmabuf_create_list *list = f->list;
	size_t sizes[] = { page_size(), 2 * MIB };

	for (unsigned int i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++)
		list->list[FLIPPED - 1].size = sizes[i / 64 % 2];
	return NULL;
}

/* The sizes that are checked are those that the buffer is made of. */
TEST_F(limits, list_changed_while_it_is_read_stays_within_size_limit)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * MIB), made = 0, refused = 0, larger = 0;
	struct flipper f = {
		.list = calloc(1, sizeof(*f.list) + FLIPPED * sizeof(f.list->list[0])),
	};
	uint64_t until = now_us() + 1000000;
	pthread_t thread;

	ASSERT_NE(NULL, f.list);
	ASSERT_EQ(0, param_set_number("size_limit_mb", FLIPPED * pg / MIB));
	f.list->count = FLIPPED;
	for (int i = 0; i < FLIPPED; i++)
		f.list->list[i] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = i % 2 * MIB, .size = pg,
		};
	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, &f));
	while (now_us() < until) {
		int buf = ioctl(self->dev, UDMABUF_CREATE_LIST, f.list);

		if (buf < 0) {
			EXPECT_EQ(EINVAL, errno);
			refused++;
			continue;
		}
		made++;
		larger += buf_size(buf) != FLIPPED * pg;
		close(buf);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%d made, %d refused", made, refused);
	EXPECT_LT(0, made);
	EXPECT_LT(0, refused);
	EXPECT_EQ(0, larger);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(limits, limits_leave_live_buffers_alone)
{
	int memfd = memfd_new(4 * MIB), buf = create(self->dev, memfd, 0, 4 * MIB);
	char *b;

	ASSERT_LE(0, buf);
	ASSERT_EQ(0, param_set("size_limit_mb", "1"));
	b = map_rw(buf, 4 * MIB);
	ASSERT_NE(MAP_FAILED, b);
	tag_pages(b, 4 * MIB / page_size(), 1);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(word_at(1, 1000), page_tag(b, 1000));
}

/*
 * Only the write is tried. With a bad value in force nothing is created: on the
 * C driver that is a way to corrupt the kernel.
 */
static int refuses(const char *name, const char *value)
{
	long long before = param_get(name);
	int err = param_set(name, value);

	if (param_get(name) != before) {
		param_set_number(name, before);
		return 1;
	}
	return err;
}

TEST_F(limits, C13_list_limit_is_bounded)
{
	EXPECT_EQ(-EINVAL, refuses("list_limit", "-1"));
	EXPECT_EQ(-EINVAL, refuses("list_limit", "65537"));
	EXPECT_EQ(-EINVAL, refuses("list_limit", "2147483647"));
	EXPECT_EQ(-EINVAL, refuses("list_limit", "-2147483648"));
}

TEST_F(limits, C13_size_limit_is_bounded)
{
	EXPECT_EQ(-EINVAL, refuses("size_limit_mb", "-1"));
	EXPECT_EQ(-EINVAL, refuses("size_limit_mb", "-2147483648"));
}

TEST_F(limits, values_no_integer_can_hold_are_refused)
{
	static const char * const names[] = { "list_limit", "size_limit_mb" };
	static const char * const junk[] = {
		"abc", "1.5", "12 34", "0x", "--1", "\n",
	};
	static const char * const big[] = {
		"2147483648", "4294967296", "-2147483649", "99999999999999999999",
	};

	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(junk); j++)
			EXPECT_EQ(-EINVAL, refuses(names[i], junk[j]));
		/* The kernel's own parser says ERANGE here. */
		for (size_t j = 0; j < ARRAY_SIZE(big); j++) {
			int err = refuses(names[i], big[j]);

			EXPECT_TRUE(err == -EINVAL || err == -ERANGE);
		}
	}
}

TEST_F(limits, list_of_8000_pages)
{
	/* What a 4K window in QEMU can come in. */
	size_t pg = page_size(), n = 8000, i;
	struct udmabuf_create_item *items = calloc(n, sizeof(*items));
	int memfd = memfd_new(n * pg), buf;
	char *a = map_rw(memfd, n * pg), *b;

	ASSERT_NE(MAP_FAILED, a);
	ASSERT_EQ(0, param_set("list_limit", "8192"));
	tag_pages(a, n, 2);
	munmap(a, n * pg);
	for (i = 0; i < n; i++) {
		items[i].memfd = memfd;
		items[i].size = pg;
		items[i].offset = i * 4001 % n * pg;
	}
	buf = create_list(self->dev, items, n);
	ASSERT_LE(0, buf);
	ASSERT_EQ(n * pg, buf_size(buf));
	b = map_at(buf, 0, n * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < n; i++)
		ASSERT_EQ(word_at(2, i * 4001 % n), page_tag(b, i));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	munmap(b, n * pg);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F_TIMEOUT(limits, list_as_long_as_can_be, 60)
{
	size_t pg = page_size(), i;
	struct udmabuf_create_item *items = calloc(LIST_MAX + 1, sizeof(*items));
	int memfd = memfd_new(256 * pg), buf;
	char *a = map_rw(memfd, 256 * pg), *b;

	ASSERT_EQ(0, param_set_number("list_limit", LIST_MAX));
	tag_pages(a, 256, 3);
	munmap(a, 256 * pg);
	for (i = 0; i <= LIST_MAX; i++) {
		items[i].memfd = memfd;
		items[i].size = pg;
		items[i].offset = i * 91 % 256 * pg;
	}
	buf = create_list(self->dev, items, LIST_MAX);
	ASSERT_LE(0, buf);
	b = map_at(buf, 0, LIST_MAX * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < LIST_MAX; i += 111)
		ASSERT_EQ(word_at(3, i * 91 % 256), page_tag(b, i));
	munmap(b, LIST_MAX * pg);
	close(buf);
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, LIST_MAX + 1));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(limits, C11_bad_fd_and_32_GiB_cost_nothing)
{
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd_new(page_size()), .size = page_size() },
		{ .memfd = -1, .size = 32 * GIB },
	};
	long long before = pages_allocated();

	EXPECT_EQ(-EBADFD, create(self->dev, -1, 0, 32 * GIB));
	/* 192 MiB would be 49152 pages; another process may take a few. */
	EXPECT_GT(4096, pages_allocated() - before);
	before = pages_allocated();
	EXPECT_EQ(-EBADFD, create_list(self->dev, items, 2));
	EXPECT_GT(4096, pages_allocated() - before);
	EXPECT_EQ(0, seal_write(items[0].memfd));
}

TEST_F(limits, C11_range_beyond_the_file_costs_nothing)
{
	int memfd = memfd_new(page_size());
	long long before = pages_allocated();

	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 0, 32 * GIB));
	EXPECT_GT(4096, pages_allocated() - before);
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(limits, C11_bad_seals_and_32_GiB_cost_nothing)
{
	int memfd = memfd_make(32 * GIB, MFD_ALLOW_SEALING, 0);
	long long before = pages_allocated();

	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 0, 32 * GIB));
	EXPECT_GT(4096, pages_allocated() - before);
}

/* The address space of the machine is spoken for: shmem answers ENOSPC then. */
TEST_F(limits, no_memory_to_be_had_leaves_nothing)
{
	long long mode = read_number("/proc/sys/vm/overcommit_memory");
	long long ratio = read_number("/proc/sys/vm/overcommit_ratio");
	int memfd = memfd_new(64 * MIB), err;
	char text[32];

	if (write_text("/proc/sys/vm/overcommit_kbytes", "1") ||
	    write_text("/proc/sys/vm/overcommit_memory", "2"))
		SKIP(return, "cannot set the policy of overcommit");
	err = create(self->dev, memfd, 0, 64 * MIB);
	snprintf(text, sizeof(text), "%lld", mode);
	write_text("/proc/sys/vm/overcommit_memory", text);
	snprintf(text, sizeof(text), "%lld", ratio);
	write_text("/proc/sys/vm/overcommit_ratio", text);
	TH_LOG("create says %s", strerror(-err));
	EXPECT_TRUE(err == -ENOSPC || err == -ENOMEM);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F_TIMEOUT(limits, C12_one_page_pinned_too_often, 240)
{
	size_t pg = page_size();
	size_t pages = 64, middle = 37;
	int memfd = memfd_new(pages * pg), made = 0, err = 0, i;
	struct rlimit many = { 4096, 4096 };
	long long pins;
	int *bufs = calloc(2100, sizeof(*bufs));

	if (setrlimit(RLIMIT_NOFILE, &many))
		SKIP(return, "cannot raise RLIMIT_NOFILE: %s", strerror(errno));
	/* Pages that lie apart are runs of their own, for which there is room beforehand. */
	for (i = 0; i < pages; i++)
		ASSERT_EQ(1, pwrite(memfd, "x", 1, i * 27 % pages * pg));
	for (i = 0; i < 2100; i++) {
		err = list_of_page(self->dev, memfd, middle, 1024);
		if (err < 0)
			break;
		bufs[made++] = err;
	}
	TH_LOG("refused after %d buffers with 1024 pins each", made);
	EXPECT_TRUE(err == -EINVAL || err == -ENOMEM);
	/* A bound, but not one that is in anybody's way. */
	EXPECT_LE(16, made);
	/* Up to the last pin. */
	for (i = 512; i; i /= 2) {
		bufs[made] = list_of_page(self->dev, memfd, middle, i);
		made += bufs[made] >= 0;
	}
	/* Refused among other pages as well, which are unpinned again. */
	pins = pins_outstanding();
	EXPECT_EQ(-ENOMEM, try_size(self->dev, memfd, pages * pg));
	EXPECT_EQ(pins, pins_outstanding());
	EXPECT_EQ(0, try_size(self->dev, memfd, middle * pg));
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	for (i = 0; i < made; i++)
		close(bufs[i]);
	EXPECT_EQ(0, try_list(self->dev, memfd, 1024));
	EXPECT_EQ(0, try_size(self->dev, memfd, pages * pg));
	EXPECT_EQ(0, seal_write_soon(memfd));
	/* The fixture looks for the WARN. */
}

/* Shared by a test and the child that creates a big buffer for it. */
struct pinner {
	bool started, done;
	int result;
};

/* Memory that a test may fill: a good part of what is there, at most 256 MiB. */
static uint64_t big_size(void)
{
	uint64_t size = mem_available() / 4;

	if (size > 256 * MIB)
		size = 256 * MIB;
	return size / MIB * MIB;
}

/* A child that makes a buffer of these items. */
static pid_t start_lister(int dev, const struct udmabuf_create_item *items, size_t count,
			  struct pinner *shared)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid)
		return pid;
	__atomic_store_n(&shared->started, true, __ATOMIC_RELEASE);
	shared->result = create_list(dev, items, count);
	__atomic_store_n(&shared->done, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

/* One that makes a buffer of @size bytes of @memfd and of a page of @other, if any. */
static pid_t start_list_pinner(int dev, int memfd, uint64_t size, int other,
			       struct pinner *shared)
{
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd, .size = size },
		{ .memfd = other, .size = page_size() },
	};

	return start_lister(dev, items, other < 0 ? 1 : 2, shared);
}

static pid_t start_pinner(int dev, int memfd, uint64_t size, struct pinner *shared)
{
	return start_list_pinner(dev, memfd, size, -1, shared);
}

static struct pinner *shared_pinner(void)
{
	return mmap(NULL, sizeof(struct pinner), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void wait_for(bool *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		sleep_us(1000);
}

/* Bytes of the memfd that are there by now: how far the pinning has come. */
static uint64_t populated(int memfd)
{
	struct stat st;

	return fstat(memfd, &st) ? 0 : st.st_blocks * 512ULL;
}

/* Wait until an eighth is pinned. False: it was done before we could look. */
static bool catch_in_the_middle(int memfd, uint64_t size, struct pinner *shared)
{
	while (populated(memfd) < size / 8 && !__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE))
		sched_yield();
	return populated(memfd) < size / 2;
}

/* A task that changes the size of a memfd, which takes its lock, again and again. */
struct changer {
	bool started, stop;
	uint64_t longest_us;
};

static void change_until_stopped(int memfd, struct changer *shared)
{
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		uint64_t start = now_us(), took;

		if (fallocate(memfd, FALLOC_FL_KEEP_SIZE, 0, page_size()))
			_exit(1);
		took = now_us() - start;
		if (took > shared->longest_us)
			shared->longest_us = took;
		__atomic_store_n(&shared->started, true, __ATOMIC_RELEASE);
	}
	_exit(0);
}

/*
 * How much is still pinned once someone wants it to stop says what the time
 * would say, and says the same on a machine that is busy otherwise.
 */
TEST_F_TIMEOUT(limits, C14_kill_ends_pinning, 120)
{
	struct pinner *shared = shared_pinner();
	uint64_t size = big_size(), before = 0, after = 0, start;
	bool caught = false;
	int attempt, memfd;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	for (attempt = 0; attempt < 5 && !caught; attempt++) {
		memfd = memfd_new(size);
		pid = start_pinner(self->dev, memfd, size, shared);
		caught = catch_in_the_middle(memfd, size, shared);
		before = populated(memfd);
		start = now_us();
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, wait_status(pid));
		after = populated(memfd);
		TH_LOG("killed at %llu MiB of %llu, dead at %llu MiB after %llu ms",
		       (unsigned long long)(before / MIB), (unsigned long long)(size / MIB),
		       (unsigned long long)(after / MIB),
		       (unsigned long long)(now_us() - start) / 1000);
		EXPECT_EQ(0, seal_write_soon(memfd));
		close(memfd);
	}
	if (!caught)
		SKIP(return, "pinning %llu MiB is too quick here to be interrupted",
		     (unsigned long long)(size / MIB));
	EXPECT_GT(size / 4, after - before);
}

/* A window is bounded in bytes as well as in folios. */
TEST_F_TIMEOUT(limits, C14_kill_ends_pinning_of_huge_pages, 120)
{
	struct pinner *shared = shared_pinner();
	long long reserved = pool(HUGE, "nr_hugepages");
	uint64_t size = 384 * MIB, before = 0, after = 0;
	bool caught = false;
	int attempt, memfd;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	if (mem_available() < 2 * size || !huge_ready(size / HUGE)) {
		pool_resize(HUGE, reserved);
		SKIP(return, "needs %llu free huge pages of 2 MiB", size / HUGE);
	}
	for (attempt = 0; attempt < 5 && !caught; attempt++) {
		memfd = memfd_new_huge(size);
		pid = start_pinner(self->dev, memfd, size, shared);
		caught = catch_in_the_middle(memfd, size, shared);
		before = populated(memfd);
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, wait_status(pid));
		after = populated(memfd);
		TH_LOG("killed at %llu MiB of %llu, dead at %llu MiB",
		       (unsigned long long)(before / MIB), (unsigned long long)(size / MIB),
		       (unsigned long long)(after / MIB));
		EXPECT_EQ(0, seal_write_soon(memfd));
		close(memfd);
	}
	pool_resize(HUGE, reserved);
	if (!caught)
		SKIP(return, "pinning %llu MiB is too quick here to be interrupted",
		     (unsigned long long)(size / MIB));
	EXPECT_GT(size / 2, after - before);
}

TEST_F_TIMEOUT(limits, C14_others_get_at_the_memfd_meanwhile, 120)
{
	struct pinner *shared = shared_pinner();
	uint64_t size = big_size(), before = 0, after = 0;
	bool caught = false;
	int attempt, memfd;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	for (attempt = 0; attempt < 5 && !caught; attempt++) {
		memfd = memfd_new(size);
		pid = start_pinner(self->dev, memfd, size, shared);
		caught = catch_in_the_middle(memfd, size, shared);
		before = populated(memfd);
		EXPECT_EQ(0, ftruncate(memfd, size + page_size()));
		after = populated(memfd);
		TH_LOG("ftruncate called at %llu MiB of %llu, done at %llu MiB",
		       (unsigned long long)(before / MIB), (unsigned long long)(size / MIB),
		       (unsigned long long)(after / MIB));
		/* It must not have spoilt the buffer. */
		wait_for(&shared->done);
		EXPECT_LE(0, shared->result);
		kill(pid, SIGKILL);
		wait_status(pid);
		close(memfd);
	}
	if (!caught)
		SKIP(return, "pinning %llu MiB is too quick here to get between",
		     (unsigned long long)(size / MIB));
	EXPECT_GT(size / 4, after - before);
}

/*
 * A list of millions of pages that lie apart takes tens of megabytes. Getting
 * them takes its time, which others must not spend waiting for the memfd.
 */
TEST_F_TIMEOUT(limits, long_list_is_not_made_longer_under_the_lock, 240)
{
	struct changer *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct udmabuf_create_item items[256];
	size_t size = 64 * MIB, pages = size / page_size();
	uint64_t start, took, percent = 100;
	int memfd = memfd_new(size), buf;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	/* Neighbours in the file are allocated at different times, so that they lie apart. */
	for (size_t i = 0; i < pages; i++)
		ASSERT_EQ(1, pwrite(memfd, "x", 1, i * 5461 % pages * page_size()));
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = size };

	/* The machine may stand still for reasons of its own, but not each time. */
	for (int attempt = 0; attempt < 12 && percent >= 4; attempt++) {
		memset(shared, 0, sizeof(*shared));
		pid = fork();
		if (!pid)
			change_until_stopped(memfd, shared);
		wait_for(&shared->started);
		shared->longest_us = 0;
		start = now_us();
		buf = create_list(self->dev, items, ARRAY_SIZE(items));
		took = now_us() - start;
		__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
		EXPECT_EQ(0, wait_status(pid));
		EXPECT_LE(0, buf);
		close(buf);
		TH_LOG("%llu ms for the list, at most %llu ms for another task",
		       (unsigned long long)took / 1000,
		       (unsigned long long)shared->longest_us / 1000);
		percent = 100 * shared->longest_us / took;
	}
	EXPECT_GT(4, percent);
}

/*
 * Unpinning millions of pages takes a quarter of the time that pinning them took.
 * A task that is killed does not wait for it.
 */
TEST_F_TIMEOUT(limits, B11_kill_does_not_wait_for_unpinning, 240)
{
	struct udmabuf_create_item items[1024];
	struct pinner *shared = shared_pinner();
	uint64_t delay = 2000000, percent = 100;
	bool caught = false;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	/* The machine may stand still for reasons of its own, but not each time. */
	for (int attempt = 0; attempt < 8 && percent >= 5; attempt++) {
		int memfd = listed_memfd(items, ARRAY_SIZE(items), 64 * MIB);
		uint64_t start, took;
		pid_t pid;

		ASSERT_LE(0, memfd);
		pid = start_lister(self->dev, items, ARRAY_SIZE(items), shared);
		wait_for(&shared->started);
		sleep_us(delay);
		start = now_us();
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, wait_status(pid));
		took = now_us() - start;
		if (shared->done) {
			EXPECT_LE(0, shared->result);
			delay /= 2;
		} else {
			TH_LOG("killed after %llu ms, dead after %llu us",
			       (unsigned long long)delay / 1000, (unsigned long long)took);
			caught = true;
			percent = 100 * took / delay;
		}
		/* Nothing stays pinned for long. */
		for (int i = 0; i < 30 && seal_write_soon(memfd); i++)
			;
		EXPECT_EQ(0, seal_write(memfd));
		close(memfd);
	}
	if (!caught)
		SKIP(return, "64 GiB are listed too quickly here to be interrupted");
	EXPECT_GT(5, percent);
}

/* A look at all items first is well, but what counts is the state when pinned. */
TEST_F_TIMEOUT(limits, seal_added_to_a_later_item_meanwhile, 120)
{
	struct pinner *shared = shared_pinner();
	uint64_t size = big_size();
	int attempt, memfd, other, sealed = -EBUSY;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	for (attempt = 0; attempt < 5 && sealed; attempt++) {
		memfd = memfd_new(size);
		other = memfd_new(page_size());
		pid = start_list_pinner(self->dev, memfd, size, other, shared);
		catch_in_the_middle(memfd, size, shared);
		sealed = seal_write(other);
		wait_for(&shared->done);
		/* Either the seal or the buffer. */
		EXPECT_TRUE(sealed ? shared->result >= 0 : shared->result == -EINVAL);
		kill(pid, SIGKILL);
		wait_status(pid);
		EXPECT_EQ(0, seal_write_soon(memfd));
		close(memfd);
		close(other);
	}
	if (sealed)
		SKIP(return, "pinning %llu MiB is too quick here to get between",
		     (unsigned long long)(size / MIB));
}

TEST_F_TIMEOUT(limits, seal_cannot_slip_in_while_pinning, 120)
{
	/* However the lock is let go in between: no write seal under a buffer. */
	struct pinner *shared = shared_pinner();
	uint64_t size = big_size() / 4;
	int memfd = memfd_new(size), sealed = 0, err;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)shared);
	pid = start_pinner(self->dev, memfd, size, shared);
	wait_for(&shared->started);
	while (!__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE)) {
		err = seal_write(memfd);
		if (!err)
			sealed = 1;
		else
			EXPECT_EQ(-EBUSY, err);
		sleep_us(2000);
	}
	if (sealed) {
		EXPECT_EQ(-EINVAL, shared->result);
	} else {
		EXPECT_LE(0, shared->result);
		EXPECT_EQ(-EBUSY, seal_write(memfd));
	}
	kill(pid, SIGKILL);
	wait_status(pid);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
