// SPDX-License-Identifier: GPL-2.0
/*
 * staging: devices that do not reach the memory of a buffer, and get memory of their
 * own. Needs the module in importer/, and a machine with more than 4 GiB of memory
 * or one that is booted with swiotlb=force. Nothing else may be staged.
 *
 * Shares of users need root. Tests of 512 MiB need 5 GiB. Those of time are for a
 * machine whose clock counts instructions.
 */
#include "accounts.h"
#include "memcg.h"
#include <sys/time.h>

#define PAGES		16
/* Address bits of a device that does not reach memory above 4 GiB. */
#define BITS		32
#define LARGE		(512 * MIB)
#define LARGE_NEEDS	(5 * GIB)

/* The devices: each has a mask of its own. */
static const int devices[] = { IMPORTER_FAUX_2, IMPORTER_FAUX_3, IMPORTER_FAUX };

FIXTURE(staging)
{
	int kmsg, dev, importer, memfd, buf;
	size_t page, size;
	char *a, *b, *bytes;
	struct user *user, *same, *other;
};

/* The fixture, for functions that are no tests. */
#define SCENE	FIXTURE_DATA(staging)

static int new_buffer(SCENE *s, size_t size);

/* The most megabytes staged for buffers of a user, and of all; 0 is the default. */
static int limits_are(int user, int total)
{
	return param_set_number("staging_user_limit_mb", user) ?:
	       param_set_number("staging_limit_mb", total);
}

static void reset_parameters(void)
{
	param_set("staging", "1");
	limits_are(0, 0);
}

FIXTURE_SETUP(staging)
{
	struct importer_segments segments;

	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	/* An earlier test that failed may have left it without the device. */
	importer_call(self->importer, IMPORTER_PLUG, NULL);
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->page = page_size();
	self->bytes = malloc(self->page);
	reset_parameters();
	ASSERT_EQ(0, new_buffer(self, PAGES * self->page));
	ASSERT_EQ(0, importer_map_masked(self->importer, 0, self->buf, devices[0],
					 IMPORTER_TO_DEVICE, BITS));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	if (segments.elsewhere != PAGES)
		SKIP(return, "a device of %d bits reaches this memory", BITS);
}

FIXTURE_TEARDOWN(staging)
{
	for (int i = 0; i < nr_users; i++)
		user_kill(&users[i]);
	close(self->importer);
	reset_parameters();
	if (!is_c_driver())
		EXPECT_EQ(0, param_get("staging_bytes"));
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
}

/* Another buffer in place of the one that is there. */
static int new_buffer(SCENE *s, size_t size)
{
	s->size = size;
	s->memfd = memfd_new(size);
	s->buf = s->memfd < 0 ? s->memfd : create(s->dev, s->memfd, 0, size);
	if (s->buf < 0)
		return s->buf;
	s->a = map_rw(s->memfd, size);
	s->b = map_rw(s->buf, size);
	return s->a == MAP_FAILED || s->b == MAP_FAILED ? -ENOMEM : 0;
}

static int map_bits(SCENE *s, int nr, int direction, int bits)
{
	return importer_map_masked(s->importer, nr, s->buf, devices[nr], direction, bits);
}

static int unmap(SCENE *s, int nr)
{
	return importer_slot(s->importer, IMPORTER_UNMAP, nr);
}

static int device_puts(SCENE *s, int nr, size_t page, uint64_t seed)
{
	fill(s->bytes, s->page, seed);
	return importer_copy(s->importer, IMPORTER_WRITE, nr, page * s->page, s->bytes, s->page);
}

static int device_has(SCENE *s, int nr, size_t page, uint64_t seed)
{
	int err;

	memset(s->bytes, 0xee, s->page);
	err = importer_copy(s->importer, IMPORTER_READ, nr, page * s->page, s->bytes, s->page);
	return err ?: matches(s->bytes, s->page, seed) == s->page ? 0 : -EIO;
}

static void cpu_puts(SCENE *s, size_t page, uint64_t seed)
{
	fill(s->b + page * s->page, s->page, seed);
}

static int cpu_has(SCENE *s, size_t page, uint64_t seed)
{
	return matches(s->b + page * s->page, s->page, seed) == s->page ? 0 : -EIO;
}

/* START, END in between nothing: memory and all devices agree. */
static int bracket(SCENE *s)
{
	int err = buf_sync(s->buf, SYNC_START_RW);

	return err ?: buf_sync(s->buf, SYNC_END_RW);
}

#define NEED_OURS() do {						\
	if (is_c_driver())						\
		SKIP(return, "this driver has no stagings");		\
} while (0)

/* Masks -------------------------------------------------------------------- */

TEST_F(staging, own_masks_of_28_and_32_bits_at_once)
{
	static const int bits[] = { 28, 32 };
	struct importer_segments segments;

	if (FEW_BITS > 28)
		SKIP(return, "this machine has no memory within reach of 28 bits");
	for (int nr = 0; nr < 2; nr++) {
		ASSERT_EQ(0, map_bits(self, nr, IMPORTER_BIDIRECTIONAL, bits[nr]));
		ASSERT_EQ(0, importer_segments(self->importer, nr, &segments));
		EXPECT_EQ(self->size, segments.total);
		EXPECT_EQ(PAGES, segments.elsewhere);
		EXPECT_GE((1ULL << bits[nr]) - 1, segments.highest);
	}
	for (int nr = 0; nr < 2; nr++)
		ASSERT_EQ(0, device_puts(self, nr, nr, 1 + nr));
	cpu_puts(self, 2, 3);
	ASSERT_EQ(0, bracket(self));
	for (int page = 0; page < 3; page++) {
		EXPECT_EQ(0, cpu_has(self, page, 1 + page));
		for (int nr = 0; nr < 2; nr++)
			EXPECT_EQ(0, device_has(self, nr, page, 1 + page));
	}
	for (int nr = 0; nr < 2; nr++) {
		ASSERT_EQ(0, device_puts(self, nr, nr, 4 + nr));
		ASSERT_EQ(0, unmap(self, nr));
		EXPECT_EQ(0, cpu_has(self, nr, 4 + nr));
	}
}

