// SPDX-License-Identifier: GPL-2.0
/*
 * maintenance: the cache maintenance that brackets and mappings ask for, where
 * the device is not coherent with the CPU. arm64 only; rows as in coherence.c.
 *
 * The emulator has no caches, so bytes alone would show nothing. What is counted
 * are the calls of arch_sync_dma_for_device() (cleans) and arch_sync_dma_for_cpu()
 * (invalidates, unless the device only reads) that our own thread makes.
 */
#include "coherence.h"

#define TRACING		"/sys/kernel/tracing"
#define PROBES		TRACING "/kprobe_events"
#define OURS		TRACING "/instances/maintenance"

#define MANY		100

enum { FOR_DEVICE, FOR_CPU, BOTH };
enum { START, END, MAP, UNMAP, POINTS };

/* Bytes that were cleaned or invalidated, for mappings of each direction. */
struct upkeep {
	uint64_t bytes[BOTH][3];
	int calls;
};

COHERENCE_FIXTURE(maintenance);

static int write_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		err = -errno;
	close(fd);
	return err;
}

/* Probes that nobody else has to know of; they may be there from an earlier test. */
static int upkeep_prepare(void)
{
	static const char * const probes[] = {
		"p:maintenance/for_device arch_sync_dma_for_device size=%x1:u64 dir=%x2:u32\n",
		"p:maintenance/for_cpu arch_sync_dma_for_cpu size=%x1:u64 dir=%x2:u32\n",
	};
	char pid[16];
	int err;

	if (mkdir(OURS, 0700) && errno != EEXIST)
		return -errno;
	if (access(OURS "/events/maintenance", F_OK)) {
		for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
			err = write_line(PROBES, probes[i]);
			if (err)
				return err;
		}
	}
	snprintf(pid, sizeof(pid), "%d", getpid());
	err = write_text(OURS "/set_event_pid", pid);
	return err ?: write_text(OURS "/events/maintenance/enable", "1");
}

static void upkeep_forget(void)
{
	close(open(OURS "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static struct upkeep upkeep_since(void)
{
	struct upkeep seen = {};
	FILE *file = fopen(OURS "/trace", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, " size=");
		unsigned long long size;
		unsigned int dir;

		if (!at || sscanf(at, " size=%llu dir=%u", &size, &dir) != 2 || dir > 2)
			continue;
		seen.bytes[strstr(line, ": for_device:") ? FOR_DEVICE : FOR_CPU][dir] += size;
		seen.calls++;
	}
	if (file)
		fclose(file);
	upkeep_forget();
	return seen;
}

/*
 * Of mappings that the device may write. The driver is free to map for both
 * directions where an importer asks for one.
 */
static uint64_t of_writers(const struct upkeep *u, int what)
{
	return u->bytes[what][IMPORTER_BIDIRECTIONAL] + u->bytes[what][IMPORTER_FROM_DEVICE];
}

/* An invalidate throws away what the CPU has written and not cleaned. */
static uint64_t invalidated(const struct upkeep *u)
{
	return of_writers(u, FOR_CPU);
}

static uint64_t cleaned(const struct upkeep *u)
{
	return of_writers(u, FOR_DEVICE) + u->bytes[FOR_DEVICE][IMPORTER_TO_DEVICE];
}

/*
 * Cleaned so many times, in whole: once for a device and direction, however many
 * mappings that has. What the driver does of its own accord, for observers that map
 * nothing, is once more.
 */
#define EXPECT_CLEANED(times) do {					\
	EXPECT_LE((times) * s->size, cleaned(&u));			\
	EXPECT_GE(((times) + 1) * s->size, cleaned(&u));		\
	EXPECT_EQ(0, cleaned(&u) % s->size);				\
} while (0)

#define PREPARE() do {							\
	if (access(PROBES, F_OK))					\
		SKIP(return, "this kernel has no kprobe events");	\
	ASSERT_EQ(0, upkeep_prepare());					\
	upkeep_forget();						\
} while (0)

/* What a START or an END asks for. */
static struct upkeep does(struct __test_metadata *_metadata, struct scene *s, uint64_t flags)
{
	upkeep_forget();
	EXPECT_EQ(0, buf_sync(s->buf, flags));
	return upkeep_since();
}

