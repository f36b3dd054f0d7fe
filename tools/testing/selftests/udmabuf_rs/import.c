// SPDX-License-Identifier: GPL-2.0
/*
 * import: what a device sees that the buffer is mapped for, and what the CPU
 * sees of it. Needs the module in importer/.
 */
#include "importer_test.h"

#define TLB_USED	"/sys/kernel/debug/swiotlb/io_tlb_used"

FIXTURE(import)
{
	int dev;
	int importer;
	int kmsg;
	size_t size;
	int memfd;
	int buf;
	char *b;
};

/* What the memory is: kernels map each in another way. */
FIXTURE_VARIANT(import)
{
	size_t size;	/* 0: a page */
	unsigned int memfd_flags;
};

FIXTURE_VARIANT_ADD(import, one_page)
{
	.size = 0,
};

FIXTURE_VARIANT_ADD(import, pages)
{
	.size = MIB,
};

FIXTURE_VARIANT_ADD(import, huge_pages)
{
	.size = 4 * MIB,
	.memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB,
};

FIXTURE_SETUP(import)
{
	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	/* An earlier test that failed may have left it without the device. */
	importer_call(self->importer, IMPORTER_PLUG, NULL);
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->size = variant->size ?: page_size();
	self->memfd = memfd_create("import", MFD_ALLOW_SEALING | variant->memfd_flags);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, self->size));
	ASSERT_EQ(0, fcntl(self->memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	self->buf = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, self->buf);
	self->b = map_rw(self->buf, self->size);
	ASSERT_NE(MAP_FAILED, self->b);
	memset(self->b, 1, self->size);
}

FIXTURE_TEARDOWN(import)
{
	close(self->importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

/* How many bytes of @mem are @byte. */
static size_t count_of(const char *mem, size_t size, char byte)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += mem[i] == byte;
	return count;
}

static int device_map(int importer, int slot, int buf, int direction)
{
	return importer_map(importer, slot, buf, IMPORTER_FAUX, direction);
}

static int device_unmap(int importer, int slot)
{
	return importer_slot(importer, IMPORTER_UNMAP, slot);
}

static int device_writes(int importer, int slot, size_t size, int byte)
{
	return importer_fill(importer, IMPORTER_WRITE, slot, size, byte);
}

/* 0 when the device sees @byte everywhere, -EIO when not. */
static int device_sees(int importer, int slot, size_t size, int byte)
{
	return importer_finds(importer, IMPORTER_READ, slot, size, byte);
}

/* What the device takes from now on, in bytes; 0: anything. */
static int device_limit(int importer, unsigned int max_segment)
{
	struct importer_limits limits = { .max_segment = max_segment };

	return importer_call(importer, IMPORTER_LIMITS, &limits);
}

TEST_F(import, C3_device_sees_what_was_written_before_it_was_mapped)
{
	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_TO_DEVICE));
	EXPECT_EQ(0, device_sees(self->importer, 0, self->size, 1));
}

TEST_F(import, C3_device_sees_what_was_written_in_a_bracket)
{
	for (int dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_TO_DEVICE; dir++) {
		ASSERT_EQ(0, device_map(self->importer, 0, self->buf, dir));
		for (int byte = 2; byte < 5; byte++) {
			ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_W));
			memset(self->b, byte, self->size);
			ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_W));
			EXPECT_EQ(0, device_sees(self->importer, 0, self->size, byte));
		}
		ASSERT_EQ(0, device_unmap(self->importer, 0));
		EXPECT_EQ(self->size, count_of(self->b, self->size, 4));
	}
}

TEST_F(import, C3_bracket_shows_what_the_device_wrote)
{
	static const int dirs[] = { IMPORTER_BIDIRECTIONAL, IMPORTER_FROM_DEVICE };

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(self->importer, 0, self->buf, dirs[i]));
		for (int byte = 2; byte < 5; byte++) {
			ASSERT_EQ(0, device_writes(self->importer, 0, self->size, byte));
			ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
			EXPECT_EQ(self->size, count_of(self->b, self->size, byte));
			ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_R));
		}
		ASSERT_EQ(0, device_unmap(self->importer, 0));
	}
}

TEST_F(import, C3_write_bracket_keeps_what_the_device_wrote_elsewhere)
{
	size_t half = self->size / 2;

	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_writes(self->importer, 0, self->size, 2));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_W));
	memset(self->b, 3, half);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_W));
	ASSERT_EQ(0, device_unmap(self->importer, 0));
	EXPECT_EQ(half, count_of(self->b, half, 3));
	EXPECT_EQ(half, count_of(self->b + half, half, 2));
}