/* dma_alloc_pages() looks at the coherent mask, but the device reaches what the other allows. */
TEST_F(staging, own_coherent_mask_larger_than_the_other)
{
	struct importer_limits limits = { .dma_mask = (1ULL << 28) - 1, .coherent_mask = ~0ULL };
	struct importer_segments segments;
	int err;

	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_LIMITS, &limits));
	err = importer_map(self->importer, 0, self->buf, devices[0], IMPORTER_BIDIRECTIONAL);
	if (err) {
		EXPECT_TRUE(err == -EIO || err == -ENOMEM)
			TH_LOG("%s", strerror(-err));
		return;
	}
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	EXPECT_GE(limits.dma_mask, segments.highest);
}

TEST_F(staging, own_device_without_a_mask_is_EINVAL)
{
	struct importer_limits limits = { .flags = IMPORTER_NO_MASK };

	NEED_OURS();
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_LIMITS, &limits));
	for (int direction = 0; direction < 3; direction++)
		EXPECT_EQ(-EINVAL, importer_map(self->importer, 0, self->buf, devices[0],
						direction));
	EXPECT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
}

TEST_F(staging, own_device_without_a_coherent_mask_gets_an_errno)
{
	struct importer_limits limits = {
		.flags = IMPORTER_NO_COHERENT_MASK, .dma_mask = (1ULL << BITS) - 1,
	};
	int err;

	NEED_OURS();
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_LIMITS, &limits));
	err = importer_map(self->importer, 0, self->buf, devices[0], IMPORTER_BIDIRECTIONAL);
	EXPECT_TRUE(err == -EIO || err == -ENOMEM || err == -EINVAL)
		TH_LOG("%s", strerror(-err));
	EXPECT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
}

/* The place in memory of the page at @mem, or 0 where that is not told. */
static uint64_t physical(int pagemap, const char *mem)
{
	uint64_t entry = 0;
	off_t at = (uintptr_t)mem / page_size() * sizeof(entry);

	if (pread(pagemap, &entry, sizeof(entry), at) != sizeof(entry) || !(entry >> 63))
		return 0;
	return (entry & ((1ULL << 55) - 1)) * page_size();
}

/* The bounce buffers lie beyond such a device's reach; to try them is a WARN of the core. */
TEST_F(staging, own_page_within_reach_of_28_bits)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), memfd = -1;
	size_t size = 1024 * MIB, at = size;
	struct importer_segments segments;
	char *a;

	if (FEW_BITS > 28)
		SKIP(return, "this machine has no memory within reach of 28 bits");
	ASSERT_LE(0, pagemap);
	/* The kernel hands out low memory last. */
	for (int i = 0; at >= size && i < 5 && mem_available() > 1300 * MIB; i++) {
		memfd = memfd_new(size);
		a = map_rw(memfd, size);
		ASSERT_NE(MAP_FAILED, a);
		for (at = 0; at < size; at += self->page) {
			uint64_t place;

			a[at] = 1;
			place = physical(pagemap, a + at);
			if (place && place < 1ULL << 28)
				break;
		}
	}
	if (at >= size)
		SKIP(return, "no page below 256 MiB to be had");
	self->buf = create(self->dev, memfd, at, self->page);
	ASSERT_LE(0, self->buf);
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, 28));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	EXPECT_GE((1ULL << 28) - 1, segments.highest);
	/* So such devices have a staging, even where they reach the page. */
	EXPECT_EQ(1, segments.elsewhere);
	ASSERT_EQ(0, device_puts(self, 0, 0, 1));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_EQ(self->page, matches(a + at, self->page, 1));
}

/* One device after the other ----------------------------------------------- */

/*
 * Device 0 writes a page, then device 1 the bytes that were there before: newer ones.
 * What orders the two is an unmap of the first, or a START.
 */
static void one_after_the_other(struct __test_metadata *_metadata, SCENE *self, int first,
				int second, bool by_unmap)
{
	cpu_puts(self, 0, 1);
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, first));
	ASSERT_EQ(0, map_bits(self, 1, IMPORTER_BIDIRECTIONAL, second));
	ASSERT_EQ(0, device_puts(self, 0, 0, 2));
	if (by_unmap) {
		ASSERT_EQ(0, unmap(self, 0));
	} else {
		ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
		EXPECT_EQ(0, cpu_has(self, 0, 2));
	}
	EXPECT_EQ(0, device_has(self, 1, 0, 2));
	ASSERT_EQ(0, device_puts(self, 1, 0, 1));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	ASSERT_EQ(0, unmap(self, 1));
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	if (by_unmap)
		return;
	EXPECT_EQ(0, device_has(self, 0, 0, 1));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_EQ(0, cpu_has(self, 0, 1));
}

TEST_F(staging, own_second_device_writes_what_was_before)
{
	/* A device of 64 bits is mapped directly, but where all mappings bounce. */
	static const int bits[][2] = {
		{ FEW_BITS, 32 }, { 32, 32 }, { 64, 32 }, { 32, 64 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		one_after_the_other(_metadata, self, bits[i][0], bits[i][1], false);
		one_after_the_other(_metadata, self, bits[i][0], bits[i][1], true);
	}
}

/* Words that are neither what was there nor what was written. */
static size_t foreign_words(const char *bytes, size_t size, uint64_t old, uint64_t new)
{
	const uint64_t *words = (const void *)bytes;
	size_t count = 0;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		count += words[i] != word_at(old, i) && words[i] != word_at(new, i);
	return count;
}

/*
 * A fence alone moves no byte: the other device may see old bytes or new ones. Both
 * see the new ones once the CPU has started or ended an access.
 */
TEST_F(staging, own_handed_over_by_a_fence_alone)
{
	cpu_puts(self, 0, 1);
	for (int nr = 0; nr < 2; nr++)
		ASSERT_EQ(0, map_bits(self, nr, IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, importer_fence(self->importer, 0, self->buf, true));
	ASSERT_EQ(0, device_puts(self, 0, 0, 2));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_SIGNAL, 0));
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_READ, 1, 0, self->bytes, self->page));
	EXPECT_EQ(0, foreign_words(self->bytes, self->page, 1, 2));
	TH_LOG("the other device sees the %s bytes",
	       matches(self->bytes, self->page, 2) == self->page ? "new" : "old");
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EQ(0, cpu_has(self, 0, 2));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_R));
	EXPECT_EQ(0, device_has(self, 1, 0, 2));
}

