// SPDX-License-Identifier: GPL-2.0
/*
 * dma_map_many: the cost of a mapping must not grow with the number of other live
 * ones. Rows A4 and A5. Needs the module in importer/.
 *
 * All but the first test compare times, and want a machine with one processor whose
 * clock counts instructions (tools/vm/run --icount).
 *
 * Environment:
 *   COHERENCE_DEVICE  faux (default) or edu: the device that is mapped for
 */
#include "importer_test.h"

#define MANY		10000
#define MOST		300000
#define BATCH		1000
/* Pages of a buffer for which the drivers are compared, each a segment of its own. */
#define APART		16
#define BATCHES		(MANY / BATCH)

FIXTURE(dma_map_many)
{
	int kmsg, importer, dev, memfd, buf, device;
	bool translated;
};

static int one_page(int dev, int *memfd)
{
	*memfd = memfd_new(page_size());
	return *memfd < 0 ? *memfd : create(dev, *memfd, 0, page_size());
}

FIXTURE_SETUP(dma_map_many)
{
	struct importer_segments segments;

	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->buf = one_page(self->dev, &self->memfd);
	ASSERT_LE(0, self->buf);
	self->device = strcmp(env_or("COHERENCE_DEVICE", "faux"), "edu") ? IMPORTER_FAUX :
									   IMPORTER_EDU;
	ASSERT_EQ(0, importer_map(self->importer, 0, self->buf, self->device,
				  IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	self->translated = segments.translated;
}

FIXTURE_TEARDOWN(dma_map_many)
{
	close(self->importer);
	close(self->buf);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

static int map_many(int importer, int buf, int device, unsigned int count, unsigned int flags)
{
	struct importer_map_many many = {
		.fd = buf, .direction = IMPORTER_TO_DEVICE, .device = device,
		.flags = flags, .count = count,
	};

	return importer_call(importer, IMPORTER_MAP_MANY, &many);
}

static int unmap_many(int importer)
{
	return importer_call(importer, IMPORTER_UNMAP_MANY, NULL);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Nanoseconds that each batch of mappings takes, with all before it alive: 0 or -errno. */
static int time_batches(int importer, int buf, int device, unsigned int flags, long long *each)
{
	/* The first one has caches and page tables filled. */
	int err = map_many(importer, buf, device, BATCH, flags) ?: unmap_many(importer);

	for (int i = 0; !err && i < BATCHES; i++) {
		long long start = now();

		err = map_many(importer, buf, device, BATCH, flags);
		each[i] = now() - start;
	}
	return err;
}

TEST_F_TIMEOUT(dma_map_many, A5_300000_mappings_work_or_end_in_ENOMEM, 280)
{
	int err = 0, done = 0;

	while (!err && done < MOST) {
		err = map_many(self->importer, self->buf, self->device, BATCH, 0);
		if (!err)
			done += BATCH;
	}
	if (err)
		EXPECT_EQ(-ENOMEM, err)
			TH_LOG("%s after %d mappings", strerror(-err), done);
	EXPECT_EQ(0, unmap_many(self->importer));
}

static void last_as_first(struct __test_metadata *_metadata, int importer, int buf, int device,
			  unsigned int flags)
{
	long long each[BATCHES];

	ASSERT_EQ(0, time_batches(importer, buf, device, flags, each));
	EXPECT_GE(2 * each[0], each[BATCHES - 1]);
	TH_LOG("%lld ns a mapping at first, %lld ns with %d alive", each[0] / BATCH,
	       each[BATCHES - 1] / BATCH, MANY - BATCH);
	EXPECT_EQ(0, unmap_many(importer));
}

TEST_F_TIMEOUT(dma_map_many, A4_last_of_10000_costs_as_the_first, 280)
{
	last_as_first(_metadata, self->importer, self->buf, self->device, 0);
}

TEST_F_TIMEOUT(dma_map_many, A4_last_of_10000_attachments_costs_as_the_first, 280)
{
	last_as_first(_metadata, self->importer, self->buf, self->device, IMPORTER_ATTACH_EACH);
}

static int other_driver(void)
{
	const char *other = strcmp(node_path(), "/dev/udmabuf") ? "/dev/udmabuf" :
								   "/dev/udmabuf_rs";

	return open(other, O_RDWR | O_CLOEXEC);
}

/* A buffer of the pages 2 * APART - 2, …, 2, 0 of @memfd: no two are neighbours. */
static int pages_apart(int dev, int memfd)
{
	struct udmabuf_create_item items[APART];

	for (int i = 0; i < APART; i++)
		items[i] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = 2 * (APART - 1 - i) * page_size(),
			.size = page_size(),
		};
	return create_list(dev, items, APART);
}

TEST_F_TIMEOUT(dma_map_many, A4_mapping_costs_what_it_costs_with_the_c_driver, 280)
{
	long long ours[BATCHES], theirs[BATCHES], sums[2] = {};
	int other = other_driver(), memfd, buf[2];

	if (other < 0 || is_c_driver())
		SKIP(return, "there is no C driver beside ours");
	if (!self->translated)
		SKIP(return, "the device is not behind an IOMMU");
	memfd = memfd_new(2 * APART * page_size());
	ASSERT_LE(0, memfd);
	buf[0] = pages_apart(self->dev, memfd);
	ASSERT_LE(0, buf[0]);
	buf[1] = pages_apart(other, memfd);
	ASSERT_LE(0, buf[1]);
	ASSERT_EQ(0, time_batches(self->importer, buf[1], self->device, 0, theirs));
	ASSERT_EQ(0, unmap_many(self->importer));
	ASSERT_EQ(0, time_batches(self->importer, buf[0], self->device, 0, ours));
	ASSERT_EQ(0, unmap_many(self->importer));
	for (int i = 0; i < BATCHES; i++) {
		sums[0] += ours[i];
		sums[1] += theirs[i];
	}
	EXPECT_GE(11 * sums[1], 10 * sums[0]);
	EXPECT_GE(11 * theirs[BATCHES - 1], 10 * ours[BATCHES - 1]);
	TH_LOG("%lld ns a mapping, the C driver's %lld; with %d alive %lld, %lld",
	       sums[0] / MANY, sums[1] / MANY, MANY - BATCH, ours[BATCHES - 1] / BATCH,
	       theirs[BATCHES - 1] / BATCH);
	close(buf[0]);
	close(buf[1]);
	close(memfd);
	close(other);
}

/* Nanoseconds in which a device of the bus comes and goes ten times, or -errno. */
static long long time_devices(int importer)
{
	long long start;
	int err = 0;

	/* The first one has caches filled. */
	err = importer_call(importer, IMPORTER_ADD_AND_REMOVE, NULL);
	start = now();
	for (int i = 0; !err && i < 10; i++)
		err = importer_call(importer, IMPORTER_ADD_AND_REMOVE, NULL);
	return err ?: now() - start;
}

TEST_F_TIMEOUT(dma_map_many, A4_devices_come_and_go_as_fast_beside_10000_mappings, 280)
{
	long long before, beside;

	if (self->device != IMPORTER_FAUX)
		SKIP(return, "of the faux bus");
	before = time_devices(self->importer);
	ASSERT_LT(0, before);
	ASSERT_EQ(0, map_many(self->importer, self->buf, self->device, MANY, 0));
	beside = time_devices(self->importer);
	EXPECT_LT(0, beside);
	EXPECT_GE(2 * before, beside);
	TH_LOG("%lld ns a device without mappings, %lld with %d", before / 10, beside / 10, MANY);
	EXPECT_EQ(0, unmap_many(self->importer));
}

TEST_HARNESS_MAIN
