// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's part of the benchmark: does each operation with each driver in
 * turn, and prints what every single one took. Sums are the host's business.
 *
 * Output, a line each:
 *   fact KEY VALUE
 *   sample MEMORY SIZE OPERATION SUBJECT ROUND VALUE
 *   failed MEMORY SIZE OPERATION SUBJECT ERRNO
 *   marked NUMBER OPERATION SUBJECT	(how many stretches were marked up to then)
 * SUBJECT is a driver's name or "floor". VALUE is nanoseconds of CLOCK_MONOTONIC,
 * which under QEMU's -icount are instructions; or bytes; or page table entries.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "floor/udmabuf_floor.h"
#include "udmabuf_importer.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define PAGE		(4 * KIB)
#define HUGE		(2 * MIB)

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#define MFD_HUGE_1GB	(30U << 26)
#endif

/* Addresses that nothing else has: one on a multiple of 1 GiB, one on none but a page's. */
#define ALIGNED		((char *)0x200000000000)
#define UNALIGNED	(ALIGNED + 5 * PAGE)

/* The published figure of others, and the list that a window of QEMU comes in. */
#define BATCH		32
#define BATCH_SIZE	(32 * MIB)
#define LIST		8000

#define SUBJECTS	3
#define SIZES		16
#define THREADS		4
/* How often in a row what takes next to nothing is done: SYNC pairs, mmap. */
#define PAIRS		15
/* Buffers of pages that had to be made for them. */
#define CLEAN_TIMES	3
/* Above this, what takes long and shows nothing new is left out, unless asked for (--long). */
#define BULKY		GIB
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/shmem_enabled"
#define SPLIT		"/sys/kernel/debug/split_huge_pages"

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "udmabuf_bench: %s:%d: %s: %s\n",	\
			__FILE__, __LINE__, #cond, strerror(errno));	\
		exit(1);						\
	}								\
} while (0)

/* Groups of operations that can be asked for. */
enum group {
	CREATE, SYNC, MAP, TOUCH, UNALIGNED_TOUCH, RANDOM, PARALLEL, IMPORT, IMPORT_FOUR, VMAP,
	CLEAN, MEMORY, BATCHES, LISTS, GROUPS
};

static const char * const group_names[GROUPS] = {
	"create", "sync", "mmap", "touch", "unaligned", "random", "threads", "import", "import4",
	"vmap", "clean", "memory", "batch", "list",
};

/* How a memfd comes by its pages. */
struct memory {
	const char *name;
	unsigned int flags;	/* of memfd_create() */
	uint64_t folio;		/* what it is allocated in */
	bool shuffled;		/* whether neighbours in the file are strangers in memory */
	bool split;		/* into pages of 4 KiB, which stay where they are */
};

/* Which driver, or the floor: that has no name here. */
struct subject {
	const char *name;
	int node;
};

struct sample {
	const char *what;
	uint64_t size;
	uint64_t value;
	uint64_t marked;
	int subject;
	int round;
	int error;
};

static struct subject subjects[SUBJECTS];
static int drivers;
static struct memory memory;
static uint64_t sizes[SIZES];
static int nr_sizes;
static unsigned int groups;
static int rounds = 7, warmups = 1;
static bool all_at_any_size;
static int floor_fd, importer_fd;

static struct sample *samples;
static size_t nr_samples, max_samples;

/* What is being measured. */
static int subject, round_now;
static uint64_t size_now;

/* The clock: instructions under -icount, where the TSC is the virtual clock ------ */

static double ns_per_tick;
static uint64_t clock_cost;

/* What profile.c looks for around whatever is measured; nothing to the processor. */
#define MARK_BYTES(which)	".byte 0x0f, 0x1f, 0x80, 0xaa, 0x5e, 0xed, " #which

static bool marks;
static uint64_t marked;

static inline uint64_t read_clock(void)
{
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}

static inline uint64_t ticks(void)
{
	if (marks)
		asm volatile(MARK_BYTES(1) : : : "memory");
	return read_clock();
}

