// SPDX-License-Identifier: GPL-2.0
/*
 * vmapfail: a kernel mapping that cannot be made. Needs the module in importer/.
 * The core warns of any that fails, so this has a boot of its own which expects
 * that.
 */
#include "memcg.h"

#define ITEMS	1024

/* The kernel maps no more pages than it has, and a buffer may name one many times. */
TEST(C16_kernel_mapping_that_fails_is_ENOMEM)
{
	long total = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	uint64_t size = (total / ITEMS + 2 * MIB) & ~(MIB - 1);
	struct udmabuf_create_item *items = calloc(ITEMS, sizeof(*items));
	int importer = importer_open(), dev = node_open(), memfd, buf;

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	ASSERT_NE(NULL, items);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, param_set_number("size_limit_mb", ITEMS * size / MIB));
	memfd = memfd_new(size);
	ASSERT_LE(0, memfd);
	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = size };
	buf = create_list(dev, items, ITEMS);
	ASSERT_LE(0, buf)
		TH_LOG("%s", strerror(-buf));

	EXPECT_EQ(-ENOMEM, importer_vmap(importer, 0, buf));
	/* Nothing is left of it: the buffer is as good as before, and goes. */
	EXPECT_EQ(-ENOMEM, importer_vmap(importer, 0, buf));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

static int map_for_kernel(void *arg)
{
	const int *files = arg;

	return importer_vmap(files[0], 0, files[1]);
}

/* A pointer for each makes a list of 256 KiB. */
#define PAGES	32768

TEST(own_list_of_pages_is_charged_to_the_memory_cgroup)
{
	int importer = importer_open(), dev = node_open(), memfd, files[2];
	size_t size = PAGES * page_size();
	const char *missing = group_make();

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	if (missing)
		SKIP(return, "%s", missing);
	if (mem_available() < size * 5 / 4)
		SKIP(return, "needs %zu MiB of memory", (size_t)(size * 5 / 4 / MIB));
	ASSERT_LE(0, dev);
	memfd = scattered_memfd(PAGES);
	ASSERT_LE(0, memfd);
	files[0] = importer;
	files[1] = create(dev, memfd, 0, size);
	ASSERT_LE(0, files[1]);

	EXPECT_EQ(-ENOMEM, in_group(SLACK, map_for_kernel, files));
	EXPECT_EQ(0, kills());
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_VUNMAP, 0));
	EXPECT_EQ(0, in_group(0, map_for_kernel, files));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_VUNMAP, 0));
	close(files[1]);
	EXPECT_EQ(0, seal_write_soon(memfd));
	close(memfd);
	group_remove();
}

TEST_HARNESS_MAIN