TEST_F(maintenance, r01_end_cleans_for_a_device_that_reads)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
	u = upkeep_since();
	EXPECT_EQ(s->size, u.bytes[FOR_DEVICE][IMPORTER_TO_DEVICE])
		TH_LOG("map is not a barrier for a device that is not coherent");
	EXPECT_EQ(0, invalidated(&u));
	for (int i = 0; i < 2; i++) {
		u = does(_metadata, s, SYNC_START_W);
		EXPECT_EQ(0, invalidated(&u));
		u = does(_metadata, s, SYNC_END_W);
		EXPECT_CLEANED(1);
		EXPECT_EQ(cleaned(&u), u.bytes[FOR_DEVICE][IMPORTER_TO_DEVICE]);
		EXPECT_EQ(0, invalidated(&u));
	}
	ASSERT_EQ(0, device_unmap(s, 0));
	u = upkeep_since();
	EXPECT_EQ(0, invalidated(&u));
}

TEST_F(maintenance, r01_end_cleans_for_observers_that_map_nothing)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	for (int i = 0; i < 2; i++) {
		u = does(_metadata, s, SYNC_START_RW);
		EXPECT_EQ(0, invalidated(&u));
		u = does(_metadata, s, SYNC_END_RW);
		EXPECT_EQ(s->size, cleaned(&u));
		EXPECT_EQ(s->size, u.bytes[FOR_DEVICE][IMPORTER_TO_DEVICE]);
		EXPECT_EQ(0, invalidated(&u));
	}
}

/* The owner of the memory writes it through the memfd. */
TEST_F(maintenance, r01_end_of_any_bracket_cleans_for_a_read_only_buffer)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	if (is_c_driver())
		SKIP(return, "the C driver has no read-only buffers");
	close(s->buf);
	s->buf = create_ext_one(s->dev, s->memfd, 0, s->size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, s->buf);
	/* device_map() asks how the device reaches it, which takes a kernel mapping. */
	ASSERT_EQ(0, importer_map(s->importer, 0, s->buf, s->device, IMPORTER_TO_DEVICE));
	upkeep_forget();
	for (int i = 0; i < 2; i++) {
		u = does(_metadata, s, SYNC_START_R);
		EXPECT_EQ(0, invalidated(&u));
		u = does(_metadata, s, SYNC_END_R);
		EXPECT_CLEANED(1);
		EXPECT_EQ(0, invalidated(&u));
	}
	ASSERT_EQ(0, device_unmap(s, 0));
}

TEST_F(maintenance, r02_start_invalidates_for_a_device_that_writes)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		for (int round = 0; round < 2; round++) {
			u = does(_metadata, s, SYNC_START_R);
			EXPECT_EQ(s->size, invalidated(&u));
			u = does(_metadata, s, SYNC_END_R);
			EXPECT_EQ(0, u.calls) TH_LOG("the CPU has only read");
		}
		ASSERT_EQ(0, device_unmap(s, 0));
	}
}

TEST_F(maintenance, r03_unmap_invalidates_for_a_device_that_writes)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		u = upkeep_since();
		EXPECT_LE(s->size, of_writers(&u, FOR_DEVICE));
		EXPECT_EQ(0, invalidated(&u));
		ASSERT_EQ(0, device_unmap(s, 0));
		u = upkeep_since();
		EXPECT_EQ(s->size, invalidated(&u));
	}
}

TEST_F(maintenance, r04_write_bracket_fetches_before_it_cleans)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		u = does(_metadata, s, SYNC_START_W);
		EXPECT_EQ(s->size, invalidated(&u));
		u = does(_metadata, s, SYNC_END_W);
		EXPECT_CLEANED(1);
		EXPECT_EQ(s->size, of_writers(&u, FOR_DEVICE));
		EXPECT_EQ(0, invalidated(&u));
		ASSERT_EQ(0, device_unmap(s, 0));
	}
}

/*
 * What was written before a START by anybody must not be lost: it is cleaned
 * before anything is invalidated. That a piece was cleaned first is in the order
 * of the calls, which the kernel's counters do not show.
 */
TEST_F(maintenance, r05_each_start_cleans_as_much_as_it_invalidates)
{
	static const uint64_t starts[] = { SYNC_START_W, SYNC_START_RW, SYNC_START_R };
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		u = does(_metadata, s, starts[i]);
		EXPECT_EQ(s->size, invalidated(&u));
		EXPECT_EQ(s->size, of_writers(&u, FOR_DEVICE));
	}
	u = does(_metadata, s, SYNC_END_R);
	EXPECT_EQ(0, invalidated(&u));
	u = does(_metadata, s, SYNC_END_RW);
	EXPECT_EQ(0, invalidated(&u));
	EXPECT_CLEANED(1);
	u = does(_metadata, s, SYNC_END_W);
	EXPECT_EQ(0, invalidated(&u));
	EXPECT_CLEANED(1);
}

