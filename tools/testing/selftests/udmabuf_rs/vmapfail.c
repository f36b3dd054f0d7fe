// SPDX-License-Identifier: GPL-2.0
/*
 * vmapfail: kernel mappings that are hard to make, or cannot be. Needs the
 * module in importer/. The core warns of any that fails, so this has a boot of
 * its own which expects that.
 */
#include "importer_test.h"

#define CGROUP	"/sys/fs/cgroup/udmabuf-vmap"

FIXTURE(vmapfail)
{
	int dev;
	int importer;
};

FIXTURE_SETUP(vmapfail)
{
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
}

FIXTURE_TEARDOWN(vmapfail)
{
	close(self->importer);
	close(self->dev);
}

static uint64_t machine_size(void)
{
	return sysconf(_SC_PHYS_PAGES) * page_size();
}

/* A buffer that names all @size bytes of @memfd @count times. */
static int create_repeated(int dev, int memfd, uint64_t size, uint32_t count)
{
	struct udmabuf_create_item *items = calloc(count, sizeof(*items));
	long long limit = param_get("list_limit");
	int buf;

	if (!items)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = size };
	param_set_number("list_limit", count);
	buf = create_list(dev, items, count);
	param_set_number("list_limit", limit);
	free(items);
	return buf;
}

/* A buffer may name a page many times, and so be larger than the machine. */
TEST_F(vmapfail, more_pages_than_the_machine_has)
{
	uint64_t size = 16 * MIB, count = 320, word, at;
	int memfd = memfd_new(size), buf;
	char *a = map_rw(memfd, size);

	if (count * size < machine_size())
		SKIP(return, "needs a machine of less than 5 GiB");
	ASSERT_NE(MAP_FAILED, a);
	tag_pages(a, size / page_size(), 1);
	buf = create_repeated(self->dev, memfd, size, count);
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, importer_vmap(self->importer, 0, buf));

	/* A page of each item, another one each time. */
	for (uint64_t i = 0; i < count; i++) {
		at = i * size + i * 12 * page_size();
		ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_VMAP_READ, 0, at, &word,
					   sizeof(word)));
		ASSERT_EQ(page_tag(a, i * 12), word);
	}
	/* Its last bytes are those of the memfd. */
	word = MIB;
	at = count * size - sizeof(word);
	EXPECT_EQ(0, importer_copy(self->importer, IMPORTER_VMAP_WRITE, 0, at, &word,
				   sizeof(word)));
	EXPECT_EQ(word, *(volatile uint64_t *)(a + size - sizeof(word)));

	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_VUNMAP, 0));
	close(buf);
	munmap(a, size);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* What cannot be had is refused before its array, of 1 GiB, is asked for. */
TEST_F(vmapfail, own_500_GiB_are_refused_at_no_cost)
{
	uint64_t size = 16 * MIB;
	long long before;
	int memfd, buf;

	NEED_HUGE(8);
	memfd = memfd_new_huge(size);
	buf = create_repeated(self->dev, memfd, size, 32000);
	ASSERT_LE(0, buf)
		TH_LOG("%s", strerror(-buf));

	for (int i = 0; i < 2; i++) {
		before = pages_allocated();
		EXPECT_EQ(-ENOMEM, importer_vmap(self->importer, 0, buf));
		/* Another process may take a few. */
		EXPECT_GT(1024, pages_allocated() - before);
	}
	/* The buffer is as good as before, and goes. */
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* The array of pages is charged, and a group that has no room gets an errno for it. */
TEST_F(vmapfail, own_array_beyond_the_memory_cgroup_is_ENOMEM)
{
	uint64_t size = 16 * MIB, count = machine_size() / size;
	int memfd = memfd_new(size), buf = create_repeated(self->dev, memfd, size, count);
	char max[32];
	pid_t pid;

	ASSERT_LE(0, buf);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	if (access(CGROUP "/memory.max", W_OK)) {
		rmdir(CGROUP);
		SKIP(return, "no memory cgroup (version 2)");
	}
	/* The array takes eight bytes for each page. */
	snprintf(max, sizeof(max), "%llu", (unsigned long long)(count * size / page_size() * 4));
	ASSERT_EQ(0, write_text(CGROUP "/memory.max", max));
	pid = fork();
	if (!pid) {
		int err;

		CHILD_CHECK(!write_text(CGROUP "/cgroup.procs", "0"));
		err = importer_vmap(self->importer, 0, buf);
		if (err != -ENOMEM)
			fprintf(stderr, "# vmap: %d\n", err);
		_exit(err == -ENOMEM ? 0 : 1);
	}
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, read_key(CGROUP "/memory.events", "oom_kill"));
	rmdir(CGROUP);

	/* Outside of it there is room. */
	importer_slot(self->importer, IMPORTER_VUNMAP, 0);
	EXPECT_EQ(0, importer_vmap(self->importer, 0, buf));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_VUNMAP, 0));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
