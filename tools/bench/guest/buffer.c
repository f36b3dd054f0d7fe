// SPDX-License-Identifier: GPL-2.0
/* What is done with a buffer, by its descriptor. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>

#include "bench.h"

#define THREADS		4
/* How often in a row mmap is done, which takes next to nothing, unless it maps all pages. */
#define TIMES		15
#define TIMES_OF_HEAP	3

int create(int memfd, uint64_t offset, uint64_t size)
{
	struct udmabuf_create args = {
		.memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .offset = offset, .size = size,
	};

	return ioctl(subjects[subject].node, UDMABUF_CREATE, &args);
}

/* Returns a buffer of the heap, or -1. */
int allocate(uint64_t size)
{
	struct dma_heap_allocation_data args = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };

	return ioctl(subjects[subject].node, DMA_HEAP_IOCTL_ALLOC, &args) ? -1 : (int)args.fd;
}

int sync_flags(int fd, uint64_t flags)
{
	struct dma_buf_sync args = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &args);
}

static int sync_pair(int fd)
{
	return sync_flags(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ?:
	       sync_flags(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

void measure_close(const char *what, int fd)
{
	uint64_t start = ticks();

	close(fd);
	record(what, since(start));
}

int measure_create(const char *what, int memfd, uint64_t size)
{
	uint64_t start = ticks();
	int fd = create(memfd, 0, size);

	if (fd < 0)
		failed(what);
	else
		record(what, since(start));
	return fd;
}

void measure_sync(const char *first, const char *what, int fd)
{
	/* The first may have something to set up: done before, where that is of no interest. */
	if (!first)
		sync_pair(fd);
	for (int i = 0; i < sync_pairs; i++) {
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

void map_only(int fd)
{
	int times = kind_now() == HEAP ? TIMES_OF_HEAP : TIMES;

	for (int i = 0; i < times; i++) {
		uint64_t start = ticks();
		char *p = map_buffer(fd, ALIGNED);

		if (p == MAP_FAILED)
			return;
		record("mmap", since(start));
		munmap(p, size_now);
	}
}

void touch_one(int fd)
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

void touch_all(int fd)
{
	uint64_t tables = counter("/proc/self/status", "VmPTE"), start, mapped, touched;
	char *p;

	start = ticks();
	p = map_buffer(fd, ALIGNED);
	mapped = since(start);
	if (p == MAP_FAILED)
		return;
	start = ticks();
	touch(p, size_now);
	touched = since(start);
	record("touch_all", touched);
	record("mmap_touch", mapped + touched);
	start = ticks();
	touch(p, size_now);
	record("touch_again", since(start));
	record_entries("entries", p);
	record("page_tables", counter("/proc/self/status", "VmPTE") - tables);
	start = ticks();
	munmap(p, size_now);
	record("munmap", since(start));
}

void touch_unaligned(int fd)
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

void touch_random(int fd, const uint32_t *order)
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

void touch_parallel(const char *what, int fd, int count)
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
