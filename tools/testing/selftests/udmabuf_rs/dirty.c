// SPDX-License-Identifier: GPL-2.0
/*
 * dirty: pages that may have been written through a buffer are dirty once it is
 * closed, or reclaim could drop them; pages that cannot have been are left alone.
 * Needs the module in importer/, and root, to read page flags.
 */
#include "importer_test.h"

#define PAGES		16
#define KPF_DIRTY	4

FIXTURE(dirty)
{
	int kmsg, importer, dev, memfd, buf;
	size_t size;
	char *a;
};

/* Who uses the buffer, and how. */
enum user {
	NOBODY, MAPPING, DEVICE_READS, DEVICE_WRITES, DEVICE_READS_AND_WRITES, KERNEL,
	CPU_READS, CPU_WRITES
};

FIXTURE_VARIANT(dirty)
{
	enum user user;
	bool dirty;
};

FIXTURE_VARIANT_ADD(dirty, nobody) { NOBODY, false };
FIXTURE_VARIANT_ADD(dirty, writable_mapping) { MAPPING, true };
FIXTURE_VARIANT_ADD(dirty, device_that_reads) { DEVICE_READS, false };
FIXTURE_VARIANT_ADD(dirty, device_that_writes) { DEVICE_WRITES, true };
FIXTURE_VARIANT_ADD(dirty, device_that_does_both) { DEVICE_READS_AND_WRITES, true };
FIXTURE_VARIANT_ADD(dirty, kernel_mapping) { KERNEL, true };
FIXTURE_VARIANT_ADD(dirty, cpu_access_that_reads) { CPU_READS, false };
FIXTURE_VARIANT_ADD(dirty, cpu_access_that_writes) { CPU_WRITES, true };

/* The number of pages at @a that the kernel calls dirty, or -errno. */
static int dirty_pages(const char *a)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t entry, flags;
	int dirty = 0;

	for (int i = 0; i < PAGES && dirty >= 0; i++) {
		uintptr_t at = (uintptr_t)a / page_size() + i;

		touch((char *)a + i * page_size(), false);
		if (pread(pagemap, &entry, sizeof(entry), at * sizeof(entry)) != sizeof(entry) ||
		    !(entry >> 63) ||
		    pread(kpageflags, &flags, sizeof(flags),
			  (entry & ((1ULL << 55) - 1)) * sizeof(flags)) != sizeof(flags))
			dirty = -EIO;
		else
			dirty += flags >> KPF_DIRTY & 1;
	}
	close(pagemap);
	close(kpageflags);
	return dirty;
}

FIXTURE_SETUP(dirty)
{
	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->size = PAGES * page_size();
	self->memfd = memfd_new(self->size);
	ASSERT_LE(0, self->memfd);
	self->a = map_at(self->memfd, 0, self->size, PROT_READ);
	ASSERT_NE(MAP_FAILED, self->a);
	/* Pages that were read only are clean. */
	ASSERT_EQ(0, dirty_pages(self->a));
	self->buf = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, self->buf);
}

FIXTURE_TEARDOWN(dirty)
{
	munmap(self->a, self->size);
	close(self->memfd);
	close(self->dev);
	close(self->importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

static int device_writes(int importer, int buf, size_t size, int direction)
{
	return importer_map(importer, 0, buf, IMPORTER_FAUX, direction) ?:
	       importer_fill(importer, IMPORTER_WRITE, 0, size, 1) ?:
	       importer_slot(importer, IMPORTER_UNMAP, 0);
}

static int kernel_writes(int importer, int buf, size_t size)
{
	struct importer_vmap vmap = { .slot = 0, .fd = buf };

	return importer_call(importer, IMPORTER_VMAP, &vmap) ?:
	       importer_fill(importer, IMPORTER_VMAP_WRITE, 0, size, 1) ?:
	       importer_slot(importer, IMPORTER_VUNMAP, 0);
}

static int use(int importer, int buf, size_t size, enum user user)
{
	char *b;

	switch (user) {
	case MAPPING:
		b = map_rw(buf, size);
		if (b == MAP_FAILED)
			return -errno;
		memset(b, 1, size);
		return munmap(b, size) ? -errno : 0;
	case DEVICE_READS:
		return importer_map(importer, 0, buf, IMPORTER_FAUX, IMPORTER_TO_DEVICE) ?:
		       importer_slot(importer, IMPORTER_UNMAP, 0);
	case DEVICE_WRITES:
		return device_writes(importer, buf, size, IMPORTER_FROM_DEVICE);
	case DEVICE_READS_AND_WRITES:
		return device_writes(importer, buf, size, IMPORTER_BIDIRECTIONAL);
	case KERNEL:
		return kernel_writes(importer, buf, size);
	case CPU_READS:
		return buf_sync(buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) ?:
		       buf_sync(buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	/* An importer that has the pages of its table may write them in between. */
	case CPU_WRITES:
		return buf_sync(buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE) ?:
		       buf_sync(buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	default:
		return 0;
	}
}

TEST_F(dirty, after_close)
{
	EXPECT_EQ(0, use(self->importer, self->buf, self->size, variant->user));
	ASSERT_EQ(0, close(self->buf));
	EXPECT_EQ(variant->dirty ? PAGES : 0, dirty_pages(self->a));
}

TEST_HARNESS_MAIN