static uint64_t since(uint64_t start)
{
	uint64_t spent = read_clock() - start;

	if (marks) {
		asm volatile(MARK_BYTES(2) : : : "memory");
		marked++;
	}
	return (spent > clock_cost ? spent - clock_cost : 0) * ns_per_tick + 0.5;
}

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* 2 instructions each time around. */
static void spin(uint64_t times)
{
	asm volatile("1: dec %0; jnz 1b" : "+r" (times) : : "cc");
}

static void calibrate(bool icount)
{
	uint64_t start, clock, spent, least = UINT64_MAX;

	clock_cost = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		start = ticks();
		spent = ticks() - start;
		if (spent < clock_cost)
			clock_cost = spent;
	}
	/* There, a tick is a nanosecond by definition, and reading another clock costs. */
	ns_per_tick = 1;
	if (!icount) {
		start = ticks();
		clock = monotonic();
		usleep(300000);
		ns_per_tick = (double)(monotonic() - clock) / (ticks() - start);
	}
	for (int i = 0; i < 9; i++) {
		start = ticks();
		spin(500000);
		spent = since(start);
		if (spent < least)
			least = spent;
	}
	printf("fact clock_cost %lu\n", clock_cost);
	printf("fact ns_per_tick %.6f\n", ns_per_tick);
	printf("fact million_instructions %lu\n", least);
}

/* Samples are printed when nothing is being measured ----------------------------- */

static void keep(const char *what, uint64_t value, int error)
{
	if (nr_samples == max_samples) {
		max_samples = max_samples ? 2 * max_samples : 4096;
		samples = realloc(samples, max_samples * sizeof(*samples));
		CHECK(samples);
	}
	samples[nr_samples++] = (struct sample){ what, size_now, value, marked,
						subject, round_now, error };
}

static void record(const char *what, uint64_t value)
{
	keep(what, value, 0);
}

static void failed(const char *what)
{
	keep(what, 0, errno ?: EIO);
}

static void print_samples(void)
{
	for (size_t i = 0; i < nr_samples; i++) {
		const struct sample *s = &samples[i];

		if (s->round < 0 && !s->error)
			continue;
		if (s->error)
			printf("failed %s %lu %s %s %s\n", memory.name, s->size, s->what,
			       subjects[s->subject].name, strerror(s->error));
		else
			printf("sample %s %lu %s %s %d %lu\n", memory.name, s->size,
			       s->what, subjects[s->subject].name, s->round, s->value);
		if (marks && !s->error)
			printf("marked %lu %s %s\n", s->marked, s->what,
			       subjects[s->subject].name);
	}
	fflush(stdout);
	nr_samples = 0;
}

static bool wants(enum group group)
{
	return groups & (1U << group);
}

/* Reads a byte. */
static inline void touch_at(const char *p)
{
	(void)*(const volatile char *)p;
}

/* Memory -------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* The same on every run. */
static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 33) % bound;
}

static uint32_t *shuffled(uint64_t count)
{
	uint32_t *order = malloc(count * sizeof(*order)), swap;

	CHECK(order);
	random_state = 1;
	for (uint64_t i = 0; i < count; i++)
		order[i] = i;
	for (uint64_t i = count - 1; i > 0; i--) {
		uint64_t other = random_below(i + 1);

		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
	return order;
}

static int memfd_of(uint64_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING | memory.flags);

	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, size));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	return fd;
}

static char *map_at(char *address, int fd, uint64_t size, int prot)
{
	return mmap(address, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
}

/* Has shmem allocate folios of @size, and of no other but a page's. */
static void set_folios(uint64_t size, bool on)
{
	char path[128];

	if (size == PAGE)
		return;
	snprintf(path, sizeof(path), SHMEM_ENABLED, size / KIB);
	write_text(path, on ? "always" : "never");
}

/* Those that are mapped at @p. */
static void split_folios(const char *p, uint64_t size)
{
	char text[128];

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(), (uintptr_t)p, (uintptr_t)p + size);
	write_text(SPLIT, text);
}

