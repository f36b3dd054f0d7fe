// SPDX-License-Identifier: GPL-2.0
/*
 * vmapfail: a kernel mapping that cannot be made. Needs the module in importer/.
 * The core warns of any that fails, so this has a boot of its own which expects
 * that.
 */
#include "importer_test.h"

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

TEST_HARNESS_MAIN
