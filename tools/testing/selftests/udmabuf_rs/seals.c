// SPDX-License-Identifier: GPL-2.0
/*
 * seals: which files a buffer can be made of, and what their seals do before,
 * while and after it lives.
 */
#include "udmabuf_test.h"

#define PAGES	8

UDMABUF_FIXTURE(seals);

/* Makes a memfd with @mfd_flags and @seals and tries it: the buffer or -errno. */
static int attempt(int dev, unsigned int mfd_flags, int seals, int *memfd)
{
	*memfd = memfd_make(PAGES * page_size(), mfd_flags, seals);
	/* Not to be taken for the answer of the node. */
	if (*memfd < 0)
		return -EOPNOTSUPP;
	return create(dev, *memfd, 0, PAGES * page_size());
}

TEST_F(seals, shrink_seal_is_required)
{
	int memfd;

	EXPECT_EQ(-EINVAL, attempt(self->dev, MFD_ALLOW_SEALING, 0, &memfd));
	EXPECT_EQ(0, seal_write(memfd));
	EXPECT_EQ(-EINVAL, attempt(self->dev, MFD_ALLOW_SEALING, F_SEAL_GROW, &memfd));
	/* The seal may come late, just not too late. */
	ASSERT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	EXPECT_LE(0, create(self->dev, memfd, 0, page_size()));
}

TEST_F(seals, write_seal_is_refused)
{
	int memfd;

	EXPECT_EQ(-EINVAL, attempt(self->dev, MFD_ALLOW_SEALING,
				   F_SEAL_SHRINK | F_SEAL_WRITE, &memfd));
}

TEST_F(seals, future_write_seal_is_refused)
{
	int memfd;

	EXPECT_EQ(-EINVAL, attempt(self->dev, MFD_ALLOW_SEALING,
				   F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE, &memfd));
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(seals, write_sealed_item_among_good_ones)
{
	size_t pg = page_size();
	int good = memfd_new(pg);
	int bad = memfd_make(pg, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_WRITE);
	struct udmabuf_create_item items[] = {
		{ .memfd = good, .size = pg }, { .memfd = bad, .size = pg },
	};

	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
	EXPECT_EQ(0, seal_write(good));
}

TEST_F(seals, more_seals_are_fine)
{
	static const int extra[] = {
		F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_GROW | F_SEAL_SEAL, F_SEAL_EXEC,
	};

	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		int memfd, buf;

		/* F_SEAL_EXEC on an executable memfd implies F_SEAL_WRITE. */
		buf = attempt(self->dev, MFD_ALLOW_SEALING |
			      (extra[i] == F_SEAL_EXEC ? MFD_NOEXEC_SEAL : 0),
			      F_SEAL_SHRINK | extra[i], &memfd);
		EXPECT_LE(0, buf);
		close(buf);
		close(memfd);
	}
}

TEST_F(seals, memfd_without_sealing_is_refused)
{
	int memfd;

	EXPECT_EQ(-EINVAL, attempt(self->dev, 0, 0, &memfd));
	EXPECT_EQ(-EINVAL, attempt(self->dev, MFD_EXEC, 0, &memfd));
}

TEST_F(seals, memfd_flags_that_allow_sealing)
{
	int memfd;

	EXPECT_LE(0, attempt(self->dev, MFD_ALLOW_SEALING | MFD_EXEC, F_SEAL_SHRINK, &memfd));
	/* MFD_NOEXEC_SEAL alone allows sealing, too. */
	EXPECT_LE(0, attempt(self->dev, MFD_NOEXEC_SEAL, F_SEAL_SHRINK, &memfd));
}

TEST_F(seals, file_in_tmpfs_is_refused)
{
	char path[] = "/dev/shm/udmabuf-test-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		SKIP(return, "no tmpfs at /dev/shm: %s", strerror(errno));
	unlink(path);
	ASSERT_EQ(0, ftruncate(fd, page_size()));
	EXPECT_EQ(-EINVAL, create(self->dev, fd, 0, page_size()));
}

