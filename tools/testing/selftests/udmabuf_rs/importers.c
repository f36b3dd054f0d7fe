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

/* 8: several devices write --------------------------------------------------- */

/* Row A6: a device that does not reach the memory could not import a buffer twice. */
TEST_F(importers, r08_two_writers_and_the_cpu)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 2; j++) {
			int seed = 10 * i + 3 * j;

			ASSERT_EQ(0, device_map(s, 0, writing[i]));
			ASSERT_EQ(0, device_map(s, 1, writing[j]));
			ASSERT_EQ(0, device_map(s, 2, IMPORTER_TO_DEVICE));
			ASSERT_EQ(0, device_puts(s, 0, 0, seed));
			ASSERT_EQ(0, device_puts(s, 1, 1, seed + 1));
			EXPECT_EQ(0, bracket_has(s, 0, seed));
			ASSERT_EQ(0, bracket_puts(s, 0, seed + 2));
			EXPECT_EQ(0, device_has(s, 2, 0, seed + 2));
			EXPECT_EQ(0, device_has(s, 2, 1, seed + 1));
			for (int slot = 0; slot < 3; slot++)
				ASSERT_EQ(0, device_unmap(s, slot));
			EXPECT_EQ(0, cpu_has(s, 0, seed + 2));
			EXPECT_EQ(0, cpu_has(s, 1, seed + 1));
		}
	}
}

/* Another device than the one that the column is about: of another kind, if there is one. */
static int map_other(struct scene *s, int slot, int direction)
{
	int device = s->device == IMPORTER_EDU ? IMPORTER_FAUX : IMPORTER_EDU;
	int err = importer_map(s->importer, slot, s->buf, device, direction);

	if (err == -ENODEV)
		err = importer_map(s->importer, slot, s->buf, IMPORTER_FAUX_2, direction);
	return err;
}

/*
 * Two devices write the same page one after the other, and the second the bytes
 * that it has seen there at first: what it writes is newer, and must win.
 */
static void second_writes_what_was(struct __test_metadata *_metadata, struct scene *s, bool unmap)
{
	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, map_other(s, 1, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_puts(s, 1, 0, 2));
	ASSERT_EQ(0, unmap ? device_unmap(s, 1) : bracket_has(s, 0, 2));
	EXPECT_EQ(0, device_has(s, 0, 0, 2));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	ASSERT_EQ(0, device_unmap(s, 0));
	if (!unmap) {
		EXPECT_EQ(0, device_has(s, 1, 0, 1));
		ASSERT_EQ(0, device_unmap(s, 1));
	}
	EXPECT_EQ(0, cpu_has(s, 0, 1));
}

TEST_F(importers, r08_second_writes_what_was_after_a_start)
{
	second_writes_what_was(_metadata, &self->s, false);
}

TEST_F(importers, r08_second_writes_what_was_after_an_unmap)
{
	second_writes_what_was(_metadata, &self->s, true);
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

TEST_F(importers, r14_mapped_again_for_the_same_attachment)
{
	struct scene *s = &self->s;

	s->device |= IMPORTER_AGAIN;
	cpu_puts(s, 1, 1);
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	EXPECT_EQ(0, device_has(s, 0, 1, 1));
	ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, 2));
	EXPECT_EQ(0, bracket_has(s, s->pages - 1, 2));
	EXPECT_EQ(0, bracket_puts(s, 0, 3));
	EXPECT_EQ(0, device_has(s, 0, 0, 3));
	ASSERT_EQ(0, device_unmap(s, 0));

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_puts(s, 0, s->pages - 1, 4));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, s->pages - 1, 4));
}

TEST_HARNESS_MAIN