/* Parameters --------------------------------------------------------------- */

TEST_F(staging, own_parameter_staging)
{
	int direct = booted_with("swiotlb=force") ? -EOPNOTSUPP : 0;

	NEED_OURS();
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, param_set("staging", "0"));
	EXPECT_EQ(-EOPNOTSUPP, map_bits(self, 1, IMPORTER_BIDIRECTIONAL, BITS));
	EXPECT_EQ(-EOPNOTSUPP, map_bits(self, 1, IMPORTER_TO_DEVICE, BITS));
	EXPECT_EQ(direct, map_bits(self, 2, IMPORTER_BIDIRECTIONAL, 64));
	/* What is there stays. */
	ASSERT_EQ(0, device_puts(self, 0, 0, 1));
	ASSERT_EQ(0, bracket(self));
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_EQ(-EOPNOTSUPP, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, param_set("staging", "1"));
	EXPECT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	EXPECT_EQ(-EINVAL, param_set("staging", "2"));
	EXPECT_EQ(1, param_get("staging"));
}

/* Whether buffers of so many pages can be mapped: each of a writer takes twice its size. */
static int fits(struct __test_metadata *_metadata, SCENE *self, int direction, size_t pages)
{
	SCENE other = *self;
	int err;

	EXPECT_EQ(0, new_buffer(&other, pages * self->page));
	err = map_bits(&other, 0, direction, BITS);
	if (!err)
		err = unmap(&other, 0);
	munmap(other.a, other.size);
	munmap(other.b, other.size);
	close(other.buf);
	close(other.memfd);
	return err;
}

/* Nothing is charged but what is there: 1 MiB of all fits exactly, and of the user. */
#define EXPECT_NOTHING_CHARGED() do {					\
	size_t most = MIB / self->page;					\
									\
	EXPECT_EQ(0, param_get("staging_bytes"));			\
	for (int of_user = 0; of_user < 2; of_user++) {			\
		ASSERT_EQ(0, of_user ? limits_are(1, 0) : limits_are(2, 1)); \
		EXPECT_EQ(0, fits(_metadata, self, IMPORTER_BIDIRECTIONAL, most / 2)); \
		EXPECT_EQ(-ENOMEM, fits(_metadata, self, IMPORTER_BIDIRECTIONAL, most / 2 + 1)); \
		EXPECT_EQ(0, fits(_metadata, self, IMPORTER_TO_DEVICE, most)); \
		EXPECT_EQ(-ENOMEM, fits(_metadata, self, IMPORTER_TO_DEVICE, most + 1)); \
	}								\
	ASSERT_EQ(0, limits_are(0, 0));					\
} while (0)

TEST_F(staging, own_limit_is_exact)
{
	size_t most = MIB / self->page;

	NEED_OURS();
	EXPECT_NOTHING_CHARGED();
	ASSERT_EQ(0, new_buffer(self, (most - 1) * self->page));
	ASSERT_EQ(0, limits_are(2, 1));
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_TO_DEVICE, BITS));
	/* The same device needs no more memory for this, and too much for that. */
	ASSERT_EQ(0, importer_map_masked(self->importer, 3, self->buf, devices[0],
					 IMPORTER_TO_DEVICE, BITS));
	EXPECT_EQ(-ENOMEM, importer_map_masked(self->importer, 4, self->buf, devices[0],
					       IMPORTER_BIDIRECTIONAL, BITS));
	/* Of all buffers, of which one page is left. */
	EXPECT_EQ(-ENOMEM, map_bits(self, 1, IMPORTER_TO_DEVICE, BITS));
	cpu_puts(self, 0, 1);
	ASSERT_EQ(0, bracket(self));
	EXPECT_EQ(0, device_has(self, 0, 0, 1));
	ASSERT_EQ(0, new_buffer(self, self->page));
	EXPECT_EQ(-ENOMEM, map_bits(self, 1, IMPORTER_BIDIRECTIONAL, BITS));
	EXPECT_EQ(0, map_bits(self, 1, IMPORTER_TO_DEVICE, BITS));
	ASSERT_EQ(0, unmap(self, 1));
	ASSERT_EQ(0, unmap(self, 0));
	ASSERT_EQ(0, unmap(self, 3));
	EXPECT_NOTHING_CHARGED();
}

struct contender {
	pthread_t thread;
	SCENE s;
	int slot;
	long worked, failed, other;
};

/* Maps what fits alone, but not beside another of its kind. */
static void *map_and_fail(void *arg)
{
	struct contender *f = arg;

	for (int i = 0; i < 250; i++) {
		int err = importer_map(f->s.importer, f->slot, f->s.buf, devices[0],
				       i & 1 ? IMPORTER_BIDIRECTIONAL : IMPORTER_TO_DEVICE);

		f->worked += !err;
		f->failed += err == -ENOMEM;
		f->other += err && err != -ENOMEM;
		if (!err)
			f->other += importer_slot(f->s.importer, IMPORTER_UNMAP, f->slot) != 0;
	}
	return NULL;
}

TEST_F(staging, own_limit_after_a_thousand_maps_that_fail)
{
	size_t most = MIB / self->page;
	struct contender contenders[4];
	long failed = 0;

	NEED_OURS();
	ASSERT_EQ(0, limits_are(2, 1));
	ASSERT_EQ(0, new_buffer(self, (most / 2 + 1) * self->page));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(-ENOMEM, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	EXPECT_NOTHING_CHARGED();
	/* Four of them race for less than they need. */
	ASSERT_EQ(0, limits_are(2, 1));
	for (int i = 0; i < 4; i++) {
		contenders[i] = (struct contender){ .s = *self, .slot = i };
		ASSERT_EQ(0, new_buffer(&contenders[i].s, most / 3 * self->page));
		ASSERT_EQ(0, pthread_create(&contenders[i].thread, NULL, map_and_fail,
					    &contenders[i]));
	}
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_join(contenders[i].thread, NULL));
		EXPECT_EQ(0, contenders[i].other);
		failed += contenders[i].failed;
	}
	TH_LOG("%ld of 1000 did not fit", failed);
	EXPECT_NOTHING_CHARGED();
}

