// SPDX-License-Identifier: GPL-2.0
/* Each operation with each subject in turn, in rounds. */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "../floor/udmabuf_floor.h"

/* Buffers of pages that had to be made for them. */
#define CLEAN_TIMES	3
/* The largest buffer of the heap, unless asked for (--long): to zero it takes long. */
#define HEAP_MOST	(512 * MIB)

int subject, round_now;
uint64_t size_now;

/*
 * What is cheap is done in a row: the first of its kind finds the allocator as
 * the other driver has left it, which may be as much as the operation itself.
 */
static int times_of_cheap(void)
{
	return is_huge() || size_now <= 64 * MIB ? 5 : 1;
}

/* What is done through a mapping: of a buffer, or of a memfd. */
static void use_mappings(int fd, const uint32_t *order)
{
	static const char * const crews[] = { "threads_1", "threads_2", "threads_4" };
	bool moderate = size_now <= BULKY || all_at_any_size;
	bool parallel = size_now == 64 * MIB || (size_now >= MIB && all_at_any_size);
	/* A mapping of huge pages of hugetlb starts at one. */
	bool anywhere = kind_now() != BARE_MEMFD || !memory.flags;

	if (wants(MAP))
		map_only(fd);
	if (wants(MAP) && moderate)
		touch_one(fd);
	if (wants(TOUCH))
		touch_all(fd);
	if (wants(UNALIGNED_TOUCH) && moderate && anywhere)
		touch_unaligned(fd);
	if (wants(RANDOM) && moderate)
		touch_random(fd, order);
	for (int i = 0; i < 3 && wants(PARALLEL) && parallel; i++)
		touch_parallel(crews[i], fd, 1 << i);
}

/* What is done with the descriptor of a dma-buf. */
static void use_devices(int fd)
{
	bool moderate = size_now <= BULKY || all_at_any_size;

	if (wants(SYNC))
		measure_sync("sync_first", "sync", fd);
	for (int i = 0; i < times_of_cheap() && wants(IMPORT); i++)
		import_one(fd);
	if (wants(IMPORT_FOUR) && moderate)
		import_four(fd);
	if (wants(SMALL) && size_now <= MIB)
		import_small(fd);
	/* The heap has one table for each attachment, which is mapped once at a time. */
	if (wants(LIVE) && kind_now() != HEAP)
		import_live(fd);
	if (wants(ATTACHED))
		import_attached(fd);
	if (wants(VMAP))
		vmap(fd);
}

/* Everything that is done with one buffer. */
static void use(int memfd, const uint32_t *order)
{
	int fd;

	for (int i = 0; i < times_of_cheap() && wants(CREATE); i++) {
		fd = measure_create("create", memfd, size_now);
		if (fd < 0)
			return;
		measure_close("close", fd);
	}
	fd = create(memfd, 0, size_now);
	if (fd < 0) {
		failed("create");
		return;
	}
	use_mappings(fd, order);
	use_devices(fd);
	close(fd);
}

/* The heap's buffer is allocated once for all rounds of a size: that zeroes it. */
static int heap_buffer = -1;

static void use_heap(const uint32_t *order)
{
	if (size_now > HEAP_MOST && !all_at_any_size)
		return;
	if (heap_buffer < 0)
		heap_buffer = allocate(size_now);
	if (heap_buffer < 0) {
		failed("allocate");
		return;
	}
	use_mappings(heap_buffer, order);
	use_devices(heap_buffer);
}

/* A part of a huge page of hugetlb cannot be unmapped. */
static void use_memfd(int memfd, const uint32_t *order)
{
	if (!memory.flags || size_now >= memory.folio)
		use_mappings(memfd, order);
}

/* Pages that were never written to: the buffer may have to mark them. */
static void use_clean(void)
{
	int memfd = memfd_of(size_now), fd;

	populate_clean(memfd, size_now);
	if (is_dirty(memfd, size_now)) {
		close(memfd);
		return;
	}
	fd = measure_create("create_clean", memfd, size_now);
	if (fd >= 0)
		measure_close("close_clean", fd);
	record("marked_dirty", is_dirty(memfd, size_now) > 0);
	close(memfd);
}

/*
 * Pages of hugetlb are dirty from the start, to be split they are mapped for
 * writing, and a short file has no huge pages.
 */
static bool can_be_clean(uint64_t size)
{
	return !memory.flags && !memory.split && size >= MIB && size >= memory.folio &&
	       (size <= 64 * MIB || all_at_any_size);
}

