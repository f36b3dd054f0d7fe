// SPDX-License-Identifier: GPL-2.0
/*
 * settle: no completed write is lost while memory and the copies of devices are
 * brought to agree. Needs the module in importer/.
 *
 * Each byte of a buffer has one owner, a device or a thread of the CPU, and the
 * owners of the bytes of a word differ. In each round all owners write all of their
 * bytes, at the same time and in their own order, while others start and end
 * accesses of the CPU, and map and unmap the buffer. At the end of a round one
 * START and one END must make all agree: memory, and what each device sees, hold in
 * each byte the last value that its owner wrote. In every other round accesses are
 * only started, and the START alone must show each device what devices wrote.
 *
 * Environment:
 *   SETTLE_SECONDS  end after so many, with fewer rounds: for a driver with the option
 *                   UDMABUF_RS_SETTLE_DELAY, whose merges take long
 */
#include "coherence.h"

#define DEVICES		3
#define CPUS		2
#define OWNERS		(DEVICES + CPUS)
#define PAGES		2
/* Values that an owner writes to each of its bytes in a round. */
#define STEPS		2
#define ROUNDS		10000
#define DEBUG_ROUNDS	1000
/* No less than this many in SETTLE_SECONDS. */
#define LEAST_ROUNDS	50
/* Threads that start and end accesses, and one that maps. */
#define SETTLERS	3

static const int devices[DEVICES] = { IMPORTER_FAUX_2, IMPORTER_FAUX_3, IMPORTER_FAUX };

struct writer {
	pthread_t thread;
	struct arena *arena;
	int owner;
	long failures;
};

struct settler {
	pthread_t thread;
	struct arena *arena;
	int nr;
	long calls, failures;
};

struct arena {
	int dev, importer, memfd, buf;
	size_t size;
	/* The two mappings of the CPU, and the number of the owner of each byte. */
	char *a, *b;
	unsigned char *owners;
	int round;
	bool stop;
	/* How long a settle may take. */
	int lag_us;
	/* What the faux device with number 1 can address, so that it is mapped alike each time. */
	int bits;
	pthread_barrier_t barrier;
	struct writer writers[OWNERS];
	struct settler settlers[SETTLERS];
};

FIXTURE(settle)
{
	int kmsg;
	struct arena arena;
};

/* Address bits of the devices; where all mappings bounce, each of them has a copy. */
FIXTURE_VARIANT(settle)
{
	int bits[DEVICES];
	bool elsewhere[DEVICES];
};

FIXTURE_VARIANT_ADD(settle, two_staged_one_direct)
{
	.bits = { FEW_BITS, 32, 64 },
	.elsewhere = { true, true, false },
};

FIXTURE_VARIANT_ADD(settle, three_staged)
{
	.bits = { FEW_BITS, 32, 32 },
	.elsewhere = { true, true, true },
};

/* Single bytes in turn on the first page; on the second words too, and pairs. */
static int owner_of(size_t at, size_t page)
{
	if (at < page)
		return at % OWNERS;
	switch (at / 64 % 3) {
	case 0:
		return at / 8 % OWNERS;
	case 1:
		return at / 2 % OWNERS;
	default:
		return at * 7 / 3 % OWNERS;
	}
}

static unsigned char value_of(int owner, int round, int step)
{
	return owner * 47 + round * STEPS + step + 1;
}

/* Maps @nr, or says why this machine has no such device: 0, -errno, or -EXDEV. */
static int map_device(struct arena *arena, int nr, int bits, bool elsewhere)
{
	struct importer_segments segments;
	int err = importer_map_masked(arena->importer, nr, arena->buf, devices[nr],
				      IMPORTER_BIDIRECTIONAL, bits);

	if (err)
		return err;
	err = importer_segments(arena->importer, nr, &segments);
	if (!err && !!segments.elsewhere != elsewhere)
		err = -EXDEV;
	return err;
}