/* The staging goes with the device, although the importer holds on to its mapping. */
TEST_F(staging, own_nothing_charged_after_the_device_has_gone)
{
	NEED_OURS();
	ASSERT_EQ(0, importer_map_masked(self->importer, 0, self->buf, IMPORTER_FAUX,
					 IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, device_puts(self, 0, 0, 1));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_UNPLUG, NULL));
	/* What it wrote before it went is not lost. */
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	ASSERT_EQ(0, bracket(self));
	EXPECT_EQ(0, param_get("staging_bytes"));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_PLUG, NULL));
	unmap(self, 0);
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	EXPECT_NOTHING_CHARGED();
}

/* Shares of users ------------------------------------------------------------ */

/* Maps a buffer that @user has created; this process does it. */
static int map_of(SCENE *s, struct user *user, int buf, int slot, int direction)
{
	int fd = user_give(user, buf), err;

	if (fd < 0)
		return fd;
	err = importer_map_masked(s->importer, slot, fd, devices[0], direction, BITS);
	close(fd);
	return err;
}

/* Whether so many pages can be staged for a new buffer of @user: 0 or -errno. */
static int stages(SCENE *s, struct user *user, uint64_t pages)
{
	int buf = BUFS - 1, slot = IMPORTER_SLOTS - 1;
	int err = user_create(user, buf, pages);

	if (err)
		return err;
	err = map_of(s, user, buf, slot, IMPORTER_TO_DEVICE);
	if (!err)
		err = unmap(s, slot);
	return user_close(user, buf) ?: err;
}

/* Whether so many pages can be staged for buffers of @user, and no more. */
static bool left_is(SCENE *s, struct user *user, uint64_t pages)
{
	return stages(s, user, pages + 1) == -ENOMEM && (!pages || !stages(s, user, pages));
}

/* A buffer of @user that is staged for a device that reads. */
static int staged(SCENE *s, struct user *user, int nr, uint64_t pages)
{
	return user_create(user, nr, pages) ?: map_of(s, user, nr, nr, IMPORTER_TO_DEVICE);
}

#define NEED_USERS() do {						\
	if (geteuid())							\
		SKIP(return, "needs root");				\
	NEED_OURS();							\
	EXPECT_EQ(0, param_get("staging_user_limit_mb"));		\
	self->user = user_start(self->dev, USER, NONE);			\
	self->same = user_start(self->dev, USER, NONE);			\
	self->other = user_start(self->dev, OTHER_USER, NONE);		\
} while (0)