TEST_F(import, C3_unmap_brings_what_the_device_wrote)
{
	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_writes(self->importer, 0, self->size, 2));
	ASSERT_EQ(0, device_unmap(self->importer, 0));
	EXPECT_EQ(self->size, count_of(self->b, self->size, 2));
}

TEST_F(import, C3_read_bracket_copies_nothing_to_the_device)
{
	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	ASSERT_EQ(0, device_writes(self->importer, 0, self->size, 2));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_R));
	EXPECT_EQ(0, device_sees(self->importer, 0, self->size, 2));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EQ(self->size, count_of(self->b, self->size, 2));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_R));
}

TEST_F(import, C3_all_of_sixteen_readers_see_a_bracket)
{
	for (int i = 0; i < 16; i++)
		ASSERT_EQ(0, device_map(self->importer, i, self->buf, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_W));
	memset(self->b, 2, self->size);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_W));
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(0, device_sees(self->importer, i, self->size, 2));
	/* Readers take nothing back with them. */
	for (int i = 0; i < 16; i += 2)
		ASSERT_EQ(0, device_unmap(self->importer, i));
	EXPECT_EQ(self->size, count_of(self->b, self->size, 2));
}

TEST_F(import, C10_segments_stay_within_what_the_device_takes)
{
	unsigned int pg = page_size();
	unsigned int limits[] = { pg, 2 * pg, 16 * pg, 3 * pg + 100, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct importer_segments segments;

		ASSERT_EQ(0, device_limit(self->importer, limits[i]));
		ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
		ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
		EXPECT_EQ(self->size, segments.total);
		if (limits[i])
			EXPECT_GE(limits[i], segments.longest);
		EXPECT_EQ(0, device_sees(self->importer, 0, self->size, 1));
		ASSERT_EQ(0, device_unmap(self->importer, 0));
	}
}

TEST_F(import, C10_segments_cross_no_boundary)
{
	static const unsigned int boundaries[] = { 16384, 65536, MIB };

	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++) {
		struct importer_limits limits = { .boundary = boundaries[i] };
		struct importer_segments segments;

		ASSERT_EQ(0, importer_call(self->importer, IMPORTER_LIMITS, &limits));
		ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
		ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
		EXPECT_EQ(self->size, segments.total);
		EXPECT_EQ(0, segments.crossed);
		EXPECT_GE(boundaries[i], segments.longest);
		EXPECT_EQ(0, device_sees(self->importer, 0, self->size, 1));
		ASSERT_EQ(0, device_unmap(self->importer, 0));
	}
}

/* Of 4 MiB, the second half of which may lie elsewhere, a huge page is one run for sure. */
TEST_F(import, C10_segments_of_a_huge_page_cross_no_boundary)
{
	struct importer_limits limits = { .boundary = 64 * KIB };
	struct importer_segments segments;
	int buf;

	if (!(variant->memfd_flags & MFD_HUGETLB))
		SKIP(return, "for huge pages");
	buf = create(self->dev, self->memfd, 0, HUGE);
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_LIMITS, &limits));
	ASSERT_EQ(0, device_map(self->importer, 0, buf, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	EXPECT_EQ(HUGE, segments.total);
	EXPECT_EQ(0, segments.crossed);
	EXPECT_EQ(HUGE / limits.boundary, segments.count);
	ASSERT_EQ(0, device_unmap(self->importer, 0));
	close(buf);
}

TEST_F(import, own_device_that_takes_less_than_a_page_is_refused)
{
	ASSERT_EQ(0, device_limit(self->importer, 512));
	EXPECT_EQ(-EINVAL, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
}

TEST_F(import, C10_few_segments_for_contiguous_memory)
{
	struct importer_segments segments;

	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	EXPECT_GE(self->size / page_size(), segments.count);
	/* Bounce buffers come in pieces of 256 KiB. */
	if (variant->memfd_flags & MFD_HUGETLB)
		EXPECT_GE(self->size / (256 * 1024), segments.count);
}

/* Behind a bounce buffer there may be no room for all of it. */
TEST(C10_64_MiB_of_contiguous_memory_map_or_fail_cleanly)
{
	int importer = importer_open(), dev = node_open(), kmsg = kmsg_open(), memfd, buf, err;

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	ASSERT_LE(0, dev);
	if (!huge_ready(32))
		SKIP(return, "no 32 huge pages");
	memfd = memfd_new_huge(64 * MIB);
	ASSERT_LE(0, memfd);
	buf = create(dev, memfd, 0, 64 * MIB);
	ASSERT_LE(0, buf);
	err = importer_map(importer, 0, buf, IMPORTER_FAUX, IMPORTER_BIDIRECTIONAL);
	if (err) {
		EXPECT_TRUE(err == -EIO || err == -ENOMEM)
			TH_LOG("%s", strerror(-err));
	} else {
		EXPECT_EQ(0, importer_fill(importer, IMPORTER_WRITE, 0, MIB, 2));
		EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	}
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(0, kmsg_reports(kmsg));
}

TEST_F(import, D3_kernel_mapping_shows_the_same_bytes)
{
	ASSERT_EQ(0, importer_vmap(self->importer, 0, self->buf));
	EXPECT_EQ(0, importer_finds(self->importer, IMPORTER_VMAP_READ, 0, self->size, 1));
	ASSERT_EQ(0, importer_fill(self->importer, IMPORTER_VMAP_WRITE, 0, self->size, 2));
	EXPECT_EQ(self->size, count_of(self->b, self->size, 2));
	memset(self->b, 3, self->size);
	EXPECT_EQ(0, importer_finds(self->importer, IMPORTER_VMAP_READ, 0, self->size, 3));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_VUNMAP, 0));
}

