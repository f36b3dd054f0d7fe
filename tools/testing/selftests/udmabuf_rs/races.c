// SPDX-License-Identifier: GPL-2.0
/*
 * races: devices that go away while they are in use, many at once, and threads
 * against each other. Rows 15, 18 and 19 of the coherence matrix.
 */
#include "coherence.h"

COHERENCE_FIXTURE(races);

/* 15: a device that goes away ------------------------------------------------ */

/* Where sysfs has the edu device: 0 or -errno. */
static int edu_path(char *path, size_t size, const char *file)
{
	static const char bus[] = "/sys/bus/pci/devices";
	DIR *dir = opendir(bus);
	struct dirent *entry;
	char name[PATH_MAX];
	int err = -ENODEV;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s/vendor", bus, entry->d_name);
		if (read_number(name) != 0x1234)
			continue;
		snprintf(name, sizeof(name), "%s/%s/device", bus, entry->d_name);
		if (read_number(name) != 0x11e8)
			continue;
		snprintf(path, size, "%s/%s/%s", bus, entry->d_name, file);
		err = 0;
	}
	closedir(dir);
	return err;
}

static int unplug(struct scene *s)
{
	char path[PATH_MAX];
	int err;

	if (s->device == IMPORTER_FAUX)
		return importer_call(s->importer, IMPORTER_UNPLUG, NULL);
	err = edu_path(path, sizeof(path), "remove");
	return err ? err : write_text(path, "1");
}

static int plug(struct scene *s)
{
	if (s->device == IMPORTER_FAUX)
		return importer_call(s->importer, IMPORTER_PLUG, NULL);
	return write_text("/sys/bus/pci/rescan", "1");
}

TEST_F(races, r15_what_it_wrote_and_unmapped_is_seen)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, device_puts(s, 0, 0, 1 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		ASSERT_EQ(0, unplug(s));
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
		EXPECT_EQ(0, bracket_has(s, 0, 1 + i));
		ASSERT_EQ(0, plug(s));
	}
}

TEST_F(races, r15_brackets_go_on_and_the_late_unmap_is_harmless)
{
	struct scene *s = &self->s;
	int late;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, bracket_puts(s, 0, 1));
		ASSERT_EQ(0, unplug(s));
		EXPECT_EQ(0, bracket_has(s, 0, 1));
		EXPECT_EQ(0, bracket_puts(s, 0, 2));
		EXPECT_EQ(0, bracket_has(s, 0, 2));
		EXPECT_EQ(0, other_bracket_has(s, 0, 2));
		late = device_unmap(s, 0);
		EXPECT_TRUE(!late || late == -ENOENT || late == -ENODEV)
			TH_LOG("the late unmap returned %d", late);
		EXPECT_EQ(0, cpu_has(s, 0, 2));
		EXPECT_EQ(0, bracket_has(s, 0, 2));
		ASSERT_EQ(0, plug(s));
	}
}

TEST_F(races, r15_others_are_still_served)
{
	struct scene *s = &self->s;
	bool two_kinds = s->device == IMPORTER_EDU;

	/* Where there are two devices, the other is there all the time; else it is a new one. */
	ASSERT_EQ(0, device_map(s, 0, two_kinds ? IMPORTER_TO_DEVICE : IMPORTER_BIDIRECTIONAL));
	if (two_kinds)
		ASSERT_EQ(0, importer_map(s->importer, 1, s->buf, IMPORTER_FAUX,
					  IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, unplug(s));
	if (!two_kinds) {
		ASSERT_EQ(0, plug(s));
		ASSERT_EQ(0, importer_map(s->importer, 1, s->buf, IMPORTER_FAUX,
					  IMPORTER_BIDIRECTIONAL));
	}
	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	EXPECT_EQ(0, device_has(s, 1, 0, 1));
	ASSERT_EQ(0, device_puts(s, 1, 1, 2));
	EXPECT_EQ(0, bracket_has(s, 1, 2));
	ASSERT_EQ(0, device_puts(s, 1, 0, 3));
	ASSERT_EQ(0, device_unmap(s, 1));
	EXPECT_EQ(0, cpu_has(s, 0, 3));
	EXPECT_EQ(0, cpu_has(s, 1, 2));
	device_unmap(s, 0);
	EXPECT_EQ(0, cpu_has(s, 0, 3));
	if (two_kinds)
		ASSERT_EQ(0, plug(s));
}

TEST_F(races, r15_file_closed_after_the_device_went)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	ASSERT_EQ(0, unplug(s));
	close(s->importer);
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	s->importer = importer_open();
	ASSERT_LE(0, s->importer);
	ASSERT_EQ(0, plug(s));
	/* Nothing is left of it: memory and buffer can go. */
	munmap(s->b, s->size);
	munmap(s->a, s->size);
	close(s->buf);
	EXPECT_EQ(0, seal_write_soon(s->memfd));
}

/* 18: four threads ----------------------------------------------------------- */

#define ROUNDS	10000

struct racer {
	pthread_t thread;
	struct scene *s;
	int nr, rounds;
	long failures, lost;
};

/* Each has a page of its own, and finds there what it wrote in the last bracket. */
static void *race_brackets(void *arg)
{
	struct racer *r = arg;
	uint64_t *page = (uint64_t *)(r->s->b + r->nr * r->s->page);
	int words = r->s->page / sizeof(*page);

	for (int i = 1; i <= r->rounds; i++) {
		r->failures += buf_sync(r->s->buf, i & 1 ? SYNC_START_W : SYNC_START_RW) != 0;
		if (i > 1)
			r->lost += page[0] != i - 1 || page[words - 1] != i - 1;
		page[0] = i;
		page[words - 1] = i;
		r->failures += buf_sync(r->s->buf, i & 1 ? SYNC_END_W : SYNC_END_RW) != 0;
		if (i % 8)
			continue;
		r->failures += buf_sync(r->s->buf, SYNC_START_R) != 0;
		r->lost += page[0] != i || page[words - 1] != i;
		r->failures += buf_sync(r->s->buf, SYNC_END_R) != 0;
	}
	return NULL;
}

