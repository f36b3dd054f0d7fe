// SPDX-License-Identifier: GPL-2.0
/*
 * coherence: who sees what the CPU or a device wrote, and when. Rows 1 to 4, 6,
 * 16, 17 and 20 of the matrix.
 */
#include "coherence.h"

COHERENCE_FIXTURE(coherence);

/* 1: CPU write in a bracket, then device read -------------------------------- */

TEST_F(coherence, r01_device_reads_what_a_bracket_wrote)
{
	static const int reading[] = { IMPORTER_BIDIRECTIONAL, IMPORTER_TO_DEVICE };
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, reading[i]));
		for (int seed = 1; seed < 4; seed++) {
			ASSERT_EQ(0, bracket_puts(s, s->pages - 1, seed));
			EXPECT_EQ(0, device_has(s, 0, s->pages - 1, seed));
		}
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, s->pages - 1, 3));
	}
}

TEST_F(coherence, r01_device_reads_what_was_written_before_it_was_mapped)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
}

TEST_F(coherence, r01_bracket_to_read_and_write)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_RW));
	for (size_t page = 0; page < s->pages; page++)
		cpu_puts(s, page, page);
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_RW));
	for (size_t page = 0; page < s->pages; page++)
		EXPECT_EQ(0, device_has(s, 0, page, page));
}

/* 2: device write, then CPU read in a bracket -------------------------------- */

TEST_F(coherence, r02_bracket_reads_what_the_device_wrote)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		for (int seed = 1; seed < 4; seed++) {
			ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, seed));
			EXPECT_EQ(0, bracket_has(s, s->pages - 1, seed));
		}
		ASSERT_EQ(0, device_unmap(s, 0));
	}
}

TEST_F(coherence, r02_bracket_to_read_and_write)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (size_t page = 0; page < s->pages; page++)
		ASSERT_EQ(0, device_puts(s, 0, page, page));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_RW));
	for (size_t page = 0; page < s->pages; page++)
		EXPECT_EQ(0, cpu_has(s, page, page));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_RW));
}

TEST_F(coherence, r02_bracket_to_read_copies_nothing_to_the_device)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_R));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_R));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
}

/* 3: device write, unmap, CPU read ------------------------------------------- */

TEST_F(coherence, r03_unmap_brings_what_the_device_wrote)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, s->pages - 1, i));
	}
}

TEST_F(coherence, r03_unmap_after_brackets)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, bracket_puts(s, 0, 10 + i));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_R));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_R));
		ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 10 + i));
		EXPECT_EQ(0, cpu_has(s, s->pages - 1, 20 + i));
	}
}

TEST_F(coherence, r03_importer_that_dies)
{
	struct scene *s = &self->s;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		s->importer = importer_open();
		CHILD_CHECK(s->importer >= 0);
		CHILD_CHECK(!device_map(s, 0, IMPORTER_FROM_DEVICE));
		CHILD_CHECK(!device_puts(s, 0, 0, 1));
		raise(SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, wait_status(pid));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
}

/* 4: the device writes one page, then a bracket the other -------------------- */

TEST_F(coherence, r04_write_bracket_keeps_what_the_device_wrote)
{
	struct scene *s = &self->s;
	size_t other = s->pages - 1;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, other, 10 + i));
		ASSERT_EQ(0, bracket_puts(s, 0, 20 + i));
		EXPECT_EQ(0, cpu_has(s, other, 10 + i));
		EXPECT_EQ(0, bracket_has(s, other, 10 + i));
		EXPECT_EQ(0, bracket_has(s, 0, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, other, 10 + i))
			TH_LOG("what the device wrote is lost, direction %d", writing[i]);
		EXPECT_EQ(0, cpu_has(s, 0, 20 + i))
			TH_LOG("what the CPU wrote is lost, direction %d", writing[i]);
	}
}

TEST_F(coherence, r04_device_writes_on_after_the_bracket)
{
	struct scene *s = &self->s;
	size_t other = s->pages - 1;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, bracket_puts(s, 0, 10 + i));
		ASSERT_EQ(0, device_puts(s, 0, other, 20 + i));
		EXPECT_EQ(0, bracket_has(s, other, 20 + i));
		EXPECT_EQ(0, cpu_has(s, 0, 10 + i));
		ASSERT_EQ(0, device_puts(s, 0, other, 30 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 10 + i));
		EXPECT_EQ(0, cpu_has(s, other, 30 + i));
	}
}

