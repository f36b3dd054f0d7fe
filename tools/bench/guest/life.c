// SPDX-License-Identifier: GPL-2.0
/*
 * The whole life of a buffer: allocated, exported, mapped, written to between SYNC START and END,
 * mapped by a device, unmapped, closed, freed. A bare memfd has no export, SYNC or device.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/dma-buf.h>

#include "bench.h"
#include "../floor/udmabuf_floor.h"

#define TIMES	3

static int new_memfd(void)
{
	int memfd = memfd_create("life", MFD_CLOEXEC | MFD_ALLOW_SEALING | memory.flags);

	if (memfd >= 0 && ftruncate(memfd, size_now)) {
		close(memfd);
		return -1;
	}
	return memfd;
}

/* At a multiple of 2 MiB, as map_buffer() of the samples does it. */
static char *map_aligned(int fd)
{
	char *room, *start = NULL;

	if (size_now >= HUGE) {
		room = mmap(NULL, size_now + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED)
			return room;
		start = (char *)(((uintptr_t)room + HUGE - 1) & -HUGE);
		if (start > room)
			munmap(room, start - room);
		if (start < room + HUGE)
			munmap(start + size_now, room + HUGE - start);
	}
	return mmap(start, size_now, PROT_READ | PROT_WRITE, MAP_SHARED | (start ? MAP_FIXED : 0),
		    fd, 0);
}

/* shmem allocates huge pages through such a mapping only; mmap() aligns those of hugetlb itself. */
static bool has_to_be_aligned(void)
{
	return is_huge() && !memory.flags;
}

static char *map(int fd, bool aligned)
{
	if (aligned || (kind_now() == BARE_MEMFD && has_to_be_aligned()))
		return map_aligned(fd);
	return mmap(NULL, size_now, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void write_each(char *p, uint64_t step)
{
	for (uint64_t at = 0; at < size_now; at += step)
		*(volatile char *)(p + at) = 1;
}

static int write_memfd(int memfd, uint64_t step)
{
	char *p = map(memfd, has_to_be_aligned());

	if (p == MAP_FAILED)
		return -1;
	write_each(p, step);
	return munmap(p, size_now);
}

/* Ways to make a buffer and to map it: see the README. */
enum way { DOCUMENTED, FOLIOS, PLAIN, WAYS };

/* A descriptor of the memory: of a dma-buf, or of a bare memfd. */
static int obtain(enum way way)
{
	uint64_t step = way == PLAIN ? PAGE : memory.folio;
	int memfd, fd = -1;

	if (kind_now() == HEAP)
		return allocate(size_now);
	memfd = new_memfd();
	if (kind_now() == BARE_MEMFD || memfd < 0)
		return memfd;
	if (!fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) &&
	    (way == DOCUMENTED || !write_memfd(memfd, step)))
		fd = create(memfd, 0, size_now);
	close(memfd);
	return fd;
}

/* Begin or end of what the CPU does, where that is told. */
static int bracket(int fd, uint64_t which)
{
	return kind_now() == BARE_MEMFD ? 0 : sync_flags(fd, which | DMA_BUF_SYNC_RW);
}

static int use_by_device(int fd)
{
	if (kind_now() == BARE_MEMFD)
		return 0;
	if (importer_map(0, fd))
		return -1;
	importer_unmap(0);
	return 0;
}

/* Nanoseconds, or 0. */
static uint64_t live_once(enum way way)
{
	uint64_t start = ticks();
	char *p = MAP_FAILED;
	int fd = obtain(way), err = -1;

	if (fd >= 0)
		p = map(fd, way != PLAIN && kind_now() == DRIVER);
	if (p != MAP_FAILED) {
		err = bracket(fd, DMA_BUF_SYNC_START);
		write_each(p, PAGE);
		err = err ?: bracket(fd, DMA_BUF_SYNC_END) ?: use_by_device(fd);
		munmap(p, size_now);
	}
	if (fd >= 0)
		close(fd);
	start = since(start);
	return err ? 0 : start;
}

/* What zeroing alone takes of it. */
static uint64_t zero_once(void)
{
	struct floor_zero zero = { .size = size_now, .folio = memory.folio };
	uint64_t start = ticks();

	CHECK(!ioctl(floor_fd, FLOOR_ZERO, &zero));
	return since(start);
}

/*
 * The least of a few, which an interrupt spares: what is left of a life without zeroing is little
 * beside it. 0 where one fails.
 */
static uint64_t least(enum way way)
{
	uint64_t least = 0;

	for (int i = 0; i < TIMES; i++) {
		uint64_t took = kind_now() == FLOOR ? zero_once() : live_once(way);

		if (!took)
			return 0;
		if (!i || took < least)
			least = took;
	}
	return least;
}

/* Peers have one way. */
void use_life(void)
{
	static const char *const names[WAYS] = { "life", "life_folios", "life_plain" };
	uint64_t took = 0;

	if (!memory.flags)
		set_folios(memory.folio, true);
	for (enum way way = DOCUMENTED; way < WAYS; way++) {
		if (way == FOLIOS && !has_to_be_aligned())
			continue;
		if (kind_now() == DRIVER || !took)
			took = least(way);
		if (took)
			record(names[way], took);
		else
			failed(names[way]);
	}
	if (!memory.flags)
		set_folios(memory.folio, false);
}