FIXTURE_SETUP(settle)
{
	struct arena *arena = &self->arena;
	size_t page = page_size();
	int err;

	self->kmsg = kmsg_open();
	arena->importer = importer_open();
	if (arena->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	arena->dev = node_open();
	ASSERT_LE(0, arena->dev);
	arena->size = PAGES * page;
	arena->memfd = memfd_new(arena->size);
	arena->buf = create(arena->dev, arena->memfd, 0, arena->size);
	ASSERT_LE(0, arena->buf);
	arena->a = map_rw(arena->memfd, arena->size);
	arena->b = map_rw(arena->buf, arena->size);
	ASSERT_NE(MAP_FAILED, arena->a);
	ASSERT_NE(MAP_FAILED, arena->b);
	arena->owners = malloc(arena->size);
	for (size_t i = 0; i < arena->size; i++)
		arena->owners[i] = owner_of(i, page);
	arena->bits = variant->bits[0];
	for (int nr = 0; nr < DEVICES; nr++) {
		err = map_device(arena, nr, variant->bits[nr], variant->elsewhere[nr]);
		if (err == -EXDEV)
			SKIP(return, "device %d reaches the memory in another way", nr);
		if (err == -EBUSY)
			TH_LOG("device %d excludes another that writes", nr);
		ASSERT_EQ(0, err);
	}
}

FIXTURE_TEARDOWN(settle)
{
	close(self->arena.importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
}

static bool stopped(struct arena *arena)
{
	return __atomic_load_n(&arena->stop, __ATOMIC_ACQUIRE);
}

/* Rounds in which accesses are only started, until all is written. */
static bool only_starts(int round)
{
	return round & 1;
}

/* Whether @owner is the last to write in such a round. */
static bool is_last(int owner, int round)
{
	return only_starts(round) && owner == round / 2 % OWNERS;
}

static int current_round(struct arena *arena)
{
	return __atomic_load_n(&arena->round, __ATOMIC_ACQUIRE);
}

/* Whole words where all of one is its own, else bytes; backwards every other time. */
static void cpu_stores(struct arena *arena, int owner, int value, bool backwards)
{
	char *mem = owner & 1 ? arena->b : arena->a;
	size_t words = arena->size / 8;

	for (size_t n = 0; n < words; n++) {
		size_t at = (backwards ? words - 1 - n : n) * 8, own = 0;

		for (int i = 0; i < 8; i++)
			own += arena->owners[at + i] == owner;
		if (own == 8) {
			*(volatile uint64_t *)(mem + at) = 0x0101010101010101ULL * value;
			continue;
		}
		for (int i = 0; i < 8; i++)
			if (arena->owners[at + i] == owner)
				*(volatile char *)(mem + at + i) = value;
	}
}

/* One round of one owner. The first thread of the CPU is in a bracket where there are ENDs. */
static void write_round(struct writer *w, int round)
{
	struct arena *arena = w->arena;
	bool bracket = w->owner == DEVICES && !only_starts(round);

	if (bracket)
		w->failures += buf_sync(arena->buf, SYNC_START_W) != 0;
	for (int step = 0; step < STEPS; step++) {
		int value = value_of(w->owner, round, step);

		/* Where only a START shows it: all else is fetched by then. */
		if (is_last(w->owner, round) && step == STEPS - 1)
			usleep(arena->lag_us);
		if (w->owner < DEVICES)
			w->failures += importer_store(arena->importer, w->owner, arena->owners,
						      arena->size, w->owner, value) != 0;
		else
			cpu_stores(arena, w->owner, value, (round + step) & 1);
	}
	if (bracket)
		w->failures += buf_sync(arena->buf, SYNC_END_W) != 0;
}

static void *writer(void *arg)
{
	struct writer *w = arg;
	struct arena *arena = w->arena;

	for (;;) {
		pthread_barrier_wait(&arena->barrier);
		if (stopped(arena))
			return NULL;
		write_round(w, arena->round);
		pthread_barrier_wait(&arena->barrier);
	}
}

/* Accesses that overlap, and of which few are started, few ended, and few by the same. */
static void *settler(void *arg)
{
	static const uint64_t calls[] = {
		SYNC_START_R, SYNC_END_W, SYNC_START_W, SYNC_START_RW, SYNC_END_RW, SYNC_END_W,
		SYNC_START_R, SYNC_START_R, SYNC_END_R,
	};
	struct settler *t = arg;

	while (!stopped(t->arena)) {
		uint64_t call = calls[(t->calls + 4 * t->nr) % ARRAY_SIZE(calls)];

		if (only_starts(current_round(t->arena)))
			call = SYNC_START_R;
		t->failures += buf_sync(t->arena->buf, call) != 0;
		t->calls++;
	}
	return NULL;
}

/* The first device imports the buffer once more, over and over. */
static void *mapper(void *arg)
{
	static const int directions[] = {
		IMPORTER_TO_DEVICE, IMPORTER_BIDIRECTIONAL, IMPORTER_FROM_DEVICE,
	};
	struct settler *t = arg;
	struct arena *arena = t->arena;

	while (!stopped(arena)) {
		int slot = DEVICES + t->calls % 4;

		if (only_starts(current_round(arena))) {
			usleep(100);
			continue;
		}
		t->failures += importer_map_masked(arena->importer, slot, arena->buf, devices[0],
						   directions[t->calls % 3], arena->bits) != 0;
		t->failures += importer_slot(arena->importer, IMPORTER_UNMAP, slot) != 0;
		t->calls++;
	}
	return NULL;
}

/*
 * Bytes of @bytes that are not the last that their owner wrote in @round, of the first @owners
 * owners; shows the first.
 */
static size_t lost(struct arena *arena, const char *bytes, int round, int owners,
		   const char *where)
{
	size_t count = 0;

	for (size_t i = 0; i < arena->size; i++) {
		unsigned char wanted = value_of(arena->owners[i], round, STEPS - 1);

		if (arena->owners[i] >= owners || (unsigned char)bytes[i] == wanted)
			continue;
		if (!count++)
			fprintf(stderr, "# round %d: %s has 0x%02x at %zu, owner %d wrote 0x%02x\n",
				round, where, (unsigned char)bytes[i], i, arena->owners[i],
				wanted);
	}
	return count;
}

/* What each device sees of the bytes of the first @owners owners: 0, bytes lost, or -errno. */
static long lost_for_devices(struct arena *arena, int round, int owners, char *bytes)
{
	static const char *const names[DEVICES] = { "device 0", "device 1", "device 2" };
	long sum = 0;

	for (int nr = 0; nr < DEVICES; nr++) {
		int err = importer_copy(arena->importer, IMPORTER_READ, nr, 0, bytes, arena->size);

		if (err)
			return err;
		sum += lost(arena, bytes, round, owners, names[nr]);
	}
	return sum;
}

/* What memory has and what each device sees: 0, bytes that are lost, or -errno. */
static long all_lost(struct arena *arena, int round, char *bytes)
{
	static const uint64_t starts[] = { SYNC_START_RW, SYNC_START_R, SYNC_START_W };
	long sum, devices = 0;
	int err;

	/* Whatever it is started for, the access shows what devices wrote. */
	err = buf_sync(arena->buf, starts[round / 2 % ARRAY_SIZE(starts)]);
	if (err)
		return err;
	sum = lost(arena, arena->b, round, OWNERS, "memory");
	if (only_starts(round))
		devices = lost_for_devices(arena, round, DEVICES, bytes);
	if (devices)
		return devices;
	err = buf_sync(arena->buf, SYNC_END_W);
	if (err)
		return err;
	devices = lost_for_devices(arena, round, OWNERS, bytes);
	return devices < 0 ? devices : sum + devices;
}

static void start_all(struct __test_metadata *_metadata, struct arena *arena)
{
	ASSERT_EQ(0, pthread_barrier_init(&arena->barrier, NULL, OWNERS + 1));
	for (int i = 0; i < OWNERS; i++) {
		arena->writers[i] = (struct writer){ .arena = arena, .owner = i };
		ASSERT_EQ(0, pthread_create(&arena->writers[i].thread, NULL, writer,
					    &arena->writers[i]));
	}
	for (int i = 0; i < SETTLERS; i++) {
		arena->settlers[i] = (struct settler){ .arena = arena, .nr = i };
		ASSERT_EQ(0, pthread_create(&arena->settlers[i].thread, NULL,
					    i ? settler : mapper, &arena->settlers[i]));
	}
}

static void end_all(struct __test_metadata *_metadata, struct arena *arena)
{
	__atomic_store_n(&arena->stop, true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&arena->barrier);
	for (int i = 0; i < OWNERS; i++) {
		pthread_join(arena->writers[i].thread, NULL);
		EXPECT_EQ(0, arena->writers[i].failures)
			TH_LOG("owner %d: %ld calls failed", i, arena->writers[i].failures);
	}
	for (int i = 0; i < SETTLERS; i++) {
		pthread_join(arena->settlers[i].thread, NULL);
		EXPECT_EQ(0, arena->settlers[i].failures)
			TH_LOG("settler %d: %ld calls failed", i, arena->settlers[i].failures);
	}
	TH_LOG("%ld mappings, %ld and %ld starts and ends", arena->settlers[0].calls,
	       arena->settlers[1].calls, arena->settlers[2].calls);
}

TEST_F_TIMEOUT(settle, no_completed_write_is_lost, 280)
{
	struct arena *arena = &self->arena;
	int rounds = access("/sys/kernel/debug/kmemleak", F_OK) ? ROUNDS : DEBUG_ROUNDS, done;
	char *bytes = malloc(arena->size);
	uint64_t most_us = atoi(env_or("SETTLE_SECONDS", "0")) * 1000000ULL;
	uint64_t started = now_us();
	long sum = 0;

	arena->lag_us = most_us ? 100000 : 1000;
	start_all(_metadata, arena);
	for (done = 0; done < rounds && !sum; done++) {
		if (most_us && now_us() - started > most_us)
			break;
		__atomic_store_n(&arena->round, done, __ATOMIC_RELEASE);
		pthread_barrier_wait(&arena->barrier);
		/* All write. */
		pthread_barrier_wait(&arena->barrier);
		sum = all_lost(arena, done, bytes);
	}
	end_all(_metadata, arena);
	TH_LOG("%d of %d rounds in %llu ms", done, rounds,
	       (unsigned long long)(now_us() - started) / 1000);
	EXPECT_EQ(0, sum);
	EXPECT_LE(most_us ? LEAST_ROUNDS : rounds, done);
}

/*
 * A device that is mapped while the CPU ends an access: it is filled with what was written, or the
 * END brings it.
 */
FIXTURE(mapping)
{
	int kmsg, dev, importer, memfd, buf;
	size_t size;
	char *mem;
};

FIXTURE_SETUP(mapping)
{
	struct importer_segments segments;
	int err;

	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	self->size = PAGES * page_size();
	self->memfd = memfd_new(self->size);
	self->buf = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, self->buf);
	self->mem = map_rw(self->memfd, self->size);
	ASSERT_NE(MAP_FAILED, self->mem);
	err = importer_map_masked(self->importer, 0, self->buf, IMPORTER_FAUX_2,
				  IMPORTER_BIDIRECTIONAL, FEW_BITS);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	if (!segments.elsewhere)
		SKIP(return, "the device reaches the memory");
}

FIXTURE_TEARDOWN(mapping)
{
	close(self->importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
}

struct map_call {
	int importer, buf, err;
	pthread_barrier_t barrier;
};

static void *map_once(void *arg)
{
	struct map_call *call = arg;

	pthread_barrier_wait(&call->barrier);
	call->err = importer_map_masked(call->importer, 0, call->buf, IMPORTER_FAUX_2,
					IMPORTER_BIDIRECTIONAL, FEW_BITS);
	return NULL;
}

TEST_F_TIMEOUT(mapping, is_not_passed_by_an_end, 120)
{
	int rounds = access("/sys/kernel/debug/kmemleak", F_OK) ? 2000 : 200, done, other = 0;
	int seconds = atoi(env_or("SETTLE_SECONDS", "0"));
	uint64_t most_us = (seconds ? seconds : 20) * 1000000ULL;
	uint64_t started = now_us();
	struct map_call call = { .importer = self->importer, .buf = self->buf };
	char *bytes = malloc(self->size);
	pthread_t thread;

	ASSERT_EQ(0, pthread_barrier_init(&call.barrier, NULL, 2));
	for (done = 0; done < rounds && !other && now_us() - started < most_us; done++) {
		char value = done + 1;

		ASSERT_EQ(0, pthread_create(&thread, NULL, map_once, &call));
		pthread_barrier_wait(&call.barrier);
		/* Sooner and later, to meet every step of the mapping. */
		for (uint64_t from = now_us(); now_us() - from < done * 37 % 1000;)
			;
		memset(self->mem, value, self->size);
		EXPECT_EQ(0, buf_sync(self->buf, SYNC_END_W));
		pthread_join(thread, NULL);
		ASSERT_EQ(0, call.err);
		ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_READ, 0, 0, bytes, self->size));
		for (size_t i = 0; i < self->size; i++)
			other += bytes[i] != value;
		ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	}
	TH_LOG("%d rounds in %llu ms", done, (unsigned long long)(now_us() - started) / 1000);
	EXPECT_EQ(0, other)
		TH_LOG("round %d: the device does not see %d bytes", done - 1, other);
	EXPECT_LE(LEAST_ROUNDS, done);
}

TEST_HARNESS_MAIN
