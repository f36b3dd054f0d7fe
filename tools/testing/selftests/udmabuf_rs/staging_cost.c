// SPDX-License-Identifier: GPL-2.0
/*
 * staging_cost: what a device behind a staging costs, beside one behind a bounce
 * buffer of the C driver. Needs the module in importer/, a boot with
 * swiotlb=force where both drivers are loaded, and one processor whose clock
 * counts instructions (tools/vm/run --icount).
 */
#include "importer_test.h"

#define C_NODE	"/dev/udmabuf"

/* Instructions a page: each figure is the least of some rounds, which an interrupt spares. */
#define ROUNDS	3

FIXTURE(staging_cost)
{
	int importer;
	size_t size, pages;
	/* Ours and the C driver's. */
	int dev[2], memfd[2], buf[2];
	char *bytes;
};

FIXTURE_VARIANT(staging_cost)
{
	size_t size;
};

FIXTURE_VARIANT_ADD(staging_cost, 8_MiB) { .size = 8 * MIB };
FIXTURE_VARIANT_ADD(staging_cost, 32_MiB) { .size = 32 * MIB };

/*
 * Give each page another neighbour in memory than in @memfd: the C driver cannot
 * bounce segments of more than 256 KiB.
 */
static void scatter(int memfd, size_t size)
{
	char *a = map_rw(memfd, size);

	for (size_t odd = 0; odd < 2; odd++)
		for (size_t at = odd * page_size(); at < size; at += 2 * page_size())
			a[at] = 1;
	munmap(a, size);
}

FIXTURE_SETUP(staging_cost)
{
	const char *ours = node_path();

	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	self->size = variant->size;
	self->pages = self->size / page_size();
	self->bytes = malloc(self->size);
	ASSERT_NE(NULL, self->bytes);
	for (int i = 0; i < 2; i++) {
		const char *node = i ? C_NODE : ours;

		self->dev[i] = open(node, O_RDWR | O_CLOEXEC);
		if (self->dev[i] < 0)
			SKIP(return, "%s: %s", node, strerror(errno));
		self->memfd[i] = memfd_new(self->size);
		scatter(self->memfd[i], self->size);
		self->buf[i] = create(self->dev[i], self->memfd[i], 0, self->size);
		ASSERT_LE(0, self->buf[i]);
		ASSERT_EQ(0, buf_sync(self->buf[i], SYNC_START_RW));
		ASSERT_EQ(0, buf_sync(self->buf[i], SYNC_END_RW));
	}
}

FIXTURE_TEARDOWN(staging_cost)
{
	for (int i = 0; i < 2; i++) {
		close(self->buf[i]);
		close(self->memfd[i]);
		close(self->dev[i]);
	}
	close(self->importer);
	free(self->bytes);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Which bytes of a page change. */
enum change { NOTHING, ONE_BYTE, HALF, ALL };

static const char *const changes[] = { "nothing", "a byte a page", "half", "all" };

/* Change bytes so that they differ from what they were. */
static void change_bytes(char *bytes, size_t size, enum change change)
{
	uint64_t random = 88172645463325252ULL;

	for (size_t at = 0; at < size; at++) {
		if (change == ONE_BYTE && at % page_size())
			continue;
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (change == ALL || (change == HALF && random & 1) || change == ONE_BYTE)
			bytes[at]++;
	}
}

struct costs {
	long long map, unmap, start[4], end[4];
};

static void least(long long *so_far, long long start, size_t pages)
{
	long long took = (now() - start) / pages;

	if (!*so_far || took < *so_far)
		*so_far = took;
}

/* What the device of slot 0 of buffer @which costs, mapped in @direction. */
static void measure(struct __test_metadata *_metadata, struct _test_data_staging_cost *self,
		    int which, int direction, struct costs *costs)
{
	char *b = map_rw(self->buf[which], self->size);
	bool writes = direction != IMPORTER_TO_DEVICE;
	int buf = self->buf[which];

	*costs = (struct costs){};
	ASSERT_NE(MAP_FAILED, b);
	memset(b, 1, self->size);
	for (int round = 0; round < ROUNDS; round++) {
		long long start = now();

		ASSERT_EQ(0, importer_map(self->importer, 0, buf, IMPORTER_FAUX, direction));
		least(&costs->map, start, self->pages);
		for (int change = NOTHING; change <= ALL; change++) {
			if (writes && change) {
				memcpy(self->bytes, b, self->size);
				change_bytes(self->bytes, self->size, change);
				ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_WRITE, 0, 0,
							   self->bytes, self->size));
			}
			start = now();
			ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
			least(&costs->start[change], start, self->pages);
			if (change)
				change_bytes(b, self->size, change);
			start = now();
			ASSERT_EQ(0, buf_sync(buf, SYNC_END_RW));
			least(&costs->end[change], start, self->pages);
		}
		start = now();
		ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
		least(&costs->unmap, start, self->pages);
	}
	munmap(b, self->size);
}

static void show(struct __test_metadata *_metadata, const char *what, const struct costs *costs)
{
	TH_LOG("%s: map %lld, unmap %lld instructions a page", what, costs->map, costs->unmap);
	for (int change = NOTHING; change <= ALL; change++)
		TH_LOG("%s: START %lld, END %lld after %s changed", what, costs->start[change],
		       costs->end[change], changes[change]);
}

TEST_F_TIMEOUT(staging_cost, device_that_writes, 280)
{
	struct costs ours, theirs;

	measure(_metadata, self, 1, IMPORTER_BIDIRECTIONAL, &theirs);
	measure(_metadata, self, 0, IMPORTER_BIDIRECTIONAL, &ours);
	show(_metadata, "C driver", &theirs);
	show(_metadata, "staging", &ours);
	EXPECT_GE(theirs.start[NOTHING], ours.start[NOTHING]);
	EXPECT_GE(theirs.end[NOTHING], ours.end[NOTHING]);
	EXPECT_GE(3 * theirs.start[ALL], ours.start[ALL]);
	EXPECT_GE(3 * theirs.end[ALL], ours.end[ALL]);
	EXPECT_GE(3 * theirs.map, ours.map);
	/* The C driver does not bring the device's bytes: that takes what a START does. */
	EXPECT_GE(theirs.unmap + theirs.start[NOTHING], ours.unmap);
}

TEST_F_TIMEOUT(staging_cost, device_that_reads, 280)
{
	struct costs ours, theirs;

	measure(_metadata, self, 1, IMPORTER_TO_DEVICE, &theirs);
	measure(_metadata, self, 0, IMPORTER_TO_DEVICE, &ours);
	show(_metadata, "C driver", &theirs);
	show(_metadata, "staging", &ours);
	EXPECT_GE(theirs.start[NOTHING], ours.start[NOTHING]);
	EXPECT_GE(theirs.end[NOTHING], ours.end[NOTHING]);
	EXPECT_GE(3 * theirs.end[ALL], ours.end[ALL]);
	EXPECT_GE(12 * theirs.map, 5 * ours.map);
	EXPECT_GE(theirs.unmap + theirs.start[NOTHING], ours.unmap);
}

TEST_HARNESS_MAIN