TEST_F(coherence, r04_halves_of_one_page)
{
	struct scene *s = &self->s;
	size_t half = s->page / 2;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	fill(s->bytes, half, 1);
	ASSERT_EQ(0, importer_copy(s->importer, IMPORTER_WRITE, 0, 0, s->bytes, half));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	fill(s->b + half, half, 2);
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	ASSERT_EQ(0, importer_copy(s->importer, IMPORTER_READ, 0, 0, s->bytes, s->page));
	EXPECT_EQ(half, matches(s->bytes, half, 1));
	EXPECT_EQ(half, matches(s->bytes + half, half, 2));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(half, matches(s->b, half, 1));
	EXPECT_EQ(half, matches(s->b + half, half, 2));
}

/* 6: what is written through the memfd, between brackets --------------------- */

static void memfd_between_brackets(struct __test_metadata *_metadata, struct scene *s)
{
	static const uint64_t dirs[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		ASSERT_EQ(0, buf_sync(s->buf, DMA_BUF_SYNC_START | dirs[i]));
		ASSERT_EQ(0, buf_sync(s->buf, DMA_BUF_SYNC_END | dirs[i]));
		fill(s->a, s->size, i);
		ASSERT_EQ(0, buf_sync(s->buf, DMA_BUF_SYNC_START | dirs[i]));
		EXPECT_EQ(s->size, matches(s->b, s->size, i));
		ASSERT_EQ(0, buf_sync(s->buf, DMA_BUF_SYNC_END | dirs[i]));
		EXPECT_EQ(s->size, matches(s->a, s->size, i));
	}
}

TEST_F(coherence, r06_memfd_write_survives_with_no_importer)
{
	memfd_between_brackets(_metadata, &self->s);
}

TEST_F(coherence, r06_memfd_write_survives_with_readers)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	memfd_between_brackets(_metadata, s);
	/* The last bracket told the devices. */
	EXPECT_EQ(0, device_has(s, 1, 0, 2));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(s->size, matches(s->a, s->size, 2));
}

TEST_F(coherence, r06_memfd_write_survives_with_a_writer)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	memfd_between_brackets(_metadata, s);
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(s->size, matches(s->a, s->size, 2));
}

/* 16: buffers that are part of a memfd, or of several ------------------------ */

TEST_F(coherence, r16_part_of_a_memfd)
{
	struct scene *s = &self->s;
	size_t total = 6 * s->page;
	int memfd = memfd_new(total);
	char *a = map_rw(memfd, total);

	s->size = 3 * s->page;
	s->pages = 3;
	s->buf = create(s->dev, memfd, 2 * s->page, s->size);
	ASSERT_LE(0, s->buf);
	s->b = map_rw(s->buf, s->size);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, s->b);
	for (size_t page = 0; page < 6; page++)
		fill(a + page * s->page, s->page, page);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, 2, 10 + i));
		ASSERT_EQ(0, bracket_puts(s, 0, 20 + i));
		EXPECT_EQ(0, cpu_has(s, 2, 10 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(s->page, matches(a + 2 * s->page, s->page, 20 + i));
		EXPECT_EQ(s->page, matches(a + 4 * s->page, s->page, 10 + i));
	}
	/* What lies around it is as it was. */
	for (size_t page = 0; page < 6; page += page == 1 ? 4 : 1)
		EXPECT_EQ(s->page, matches(a + page * s->page, s->page, page));
}

TEST_F(coherence, r16_list_of_parts_in_another_order)
{
	struct scene *s = &self->s;
	int one = memfd_new(4 * s->page), two = memfd_new(4 * s->page);
	char *a1 = map_rw(one, 4 * s->page), *a2 = map_rw(two, 4 * s->page);
	struct udmabuf_create_item items[] = {
		{ .memfd = two, .offset = 3 * s->page, .size = s->page },
		{ .memfd = one, .offset = 0, .size = 2 * s->page },
		{ .memfd = two, .offset = 0, .size = s->page },
	};

	s->pages = 4;
	s->size = 4 * s->page;
	s->buf = create_list(s->dev, items, ARRAY_SIZE(items));
	ASSERT_LE(0, s->buf);
	s->b = map_rw(s->buf, s->size);
	ASSERT_NE(MAP_FAILED, a1);
	ASSERT_NE(MAP_FAILED, a2);
	ASSERT_NE(MAP_FAILED, s->b);
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	ASSERT_EQ(0, device_puts(s, 0, 2, 2));
	ASSERT_EQ(0, bracket_puts(s, 1, 3));
	ASSERT_EQ(0, bracket_puts(s, 3, 4));
	EXPECT_EQ(0, device_has(s, 0, 3, 4));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(s->page, matches(a2 + 3 * s->page, s->page, 1));
	EXPECT_EQ(s->page, matches(a1, s->page, 3));
	EXPECT_EQ(s->page, matches(a1 + s->page, s->page, 2));
	EXPECT_EQ(s->page, matches(a2, s->page, 4));
}