/* Bytes of vmalloc space in use. Areas that only wait for a TLB flush are not. */
static long long kernel_mappings(void)
{
	FILE *file = fopen("/proc/vmallocinfo", "re");
	long long sum = 0, bytes;
	char line[512];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (!strstr(line, "unpurged") && sscanf(line, "%*s %lld", &bytes) == 1)
			sum += bytes;
	fclose(file);
	return sum;
}

TEST(kernel_mapping_is_undone)
{
	int importer = importer_open(), dev = node_open(), kmsg = kmsg_open(), memfd, buf;
	struct udmabuf_create_item items[256];
	size_t pg = page_size();
	long long before, during;

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	ASSERT_LE(0, dev);
	memfd = memfd_new(256 * pg);
	/* Contiguous memory needs no mapping of its own. */
	for (int i = 0; i < 256; i++)
		items[i] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = i * 91 % 256 * pg, .size = pg,
		};
	buf = create_list(dev, items, 256);
	ASSERT_LE(0, buf);
	before = kernel_mappings();
	if (before < 0)
		SKIP(return, "no /proc/vmallocinfo");
	ASSERT_EQ(0, importer_vmap(importer, 0, buf));
	during = kernel_mappings();
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_VUNMAP, 0));
	/* Else this shows nothing. */
	ASSERT_LE(before + 256 * pg / 2, during);
	for (int i = 0; i < 64; i++) {
		ASSERT_EQ(0, importer_vmap(importer, 0, buf));
		ASSERT_EQ(0, importer_slot(importer, IMPORTER_VUNMAP, 0));
	}
	EXPECT_GT(before + 16 * 256 * pg, kernel_mappings());
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(0, kmsg_reports(kmsg));
}

/* Whether the device reaches the memory or not. The driver ends what the importer leaves. */
TEST_F(import, own_no_bounce_buffer_is_used_or_left_when_the_device_goes)
{
	long long before = read_number(TLB_USED);

	if (before < 0)
		SKIP(return, "no pool of bounce buffers to look at");
	ASSERT_EQ(0, device_map(self->importer, 0, self->buf, IMPORTER_BIDIRECTIONAL));
	/* Disks and consoles bounce, too, but not as much. */
	EXPECT_GT(before + (long long)self->size / 2048, read_number(TLB_USED));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_UNPLUG, NULL));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_PLUG, NULL));
	device_unmap(self->importer, 0);
	for (int i = 0; i < 20 && read_number(TLB_USED) > before; i++)
		sleep_us(100000);
	EXPECT_GE(before, read_number(TLB_USED));
	EXPECT_EQ(self->size, count_of(self->b, self->size, 1));
}

#define BRACKETS	200

/* The quickest round so far is the one that was disturbed least. */
static uint64_t bracket_time(int buf, uint64_t best)
{
	uint64_t start = now_us();

	for (int i = 0; i < BRACKETS; i++)
		if (buf_sync(buf, SYNC_START_RW) || buf_sync(buf, SYNC_END_RW))
			return UINT64_MAX;
	start = now_us() - start;
	return start < best ? start : best;
}

TEST_F(import, own_brackets_cost_no_more_once_the_importer_has_gone)
{
	int other = create(self->dev, self->memfd, 0, self->size);
	uint64_t never = UINT64_MAX, gone = UINT64_MAX;

	ASSERT_LE(0, other);
	for (int dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_FROM_DEVICE; dir++) {
		ASSERT_EQ(0, device_map(self->importer, 0, self->buf, dir));
		ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_RW));
		ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_RW));
		ASSERT_EQ(0, device_unmap(self->importer, 0));
	}
	for (int i = 0; i < 40; i++) {
		never = bracket_time(other, never);
		gone = bracket_time(self->buf, gone);
	}
	TH_LOG("%d brackets: %llu us on a buffer never mapped, %llu us on this", BRACKETS,
	       (unsigned long long)never, (unsigned long long)gone);
	EXPECT_GT(never * 13 / 10, gone);
}