TEST_F(staging, own_share_of_a_user_leaves_room_for_others)
{
	uint64_t most = megabyte();

	NEED_USERS();
	ASSERT_EQ(0, limits_are(1, 3));
	ASSERT_EQ(0, staged(self, self->user, 1, most - 1));
	/* Its base counts as well. */
	EXPECT_EQ(-ENOMEM, map_of(self, self->user, 1, 2, IMPORTER_BIDIRECTIONAL));
	EXPECT_TRUE(left_is(self, self->user, 1));
	EXPECT_TRUE(left_is(self, self->same, 1));
	EXPECT_TRUE(left_is(self, self->other, most));
	EXPECT_EQ(0, fits(_metadata, self, IMPORTER_TO_DEVICE, most));
	EXPECT_EQ(-ENOMEM, fits(_metadata, self, IMPORTER_TO_DEVICE, most + 1));
	ASSERT_EQ(0, staged(self, self->same, 2, 1));
	EXPECT_TRUE(left_is(self, self->user, 0));
	ASSERT_EQ(0, staged(self, self->other, 3, most));
	EXPECT_TRUE(left_is(self, self->other, 0));
	EXPECT_EQ(2 * most * self->page, param_get("staging_bytes"));
	EXPECT_EQ(0, fits(_metadata, self, IMPORTER_TO_DEVICE, most));
	ASSERT_EQ(0, unmap(self, 1));
	EXPECT_TRUE(left_is(self, self->same, most - 1));
	EXPECT_TRUE(left_is(self, self->other, 0));
	for (int nr = 2; nr < 4; nr++)
		ASSERT_EQ(0, unmap(self, nr));
	EXPECT_TRUE(left_is(self, self->user, most));
	EXPECT_TRUE(left_is(self, self->other, most));
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_share_is_half_by_default)
{
	NEED_USERS();
	for (int mb = 1; mb < 4; mb++) {
		uint64_t half = mb * megabyte() / 2;

		ASSERT_EQ(0, limits_are(0, mb));
		EXPECT_TRUE(left_is(self, self->user, half));
		ASSERT_EQ(0, staged(self, self->user, 1, half));
		EXPECT_TRUE(left_is(self, self->user, 0));
		EXPECT_TRUE(left_is(self, self->other, half));
		ASSERT_EQ(0, staged(self, self->other, 2, half));
		EXPECT_TRUE(left_is(self, self->other, 0));
		/* Two halves are all: there is none for a third. */
		EXPECT_EQ(-ENOMEM, fits(_metadata, self, IMPORTER_TO_DEVICE, 1));
		for (int nr = 1; nr < 3; nr++) {
			ASSERT_EQ(0, unmap(self, nr));
			ASSERT_EQ(0, user_close(nr == 2 ? self->other : self->user, nr));
		}
	}
	/* Half of no limit is none. */
	ASSERT_EQ(0, limits_are(0, 0));
	ASSERT_EQ(0, user_create(self->user, 0, MEMORY / self->page));
	EXPECT_EQ(0, map_of(self, self->user, 0, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_share_that_is_set_overrides_half)
{
	uint64_t most = megabyte();

	NEED_USERS();
	/* Less than half, or a limit where there is none of all. */
	for (int total = 3; total >= 0; total -= 3) {
		ASSERT_EQ(0, limits_are(1, total));
		EXPECT_TRUE(left_is(self, self->user, most));
		ASSERT_EQ(0, staged(self, self->user, 0, most));
		EXPECT_TRUE(left_is(self, self->user, 0));
		EXPECT_TRUE(left_is(self, self->other, most));
		ASSERT_EQ(0, unmap(self, 0));
		ASSERT_EQ(0, user_close(self->user, 0));
	}
	/* More than half: the limit of all still holds. */
	for (int share = 2; share < 4; share++) {
		ASSERT_EQ(0, limits_are(share, 2));
		EXPECT_TRUE(left_is(self, self->user, 2 * most));
		ASSERT_EQ(0, staged(self, self->user, 0, 2 * most - 1));
		EXPECT_TRUE(left_is(self, self->other, 1));
		ASSERT_EQ(0, unmap(self, 0));
		ASSERT_EQ(0, user_close(self->user, 0));
	}
	EXPECT_NOTHING_CHARGED();
}

/* Maps a buffer as a process of @uid. The mapping is there when it has ended. */
static int map_as(SCENE *s, uid_t uid, int fd, int slot, int direction)
{
	pid_t pid = fork();

	if (!pid) {
		CHILD_CHECK(!setresuid(uid, uid, uid));
		_exit(-importer_map_masked(s->importer, slot, fd, devices[0], direction, BITS));
	}
	return pid < 0 ? -errno : -wait_status(pid);
}

TEST_F(staging, own_share_is_that_of_the_creator)
{
	uint64_t most = megabyte();
	int again, fd;

	NEED_USERS();
	ASSERT_EQ(0, limits_are(1, 0));
	ASSERT_EQ(0, user_create(self->user, 0, most));
	ASSERT_EQ(0, user_create(self->user, 1, 1));
	fd = user_give(self->user, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, map_as(self, OTHER_USER, fd, 0, IMPORTER_TO_DEVICE));
	EXPECT_TRUE(left_is(self, self->other, most));
	EXPECT_TRUE(left_is(self, self->user, 0));
	EXPECT_EQ(-ENOMEM, map_of(self, self->user, 1, 1, IMPORTER_TO_DEVICE));
	close(fd);
	fd = user_give(self->user, 1);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, map_as(self, OTHER_USER, fd, 1, IMPORTER_TO_DEVICE));
	close(fd);
	/* The importer has the buffer still, the user nothing. */
	user_kill(self->user);
	EXPECT_TRUE(left_is(self, self->same, 0));
	EXPECT_TRUE(left_is(self, self->other, most));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_TRUE(left_is(self, self->same, most));

	/* An importer that goes without unmapping. No other process has it open. */
	again = importer_open();
	ASSERT_LE(0, again);
	ASSERT_EQ(0, user_create(self->same, 0, most / 2));
	fd = user_give(self->same, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_map_masked(again, 0, fd, devices[0], IMPORTER_BIDIRECTIONAL, BITS));
	close(fd);
	ASSERT_EQ(0, user_close(self->same, 0));
	EXPECT_TRUE(left_is(self, self->same, 0));
	close(again);
	EXPECT_TRUE(left_is(self, self->same, most));
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_share_refused_by_one_limit_is_charged_to_none)
{
	uint64_t most = megabyte();

	NEED_USERS();
	for (int of_user = 0; of_user < 2; of_user++) {
		ASSERT_EQ(0, of_user ? limits_are(1, 2) : limits_are(2, 1));
		ASSERT_EQ(0, user_create(self->user, 0, most + 1));
		ASSERT_EQ(0, user_create(self->user, 1, most / 2 + 1));
		for (int i = 0; i < 100; i++) {
			EXPECT_EQ(-ENOMEM, map_of(self, self->user, 0, 0, IMPORTER_TO_DEVICE));
			/* The staging fits, and goes with the base that does not. */
			EXPECT_EQ(-ENOMEM, map_of(self, self->user, 1, 1, IMPORTER_BIDIRECTIONAL));
		}
		EXPECT_EQ(0, param_get("staging_bytes"));
		ASSERT_EQ(0, limits_are(2, 2));
		EXPECT_TRUE(left_is(self, self->user, 2 * most));
		EXPECT_TRUE(left_is(self, self->other, 2 * most));
		for (int nr = 0; nr < 2; nr++)
			ASSERT_EQ(0, user_close(self->user, nr));
	}
	EXPECT_NOTHING_CHARGED();
}

/* What was charged is given back, whatever the parameter says by then. */
TEST_F(staging, own_share_changed_while_stagings_live)
{
	uint64_t most = megabyte();

	NEED_USERS();
	for (int before = 0; before < 4; before++) {
		for (int then = 0; then < 4; then++) {
			ASSERT_EQ(0, limits_are(before, 3));
			ASSERT_EQ(0, staged(self, self->user, 0, most / 2));
			ASSERT_EQ(0, limits_are(then, 0));
			ASSERT_EQ(0, user_create(self->user, 1, most / 8));
			ASSERT_EQ(0, map_of(self, self->user, 1, 1, IMPORTER_BIDIRECTIONAL));
			ASSERT_EQ(0, limits_are(1, before));
			EXPECT_TRUE(left_is(self, self->user, most / 4));
			ASSERT_EQ(0, limits_are(before, then));
			ASSERT_EQ(0, unmap(self, 0));
			ASSERT_EQ(0, limits_are(1, 0));
			EXPECT_TRUE(left_is(self, self->user, most - most / 4));
			ASSERT_EQ(0, limits_are(then, before));
			ASSERT_EQ(0, unmap(self, 1));
			for (int nr = 0; nr < 2; nr++)
				ASSERT_EQ(0, user_close(self->user, nr));
			ASSERT_EQ(0, limits_are(1, 0));
			EXPECT_TRUE(left_is(self, self->user, most));
		}
	}
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_share_lowered_below_what_is_staged)
{
	size_t size = (2 * megabyte() + 1) * self->page;
	char *b;
	int fd;

	NEED_USERS();
	ASSERT_EQ(0, limits_are(3, 0));
	ASSERT_EQ(0, staged(self, self->user, 0, size / self->page));
	for (int mb = 1; mb < 3; mb++) {
		ASSERT_EQ(0, limits_are(mb, 0));
		EXPECT_TRUE(left_is(self, self->user, 0));
	}
	/* It works as before, and another mapping of it takes nothing. */
	fd = user_give(self->user, 0);
	ASSERT_LE(0, fd);
	b = map_rw(fd, size);
	ASSERT_NE(MAP_FAILED, b);
	memset(b, 7, size);
	ASSERT_EQ(0, buf_sync(fd, SYNC_END_W));
	EXPECT_EQ(0, importer_finds(self->importer, IMPORTER_READ, 0, size, 7));
	EXPECT_EQ(0, map_of(self, self->user, 0, 1, IMPORTER_TO_DEVICE));
	EXPECT_EQ(-ENOMEM, map_of(self, self->user, 0, 2, IMPORTER_BIDIRECTIONAL));
	munmap(b, size);
	close(fd);
	ASSERT_EQ(0, limits_are(3, 0));
	EXPECT_TRUE(left_is(self, self->user, megabyte() - 1));
	for (int nr = 0; nr < 2; nr++)
		ASSERT_EQ(0, unmap(self, nr));
	EXPECT_NOTHING_CHARGED();
}

#define RACERS		4
#define ROUNDS		400
#define SHARE_MB	2
#define TOTAL_MB	3

/* Pages that are surely charged: counted after a map, and not any more before its unmap. */
struct race {
	int arrived;
	long users[2], all;
	long beyond_share, beyond_total, worked, failed, other;
};

static bool is_beyond(long *sum, long pages, int mb)
{
	return __atomic_add_fetch(sum, pages, __ATOMIC_SEQ_CST) > mb * (long)megabyte();
}

/* Returns when all racers have called it so many times. */
static void meet(struct race *r, int times)
{
	__atomic_add_fetch(&r->arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&r->arrived, __ATOMIC_SEQ_CST) < times * RACERS)
		sched_yield();
}