/* Segments are synced in pieces of 64 KiB; the last piece of this one is shorter. */
TEST_F(maintenance, r05_pieces_of_a_large_segment_add_up)
{
	struct scene *s = &self->s;
	size_t size = HUGE - s->page;
	struct upkeep u;

	PREPARE();
	NEED_HUGE(1);
	close(s->buf);
	s->buf = create(s->dev, memfd_new_huge(HUGE), 0, size);
	ASSERT_LE(0, s->buf);
	ASSERT_EQ(0, importer_map(s->importer, 0, s->buf, s->device, IMPORTER_BIDIRECTIONAL));
	u = does(_metadata, s, SYNC_START_RW);
	EXPECT_LT(2, u.calls);
	EXPECT_EQ(size, invalidated(&u));
	EXPECT_EQ(size, of_writers(&u, FOR_DEVICE));
	ASSERT_EQ(0, device_unmap(s, 0));
}

TEST_F(maintenance, r06_nothing_is_invalidated_where_no_device_writes)
{
	static const uint64_t dirs[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	for (int readers = 0; readers < 3; readers++) {
		for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
			u = does(_metadata, s, DMA_BUF_SYNC_START | dirs[i]);
			EXPECT_EQ(0, invalidated(&u));
			u = does(_metadata, s, DMA_BUF_SYNC_END | dirs[i]);
			EXPECT_EQ(0, invalidated(&u));
			if (dirs[i] == DMA_BUF_SYNC_READ)
				EXPECT_EQ(0, u.calls);
			if (dirs[i] != DMA_BUF_SYNC_READ)
				EXPECT_CLEANED(readers ? 1 : 0);
		}
		ASSERT_EQ(0, device_map(s, readers, IMPORTER_TO_DEVICE));
	}
}

TEST_F(maintenance, r07_reader_and_writer_each_in_its_own_direction)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	u = does(_metadata, s, SYNC_START_RW);
	EXPECT_EQ(s->size, invalidated(&u));
	u = does(_metadata, s, SYNC_END_RW);
	EXPECT_CLEANED(2);
	EXPECT_EQ(s->size, of_writers(&u, FOR_DEVICE));
	EXPECT_EQ(0, invalidated(&u));
}

static int map_many(struct scene *s, int direction, unsigned int flags)
{
	struct importer_map_many many = {
		.fd = s->buf, .direction = direction, .device = s->device,
		.flags = flags, .count = MANY,
	};

	return importer_call(s->importer, IMPORTER_MAP_MANY, &many);
}

TEST_F(maintenance, r07_many_mappings_of_two_devices_that_read_and_write)
{
	static const int dirs[] = { IMPORTER_TO_DEVICE, IMPORTER_FROM_DEVICE };
	struct scene *s = &self->s;
	int other = IMPORTER_FAUX_2;
	struct upkeep u;

	PREPARE();
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		ASSERT_EQ(0, map_many(s, dirs[i], 0));
		for (int slot = 0; slot < 2; slot++)
			ASSERT_EQ(0, importer_map(s->importer, 2 * i + slot, s->buf, other,
						  dirs[i]));
	}
	upkeep_forget();
	for (int i = 0; i < 2; i++) {
		u = does(_metadata, s, SYNC_START_RW);
		EXPECT_EQ(2 * s->size, invalidated(&u));
		u = does(_metadata, s, SYNC_END_RW);
		EXPECT_CLEANED(4);
		EXPECT_EQ(2 * s->size, of_writers(&u, FOR_DEVICE));
		EXPECT_EQ(0, invalidated(&u));
	}
	ASSERT_EQ(0, importer_call(s->importer, IMPORTER_UNMAP_MANY, NULL));
	u = does(_metadata, s, SYNC_START_RW);
	EXPECT_EQ(s->size, invalidated(&u));
	u = does(_metadata, s, SYNC_END_RW);
	EXPECT_CLEANED(2);
}