static void use_floor(int memfd)
{
	struct floor_range range = { .memfd = memfd, .size = size_now };
	uint64_t start;
	int fd;

	CHECK(!ioctl(floor_fd, FLOOR_ROOM, size_now / PAGE + 1));
	for (int i = 0; i < times_of_cheap(); i++) {
		start = ticks();
		CHECK(!ioctl(floor_fd, FLOOR_PIN, &range));
		record("pin", since(start));
		start = ticks();
		CHECK(!ioctl(floor_fd, FLOOR_UNPIN));
		record("unpin", since(start));
		start = ticks();
		fd = ioctl(floor_fd, FLOOR_CREATE, &range);
		CHECK(fd >= 0);
		record("create", since(start));
		measure_close("close", fd);
	}
}

/* All of a subject's turn. */
static void turn(int memfd, const uint32_t *order, uint64_t size, bool first)
{
	int times = size <= MIB ? 3 : 1;

	size_now = size;
	for (int i = 0; i < times; i++) {
		switch (kind_now()) {
		case DRIVER:
			use(memfd, order);
			break;
		case HEAP:
			use_heap(order);
			break;
		case BARE_MEMFD:
			use_memfd(memfd, order);
			break;
		case FLOOR:
			use_floor(memfd);
			break;
		}
	}
	for (int i = 0; i < CLEAN_TIMES && wants(CLEAN) && kind_now() == DRIVER; i++)
		if (can_be_clean(size))
			use_clean();
	if (wants(MEMORY) && first && (kind_now() == DRIVER || kind_now() == FLOOR))
		measure_memory(memfd);
}

/* A B A B, and from half of the rounds on B A B A. */
static int subject_at(int place)
{
	bool swapped = round_now >= (rounds + 1) / 2;

	return place < drivers && swapped ? drivers - 1 - place : place;
}

static void each_subject(int memfd, const uint32_t *order, uint64_t size, bool first)
{
	for (int place = 0; place < nr_subjects; place++) {
		subject = subject_at(place);
		turn(memfd, order, size, first);
	}
}

static void run_size(int memfd, uint64_t size)
{
	uint32_t *order = wants(RANDOM) ? shuffled(size / PAGE) : NULL;

	print_frames(memfd, size);
	for (round_now = -warmups; round_now < rounds; round_now++)
		each_subject(memfd, order, size, !round_now);
	free(order);
	if (heap_buffer >= 0)
		close(heap_buffer);
	heap_buffer = -1;
	print_samples();
}

static void run_wholes(int memfd, uint64_t size)
{
	uint64_t least = (list_span() + memory.folio - 1) / memory.folio * memory.folio;
	bool lists = wants(LISTS) && size >= list_span();
	int other = -1;

	/* The pools of hugetlb have room for one memfd. */
	if (lists && !(memory.flags & MFD_HUGETLB)) {
		other = memfd_of(least);
		populate(other, least);
	}
	for (round_now = -warmups; round_now < rounds; round_now++) {
		for (int place = 0; place < drivers; place++) {
			subject = subject_at(place);
			if (wants(BATCHES) && has_batch(size))
				use_batch(memfd);
			if (lists)
				use_lists(memfd, other);
		}
	}
	close(other);
	print_samples();
}

/* Lives make memfds of their own, of such memory. */
static void run_lives(void)
{
	for (int i = 0; i < nr_sizes; i++) {
		size_now = sizes[i];
		for (round_now = -warmups; round_now < rounds; round_now++) {
			for (int place = 0; place < nr_subjects; place++) {
				subject = subject_at(place);
				use_life();
			}
		}
		print_samples();
	}
}

static void run_memfd(void)
{
	uint64_t largest = memory.folio;
	int memfd;

	for (int i = 0; i < nr_sizes; i++)
		if (sizes[i] > largest)
			largest = sizes[i];
	largest = (largest + memory.folio - 1) / memory.folio * memory.folio;
	memfd = memfd_of(largest);
	populate(memfd, largest);
	printf("fact dirty/%s %d\n", memory.name, is_dirty(memfd, largest));
	for (int i = 0; i < nr_sizes; i++)
		run_size(memfd, sizes[i]);
	run_wholes(memfd, largest);
	close(memfd);
}

void run(void)
{
	if (wants(LIFE))
		run_lives();
	if (wants_more(LIFE))
		run_memfd();
}
