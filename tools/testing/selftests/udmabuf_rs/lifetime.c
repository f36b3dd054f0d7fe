// SPDX-License-Identifier: GPL-2.0
/*
 * lifetime: what holds a buffer, what holds the module, and that nothing is
 * left when they go.
 *
 * What needs rmmod is skipped on the C driver, which is built in.
 */
#include "udmabuf_test.h"

#define PAGES	16

FIXTURE(lifetime)
{
	int dev;
	int kmsg;
};

/* The last put of a file may run a moment after close(2): see seal_write_soon(). */
static int module_unload_soon(void)
{
	int i, err = 0;

	for (i = 0; i < 20; i++) {
		err = module_unload();
		if (err != -EWOULDBLOCK)
			break;
		sleep_us(50000);
	}
	return err;
}

static long long module_refs(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module_name());
	return read_number(path);
}

FIXTURE_SETUP(lifetime)
{
	self->kmsg = kmsg_open();
	/* A test that failed may have left it out. */
	if (!is_c_driver() && module_refs() < 0)
		module_load("");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
}

FIXTURE_TEARDOWN(lifetime)
{
	if (!is_c_driver() && module_refs() < 0)
		module_load("");
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
	close(self->dev);
}

#define NEED_RMMOD() do {							\
	if (is_c_driver())							\
		SKIP(return, "the C driver is built in and cannot be unloaded");\
	if (access(module_file(), R_OK))					\
		SKIP(return, "no %s to load again", module_file());		\
} while (0)

TEST_F(lifetime, node_is_a_misc_device_for_root_alone)
{
	struct stat st;

	ASSERT_EQ(0, stat(node_path(), &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(10, st.st_rdev >> 8 & 0xfff);
}

TEST_F(lifetime, unload_is_refused_while_the_node_is_open)
{
	NEED_RMMOD();
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_LE(0, create(self->dev, memfd_new(page_size()), 0, page_size()));
}

TEST_F(lifetime, unload_is_refused_while_a_buffer_lives)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf;
	char *b;

	NEED_RMMOD();
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	close(self->dev);
	self->dev = -1;
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(-EWOULDBLOCK, module_unload());
	/* And the buffer is as good as before. */
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 1);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(size, matches(b, size, 1));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	/* A mapping is enough to hold it. */
	close(buf);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(size, matches(b, size, 1));
	munmap(b, size);
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(-1, access(node_path(), F_OK));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(lifetime, unloaded_and_loaded_again)
{
	int i;

	NEED_RMMOD();
	close(self->dev);
	self->dev = -1;
	for (i = 0; i < 5; i++) {
		int dev, buf;

		ASSERT_EQ(0, module_unload_soon());
		EXPECT_EQ(-1, access(node_path(), F_OK));
		ASSERT_EQ(0, module_load(""));
		dev = node_open();
		ASSERT_LE(0, dev);
		buf = create(dev, memfd_new(page_size()), 0, page_size());
		EXPECT_LE(0, buf);
		EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
		EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
		close(buf);
		close(dev);
	}
}

/* The device of the node has its DMA mask before anyone can have a buffer mapped for it. */
TEST_F(lifetime, first_bracket_after_loading)
{
	size_t size = PAGES * page_size();

	NEED_RMMOD();
	for (int i = 0; i < 10; i++) {
		int memfd = memfd_new(size), buf;

		close(self->dev);
		ASSERT_EQ(0, module_unload_soon());
		ASSERT_EQ(0, module_load(""));
		self->dev = node_open();
		ASSERT_LE(0, self->dev);
		buf = create(self->dev, memfd, 0, size);
		ASSERT_LE(0, buf);
		EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
		EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
		close(buf);
		EXPECT_EQ(0, seal_write_soon(memfd));
		close(memfd);
	}
	/* The fixture looks for the WARN of a device without a mask. */
}

TEST_F(lifetime, every_buffer_and_open_counts_for_the_module)
{
	int memfd = memfd_new(page_size()), bufs[8], i;
	long long refs;

	NEED_RMMOD();
	refs = module_refs();
	for (i = 0; i < 8; i++)
		bufs[i] = create(self->dev, memfd, 0, page_size());
	EXPECT_EQ(refs + 8, module_refs());
	/* A failed create leaves no reference behind. */
	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 1, page_size()));
	EXPECT_EQ(-EBADFD, create(self->dev, -1, 0, page_size()));
	EXPECT_EQ(refs + 8, module_refs());
	for (i = 0; i < 8; i++)
		close(bufs[i]);
	for (i = 0; i < 20 && module_refs() != refs; i++)
		sleep_us(50000);
	EXPECT_EQ(refs, module_refs());
}