TEST_F(seals, write_seal_waits_for_the_buffer)
{
	int memfd, buf;

	buf = attempt(self->dev, MFD_ALLOW_SEALING, F_SEAL_SHRINK, &memfd);
	ASSERT_LE(0, buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	EXPECT_EQ(F_SEAL_SHRINK, fcntl(memfd, F_GET_SEALS));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 0, page_size()));
}

TEST_F(seals, write_seal_waits_for_a_buffer_of_one_page)
{
	int memfd = memfd_new(64 * page_size());
	int buf = create(self->dev, memfd, 63 * page_size(), page_size());

	ASSERT_LE(0, buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(seals, write_seal_waits_for_a_hugetlb_buffer)
{
	int memfd, buf;

	NEED_HUGE(1);
	memfd = memfd_new_huge(HUGE);
	buf = create(self->dev, memfd, HUGE / 2, page_size());
	ASSERT_LE(0, buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(seals, future_write_seal_later_leaves_the_buffer_alone)
{
	size_t pg = page_size();
	int memfd, buf;
	char *b, byte = 0;

	buf = attempt(self->dev, MFD_ALLOW_SEALING, F_SEAL_SHRINK, &memfd);
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	b = map_rw(buf, pg);
	ASSERT_NE(MAP_FAILED, b);
	b[1] = 'f';
	EXPECT_EQ(1, pread(memfd, &byte, 1, 1));
	EXPECT_EQ('f', byte);
	EXPECT_EQ(-EINVAL, create(self->dev, memfd, 0, pg));
}

TEST_F(seals, C7_read_only_memfd_is_refused)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg);
	int ro = fd_reopen(memfd, O_RDONLY);

	ASSERT_LE(0, ro);
	EXPECT_EQ(-EACCES, create(self->dev, ro, 0, pg));
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(seals, C7_read_only_memfd_in_a_list_is_refused)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg);
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd, .size = pg },
		{ .memfd = fd_reopen(memfd, O_RDONLY), .size = pg },
	};

	EXPECT_EQ(-EACCES, create_list(self->dev, items, 2));
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(seals, C7_write_only_memfd_is_refused)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg);
	int wo = fd_reopen(memfd, O_WRONLY);

	ASSERT_LE(0, wo);
	EXPECT_EQ(-EACCES, create(self->dev, wo, 0, pg));
	EXPECT_EQ(0, seal_write(memfd));
}

TEST_F(seals, C7_read_only_hugetlb_memfd_is_refused)
{
	int memfd, ro;

	NEED_HUGE(1);
	memfd = memfd_new_huge(HUGE);
	ro = fd_reopen(memfd, O_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-EACCES, create(self->dev, ro, 0, HUGE));
}

/* The order is that of Documentation/udmabuf_rs.rst. */
TEST_F(seals, own_order_of_errors)
{
	size_t pg = page_size(), size = PAGES * pg;
	int sealed = memfd_new(size), open = memfd_make(size, MFD_ALLOW_SEALING, 0);
	int sealed_ro = fd_reopen(sealed, O_RDONLY), open_ro = fd_reopen(open, O_RDONLY);
	struct udmabuf_create_item items[2];

	ASSERT_LE(0, sealed_ro);
	ASSERT_LE(0, open_ro);
	EXPECT_EQ(-EINVAL, create(self->dev, open_ro, 0, pg));
	EXPECT_EQ(-EACCES, create(self->dev, sealed_ro, 0, size + pg));
	/* Items are checked one after the other. */
	items[0] = (struct udmabuf_create_item){ .memfd = sealed_ro, .size = pg };
	items[1] = (struct udmabuf_create_item){ .memfd = open, .size = pg };
	EXPECT_EQ(-EACCES, create_list(self->dev, items, 2));
	items[0].memfd = sealed;
	items[0].offset = size;
	items[1].memfd = sealed_ro;
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
	/* Numbers of all items come before any descriptor. */
	items[0] = (struct udmabuf_create_item){ .memfd = sealed_ro, .size = pg };
	items[1] = (struct udmabuf_create_item){ .memfd = sealed, .size = pg + 1 };
	EXPECT_EQ(-EINVAL, create_list(self->dev, items, 2));
	EXPECT_EQ(0, seal_write(sealed));
}