/*
 * All map at once, and unmap when all have tried. The importer maps for one device at a time, so
 * that the two of a user have one each. Two of a user fit beside each other, unless both
 * are of a device that writes; all of two users do unless three are.
 */
static void race_for_stagings(SCENE *s, struct race *r, int nr)
{
	int importer = importer_open(), memfd = memfd_new(MIB), buf;
	long pages = megabyte() * 5 / 8, *mine = &r->users[nr & 1];
	uid_t uid = nr & 1 ? OTHER_USER : USER;

	CHILD_CHECK(importer >= 0 && memfd >= 0);
	CHILD_CHECK(!setresuid(uid, uid, uid));
	CHILD_CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
	buf = create(s->dev, memfd, 0, pages * s->page);
	CHILD_CHECK(buf >= 0);
	for (int i = 0; i < ROUNDS; i++) {
		bool writes = i >> nr & 1;
		long charged = pages << writes;
		int err;

		meet(r, 2 * i + 1);
		err = importer_map_masked(importer, 0, buf, devices[nr / 2],
					  writes ? IMPORTER_BIDIRECTIONAL : IMPORTER_TO_DEVICE,
					  BITS);
		__atomic_add_fetch(!err ? &r->worked : err == -ENOMEM ? &r->failed : &r->other, 1,
				   __ATOMIC_RELAXED);
		if (!err && is_beyond(mine, charged, SHARE_MB))
			__atomic_add_fetch(&r->beyond_share, 1, __ATOMIC_RELAXED);
		if (!err && is_beyond(&r->all, charged, TOTAL_MB))
			__atomic_add_fetch(&r->beyond_total, 1, __ATOMIC_RELAXED);
		meet(r, 2 * i + 2);
		if (err)
			continue;
		__atomic_sub_fetch(mine, charged, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&r->all, charged, __ATOMIC_SEQ_CST);
		CHILD_CHECK(!importer_slot(importer, IMPORTER_UNMAP, 0));
	}
	_exit(0);
}

TEST_F_TIMEOUT(staging, own_share_that_processes_of_two_users_race_for, 120)
{
	pid_t pids[RACERS];
	struct race *r;

	NEED_USERS();
	r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, r);
	ASSERT_EQ(0, limits_are(SHARE_MB, TOTAL_MB));
	for (int nr = 0; nr < RACERS; nr++) {
		pids[nr] = fork();
		if (!pids[nr])
			race_for_stagings(self, r, nr);
		ASSERT_LT(0, pids[nr]);
	}
	for (int nr = 0; nr < RACERS; nr++)
		EXPECT_EQ(0, wait_status(pids[nr]));
	TH_LOG("%ld maps worked, %ld did not fit", r->worked, r->failed);
	EXPECT_LT(0, r->worked);
	EXPECT_LT(0, r->failed);
	EXPECT_EQ(0, r->other);
	EXPECT_EQ(0, r->beyond_share);
	EXPECT_EQ(0, r->beyond_total);
	EXPECT_TRUE(left_is(self, self->user, SHARE_MB * megabyte()));
	EXPECT_TRUE(left_is(self, self->other, SHARE_MB * megabyte()));
	EXPECT_NOTHING_CHARGED();
}

/* The importer holds on to its mapping, and the creator to the buffer. */
TEST_F(staging, own_share_after_the_device_has_gone)
{
	int fd;

	NEED_USERS();
	ASSERT_EQ(0, limits_are(1, 0));
	ASSERT_EQ(0, user_create(self->user, 0, megabyte() / 2));
	fd = user_give(self->user, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_map_masked(self->importer, 0, fd, IMPORTER_FAUX,
					 IMPORTER_BIDIRECTIONAL, BITS));
	close(fd);
	EXPECT_TRUE(left_is(self, self->user, 0));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_UNPLUG, NULL));
	EXPECT_TRUE(left_is(self, self->user, megabyte()));
	ASSERT_EQ(0, importer_call(self->importer, IMPORTER_PLUG, NULL));
	unmap(self, 0);
	EXPECT_TRUE(left_is(self, self->user, megabyte()));
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_share_takes_numbers_of_megabytes)
{
	static const char * const bad[] = { "-1", "2147483648", "1.5", "no" };
	char path[PATH_MAX];
	struct stat st;

	NEED_USERS();
	param_path(path, sizeof(path), "staging_user_limit_mb");
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0644, st.st_mode & 07777);
	ASSERT_EQ(0, param_set("staging_user_limit_mb", "5"));
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, param_set("staging_user_limit_mb", bad[i]));
		EXPECT_EQ(5, param_get("staging_user_limit_mb"));
	}
	/* The largest are as good as none. */
	ASSERT_EQ(0, limits_are(INT_MAX, INT_MAX));
	EXPECT_EQ(0, fits(_metadata, self, IMPORTER_BIDIRECTIONAL, 4 * megabyte()));
	EXPECT_NOTHING_CHARGED();
}