TEST_F(import, mapping_keeps_the_buffer)
{
	char *a = map_rw(self->memfd, self->size);
	int err = device_map(self->importer, 0, self->buf, IMPORTER_TO_DEVICE);

	if (err == -EIO && is_c_driver())
		SKIP(return, "this driver cannot map it for the device (C10)");
	ASSERT_EQ(0, err);
	ASSERT_NE(MAP_FAILED, a);
	munmap(self->b, self->size);
	close(self->buf);
	close(self->dev);
	EXPECT_EQ(0, device_sees(self->importer, 0, self->size, 1));
	EXPECT_EQ(self->size, count_of(a, self->size, 1));
	munmap(a, self->size);
	EXPECT_EQ(-EBUSY, seal_write(self->memfd));
	ASSERT_EQ(0, device_unmap(self->importer, 0));
	EXPECT_EQ(0, seal_write_soon(self->memfd));
}

/* A probe that fails takes nothing away from a device that had no driver before. */
TEST(A8_device_without_a_driver_is_synced_after_a_failed_probe)
{
	int importer = importer_open(), dev = node_open(), kmsg = kmsg_open(), memfd, buf;
	struct importer_segments segments;
	char name[256], *b;

	if (importer < 0 || !edu_name(name, sizeof(name)))
		SKIP(return, "there is no edu device");
	if (is_c_driver())
		SKIP(return, "this driver syncs no device (C3)");
	memfd = memfd_new(MIB);
	buf = create(dev, memfd, 0, MIB);
	ASSERT_LE(0, buf);
	b = map_rw(buf, MIB);
	ASSERT_NE(MAP_FAILED, b);
	memset(b, 1, MIB);
	ASSERT_EQ(0, write_text(EDU_DRIVER "unbind", name));
	EXPECT_EQ(0, importer_map(importer, 0, buf, IMPORTER_NO_DRIVER, IMPORTER_BIDIRECTIONAL));
	EXPECT_EQ(0, importer_segments(importer, 0, &segments));
	EXPECT_EQ(0, device_sees(importer, 0, MIB, 1));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_REFUSE, 1));
	EXPECT_EQ(-EBUSY, write_text(EDU_DRIVER "bind", name));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_REFUSE, 0));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_W));
	memset(b, 2, MIB);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_W));
	EXPECT_EQ(0, device_sees(importer, 0, MIB, 2));
	EXPECT_EQ(0, device_writes(importer, 0, MIB, 3));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(MIB, count_of(b, MIB, 3));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
	EXPECT_EQ(0, device_unmap(importer, 0));
	EXPECT_EQ(0, write_text(EDU_DRIVER "bind", name));
	munmap(b, MIB);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(0, kmsg_reports(kmsg));
	TH_LOG("%u pages elsewhere", segments.elsewhere);
}

struct racer {
	pthread_t thread;
	int importer, buf, first, rounds;
	bool brackets;
	long failures;
};

/* One device that writes may keep others from being mapped. */
static int map_and_unmap(int importer, int slot, int buf, int direction)
{
	int err = device_map(importer, slot, buf, direction);

	if (err)
		return err == -EBUSY ? 0 : err;
	return device_unmap(importer, slot);
}

/* Brackets on one half of the threads, mapping and unmapping on the other. */
static void *race(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++) {
		int slot = r->first + i % 4;

		if (r->brackets)
			r->failures += buf_sync(r->buf, SYNC_START_RW) ||
				       buf_sync(r->buf, SYNC_END_RW);
		else
			r->failures += map_and_unmap(r->importer, slot, r->buf, i % 3) != 0;
	}
	return NULL;
}

TEST_F_TIMEOUT(import, C8_mapping_and_brackets_race, 240)
{
	long long before = read_number(TLB_USED);
	struct racer racers[4];

	for (int i = 0; i < 4; i++) {
		racers[i] = (struct racer){
			.importer = self->importer, .buf = self->buf,
			.first = i * 4, .brackets = i & 1,
			/* Where everything bounces, each round copies the buffer. */
			.rounds = self->size > MIB ? 10 : 100,
		};
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race, &racers[i]));
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(racers[i].thread, NULL);
		EXPECT_EQ(0, racers[i].failures);
	}
	EXPECT_EQ(self->size, count_of(self->b, self->size, 1));
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	if (before >= 0)
		EXPECT_GE(before, read_number(TLB_USED));
}

TEST_HARNESS_MAIN
