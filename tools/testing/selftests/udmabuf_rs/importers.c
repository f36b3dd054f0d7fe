// SPDX-License-Identifier: GPL-2.0
/*
 * importers: several of them, and the ways in which a driver reaches a buffer.
 * Rows 7 to 10 and 14 of the coherence matrix.
 */
#include "coherence.h"

COHERENCE_FIXTURE(importers);

/* 7: two importers ----------------------------------------------------------- */

TEST_F(importers, r07_reader_sees_the_writer_after_a_write_bracket)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
		for (int seed = 1; seed < 3; seed++) {
			ASSERT_EQ(0, device_puts(s, 0, 0, seed));
			ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_RW));
			EXPECT_EQ(0, cpu_has(s, 0, seed));
			ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_RW));
			EXPECT_EQ(0, device_has(s, 1, 0, seed));
		}
		ASSERT_EQ(0, device_unmap(s, 0));
		ASSERT_EQ(0, device_unmap(s, 1));
		EXPECT_EQ(0, cpu_has(s, 0, 2));
	}
}

TEST_F(importers, r07_fresh_reader_sees_a_live_writer)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, 0, 1 + i));
		ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
		EXPECT_EQ(0, device_has(s, 1, 0, 1 + i));
		ASSERT_EQ(0, device_unmap(s, 1));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
	}
}

TEST_F(importers, r07_fresh_reader_sees_a_writer_that_has_gone)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	ASSERT_EQ(0, device_unmap(s, 0));
	/* The old reader's bytes are not brought back. */
	ASSERT_EQ(0, device_unmap(s, 1));
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	EXPECT_EQ(0, device_has(s, 1, 0, 1));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
}

/* 8: one writer behind a bounce buffer --------------------------------------- */

TEST_F(importers, r08_second_writer_is_refused_where_it_bounces)
{
	struct scene *s = &self->s;
	int expected = s->bounced ? -EBUSY : 0;

	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 2; j++) {
			ASSERT_EQ(0, device_map(s, 0, writing[i]));
			EXPECT_EQ(expected, device_map(s, 1, writing[j]));
			/* Nothing is left of what was refused. */
			ASSERT_EQ(0, device_map(s, 2, IMPORTER_TO_DEVICE));
			ASSERT_EQ(0, bracket_puts(s, 0, 1));
			ASSERT_EQ(0, device_unmap(s, 0));
			if (s->bounced)
				ASSERT_EQ(0, device_map(s, 1, writing[j]));
			ASSERT_EQ(0, device_unmap(s, 1));
			ASSERT_EQ(0, device_unmap(s, 2));
			EXPECT_EQ(0, cpu_has(s, 0, 1));
		}
	}
}

TEST_F(importers, r08_readers_may_be_many)
{
	struct scene *s = &self->s;

	for (int slot = 0; slot < 4; slot++)
		ASSERT_EQ(0, device_map(s, slot, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, device_map(s, 4, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_map(s, 5, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
	EXPECT_EQ(0, device_has(s, 5, 0, 1));
}

/* Only one of the two devices bounces, and either way round two writers are one too many. */
TEST_F(importers, r08_writer_of_another_kind)
{
	struct scene *s = &self->s;

	if (s->device != IMPORTER_EDU || !s->bounced)
		return;
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	EXPECT_EQ(-EBUSY, importer_map(s->importer, 1, s->buf, IMPORTER_FAUX,
				       IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_unmap(s, 0));
	ASSERT_EQ(0, importer_map(s->importer, 1, s->buf, IMPORTER_FAUX, IMPORTER_FROM_DEVICE));
	EXPECT_EQ(-EBUSY, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	EXPECT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
}

/* 9: the kernel's own mapping ------------------------------------------------ */

static int kernel_puts(struct scene *s, int slot, size_t page, uint64_t seed)
{
	int err = importer_access(s->importer, IMPORTER_BEGIN, s->buf, IMPORTER_TO_DEVICE);

	if (err)
		return err;
	fill(s->bytes, s->page, seed);
	err = importer_copy(s->importer, IMPORTER_VMAP_WRITE, slot, page * s->page, s->bytes,
			    s->page);
	return err ?: importer_access(s->importer, IMPORTER_END, s->buf, IMPORTER_TO_DEVICE);
}

static int kernel_has(struct scene *s, int slot, size_t page, uint64_t seed)
{
	int err = importer_access(s->importer, IMPORTER_BEGIN, s->buf, IMPORTER_FROM_DEVICE);

	if (err)
		return err;
	memset(s->bytes, 0xee, s->page);
	err = importer_copy(s->importer, IMPORTER_VMAP_READ, slot, page * s->page, s->bytes,
			    s->page);
	if (!err && matches(s->bytes, s->page, seed) != s->page)
		err = -EIO;
	return err ?: importer_access(s->importer, IMPORTER_END, s->buf, IMPORTER_FROM_DEVICE);
}

TEST_F(importers, r09_device_reads_what_the_kernel_wrote)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_vmap(s->importer, 0, s->buf));
	for (int seed = 1; seed < 3; seed++) {
		ASSERT_EQ(0, kernel_puts(s, 0, s->pages - 1, seed));
		EXPECT_EQ(0, device_has(s, 0, s->pages - 1, seed));
		EXPECT_EQ(0, bracket_has(s, s->pages - 1, seed));
	}
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_VUNMAP, 0));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, s->pages - 1, 2));
}