/* Poisoned pages ------------------------------------------------------------ */

#define KPF_HWPOISON	19

/*
 * Returns 0, or the errno for a machine that cannot do it. The kernel answers EBUSY
 * where the page is poisoned, but pinned. A child does it, since it may be killed.
 */
static int poison(SCENE *s, size_t page)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), status;
	char *mem = s->a + page * s->page;
	uint64_t word = 0, place;
	pid_t pid;

	touch(mem, false);
	place = physical(pagemap, mem);
	pid = fork();
	if (!pid)
		_exit(madvise(mem, s->page, MADV_HWPOISON) ? errno : 0);
	status = pid < 0 ? errno : wait_status(pid);
	if (place)
		pread(flags, &word, sizeof(word), place / s->page * sizeof(word));
	close(pagemap);
	close(flags);
	if (word >> KPF_HWPOISON & 1)
		return 0;
	return status > 0 ? status : ENOSYS;
}

/* Page table entries from before stay: the kernel does not find them. */
static int mapped_anew(SCENE *s)
{
	munmap(s->b, s->size);
	s->b = map_rw(s->buf, s->size);
	return s->b == MAP_FAILED ? -errno : 0;
}

#define POISON(page) do {						\
	int error = poison(self, page);					\
									\
	if (error)							\
		SKIP(return, "MADV_HWPOISON: %s", strerror(error));	\
} while (0)

TEST_F(staging, own_poisoned_page_of_a_mapped_buffer)
{
	NEED_OURS();
	cpu_puts(self, 5, 1);
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	POISON(5);
	ASSERT_EQ(0, device_puts(self, 0, 3, 2));
	ASSERT_EQ(0, device_puts(self, 0, 5, 3));
	ASSERT_EQ(0, device_puts(self, 0, 7, 4));
	EXPECT_EQ(-EIO, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EQ(-EIO, buf_sync(self->buf, SYNC_START_W));
	EXPECT_EQ(-EIO, map_bits(self, 1, IMPORTER_TO_DEVICE, BITS));
	EXPECT_EQ(-EIO, importer_map_masked(self->importer, 3, self->buf, devices[0],
					    IMPORTER_BIDIRECTIONAL, BITS));
	/* The others are as good as ever. */
	EXPECT_EQ(0, cpu_has(self, 3, 2));
	EXPECT_EQ(0, cpu_has(self, 7, 4));
	cpu_puts(self, 8, 5);
	buf_sync(self->buf, SYNC_END_W);
	EXPECT_EQ(0, device_has(self, 0, 8, 5));
	ASSERT_EQ(0, device_puts(self, 0, 9, 6));
	ASSERT_EQ(0, unmap(self, 0));
	EXPECT_EQ(0, cpu_has(self, 9, 6));
	ASSERT_EQ(0, mapped_anew(self));
	EXPECT_EQ(SIGBUS, touch(self->b + 5 * self->page, false));
	EXPECT_EQ(SIGBUS, touch(self->b + 5 * self->page, true));
	EXPECT_NOTHING_CHARGED();
}

TEST_F(staging, own_poisoned_page_before_the_map)
{
	NEED_OURS();
	cpu_puts(self, 0, 1);
	POISON(PAGES - 1);
	for (int direction = 0; direction < 3; direction++)
		EXPECT_EQ(-EIO, map_bits(self, 0, direction, BITS));
	EXPECT_EQ(0, cpu_has(self, 0, 1));
	ASSERT_EQ(0, mapped_anew(self));
	EXPECT_EQ(SIGBUS, touch(self->b + (PAGES - 1) * self->page, false));
	EXPECT_NOTHING_CHARGED();
}

/* 512 MiB ------------------------------------------------------------------- */

#define NEED_LARGE() do {						\
	long long memory = read_key("/proc/meminfo", "MemTotal") * 1024; \
									\
	if (memory < (long long)LARGE_NEEDS)				\
		SKIP(return, "needs 5 GiB of memory");			\
	ASSERT_EQ(0, new_buffer(self, LARGE));				\
	tag_pages(self->a, LARGE / self->page, 1);			\
} while (0)

TEST_F_TIMEOUT(staging, own_512_MiB_of_two_devices, 300)
{
	size_t last = LARGE / page_size() - 1;
	struct importer_segments segments;
	uint64_t started;

	NEED_LARGE();
	for (int nr = 0; nr < 2; nr++) {
		started = now_us();
		ASSERT_EQ(0, map_bits(self, nr, IMPORTER_BIDIRECTIONAL, BITS));
		TH_LOG("map took %llu ms", (unsigned long long)(now_us() - started) / 1000);
		ASSERT_EQ(0, importer_segments(self->importer, nr, &segments));
		EXPECT_EQ(LARGE, segments.total);
		EXPECT_LT(0, segments.elsewhere);
		EXPECT_GE((1ULL << BITS) - 1, segments.highest);
	}
	ASSERT_EQ(0, device_puts(self, 0, last, 2));
	ASSERT_EQ(0, device_puts(self, 1, last / 2, 3));
	cpu_puts(self, 0, 4);
	started = now_us();
	ASSERT_EQ(0, bracket(self));
	TH_LOG("START and END took %llu ms", (unsigned long long)(now_us() - started) / 1000);
	EXPECT_EQ(0, cpu_has(self, last, 2));
	EXPECT_EQ(0, cpu_has(self, last / 2, 3));
	for (int nr = 0; nr < 2; nr++) {
		EXPECT_EQ(0, device_has(self, nr, last, 2));
		EXPECT_EQ(0, device_has(self, nr, last / 2, 3));
		EXPECT_EQ(0, device_has(self, nr, 0, 4));
	}
	ASSERT_EQ(0, device_puts(self, 1, last, 5));
	ASSERT_EQ(0, unmap(self, 1));
	EXPECT_EQ(0, cpu_has(self, last, 5));
	ASSERT_EQ(0, unmap(self, 0));
	/* All that nobody has written is as it was. */
	for (size_t page = 1; page < last; page++)
		if (page != last / 2)
			ASSERT_EQ(word_at(1, page), page_tag(self->b, page));
}