/*
 * How long the runs of 4 KiB pages are is left to no chance: a folio is a run,
 * and is split. Pages that are allocated one by one lie as those before them
 * were freed, often backwards.
 */
static void populate(int fd, uint64_t size)
{
	uint64_t step = memory.folio, count = size / step;
	char *p = map_at(ALIGNED, fd, size, PROT_READ | PROT_WRITE);
	uint32_t *order = memory.shuffled ? shuffled(count) : NULL;

	CHECK(p != MAP_FAILED);
	if (!memory.flags)
		set_folios(step, true);
	for (uint64_t i = 0; i < count; i++)
		*(volatile char *)(p + (order ? order[i] : i) * step) = 1;
	if (!memory.flags)
		set_folios(step, false);
	free(order);
	if (memory.split)
		split_folios(p, size);
	CHECK(!munmap(p, size));
}

/* Pages that hold zeros and that nobody has written to. */
static void populate_clean(int fd, uint64_t size)
{
	char *p = map_at(ALIGNED, fd, size, PROT_READ);

	CHECK(p != MAP_FAILED);
	set_folios(memory.folio, true);
	for (uint64_t at = 0; at < size; at += PAGE)
		touch_at(p + at);
	set_folios(memory.folio, false);
	CHECK(!munmap(p, size));
}

/* Whether the kernel calls all of some pages dirty, or -1 where it does not tell. */
static int is_dirty(int fd, uint64_t size)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t entry, flags, offset[3] = { 0, size / 2 & -PAGE, size - PAGE };
	char *p = map_at(ALIGNED, fd, size, PROT_READ);
	int dirty = 0;

	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 3 && dirty >= 0; i++) {
		uint64_t at = (uintptr_t)(p + offset[i]) / PAGE;

		touch_at(p + offset[i]);
		if (pread(pagemap, &entry, sizeof(entry), at * sizeof(entry)) != sizeof(entry) ||
		    pread(kpageflags, &flags, sizeof(flags),
			  (entry & ((1ULL << 55) - 1)) * sizeof(flags)) != sizeof(flags))
			dirty = -1;
		/* KPF_DIRTY, and of a huge page the first has it. */
		else if (flags & (1 << 4))
			dirty++;
	}
	CHECK(!munmap(p, size));
	close(pagemap);
	close(kpageflags);
	return dirty;
}

/* How the memory lies ------------------------------------------------------------- */

static void print_frames(int fd, uint64_t size)
{
	struct floor_frames frames = {
		.range = { .memfd = fd, .size = size }, .address = (uintptr_t)ALIGNED,
	};

	CHECK(!ioctl(floor_fd, FLOOR_ROOM, size / PAGE + 1));
	CHECK(!ioctl(floor_fd, FLOOR_FRAMES, &frames));
	subject = drivers;
	round_now = 0;
	size_now = size;
	record("folios", frames.folios);
	record("runs", frames.runs);
	record("entries", frames.fewest.ptes + frames.fewest.pmds + frames.fewest.puds);
	frames.address = (uintptr_t)UNALIGNED;
	CHECK(!ioctl(floor_fd, FLOOR_FRAMES, &frames));
	record("entries_unaligned", frames.fewest.ptes + frames.fewest.pmds + frames.fewest.puds);
}

static void record_entries(const char *what, char *address)
{
	struct floor_mapped mapped = { .address = (uintptr_t)address, .size = size_now };

	if (ioctl(floor_fd, FLOOR_MAPPED, &mapped))
		failed(what);
	else
		record(what, mapped.found.ptes + mapped.found.pmds + mapped.found.puds);
}

/* A number from a file of lines "NAME: NUMBER kB", in bytes. */
static uint64_t counter(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	uint64_t value = 0;
	char line[256];

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, 10) * KIB;
	fclose(file);
	return value;
}

/* Operations ---------------------------------------------------------------------- */

static int create(int memfd, uint64_t offset, uint64_t size)
{
	struct udmabuf_create args = {
		.memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .offset = offset, .size = size,
	};

	return ioctl(subjects[subject].node, UDMABUF_CREATE, &args);
}

