// SPDX-License-Identifier: GPL-2.0
/* Memfds, how they come by their pages, and how these lie. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "../floor/udmabuf_floor.h"

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/shmem_enabled"
#define SPLIT		"/sys/kernel/debug/split_huge_pages"

void write_text(const char *path, const char *text)
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

uint32_t *shuffled(uint64_t count)
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

int memfd_of(uint64_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING | memory.flags);

	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, size));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	return fd;
}

char *map_at(char *address, int fd, uint64_t size, int prot)
{
	return mmap(address, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
}

/* Has shmem allocate folios of @size, and of no other but a page's. */
void set_folios(uint64_t size, bool on)
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
void populate(int fd, uint64_t size)
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
void populate_clean(int fd, uint64_t size)
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
int is_dirty(int fd, uint64_t size)
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

bool is_huge(void)
{
	return memory.folio > PAGE && !memory.split;
}

void print_frames(int fd, uint64_t size)
{
	struct floor_frames frames = {
		.range = { .memfd = fd, .size = size }, .address = (uintptr_t)ALIGNED,
	};

	CHECK(!ioctl(floor_fd, FLOOR_ROOM, size / PAGE + 1));
	CHECK(!ioctl(floor_fd, FLOOR_FRAMES, &frames));
	subject = nr_subjects - 1;
	round_now = 0;
	size_now = size;
	record("folios", frames.folios);
	record("runs", frames.runs);
	record("entries", frames.fewest.ptes + frames.fewest.pmds + frames.fewest.puds);
	frames.address = (uintptr_t)UNALIGNED;
	CHECK(!ioctl(floor_fd, FLOOR_FRAMES, &frames));
	record("entries_unaligned", frames.fewest.ptes + frames.fewest.pmds + frames.fewest.puds);
}

void record_entries(const char *what, char *address)
{
	struct floor_mapped mapped = { .address = (uintptr_t)address, .size = size_now };

	if (ioctl(floor_fd, FLOOR_MAPPED, &mapped))
		failed(what);
	else
		record(what, mapped.found.ptes + mapped.found.pmds + mapped.found.puds);
}

/* A number from a file of lines "NAME: NUMBER kB", in bytes. */
uint64_t counter(const char *path, const char *name)
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
