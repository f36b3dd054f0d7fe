/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest's programs that count instructions share: the clock, the
 * drivers, and the calls that they measure.
 *
 * The machine runs with -icount, where its clock goes by a nanosecond with each
 * instruction.
 */
#ifndef COUNTING_H
#define COUNTING_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "udmabuf_importer.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define PAGE		(4 * KIB)
#define HUGE		(2 * MIB)

#define DRIVERS		2

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__,	\
			#cond, strerror(errno));			\
		exit(1);						\
	}								\
} while (0)

/* The clock ----------------------------------------------------------------------- */

/* What profile.c looks for around whatever is measured; nothing to the processor. */
#ifdef __x86_64__
#define MARK_BYTES(which)	".byte 0x0f, 0x1f, 0x80, 0xaa, 0x5e, 0xed, " #which
#endif

static inline void mark_begin(void)
{
#ifdef MARK_BYTES
	asm volatile(MARK_BYTES(1) : : : "memory");
#endif
}

static inline void mark_end(void)
{
#ifdef MARK_BYTES
	asm volatile(MARK_BYTES(2) : : : "memory");
#endif
}

static bool marks;
static uint64_t marked;
static uint64_t clock_cost;

#ifdef __x86_64__
static inline uint64_t read_clock(void)
{
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}
#elif defined(__aarch64__)
/* The counter may go by several instructions a tick. */
static inline uint64_t read_clock(void)
{
	uint64_t now, frequency;

	asm volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0; isb"
		     : "=r" (now), "=r" (frequency) : : "memory");
	return now * (1000000000 / frequency);
}
#endif

static inline uint64_t ticks(void)
{
	if (marks)
		mark_begin();
	return read_clock();
}

/* Instructions since then. */
static inline uint64_t since(uint64_t start)
{
	uint64_t spent = read_clock() - start;

	if (marks) {
		mark_end();
		marked++;
	}
	return spent > clock_cost ? spent - clock_cost : 0;
}

/* Measure the clock itself, and say how it counts a million instructions. */
static inline void calibrate(void)
{
	uint64_t start, spent, times, least = UINT64_MAX;

	clock_cost = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		start = read_clock();
		spent = read_clock() - start;
		if (spent < clock_cost)
			clock_cost = spent;
	}
	for (int i = 0; i < 9; i++) {
		times = 500000;
		start = read_clock();
#ifdef __x86_64__
		asm volatile("1: dec %0; jnz 1b" : "+r" (times) : : "cc");
#else
		asm volatile("1: subs %0, %0, #1; b.ne 1b" : "+r" (times) : : "cc");
#endif
		spent = read_clock() - start;
		if (spent < least)
			least = spent;
	}
	printf("fact million_instructions %lu\n", least);
}

/* The drivers --------------------------------------------------------------------- */

struct driver {
	const char *name;
	int node;
};

static struct driver drivers[DRIVERS];
static int nr_drivers;

/* NAME=NODE */
static inline void parse_driver(char *word)
{
	char *node = strchr(word, '=');

	CHECK(node && nr_drivers < DRIVERS);
	*node++ = '\0';
	drivers[nr_drivers].name = word;
	drivers[nr_drivers].node = open(node, O_RDWR | O_CLOEXEC);
	CHECK(drivers[nr_drivers].node >= 0);
	nr_drivers++;
}

static inline int create(int node, int memfd, uint64_t offset, uint64_t size)
{
	struct udmabuf_create args = {
		.memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .offset = offset, .size = size,
	};

	return ioctl(node, UDMABUF_CREATE, &args);
}

static inline int sync_flags(int fd, uint64_t flags)
{
	struct dma_buf_sync args = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &args);
}

static inline int sync_pair(int fd)
{
	return sync_flags(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ?:
	       sync_flags(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

/* Memory -------------------------------------------------------------------------- */

static inline int memfd_of(uint64_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, size));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	return fd;
}

/* Reads a byte. */
static inline void touch_at(const char *p)
{
	(void)*(const volatile char *)p;
}

static inline void touch(const char *p, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE)
		touch_at(p + at);
}

/* Some files take a word at a time. */
static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	ssize_t written;

	CHECK(fd >= 0);
	while (*text) {
		written = write(fd, text, strlen(text));
		CHECK(written > 0);
		text += written;
	}
	close(fd);
}

/* The importer -------------------------------------------------------------------- */

static int importer_fd;

static inline void open_importer(void)
{
	struct importer_limits limits = {};

	importer_fd = open("/dev/udmabuf_importer", O_RDWR | O_CLOEXEC);
	CHECK(importer_fd >= 0);
	/* A device that takes whatever there is in one segment. */
	CHECK(!ioctl(importer_fd, IMPORTER_LIMITS, &limits));
}

static inline int importer_map(int slot, int fd, int device)
{
	struct importer_map args = {
		.slot = slot, .fd = fd, .direction = IMPORTER_BIDIRECTIONAL, .device = device,
	};

	return ioctl(importer_fd, IMPORTER_MAP, &args);
}

static inline int importer_unmap(int slot)
{
	return ioctl(importer_fd, IMPORTER_UNMAP, (unsigned long)slot);
}

#endif /* COUNTING_H */