TEST_F(lifetime, parameters_at_load)
{
	char text[64];

	NEED_RMMOD();
	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(0, module_unload_soon());
	snprintf(text, sizeof(text), "list_limit=7 size_limit_mb=3");
	ASSERT_EQ(0, module_load(text));
	EXPECT_EQ(7, param_get("list_limit"));
	EXPECT_EQ(3, param_get("size_limit_mb"));
	ASSERT_EQ(0, module_unload_soon());
	EXPECT_EQ(-EINVAL, module_load("list_limit=-1"));
	EXPECT_EQ(-EINVAL, module_load("size_limit_mb=-1"));
	EXPECT_EQ(-EINVAL, module_load("list_limit=65537"));
	ASSERT_EQ(0, module_load(""));
	EXPECT_EQ(1024, param_get("list_limit"));
}

TEST_F(lifetime, buffer_outlives_memfd_and_node)
{
	size_t size = PAGES * page_size();
	int dev = node_open(), memfd = memfd_new(size), buf;
	char *a = map_rw(memfd, size), *b;

	fill(a, size, 1);
	munmap(a, size);
	buf = create(dev, memfd, 0, size);
	close(memfd);
	close(dev);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(size, matches(b, size, 1));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	fill(b, size, 2);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(size, matches(b, size, 2));
}

TEST_F_TIMEOUT(lifetime, thousand_cycles_leave_nothing, 60)
{
	size_t size = 64 * page_size();
	int memfd = memfd_new(size), i;
	long long pins, available, unevictable;
	char *a = map_rw(memfd, size);

	fill(a, size, 1);
	/* The first one may fill caches that stay. */
	close(create(self->dev, memfd, 0, size));
	pins = pins_outstanding();
	available = mem_available();
	unevictable = read_key("/proc/meminfo", "Unevictable");
	for (i = 0; i < 1000; i++) {
		int buf = create(self->dev, memfd, 0, size);
		char *b;

		ASSERT_LE(0, buf);
		b = map_rw(buf, size);
		ASSERT_NE(MAP_FAILED, b);
		b[i % 64 * page_size()] = i;
		if (i & 1)
			EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
		if (i & 2)
			EXPECT_EQ(0, buf_sync(buf, i & 1 ? SYNC_END_RW : SYNC_START_R));
		munmap(b, size);
		close(buf);
	}
	EXPECT_EQ(pins, pins_outstanding());
	EXPECT_EQ(unevictable, (long long)read_key("/proc/meminfo", "Unevictable"));
	/* 1000 times anything would show; the machine breathes a little. */
	EXPECT_LT(available - (long long)(16 * MIB), mem_available());
	munmap(a, size);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F_TIMEOUT(lifetime, thousand_failures_leave_nothing, 60)
{
	size_t pg = page_size();
	int memfd = memfd_new(64 * pg), fds = count_fds(), i;
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd, .size = 32 * pg },
		{ .memfd = memfd, .size = 64 * pg },
		{ .memfd = memfd, .offset = 64 * pg, .size = pg },
	};
	long long pins = pins_outstanding(), available = mem_available();

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(-EINVAL, create_list(self->dev, items, 3));
	EXPECT_EQ(pins, pins_outstanding());
	EXPECT_EQ(fds, count_fds());
	EXPECT_LT(available - (long long)(16 * MIB), mem_available());
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(lifetime, hugetlb_pages_go_back_to_the_pool)
{
	long long nr;
	int i;

	NEED_HUGE(4);
	nr = read_number(HUGE_DIR "free_hugepages");
	for (i = 0; i < 20; i++) {
		int memfd = memfd_new_huge(4 * HUGE), buf;

		buf = create(self->dev, memfd, HUGE / 2, 2 * HUGE);
		ASSERT_LE(0, buf);
		close(memfd);
		EXPECT_GT(nr, read_number(HUGE_DIR "free_hugepages"));
		close(buf);
	}
	for (i = 0; i < 20 && read_number(HUGE_DIR "free_hugepages") != nr; i++)
		sleep_us(50000);
	EXPECT_EQ(nr, read_number(HUGE_DIR "free_hugepages"));
}

