/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the guest's program share.
 *
 * Output, a line each:
 *   fact KEY VALUE
 *   sample MEMORY SIZE OPERATION SUBJECT ROUND VALUE
 *   failed MEMORY SIZE OPERATION SUBJECT ERROR
 *   cannot MEMORY SIZE OPERATION SUBJECT ERROR	(of a peer)
 *   marked NUMBER OPERATION SUBJECT	(how many stretches were marked up to then)
 * SUBJECT is a driver's name, a peer's, or "floor". VALUE is nanoseconds of CLOCK_MONOTONIC,
 * which under QEMU's -icount are instructions; or bytes; or page table entries.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define PAGE		(4 * KIB)
#define HUGE		(2 * MIB)

/* Addresses that nothing else has: one on a multiple of 1 GiB, one on none but a page's. */
#define ALIGNED		((char *)0x200000000000)
#define UNALIGNED	(ALIGNED + 5 * PAGE)

#define SUBJECTS	5
#define SIZES		16

/* Above this, what takes long and shows nothing new is left out, unless asked for (--long). */
#define BULKY		GIB

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
	CLEAN, MEMORY, BATCHES, LISTS, SMALL, LIVE, ATTACHED, LIFE, GROUPS
};

/* How a memfd comes by its pages. */
struct memory {
	const char *name;
	unsigned int flags;	/* of memfd_create() */
	uint64_t folio;		/* what it is allocated in */
	bool shuffled;		/* whether neighbours in the file are strangers in memory */
	bool split;		/* into pages of 4 KiB, which stay where they are */
};

/*
 * The drivers make dma-bufs of a memfd. Their peers are the system heap, which allocates the
 * memory of its dma-bufs, and the memfd itself without a dma-buf.
 */
enum kind { DRIVER, HEAP, BARE_MEMFD, FLOOR };

struct subject {
	const char *name;
	enum kind kind;
	int node;
};

/* What was asked for: main.c. Drivers come first, and the floor last. */
extern struct subject subjects[SUBJECTS];
extern int drivers, nr_subjects;
extern struct memory memory;
extern uint64_t sizes[SIZES];
extern int nr_sizes;
extern int rounds, warmups;
extern bool all_at_any_size;
extern int floor_fd, importer_fd;
extern unsigned int device;	/* of the importer */
extern int sync_pairs;

bool wants(enum group group);
bool wants_more(enum group group);

/* What is being measured: rounds.c. */
extern int subject, round_now;
extern uint64_t size_now;

static inline enum kind kind_now(void)
{
	return subjects[subject].kind;
}

void run(void);

/* clock.c */
extern double ns_per_tick;
extern uint64_t clock_cost;

/* What profile.c looks for around whatever is measured; nothing to the processor. */
#define MARK_BYTES(which)	".byte 0x0f, 0x1f, 0x80, 0xaa, 0x5e, 0xed, " #which

extern bool marks;
extern uint64_t marked;

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

static inline uint64_t since(uint64_t start)
{
	uint64_t spent = read_clock() - start;

	if (marks) {
		asm volatile(MARK_BYTES(2) : : : "memory");
		marked++;
	}
	return (spent > clock_cost ? spent - clock_cost : 0) * ns_per_tick + 0.5;
}

void calibrate(bool icount);

/* samples.c: they are printed when nothing is being measured. */
void record(const char *what, uint64_t value);
void failed(const char *what);
void print_samples(void);

/* memory.c */
void write_text(const char *path, const char *text);
uint32_t *shuffled(uint64_t count);
int memfd_of(uint64_t size);
char *map_at(char *address, int fd, uint64_t size, int prot);
void set_folios(uint64_t size, bool on);
void populate(int fd, uint64_t size);
void populate_clean(int fd, uint64_t size);
int is_dirty(int fd, uint64_t size);
bool is_huge(void);
void print_frames(int fd, uint64_t size);
void record_entries(const char *what, char *address);
uint64_t counter(const char *path, const char *name);

/* Reads a byte. */
static inline void touch_at(const char *p)
{
	(void)*(const volatile char *)p;
}

/* Reads a byte of each page. */
static inline void touch(char *p, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE)
		touch_at(p + at);
}

/* buffer.c: what is done with a buffer, by its descriptor. */
int create(int memfd, uint64_t offset, uint64_t size);
int allocate(uint64_t size);
int sync_flags(int fd, uint64_t flags);
void measure_close(const char *what, int fd);
int measure_create(const char *what, int memfd, uint64_t size);
void measure_sync(const char *first, const char *what, int fd);
void map_only(int fd);
void touch_one(int fd);
void touch_all(int fd);
void touch_unaligned(int fd);
void touch_random(int fd, const uint32_t *order);
void touch_parallel(const char *what, int fd, int count);

/* import.c: what a device does with one. */
int importer_map(int slot, int fd);
void importer_unmap(int slot);
void import_one(int fd);
void import_four(int fd);
void vmap(int fd);
void import_small(int fd);
void import_live(int fd);
void import_attached(int fd);

/* life.c */
void use_life(void);

/* lists.c: of one memfd, or of two, whole. */
void use_batch(int memfd);
void use_lists(int memfd, int other);
uint64_t list_span(void);
bool has_batch(uint64_t size);

/* kernel_memory.c */
void measure_memory(int memfd);

#endif /* BENCH_H */