TEST_F(seals, reopened_for_both_is_as_good_as_the_first)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg);
	int rw = fd_reopen(memfd, O_RDWR);
	char *b, byte = 0;
	int buf;

	ASSERT_LE(0, rw);
	buf = create(self->dev, rw, 0, pg);
	ASSERT_LE(0, buf);
	b = map_rw(buf, pg);
	ASSERT_NE(MAP_FAILED, b);
	b[0] = 'r';
	EXPECT_EQ(1, pread(memfd, &byte, 1, 0));
	EXPECT_EQ('r', byte);
}

TEST_F(seals, memfd_larger_than_the_range_can_grow)
{
	size_t pg = page_size();
	int memfd = memfd_new(64 * pg);
	int buf = create(self->dev, memfd, 0, PAGES * pg);

	ASSERT_LE(0, buf);
	EXPECT_EQ(0, ftruncate(memfd, 128 * pg));
	EXPECT_EQ(-1, ftruncate(memfd, 8 * pg));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(PAGES * pg, buf_size(buf));
	EXPECT_LE(0, create(self->dev, memfd, 127 * pg, pg));
}

/*
 * A hole makes the memfd and the buffer two different memories; that is a limit
 * of memfds. What is ours: the buffer keeps its bytes and its pages.
 */
TEST_F(seals, C20_hole_leaves_the_buffer_its_bytes)
{
	size_t pg = page_size(), size = PAGES * pg;
	int memfd, buf;
	char *a, *b;

	buf = attempt(self->dev, MFD_ALLOW_SEALING, F_SEAL_SHRINK, &memfd);
	ASSERT_LE(0, buf);
	a = map_rw(memfd, size);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	fill(a, size, 1);
	ASSERT_EQ(0, fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       2 * pg, 4 * pg));
	EXPECT_EQ(size, matches(b, size, 1));
	EXPECT_EQ(4 * pg, zero_up_to(a + 2 * pg, 4 * pg));
	/* Written through the buffer, they still land in pages it owns. */
	fill(b, size, 2);
	EXPECT_EQ(size, matches(b, size, 2));
	EXPECT_EQ(4 * pg, zero_up_to(a + 2 * pg, 4 * pg));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	munmap(a, size);
	munmap(b, size);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(seals, C20_hole_in_a_huge_page)
{
	int memfd, buf;
	char *b;

	NEED_HUGE(2);
	memfd = memfd_new_huge(HUGE);
	buf = create(self->dev, memfd, 0, HUGE);
	ASSERT_LE(0, buf);
	b = map_rw(buf, HUGE);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, HUGE, 3);
	ASSERT_EQ(0, fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE));
	EXPECT_EQ(HUGE, matches(b, HUGE, 3));
}

struct sealer {
	int memfd, result;
	bool go;
};

static void *seal_when_told(void *arg)
{
	struct sealer *s = arg;

	while (!__atomic_load_n(&s->go, __ATOMIC_ACQUIRE))
		;
	s->result = seal_write(s->memfd);
	return NULL;
}

/* Whoever wins, there is never a writable buffer of a write-sealed memfd. */
TEST_F(seals, write_seal_and_create_at_once)
{
	int round, both = 0;

	for (round = 0; round < 60; round++) {
		struct sealer s = { .memfd = memfd_new(64 * page_size()) };
		pthread_t thread;
		int buf;

		ASSERT_EQ(0, pthread_create(&thread, NULL, seal_when_told, &s));
		__atomic_store_n(&s.go, true, __ATOMIC_RELEASE);
		sleep_us(round * 7);
		buf = create(self->dev, s.memfd, 0, 64 * page_size());
		pthread_join(thread, NULL);
		EXPECT_TRUE(s.result == 0 || s.result == -EBUSY);
		EXPECT_TRUE(buf >= 0 || buf == -EINVAL);
		both += !s.result && buf >= 0;
		close(buf);
		close(s.memfd);
	}
	EXPECT_EQ(0, both);
}

TEST_HARNESS_MAIN
