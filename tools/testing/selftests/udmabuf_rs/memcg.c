// SPDX-License-Identifier: GPL-2.0
/*
 * memcg: tables that a user can make grow are charged to the memory cgroup of the
 * caller. A full cgroup answers ENOMEM: the caller is not killed, and all is undone.
 *
 * The pages of the buffers are allocated outside of the cgroup, so the table in
 * question is the only large allocation inside. All tests but the first need the
 * module in importer/. Kernel mappings are in vmapfail.c.
 */
#include "memcg.h"

#define TLB_USED	"/sys/kernel/debug/swiotlb/io_tlb_used"

/* Bytes a page of scattered memory takes: in the list of runs, in a scatter table. */
#define RUN		16
#define ENTRY		32

/* Bounce buffers come from a pool of 64 MiB. */
#define PAGES		32768
#define BOUNCED_PAGES	12288

FIXTURE(memcg)
{
	int kmsg, dev, importer;
	bool bounces;
	size_t pages, size;
};

FIXTURE_SETUP(memcg)
{
	const char *missing = group_make();

	self->kmsg = kmsg_open();
	self->dev = -1;
	self->importer = -1;
	if (missing)
		SKIP(return, "%s", missing);
	self->bounces = booted_with("swiotlb=force");
	self->importer = importer_open();
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->pages = self->bounces ? BOUNCED_PAGES : PAGES;
	self->size = self->pages * page_size();
}

FIXTURE_TEARDOWN(memcg)
{
	close(self->importer);
	close(self->dev);
	group_remove();
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
}

#define NEED_IMPORTER() do {						\
	if (self->importer < 0)						\
		SKIP(return, "the importer's module is not loaded");	\
} while (0)

struct request {
	int dev, importer, memfd, buf, first, files;
	uint64_t size;
};

static int create_and_close(void *arg)
{
	const struct request *r = arg;
	int buf = create(r->dev, r->memfd, 0, r->size);

	return buf < 0 ? buf : 0;
}

static int map_for_device(void *arg)
{
	const struct request *r = arg;

	return importer_map(r->importer, 0, r->buf, IMPORTER_FAUX, IMPORTER_BIDIRECTIONAL);
}

TEST_F(memcg, own_run_list_is_charged_at_create)
{
	struct request r = { .dev = self->dev, .size = self->size }, few;
	long long pins = pins_outstanding();

	if (self->bounces)
		SKIP(return, "the list of runs does not depend on bounce buffers");
	r.memfd = scattered_memfd(self->pages);
	ASSERT_LE(0, r.memfd);
	few = r;
	few.size = 64 * page_size();
	EXPECT_EQ(0, in_group(SLACK, create_and_close, &few));
	EXPECT_EQ(-ENOMEM, in_group(SLACK, create_and_close, &r));
	EXPECT_EQ(0, kills());
	EXPECT_EQ(pins, pins_outstanding());
	EXPECT_EQ(0, in_group(SLACK + 4 * self->pages * RUN, create_and_close, &r));
	EXPECT_EQ(0, in_group(0, create_and_close, &r));
	EXPECT_EQ(0, seal_write_soon(r.memfd));
}

/* The memory that a device gets which does not reach the buffer: whoever maps pays. */
TEST_F(memcg, own_staging_is_charged_at_map)
{
	struct request r = { .importer = self->importer };

	NEED_IMPORTER();
	if (!self->bounces)
		SKIP(return, "needs a boot with swiotlb=force");
	r.memfd = scattered_memfd(self->pages);
	ASSERT_LE(0, r.memfd);
	r.buf = create(self->dev, r.memfd, 0, self->size);
	ASSERT_LE(0, r.buf);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-ENOMEM, in_group(i * self->size / 2 + SLACK, map_for_device, &r));
		EXPECT_EQ(0, kills());
		/* Nothing is mapped in the slot. */
		EXPECT_EQ(-ENOENT, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	}
	EXPECT_EQ(0, in_group(2 * self->size + self->size / 4 + 2 * SLACK, map_for_device, &r));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, in_group(0, map_for_device, &r));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	close(r.buf);
	EXPECT_EQ(0, seal_write_soon(r.memfd));
}

TEST_F(memcg, own_scatter_table_is_charged_at_map)
{
	uint64_t table = self->pages * ENTRY, tables = 1;
	long long before = read_number(TLB_USED);
	struct request r = { .importer = self->importer };

	NEED_IMPORTER();
	if (self->bounces)
		SKIP(return, "where a device has a staging, the table is a small part of it");
	r.memfd = scattered_memfd(self->pages);
	ASSERT_LE(0, r.memfd);
	r.buf = create(self->dev, r.memfd, 0, self->size);
	ASSERT_LE(0, r.buf);
	for (uint64_t i = 0; i < tables; i++) {
		EXPECT_EQ(-ENOMEM, in_group(i * table + SLACK, map_for_device, &r))
			TH_LOG("room for %llu of %llu tables", (unsigned long long)i,
			       (unsigned long long)tables);
		EXPECT_EQ(0, kills());
		/* Nothing is mapped in the slot. */
		EXPECT_EQ(-ENOENT, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	}
	if (before >= 0)
		EXPECT_GE(before + 1000, read_number(TLB_USED));
	/* The DMA debug API has the addresses saved where nothing else needs them. */
	EXPECT_EQ(0, in_group((tables + 1) * table + 2 * SLACK, map_for_device, &r));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, in_group(0, map_for_device, &r));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	close(r.buf);
	EXPECT_EQ(0, seal_write_soon(r.memfd));
}

#define FILES		64

/* Maps a buffer for every slot of @files files. */
static int map_often(void *arg)
{
	struct request *r = arg;

	for (int i = 0; i < r->files * IMPORTER_SLOTS; i++) {
		int err = importer_map(r->first + i / IMPORTER_SLOTS, i % IMPORTER_SLOTS, r->buf,
				       IMPORTER_FAUX, IMPORTER_TO_DEVICE);

		if (err)
			return err;
	}
	return 0;
}

/* Tables of one entry fit into the cgroup, records of as many mappings do not. */
TEST_F(memcg, own_record_of_a_mapping_is_charged)
{
	uint64_t tables = FILES * IMPORTER_SLOTS * (ENTRY + sizeof(void *));
	int memfd = memfd_new(page_size()), i;
	struct request r = { .files = FILES };

	if (self->bounces)
		SKIP(return, "a record does not depend on bounce buffers");
	NEED_IMPORTER();
	r.buf = create(self->dev, memfd, 0, page_size());
	ASSERT_LE(0, r.buf);
	for (i = 0; i < FILES; i++) {
		int file = importer_open();

		ASSERT_LE(0, file);
		r.first = i ? r.first : file;
		ASSERT_EQ(r.first + i, file);
	}
	EXPECT_EQ(-ENOMEM, in_group(tables + SLACK, map_often, &r));
	EXPECT_EQ(0, kills());
	/* Mappings from before the failure can be undone and made again. */
	EXPECT_EQ(0, importer_slot(r.first, IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, importer_map(r.first, 0, r.buf, IMPORTER_FAUX, IMPORTER_TO_DEVICE));
	for (i = 0; i < FILES; i++) {
		close(r.first + i);
		ASSERT_EQ(r.first + i, importer_open());
	}
	EXPECT_EQ(0, in_group(0, map_often, &r));
	for (i = 0; i < FILES; i++)
		close(r.first + i);
	close(r.buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