TEST_F(lifetime, killed_with_mappings_and_brackets_open)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), round;
	long long pins = pins_outstanding();

	for (round = 0; round < 20; round++) {
		bool *ready = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			int buf = create(self->dev, memfd, 0, size);
			char *b = map_rw(buf, size);

			buf_sync(buf, SYNC_START_RW);
			tag_pages(b, PAGES, round);
			__atomic_store_n(ready, true, __ATOMIC_RELEASE);
			for (;;)
				b[0]++;
		}
		while (!__atomic_load_n(ready, __ATOMIC_ACQUIRE))
			sleep_us(1000);
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, wait_status(pid));
		munmap(ready, page_size());
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(pins, pins_outstanding());
}

struct creator {
	int dev, memfd;
	size_t size;
};

static void *create_forever(void *arg)
{
	struct creator *c = arg;

	for (;;) {
		int buf = create(c->dev, c->memfd, 0, c->size);

		if (buf >= 0 && buf % 3)
			close(buf);
	}
	return NULL;
}

TEST_F_TIMEOUT(lifetime, exit_in_the_middle_of_many_creates, 60)
{
	size_t size = 512 * page_size();
	int memfd = memfd_new(size), round, i;
	long long pins = pins_outstanding();

	for (round = 0; round < 20; round++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			struct creator c = { self->dev, memfd, size };
			pthread_t thread;

			for (i = 0; i < 4; i++)
				pthread_create(&thread, NULL, create_forever, &c);
			sleep_us(20000 + round * 3700);
			if (round & 1)
				raise(SIGKILL);
			_exit(0);
		}
		EXPECT_EQ(round & 1 ? -SIGKILL : 0, wait_status(pid));
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(pins, pins_outstanding());
}

#define CGROUP	"/sys/fs/cgroup/udmabuf-test"

TEST_F_TIMEOUT(lifetime, out_of_memory_in_the_middle_leaves_nothing, 60)
{
	size_t size = 96 * MIB;
	long long pins = pins_outstanding();
	int memfd = memfd_new(size);
	pid_t pid;

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755) || write_text(CGROUP "/memory.max", "24M")) {
		rmdir(CGROUP);
		SKIP(return, "no memory cgroup (version 2)");
	}
	write_text(CGROUP "/memory.swap.max", "0");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!write_text(CGROUP "/cgroup.procs", "0"));
		_exit(create(self->dev, memfd, 0, size) < 0 ? 1 : 0);
	}
	/* Killed, or told ENOMEM: the one thing it cannot have is the buffer. */
	EXPECT_NE(0, wait_status(pid));
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(pins, pins_outstanding());
	close(memfd);
	rmdir(CGROUP);
	/* The report of the killer has a call trace and is not one of a fault. */
	close(self->kmsg);
	self->kmsg = kmsg_open();
}

static void *open_and_close(void *arg)
{
	bool *stop = arg;
	size_t pg = page_size();

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		int dev = node_open();

		if (dev >= 0) {
			int memfd = memfd_new(pg), buf = create(dev, memfd, 0, pg);

			close(buf);
			close(memfd);
			close(dev);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(lifetime, unload_against_opens_and_creates, 60)
{
	uint64_t until = now_us() + 3000000;
	int unloaded = 0, i;
	pthread_t thread[2];
	bool stop = false;

	NEED_RMMOD();
	close(self->dev);
	self->dev = -1;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, open_and_close, &stop));
	while (now_us() < until) {
		int err = module_unload();

		EXPECT_TRUE(!err || err == -EWOULDBLOCK);
		if (!err) {
			unloaded++;
			ASSERT_EQ(0, module_load(""));
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	TH_LOG("unloaded and loaded again %d times", unloaded);
	ASSERT_EQ(0, module_unload_soon());
}

/* The pins of a task that was killed are released by the module, which does not go before. */
TEST_F_TIMEOUT(lifetime, unload_waits_for_unpinning, 120)
{
	struct udmabuf_create_item items[1024];
	int memfd, err;
	pid_t pid;

	NEED_RMMOD();
	memfd = listed_memfd(items, ARRAY_SIZE(items), 64 * MIB);
	ASSERT_LE(0, memfd);
	for (int delay = 1000000; ; delay /= 2) {
		if (delay < 50000)
			SKIP(return, "64 GiB are listed too quickly here to be interrupted");
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(create_list(self->dev, items, ARRAY_SIZE(items)) < 0);
		sleep_us(delay);
		kill(pid, SIGKILL);
		if (wait_status(pid) == -SIGKILL)
			break;
	}
	close(self->dev);
	self->dev = -1;
	do {
		err = module_unload();
	} while (err == -EWOULDBLOCK);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_HARNESS_MAIN