struct request {
	SCENE *s;
	int slot, direction;
};

static int map_large(void *arg)
{
	struct request *r = arg;

	return importer_map_masked(r->s->importer, r->slot, r->s->buf, devices[0], r->direction,
				   BITS);
}

TEST_F_TIMEOUT(staging, own_512_MiB_in_a_full_cgroup_is_ENOMEM, 300)
{
	const char *missing = group_make();
	struct request r = { .s = self };

	NEED_OURS();
	if (missing)
		SKIP(return, "%s", missing);
	NEED_LARGE();
	for (r.direction = 0; r.direction < 3; r.direction++) {
		EXPECT_EQ(-ENOMEM, in_group(256 * MIB, map_large, &r));
		EXPECT_EQ(0, kills());
		EXPECT_EQ(-ENOENT, unmap(self, 0));
	}
	EXPECT_NOTHING_CHARGED();
	/* For a device that reads, it takes the size of the buffer. */
	r.direction = IMPORTER_TO_DEVICE;
	EXPECT_EQ(0, in_group(600 * MIB, map_large, &r));
	EXPECT_EQ(0, unmap(self, 0));
	group_remove();
}

static void nothing(int sig)
{
}

/* Has a signal arrive in @us, and no more than one. */
static int signal_in(uint64_t us)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval soon = { {}, { 0, us } };

	return sigaction(SIGALRM, &act, NULL) || setitimer(ITIMER_REAL, &soon, NULL) ? -errno : 0;
}

TEST_F_TIMEOUT(staging, own_512_MiB_and_a_signal, 300)
{
	struct dma_buf_sync start = { .flags = SYNC_START_W }, end = { .flags = SYNC_END_W };
	size_t last = LARGE / page_size() - 1;
	int err;

	NEED_OURS();
	NEED_LARGE();
	/* Map and START give up, and nothing is left of a map that did. */
	ASSERT_EQ(0, signal_in(20000));
	err = map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS);
	EXPECT_TRUE(err == -EINTR || err == -ERANGE)
		TH_LOG("map: %s", strerror(-err));
	EXPECT_NOTHING_CHARGED();
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, device_puts(self, 0, last, 2));
	ASSERT_EQ(0, signal_in(5000));
	EXPECT_EQ(-1, ioctl(self->buf, DMA_BUF_IOCTL_SYNC, &start));
	EXPECT_EQ(EINTR, errno);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_W));
	EXPECT_EQ(0, cpu_has(self, last, 2));
	/* END and unmap do not. */
	cpu_puts(self, last, 3);
	ASSERT_EQ(0, signal_in(5000));
	EXPECT_EQ(0, ioctl(self->buf, DMA_BUF_IOCTL_SYNC, &end));
	EXPECT_EQ(0, device_has(self, 0, last, 3));
	ASSERT_EQ(0, device_puts(self, 0, last, 4));
	ASSERT_EQ(0, signal_in(5000));
	EXPECT_EQ(0, unmap(self, 0));
	EXPECT_EQ(0, cpu_has(self, last, 4));
}

/* Time ---------------------------------------------------------------------- */

#define STARTERS	8
#define TRIES		20

static void *start_for_ever(void *arg)
{
	SCENE *s = arg;
	long *count = (long *)s->bytes;

	for (;;) {
		CHILD_CHECK(!buf_sync(s->buf, SYNC_START_R));
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A process with @n threads that send START for ever. */
static pid_t starters(SCENE *s, int n)
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid)
		return pid;
	for (int i = 1; i < n; i++)
		CHILD_CHECK(!pthread_create(&thread, NULL, start_for_ever, s));
	start_for_ever(s);
	_exit(0);
}

/* Microseconds from SIGKILL to the end of the process. */
static uint64_t kill_takes(struct __test_metadata *_metadata, pid_t pid)
{
	uint64_t started = now_us();

	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_status(pid));
	return now_us() - started;
}

/* Adds what is behind a file of fences: takes the reservation lock. */
static uint64_t import_takes(struct __test_metadata *_metadata, SCENE *self, int fd)
{
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_RW, .fd = fd };
	uint64_t started = now_us();

	EXPECT_EQ(0, ioctl(self->buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in));
	return now_us() - started;
}

TEST_F_TIMEOUT(staging, own_512_MiB_do_not_keep_others_waiting, 600)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	uint64_t longest = 0, killed;
	pid_t pid;

	NEED_OURS();
	NEED_LARGE();
	self->bytes = mmap(NULL, self->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->bytes);
	ASSERT_EQ(0, map_bits(self, 0, IMPORTER_BIDIRECTIONAL, BITS));
	ASSERT_EQ(0, ioctl(self->buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out));
	memset(self->bytes, 0, self->page);
	pid = starters(self, STARTERS);
	ASSERT_LE(0, pid);
	while (!__atomic_load_n((long *)self->bytes, __ATOMIC_RELAXED))
		sleep_us(10000);
	for (int i = 0; i < TRIES; i++) {
		uint64_t took = import_takes(_metadata, self, out.fd);

		longest = took > longest ? took : longest;
		sleep_us(1000 + 7777 * i);
	}
	killed = kill_takes(_metadata, pid);
	TH_LOG("the longest IMPORT_SYNC_FILE took %llu us; %d threads died in %llu us",
	       (unsigned long long)longest, STARTERS, (unsigned long long)killed);
	EXPECT_GT(10000, longest);
	EXPECT_GT(100000, killed);
	for (int i = 0; i < 5; i++) {
		pid = starters(self, 1);
		ASSERT_LE(0, pid);
		sleep_us(100000 + 33333 * i);
		killed = kill_takes(_metadata, pid);
		TH_LOG("one thread died in %llu us", (unsigned long long)killed);
		EXPECT_GT(100000, killed);
	}
	ASSERT_EQ(0, bracket(self));
}

TEST_HARNESS_MAIN