/* Readers come and go, and one writer at most, so that none is refused. */
static void *race_mappings(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++) {
		int direction = r->nr == 2 ? i % 3 : IMPORTER_TO_DEVICE;
		int slot = r->nr * 4 + i % 4;

		r->failures += device_map(r->s, slot, direction) != 0;
		r->failures += device_unmap(r->s, slot) != 0;
	}
	return NULL;
}

/* A buffer that comes, is bracketed and mapped, and is closed with all of it open. */
static void *race_closes(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++) {
		struct scene own = *r->s;
		int slot = r->nr * 4 + i % 4;

		own.buf = create(own.dev, own.memfd, 0, own.size);
		r->failures += own.buf < 0;
		r->failures += buf_sync(own.buf, SYNC_START_R) != 0;
		r->failures += device_map(&own, slot, IMPORTER_TO_DEVICE) != 0;
		close(own.buf);
		r->failures += device_unmap(&own, slot) != 0;
	}
	return NULL;
}

static void race(struct __test_metadata *_metadata, struct scene *s, void *(*third)(void *))
{
	void *(*work[])(void *) = { race_brackets, race_brackets, race_mappings, third };
	long long before = read_number(TLB_USED);
	struct racer racers[ARRAY_SIZE(work)];

	/* A buffer that is small, so that rounds are many. */
	munmap(s->b, s->size);
	close(s->buf);
	s->size = 2 * s->page;
	s->pages = 2;
	s->buf = create(s->dev, s->memfd, 0, s->size);
	ASSERT_LE(0, s->buf);
	s->b = map_rw(s->buf, s->size);
	ASSERT_NE(MAP_FAILED, s->b);
	/* Brackets that are opened before anything is mapped are not promised to count. */
	ASSERT_EQ(0, device_map(s, 31, IMPORTER_TO_DEVICE));
	for (int i = 0; i < ARRAY_SIZE(work); i++) {
		racers[i] = (struct racer){
			.s = s, .nr = i, .rounds = ROUNDS / 2 / ARRAY_SIZE(work),
		};
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, work[i], &racers[i]));
	}
	for (int i = 0; i < ARRAY_SIZE(work); i++) {
		pthread_join(racers[i].thread, NULL);
		EXPECT_EQ(0, racers[i].failures)
			TH_LOG("thread %d: %ld calls failed", i, racers[i].failures);
		EXPECT_EQ(0, racers[i].lost)
			TH_LOG("thread %d: %ld times other bytes than it wrote", i, racers[i].lost);
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(racers[i].rounds, *(uint64_t *)(s->b + i * s->page));
	ASSERT_EQ(0, device_unmap(s, 31));
	if (before < 0)
		return;
	/* Disks and consoles bounce, too: wait for theirs to end. */
	for (int i = 0; i < 20 && read_number(TLB_USED) > before; i++)
		sleep_us(100000);
	EXPECT_GE(before, read_number(TLB_USED));
}

/* Together 10,000 rounds. */
TEST_F_TIMEOUT(races, r18_brackets_against_map_and_unmap, 150)
{
	race(_metadata, &self->s, race_mappings);
}

TEST_F_TIMEOUT(races, r18_brackets_against_map_and_close, 150)
{
	race(_metadata, &self->s, race_closes);
}

/* 19: sixteen importers ------------------------------------------------------ */

static bool touched(struct scene *s, int slot)
{
	/* What edu transfers takes its time. */
	return !is_edu() || slot % 5 == 0;
}

TEST_F(races, r19_fifteen_readers_and_a_writer)
{
	struct scene *s = &self->s;

	for (int slot = 0; slot < 16; slot++)
		ASSERT_EQ(0, device_map(s, slot, slot == 10 ? IMPORTER_BIDIRECTIONAL :
						 IMPORTER_TO_DEVICE));
	for (int seed = 1; seed < 3; seed++) {
		ASSERT_EQ(0, device_puts(s, 10, 1, 10 + seed));
		ASSERT_EQ(0, bracket_puts(s, 0, seed));
		for (int slot = 0; slot < 16; slot++) {
			if (!touched(s, slot))
				continue;
			EXPECT_EQ(0, device_has(s, slot, 0, seed));
			EXPECT_EQ(0, device_has(s, slot, 1, 10 + seed));
		}
	}
	/* Readers take nothing back with them, in whatever order they leave. */
	for (int slot = 0; slot < 16; slot++) {
		ASSERT_EQ(0, device_unmap(s, slot * 7 % 16));
		EXPECT_EQ(0, cpu_has(s, 0, 2));
		EXPECT_EQ(0, cpu_has(s, 1, 12));
	}
}

TEST_F(races, r19_sixteen_files)
{
	struct scene *s = &self->s, file[16];

	for (int i = 0; i < 16; i++) {
		file[i] = *s;
		file[i].importer = importer_open();
		ASSERT_LE(0, file[i].importer);
		ASSERT_EQ(0, device_map(&file[i], 0, IMPORTER_TO_DEVICE));
	}
	ASSERT_EQ(0, bracket_puts(s, 1, 1));
	for (int i = 0; i < 16; i++) {
		if (touched(s, i))
			EXPECT_EQ(0, device_has(&file[i], 0, 1, 1));
		close(file[i].importer);
	}
	EXPECT_EQ(0, cpu_has(s, 1, 1));
}

TEST_HARNESS_MAIN