TEST_F(importers, r09_kernel_reads_what_the_device_wrote)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, importer_vmap(s->importer, 0, s->buf));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, i));
		EXPECT_EQ(0, kernel_has(s, 0, s->pages - 1, i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, kernel_has(s, 0, s->pages - 1, i));
	}
}

/* 10: a mapping that userspace makes through an importer --------------------- */

/* vgem and its like refuse to map what they have imported (drm_gem_dumb_map_offset). */
static char *map_through_importer(struct scene *s, int slot, size_t page, size_t pages)
{
	uint64_t offset = IMPORTER_MMAP_OFFSET(slot) + page * s->page;

	return map_at(s->importer, offset, pages * s->page, PROT_READ | PROT_WRITE);
}

TEST_F(importers, r10_mapping_of_all)
{
	struct scene *s = &self->s;
	char *c;

	ASSERT_EQ(0, importer_vmap(s->importer, 3, s->buf));
	c = map_through_importer(s, 3, 0, s->pages);
	ASSERT_NE(MAP_FAILED, c);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, 1, 10 + i));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_RW));
		EXPECT_EQ(s->page, matches(c + s->page, s->page, 10 + i));
		fill(c, s->page, 20 + i);
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_RW));
		if (writing[i] == IMPORTER_BIDIRECTIONAL)
			EXPECT_EQ(0, device_has(s, 0, 0, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(s->page, matches(c, s->page, 20 + i));
		EXPECT_EQ(0, cpu_has(s, 1, 10 + i));
	}
}

TEST_F(importers, r10_mapping_of_a_part_outlives_the_importer)
{
	struct scene *s = &self->s;
	size_t last = s->pages - 1;
	char *c;

	ASSERT_EQ(0, bracket_puts(s, last, 1));
	ASSERT_EQ(0, importer_vmap(s->importer, 0, s->buf));
	c = map_through_importer(s, 0, last, 1);
	ASSERT_NE(MAP_FAILED, c);
	EXPECT_EQ(MAP_FAILED, map_through_importer(s, 0, last, 2));
	EXPECT_EQ(MAP_FAILED, map_through_importer(s, 1, 0, 1));
	close(s->importer);
	s->importer = importer_open();
	ASSERT_LE(0, s->importer);
	EXPECT_EQ(s->page, matches(c, s->page, 1));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_puts(s, 0, last, 2));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(s->page, matches(c, s->page, 2));
	munmap(s->a, s->size);
	munmap(s->b, s->size);
	close(s->buf);
	/* What is left of the buffer is this mapping. */
	EXPECT_EQ(-EBUSY, seal_write(s->memfd));
	munmap(c, s->page);
	EXPECT_EQ(0, seal_write_soon(s->memfd));
}

/* 14: an importer that changes the table it was given ------------------------ */

TEST_F(importers, r14_brackets_and_unmap_do_not_use_the_importers_table)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, 10 + i));
		ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_CHANGE_TABLE, 0));
		EXPECT_EQ(0, bracket_has(s, s->pages - 1, 10 + i));
		EXPECT_EQ(0, bracket_puts(s, 0, 20 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, s->pages - 1, 10 + i));
		EXPECT_EQ(0, cpu_has(s, 0, 20 + i));
	}
}

TEST_F(importers, r14_unmap_brings_what_the_device_wrote)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_CHANGE_TABLE, 0));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
	/* And the next one starts afresh. */
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, bracket_puts(s, 0, 2));
	EXPECT_EQ(0, device_has(s, 0, 0, 2));
}

TEST_HARNESS_MAIN
