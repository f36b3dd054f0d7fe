// SPDX-License-Identifier: GPL-2.0
/*
 * bounce: brackets where every DMA mapping bounces (boot with swiotlb=force).
 *
 * There is no importer here. The rule is that without one a bracket touches
 * no byte, takes no bounce buffer and cannot fail.
 */
#include "udmabuf_test.h"

#define TLB_USED	"/sys/kernel/debug/swiotlb/io_tlb_used"

FIXTURE(bounce)
{
	int dev;
	int kmsg;
};

FIXTURE_SETUP(bounce)
{
	char cmdline[4096];

	self->kmsg = kmsg_open();
	self->dev = -1;
	read_text("/proc/cmdline", cmdline, sizeof(cmdline));
	if (!strstr(cmdline, "swiotlb=force"))
		SKIP(return, "needs a boot with swiotlb=force");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
}

FIXTURE_TEARDOWN(bounce)
{
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
	close(self->dev);
}

TEST_F(bounce, C4_bracket_does_not_bring_back_old_bytes)
{
	size_t size = 64 * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *a = map_rw(memfd, size);

	ASSERT_LE(0, buf);
	ASSERT_NE(MAP_FAILED, a);
	fill(a, size, 1);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_R));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_R));
	fill(a, size, 2);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(size, matches(a, size, 2));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_R));
	EXPECT_EQ(size, matches(a, size, 2));
}

TEST_F(bounce, C4_in_every_direction)
{
	static const uint64_t dir[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	size_t size = 16 * page_size(), i, j;

	for (i = 0; i < ARRAY_SIZE(dir); i++) {
		for (j = 0; j < ARRAY_SIZE(dir); j++) {
			int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
			char *a = map_rw(memfd, size), *b = map_rw(buf, size);

			ASSERT_NE(MAP_FAILED, b);
			fill(a, size, 1);
			ASSERT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_START | dir[i]));
			fill(b, size / 2, 2);
			ASSERT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_END | dir[i]));
			EXPECT_EQ(size / 2, matches(b, size / 2, 2));
			fill(a, size, 3);
			ASSERT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_START | dir[j]));
			EXPECT_EQ(size, matches(a, size, 3));
			ASSERT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_END | dir[j]));
			EXPECT_EQ(size, matches(b, size, 3));
			munmap(a, size);
			munmap(b, size);
			close(buf);
			close(memfd);
		}
	}
}

TEST_F(bounce, C4_second_start_in_an_open_bracket)
{
	size_t size = 16 * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
	fill(b, size, 1);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(size, matches(b, size, 1));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_RW));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(size, matches(b, size, 1));
}

struct hammer {
	const int *bufs;
	int n, bad;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	int i;

	for (i = 0; i < h->n; i++) {
		h->bad += buf_sync(h->bufs[i], SYNC_START_RW) != 0;
		h->bad += buf_sync(h->bufs[i], SYNC_END_RW) != 0;
	}
	return NULL;
}

TEST_F_TIMEOUT(bounce, C8_racing_first_brackets_leak_no_mapping, 90)
{
	long long before = read_number(TLB_USED);
	struct hammer h[4];
	pthread_t thread[4];
	int bufs[100], memfd = memfd_new(16 * page_size()), round, i;

	if (before < 0)
		SKIP(return, "no %s", TLB_USED);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 100; i++) {
			bufs[i] = create(self->dev, memfd, 0, 16 * page_size());
			ASSERT_LE(0, bufs[i]);
		}
		for (i = 0; i < 4; i++) {
			h[i] = (struct hammer){ .bufs = bufs, .n = 100 };
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, hammer, &h[i]));
		}
		for (i = 0; i < 4; i++) {
			pthread_join(thread[i], NULL);
			EXPECT_EQ(0, h[i].bad);
		}
		for (i = 0; i < 100; i++)
			close(bufs[i]);
	}
	/* Disks and consoles bounce, too: wait for theirs to end. */
	for (i = 0; i < 20 && read_number(TLB_USED) > before; i++)
		sleep_us(100000);
	EXPECT_GE(before, read_number(TLB_USED));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(bounce, C10_bracket_over_64_MiB_of_huge_pages)
{
	int memfd, buf;
	char *b;

	NEED_HUGE(32);
	memfd = memfd_new_huge(64 * MIB);
	ASSERT_LE(0, memfd);
	buf = create(self->dev, memfd, 0, 64 * MIB);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 64 * MIB);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	fill(b, 64 * MIB, 1);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(64 * MIB, matches(b, 64 * MIB, 1));
}

TEST_F(bounce, C10_bracket_over_more_than_the_bounce_pool_holds)
{
	/* The pool is 64 MiB unless told otherwise. */
	int memfd = memfd_new(96 * MIB), buf = create(self->dev, memfd, 0, 96 * MIB);

	ASSERT_LE(0, buf);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
}

TEST_F(bounce, C4_bracket_takes_no_bounce_buffer)
{
	size_t size = 8 * MIB;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	long long before = read_number(TLB_USED);

	if (before < 0)
		SKIP(return, "no %s", TLB_USED);
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
	/* All of it would be 4096 slots of 2 KiB. */
	EXPECT_GT(before + 1000, read_number(TLB_USED));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_RW));
	close(buf);
}

TEST_HARNESS_MAIN