/* 17: what the memory is made of --------------------------------------------- */

/* Both ways between CPU and device at both ends of the buffer, and no page lost. */
static void round_trip(struct __test_metadata *_metadata, struct scene *s)
{
	size_t last = s->pages - 1;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, last, 10 + i));
		EXPECT_EQ(0, bracket_has(s, last, 10 + i));
		ASSERT_EQ(0, bracket_puts(s, 0, 20 + i));
		if (writing[i] == IMPORTER_BIDIRECTIONAL)
			EXPECT_EQ(0, device_has(s, 0, 0, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, last, 10 + i));
		EXPECT_EQ(0, cpu_has(s, 0, 20 + i));
	}
}

static int another_buffer(struct scene *s, int memfd, size_t size)
{
	s->size = size;
	s->pages = size / s->page;
	s->buf = memfd < 0 ? memfd : create(s->dev, memfd, 0, size);
	if (s->buf < 0)
		return s->buf;
	s->b = map_rw(s->buf, size);
	return s->b == MAP_FAILED ? -errno : 0;
}

TEST_F(coherence, r17_small_pages)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, another_buffer(s, memfd_new(256 * s->page), 256 * s->page));
	round_trip(_metadata, s);
}

TEST_F(coherence, r17_huge_pages)
{
	long long huge = read_key("/proc/meminfo", "Hugepagesize") * 1024;
	struct scene *s = &self->s;
	int memfd;

	if (huge <= 0)
		SKIP(return, "no huge pages in this kernel");
	if (read_key("/proc/meminfo", "HugePages_Free") < 1)
		write_text("/proc/sys/vm/nr_hugepages", "1");
	if (read_key("/proc/meminfo", "HugePages_Free") < 1)
		SKIP(return, "no huge page of %lld bytes to be had", huge);
	memfd = memfd_of_huge_pages(huge, huge);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, another_buffer(s, memfd, huge));
	round_trip(_metadata, s);
}

/* 20: an importer that unmaps inside an open bracket ------------------------- */

TEST_F(coherence, r20_unmap_in_an_open_write_bracket)
{
	struct scene *s = &self->s;
	size_t other = s->pages - 1;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, other, 10 + i));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
		cpu_puts(s, 0, 20 + i);
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 20 + i))
			TH_LOG("the bracket's bytes are gone, direction %d", writing[i]);
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
		EXPECT_EQ(0, cpu_has(s, 0, 20 + i));
		EXPECT_EQ(0, cpu_has(s, other, 10 + i));
		ASSERT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
		EXPECT_EQ(0, device_has(s, 0, 0, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
	}
}

TEST_F(coherence, r20_unmap_in_the_open_bracket_of_another_process)
{
	struct scene *s = &self->s;
	int sock[2];
	pid_t pid;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
		cpu_puts(s, 0, 1);
		CHILD_CHECK(!step_send(sock[1]));
		CHILD_CHECK(!step_wait(sock[1]));
		CHILD_CHECK(!cpu_has(s, 0, 1));
		CHILD_CHECK(!buf_sync(s->buf, SYNC_END_W));
		_exit(0);
	}
	ASSERT_EQ(0, step_wait(sock[0]));
	ASSERT_EQ(0, device_unmap(s, 0));
	ASSERT_EQ(0, step_send(sock[0]));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
}

TEST_F(coherence, r20_map_in_an_open_write_bracket)
{
	struct scene *s = &self->s;

	/* A bracket that is opened before anything is mapped is not promised to count. */
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
		cpu_puts(s, 0, 10 + i);
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		cpu_puts(s, 1, 20 + i);
		/* A START in the open bracket fetches nothing over these. */
		ASSERT_EQ(0, bracket_has(s, 0, 10 + i));
		EXPECT_EQ(0, cpu_has(s, 1, 20 + i));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
		if (writing[i] == IMPORTER_BIDIRECTIONAL)
			EXPECT_EQ(0, device_has(s, 0, 1, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 10 + i));
		EXPECT_EQ(0, cpu_has(s, 1, 20 + i));
	}
}

TEST_HARNESS_MAIN