TEST_F(maintenance, r07_only_the_other_is_synced_once_one_has_gone)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, map_many(s, IMPORTER_BIDIRECTIONAL, 0));
	ASSERT_EQ(0, importer_map(s->importer, 1, s->buf, IMPORTER_FAUX_2,
				  IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_call(s->importer, IMPORTER_UNPLUG, NULL));
	for (int i = 0; i < 2; i++) {
		u = does(_metadata, s, SYNC_START_RW);
		EXPECT_EQ(s->size, invalidated(&u));
		u = does(_metadata, s, SYNC_END_RW);
		EXPECT_EQ(s->size, of_writers(&u, FOR_DEVICE));
		/* Late, if the device has not taken them along. */
		device_unmap(s, 0);
		importer_call(s->importer, IMPORTER_UNMAP_MANY, NULL);
	}
	ASSERT_EQ(0, importer_call(s->importer, IMPORTER_PLUG, NULL));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	u = does(_metadata, s, SYNC_START_RW);
	EXPECT_EQ(2 * s->size, invalidated(&u));
}

TEST_F(maintenance, r09_brackets_of_the_kernel)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	upkeep_forget();
	ASSERT_EQ(0, importer_access(s->importer, IMPORTER_BEGIN, s->buf, IMPORTER_TO_DEVICE));
	u = upkeep_since();
	EXPECT_EQ(s->size, invalidated(&u));
	ASSERT_EQ(0, importer_access(s->importer, IMPORTER_END, s->buf, IMPORTER_TO_DEVICE));
	u = upkeep_since();
	EXPECT_CLEANED(1);
}

TEST_F(maintenance, r14_changed_table_is_not_the_one_that_is_synced)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_CHANGE_TABLE, 0));
	u = does(_metadata, s, SYNC_START_W);
	EXPECT_EQ(s->size, invalidated(&u));
	u = does(_metadata, s, SYNC_END_W);
	EXPECT_CLEANED(1);
	ASSERT_EQ(0, device_unmap(s, 0));
	u = upkeep_since();
	EXPECT_EQ(s->size, invalidated(&u));
}

/* What START, END, and the map and unmap of one more mapping ask for. */
static void all_points(struct __test_metadata *_metadata, struct scene *s, int direction,
		       struct upkeep at[POINTS])
{
	at[START] = does(_metadata, s, SYNC_START_RW);
	at[END] = does(_metadata, s, SYNC_END_RW);
	EXPECT_EQ(0, device_map(s, 1, direction));
	at[MAP] = upkeep_since();
	EXPECT_EQ(0, device_unmap(s, 1));
	at[UNMAP] = upkeep_since();
}

/* Beside many other mappings of the device as beside one. */
static void many_as_one(struct __test_metadata *_metadata, struct scene *s, unsigned int flags)
{
	static const int dirs[] = {
		IMPORTER_TO_DEVICE, IMPORTER_FROM_DEVICE, IMPORTER_BIDIRECTIONAL,
	};
	struct upkeep one[POINTS], many[POINTS];

	/* The driver's own mapping is made by the first START. */
	does(_metadata, s, SYNC_START_R);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		ASSERT_EQ(0, device_map(s, 0, dirs[i]));
		all_points(_metadata, s, dirs[i], one);
		ASSERT_EQ(0, map_many(s, dirs[i], flags));
		all_points(_metadata, s, dirs[i], many);
		EXPECT_NE(0, one[START].calls);
		for (int point = 0; point < POINTS; point++) {
			EXPECT_EQ(one[point].calls, many[point].calls)
				TH_LOG("direction %d, point %d", dirs[i], point);
			EXPECT_EQ(0, memcmp(one[point].bytes, many[point].bytes,
					    sizeof(one[point].bytes)));
		}
		/* Those that are left are maintained, whichever they are. */
		ASSERT_EQ(0, device_unmap(s, 0));
		all_points(_metadata, s, dirs[i], one);
		for (int point = 0; point < POINTS; point++)
			EXPECT_EQ(many[point].calls, one[point].calls);
		ASSERT_EQ(0, importer_call(s->importer, IMPORTER_UNMAP_MANY, NULL));
	}
}

TEST_F(maintenance, r19_100_mappings_of_a_device_ask_for_as_much_as_one)
{
	PREPARE();
	many_as_one(_metadata, &self->s, 0);
}

TEST_F(maintenance, r19_100_attachments_of_a_device_ask_for_as_much_as_one)
{
	PREPARE();
	many_as_one(_metadata, &self->s, IMPORTER_ATTACH_EACH);
}

TEST_F(maintenance, r20_unmap_in_an_open_write_bracket_cleans_first)
{
	struct scene *s = &self->s;
	struct upkeep u;

	PREPARE();
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	upkeep_forget();
	ASSERT_EQ(0, device_unmap(s, 0));
	u = upkeep_since();
	EXPECT_EQ(s->size, of_writers(&u, FOR_DEVICE));
	EXPECT_EQ(s->size, invalidated(&u));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
}

TEST_HARNESS_MAIN