static int sync_flags(int fd, uint64_t flags)
{
	struct dma_buf_sync args = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &args);
}

static int sync_pair(int fd)
{
	return sync_flags(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ?:
	       sync_flags(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static void measure_close(const char *what, int fd)
{
	uint64_t start = ticks();

	close(fd);
	record(what, since(start));
}

static int measure_create(const char *what, int memfd, uint64_t size)
{
	uint64_t start = ticks();
	int fd = create(memfd, 0, size);

	if (fd < 0)
		failed(what);
	else
		record(what, since(start));
	return fd;
}

static void measure_sync(const char *first, const char *what, int fd)
{
	/* The first may have something to set up: done before, where that is of no interest. */
	if (!first)
		sync_pair(fd);
	for (int i = 0; i < PAIRS; i++) {
		const char *name = i || !first ? what : first;
		uint64_t start = ticks();

		if (sync_pair(fd))
			failed(name);
		else
			record(name, since(start));
	}
}

static char *map_buffer(int fd, char *address)
{
	char *p = map_at(address, fd, size_now, PROT_READ | PROT_WRITE);

	if (p == MAP_FAILED)
		failed("mmap");
	return p;
}

static void map_only(int fd)
{
	for (int i = 0; i < PAIRS; i++) {
		uint64_t start = ticks();
		char *p = map_buffer(fd, ALIGNED);

		if (p == MAP_FAILED)
			return;
		record("mmap", since(start));
		munmap(p, size_now);
	}
}

static void touch(char *p, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE)
		touch_at(p + at);
}

static void touch_one(int fd)
{
	char *p = map_buffer(fd, ALIGNED);
	uint64_t start;

	if (p == MAP_FAILED)
		return;
	start = ticks();
	touch(p + (size_now / 2 & -PAGE), PAGE);
	record("touch_one", since(start));
	munmap(p, size_now);
}

static void touch_all(int fd)
{
	uint64_t tables = counter("/proc/self/status", "VmPTE"), start;
	char *p = map_buffer(fd, ALIGNED);

	if (p == MAP_FAILED)
		return;
	start = ticks();
	touch(p, size_now);
	record("touch_all", since(start));
	start = ticks();
	touch(p, size_now);
	record("touch_again", since(start));
	record_entries("entries", p);
	record("page_tables", counter("/proc/self/status", "VmPTE") - tables);
	start = ticks();
	munmap(p, size_now);
	record("munmap", since(start));
}

static void touch_unaligned(int fd)
{
	char *p = map_buffer(fd, UNALIGNED);
	uint64_t start;

	if (p == MAP_FAILED)
		return;
	start = ticks();
	touch(p, size_now);
	record("touch_unaligned", since(start));
	record_entries("entries_unaligned", p);
	start = ticks();
	munmap(p, size_now);
	record("munmap_unaligned", since(start));
}

static void touch_random(int fd, const uint32_t *order)
{
	char *p = map_buffer(fd, ALIGNED);
	uint64_t start;

	if (p == MAP_FAILED)
		return;
	start = ticks();
	for (uint64_t i = 0; i < size_now / PAGE; i++)
		touch_at(p + order[i] * PAGE);
	record("touch_random", since(start));
	munmap(p, size_now);
}

/* Threads that touch a part each, from the same moment on. */
struct crew {
	pthread_barrier_t barrier;
	char *address;
	int count;
};

struct worker {
	struct crew *crew;
	int index;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	uint64_t part = size_now / crew->count & -PAGE;

	pthread_barrier_wait(&crew->barrier);
	touch(crew->address + worker->index * part, part);
	pthread_barrier_wait(&crew->barrier);
	return NULL;
}

static void touch_parallel(const char *what, int fd, int count)
{
	struct crew crew = { .count = count };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint64_t start;

	crew.address = map_buffer(fd, ALIGNED);
	if (crew.address == MAP_FAILED)
		return;
	CHECK(!pthread_barrier_init(&crew.barrier, NULL, count + 1));
	for (int i = 0; i < count; i++) {
		workers[i] = (struct worker){ &crew, i };
		CHECK(!pthread_create(&threads[i], NULL, work, &workers[i]));
	}
	/* Let them arrive, so that what follows is no more than waking them. */
	usleep(2000);
	start = ticks();
	pthread_barrier_wait(&crew.barrier);
	pthread_barrier_wait(&crew.barrier);
	record(what, since(start));
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&crew.barrier);
	munmap(crew.address, size_now);
}

static int importer_map(int slot, int fd)
{
	struct importer_map args = {
		.slot = slot,
		.fd = fd,
		.direction = IMPORTER_BIDIRECTIONAL,
		.device = IMPORTER_FAUX,
	};

	return ioctl(importer_fd, IMPORTER_MAP, &args);
}

static void import_one(int fd)
{
	struct importer_segments segments = { .slot = 0 };
	uint64_t start = ticks();

	if (importer_map(0, fd)) {
		failed("map");
		return;
	}
	record("map", since(start));
	measure_sync(NULL, "sync_1", fd);
	if (!ioctl(importer_fd, IMPORTER_SEGMENTS, &segments))
		record("segments", segments.count);
	start = ticks();
	ioctl(importer_fd, IMPORTER_UNMAP, 0);
	record("unmap", since(start));
}

static void import_four(int fd)
{
	int mapped = 0;

	while (mapped < 4 && !importer_map(mapped, fd))
		mapped++;
	if (mapped == 4)
		measure_sync(NULL, "sync_4", fd);
	else
		failed("sync_4");
	while (mapped)
		ioctl(importer_fd, IMPORTER_UNMAP, --mapped);
}

static void vmap(int fd)
{
	struct importer_vmap args = { .slot = 0, .fd = fd };
	uint64_t start = ticks();

	if (ioctl(importer_fd, IMPORTER_VMAP, &args)) {
		failed("vmap");
		return;
	}
	record("vmap", since(start));
	start = ticks();
	ioctl(importer_fd, IMPORTER_VUNMAP, 0);
	record("vunmap", since(start));
}

static bool is_huge(void)
{
	return memory.folio > PAGE && !memory.split;
}

/*
 * What is cheap is done in a row: the first of its kind finds the allocator as
 * the other driver has left it, which may be as much as the operation itself.
 */
static int times_of_cheap(void)
{
	return is_huge() || size_now <= 64 * MIB ? 5 : 1;
}

/* Everything that is done with one buffer. */
static void use(int memfd, const uint32_t *order)
{
	static const char * const crews[] = { "threads_1", "threads_2", "threads_4" };
	bool moderate = size_now <= BULKY || all_at_any_size;
	bool parallel = size_now == 64 * MIB || (size_now >= MIB && all_at_any_size);
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
	if (wants(MAP))
		map_only(fd);
	if (wants(MAP) && moderate)
		touch_one(fd);
	if (wants(TOUCH))
		touch_all(fd);
	if (wants(UNALIGNED_TOUCH) && moderate)
		touch_unaligned(fd);
	if (wants(RANDOM) && moderate)
		touch_random(fd, order);
	for (int i = 0; i < 3 && wants(PARALLEL) && parallel; i++)
		touch_parallel(crews[i], fd, 1 << i);
	if (wants(SYNC))
		measure_sync("sync_first", "sync", fd);
	for (int i = 0; i < times_of_cheap() && wants(IMPORT); i++)
		import_one(fd);
	if (wants(IMPORT_FOUR) && moderate)
		import_four(fd);
	if (wants(VMAP))
		vmap(fd);
	close(fd);
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

static void use_batch(int memfd)
{
	int fds[BATCH], made = 0;
	uint64_t start;

	size_now = BATCH * BATCH_SIZE;
	start = ticks();
	while (made < BATCH) {
		fds[made] = create(memfd, made * BATCH_SIZE, BATCH_SIZE);
		if (fds[made] < 0)
			break;
		made++;
	}
	if (made < BATCH)
		failed("create_close_32");
	for (int i = 0; i < made; i++)
		close(fds[i]);
	if (made == BATCH)
		record("create_close_32", since(start));
}

/*
 * Pieces of a page each, with as much between them; of @memfd and @other in turn.
 * @names are those of creating the buffer and closing it.
 */
static void use_list(const char *const *names, int memfd, int other)
{
	struct udmabuf_create_list *list;
	uint64_t start;
	int fd;

	size_now = LIST * PAGE;
	list = malloc(sizeof(*list) + LIST * sizeof(list->list[0]));
	CHECK(list);
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = LIST;
	for (uint64_t i = 0; i < LIST; i++)
		list->list[i] = (struct udmabuf_create_item){
			.memfd = i & 1 ? other : memfd, .offset = 2 * i * PAGE, .size = PAGE,
		};
	start = ticks();
	fd = ioctl(subjects[subject].node, UDMABUF_CREATE_LIST, list);
	if (fd < 0) {
		failed(names[0]);
	} else {
		record(names[0], since(start));
		measure_close(names[1], fd);
	}
	free(list);
}

/* Kernel memory ------------------------------------------------------------------- */

/* What a descriptor of the subject is: of a buffer, or an empty export. */
static int export(int memfd)
{
	struct floor_range nothing = { .memfd = -1 };

	return subject < drivers ? create(memfd, 0, size_now) :
				   ioctl(floor_fd, FLOOR_CREATE, &nothing);
}

/* Gives back what slabs keep for later, which would be taken for free. */
static void shrink_slabs(void)
{
	DIR *caches = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[512];
	int fd;

	CHECK(caches);
	usleep(100000);
	while ((entry = readdir(caches))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		CHECK(write(fd, "1", 1) == 1);
		close(fd);
	}
	closedir(caches);
}

/* Counters are kept by each CPU, and what RCU frees comes late. */
static uint64_t kernel_memory(void)
{
	usleep(100000);
	write_text("/proc/sys/vm/stat_refresh", "1");
	return counter("/proc/meminfo", "Slab") + counter("/proc/meminfo", "VmallocUsed");
}

/*
 * Slabs come in pages, so it takes many small buffers to tell what one adds. Of
 * large ones as many as time and memory allow: the C driver takes both by the page.
 */
static int how_many(void)
{
	uint64_t budget = is_huge() ? 32 * GIB : 4 * GIB;

	if (size_now <= MIB || subject == drivers)
		return 512;
	return budget / size_now < 64 ? budget / size_now : 64;
}

/* Those that are made first fill the holes in slabs; the others are what is counted. */
static void measure_memory(int memfd)
{
	int count = how_many(), *fds = calloc(2 * count, sizeof(*fds)), made;
	uint64_t before = 0, after;

	CHECK(fds);
	shrink_slabs();
	for (made = 0; made < 2 * count; made++) {
		if (made == count)
			before = kernel_memory();
		fds[made] = export(memfd);
		if (fds[made] < 0)
			break;
	}
	after = kernel_memory();
	if (made < 2 * count)
		failed("memory");
	else
		record("memory", after > before ? (after - before) / count : 0);
	while (made)
		close(fds[--made]);
	free(fds);
}

/* Rounds -------------------------------------------------------------------------- */

/* All of a subject's turn. */
static void turn(int memfd, const uint32_t *order, uint64_t size, bool first)
{
	int times = size <= MIB ? 3 : 1;

	size_now = size;
	for (int i = 0; i < times; i++) {
		if (subject == drivers)
			use_floor(memfd);
		else
			use(memfd, order);
	}
	for (int i = 0; i < CLEAN_TIMES && wants(CLEAN) && subject < drivers; i++)
		if (can_be_clean(size))
			use_clean();
	if (wants(MEMORY) && first)
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
	for (int place = 0; place <= drivers; place++) {
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
	print_samples();
}

static void run_wholes(int memfd, uint64_t size)
{
	static const char *const list[] = { "create_list", "close_list" };
	static const char *const turns[] = { "create_turns", "close_turns" };
	bool lists = wants(LISTS) && size >= 2 * LIST * PAGE;
	uint64_t least = (2 * LIST * PAGE + memory.folio - 1) / memory.folio * memory.folio;
	int other = -1;

	/* The pools of hugetlb have room for one memfd. */
	if (lists && !(memory.flags & MFD_HUGETLB)) {
		other = memfd_of(least);
		populate(other, least);
	}
	for (round_now = -warmups; round_now < rounds; round_now++) {
		for (int place = 0; place < drivers; place++) {
			subject = subject_at(place);
			if (wants(BATCHES) && size >= BATCH * BATCH_SIZE)
				use_batch(memfd);
			if (lists) {
				use_list(list, memfd, memfd);
				if (other != -1)
					use_list(turns, memfd, other);
			}
		}
	}
	close(other);
	print_samples();
}

static void run(void)
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

/* The command line ---------------------------------------------------------------- */

static void parse_memory(const char *name)
{
	static const struct memory kinds[] = {
		{ "4k-contiguous", 0, HUGE, false, true },
		{ "4k-fragmented", 0, PAGE, true, false },
		{ "shmem-2m", 0, HUGE, false, false },
		{ "hugetlb-2m", MFD_HUGETLB | MFD_HUGE_2MB, HUGE, false, false },
		{ "hugetlb-1g", MFD_HUGETLB | MFD_HUGE_1GB, GIB, false, false },
	};
	uint64_t run;

	memory.name = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(name, kinds[i].name))
			memory = kinds[i];
	/* Runs of so many pages. */
	if (sscanf(name, "4k-run-%lu", &run) == 1)
		memory = (struct memory){ name, 0, run * PAGE, true, run > 1 };
	if (!memory.name) {
		fprintf(stderr, "udmabuf_bench: no such memory: %s\n", name);
		exit(2);
	}
}

static void parse_group(const char *name)
{
	for (int i = 0; i < GROUPS; i++) {
		if (!strcmp(name, group_names[i])) {
			groups |= 1U << i;
			return;
		}
	}
	fprintf(stderr, "udmabuf_bench: no such group: %s\n", name);
	exit(2);
}

static void parse_driver(char *word)
{
	char *node = strchr(word, '=');

	CHECK(node && drivers < SUBJECTS - 1);
	*node++ = '\0';
	subjects[drivers].name = word;
	subjects[drivers].node = open(node, O_RDWR | O_CLOEXEC);
	CHECK(subjects[drivers].node >= 0);
	drivers++;
}

static const struct option options[] = {
	{ "driver", required_argument, NULL, 'd' },	/* NAME=NODE */
	{ "memory", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 's' },	/* bytes */
	{ "group", required_argument, NULL, 'g' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "warmups", required_argument, NULL, 'w' },
	{ "icount", no_argument, NULL, 'i' },
	{ "long", no_argument, NULL, 'l' },
	{ "marks", no_argument, NULL, 'p' },
	{}
};

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };
	struct importer_limits limits = {};
	bool icount = false, mark = false;
	int option;

	parse_memory("4k-contiguous");
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			parse_driver(optarg);
			break;
		case 'm':
			parse_memory(optarg);
			break;
		case 's':
			CHECK(nr_sizes < SIZES);
			sizes[nr_sizes++] = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			parse_group(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'w':
			warmups = atoi(optarg);
			break;
		case 'i':
			icount = true;
			break;
		case 'l':
			all_at_any_size = true;
			break;
		case 'p':
			mark = true;
			break;
		default:
			return 2;
		}
	}
	subjects[drivers] = (struct subject){ "floor", -1 };
	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	floor_fd = open("/dev/udmabuf_floor", O_RDWR | O_CLOEXEC);
	CHECK(floor_fd >= 0);
	importer_fd = open("/dev/udmabuf_importer", O_RDWR | O_CLOEXEC);
	CHECK(importer_fd >= 0);
	/* A device that takes whatever there is in one segment. */
	CHECK(!ioctl(importer_fd, IMPORTER_LIMITS, &limits));
	calibrate(icount);
	marks = mark;
	run();
	return 0;
}
