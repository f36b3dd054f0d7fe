// SPDX-License-Identifier: GPL-2.0
/*
 * device: the test importer itself, which other subjects rely on: every call and
 * every errno, with either driver as the exporter. Needs the module in importer/.
 */
#include "importer_test.h"
#include <sys/time.h>

#define PAGES	16

FIXTURE(device)
{
	int kmsg, dev, importer, memfd, buf, device;
	size_t page, size;
	char *b;
};

FIXTURE_VARIANT(device)
{
	int device;
};

FIXTURE_VARIANT_ADD(device, faux)
{
	.device = IMPORTER_FAUX,
};

/* QEMU's edu, where there is one. */
FIXTURE_VARIANT_ADD(device, edu)
{
	.device = IMPORTER_EDU,
};

FIXTURE_SETUP(device)
{
	self->kmsg = kmsg_open();
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	self->dev = node_open();
	ASSERT_LE(0, self->dev)
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));
	self->page = page_size();
	self->device = variant->device;
	/* A fifth of a second a page. */
	self->size = (self->device == IMPORTER_EDU ? 3 : PAGES) * self->page;
	self->memfd = memfd_new(self->size);
	self->buf = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, self->buf);
	self->b = map_rw(self->buf, self->size);
	ASSERT_NE(MAP_FAILED, self->b);
	memset(self->b, 1, self->size);
	if (importer_map(self->importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE) == -ENODEV)
		SKIP(return, "there is no such device");
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
}

FIXTURE_TEARDOWN(device)
{
	close(self->importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

/* The C driver loses what a device has written to a bounce buffer: row C3. */
static bool writes_are_lost(int importer, int slot)
{
	struct importer_segments segments;

	return is_c_driver() && !importer_segments(importer, slot, &segments) &&
	       segments.elsewhere;
}

TEST_F(device, bytes_go_both_ways)
{
	char *bytes = malloc(self->size), *back = malloc(self->size);
	int importer = self->importer;
	bool lost;

	fill(bytes, self->size, 7);
	ASSERT_EQ(0, importer_map(importer, 3, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_READ, 3, 0, back, self->size));
	for (size_t i = 0; i < self->size; i++)
		ASSERT_EQ(1, back[i]);
	/* Across a page, and not a whole number of anything. */
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_WRITE, 3, self->page - 3, bytes, 8));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_READ, 3, self->page - 4, back, 10));
	EXPECT_EQ(1, back[0]);
	EXPECT_EQ(0, memcmp(bytes, back + 1, 8));
	EXPECT_EQ(1, back[9]);
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_WRITE, 3, 0, bytes, self->size));
	lost = writes_are_lost(importer, 3);
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 3));
	if (!lost)
		EXPECT_EQ(self->size, matches(self->b, self->size, 7));
}

TEST_F(device, segments)
{
	struct importer_segments segments;
	char cmdline[4096];

	read_text("/proc/cmdline", cmdline, sizeof(cmdline));
	ASSERT_EQ(0, importer_map(self->importer, 1, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_segments(self->importer, 1, &segments));
	EXPECT_EQ(1, segments.slot);
	EXPECT_EQ(self->size, segments.total);
	EXPECT_LE(1, segments.count);
	EXPECT_GE(self->size / self->page, segments.count);
	EXPECT_LE(self->page, segments.longest);
	EXPECT_EQ(0, segments.crossed);
	if (strstr(cmdline, "swiotlb=force") && !segments.translated)
		EXPECT_EQ(self->size / self->page, segments.elsewhere);
	if (self->device == IMPORTER_FAUX) {
		EXPECT_EQ(0, segments.translated);
		if (!strstr(cmdline, "swiotlb=force"))
			EXPECT_EQ(0, segments.elsewhere);
	}
	/* What it is good for: in which way was this tested? */
	TH_LOG("%u segments, longest %llu, %u pages elsewhere, %stranslated", segments.count,
	       (unsigned long long)segments.longest, segments.elsewhere,
	       segments.translated ? "" : "not ");
}

TEST_F(device, what_makes_no_sense)
{
	int importer = self->importer, faux = self->device;
	struct importer_limits limits[] = {
		{ .boundary = 3 * 4096 }, { .dma_mask = 0xfff0 }, { .flags = 4 },
		{ .coherent_mask = 0xfff0 },
	};
	struct importer_bytes padded = { .pad = 1 };
	struct importer_map_many many[] = {
		{ .fd = self->buf, .device = faux }, { .fd = self->buf, .device = 9, .count = 1 },
		{ .fd = self->buf, .device = faux, .count = 1, .flags = 2 },
		{ .fd = self->buf, .device = faux, .count = 1, .direction = 3 },
		{ .fd = self->memfd, .device = faux, .count = 1 },
	};
	struct importer_store stores[] = { { .owner = 256 }, { .value = 256 }, { .pad = 1 } };
	struct importer_fence fences[] = { { .fd = self->buf, .writes = 2 },
					   { .fd = self->buf, .pad = 1 } };
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		EXPECT_EQ(-EINVAL, importer_call(importer, IMPORTER_LIMITS, &limits[i]));
	for (size_t i = 0; i < ARRAY_SIZE(fences); i++)
		EXPECT_EQ(-EINVAL, importer_call(importer, IMPORTER_FENCE, &fences[i]));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		EXPECT_EQ(-EINVAL, importer_call(importer, IMPORTER_MAP_MANY, &many[i]));
	EXPECT_EQ(-EINVAL, importer_map(importer, 32, self->buf, faux, 0));
	EXPECT_EQ(-EINVAL, importer_map(importer, 0, self->buf, faux, 3));
	EXPECT_EQ(-EINVAL, importer_map(importer, 0, self->buf, 9, 0));
	EXPECT_EQ(-EBADF, importer_map(importer, 0, -1, faux, 0));
	EXPECT_EQ(-EINVAL, importer_map(importer, 0, self->memfd, faux, 0));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, faux, 0));
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++)
		EXPECT_EQ(-EINVAL, importer_call(importer, IMPORTER_STORE, &stores[i]));
	EXPECT_EQ(-EINVAL, importer_call(importer, IMPORTER_READ, &padded));
	EXPECT_EQ(-EINVAL, importer_copy(importer, IMPORTER_READ, 0, self->size, &byte, 1));
	EXPECT_EQ(-EINVAL, importer_copy(importer, IMPORTER_WRITE, 0, -1, &byte, 1));
	EXPECT_EQ(-EINVAL, importer_copy(importer, IMPORTER_READ, 0, 1, &byte, -1));
	EXPECT_EQ(0, importer_copy(importer, IMPORTER_READ, 0, self->size, &byte, 0));
	EXPECT_EQ(-EINVAL, importer_slot(importer, IMPORTER_UNMAP, 32));
	EXPECT_EQ(-EINVAL, importer_slot(importer, IMPORTER_CHANGE_TABLE, 32));
	EXPECT_EQ(-EINVAL, importer_slot(importer, IMPORTER_LEAK, 1UL << 31));
	EXPECT_EQ(-EINVAL, importer_vmap(importer, 32, self->buf));
	EXPECT_EQ(-EINVAL, importer_slot(importer, IMPORTER_VUNMAP, -1UL));
	EXPECT_EQ(-EINVAL, importer_slot(importer, IMPORTER_SIGNAL, 32));
	EXPECT_EQ(-EINVAL, importer_access(importer, IMPORTER_BEGIN, self->buf, 3));
	EXPECT_EQ(-EINVAL, importer_access(importer, IMPORTER_END, self->buf, 3));
	EXPECT_EQ(-EBADF, importer_access(importer, IMPORTER_BEGIN, -1, 0));
	EXPECT_EQ(-EINVAL, importer_access(importer, IMPORTER_END, self->memfd, 0));
	EXPECT_EQ(-EBADF, importer_vmap(importer, 0, -1));
	EXPECT_EQ(-EBADF, importer_fence(importer, 0, 999, true));
	EXPECT_EQ(-ENOTTY, importer_call(importer, _IO('I', 99), NULL));
	EXPECT_EQ(-ENOTTY, importer_call(importer, _IOW('I', 2, int), NULL));
}

TEST_F(device, slots_that_are_empty_or_in_use)
{
	struct importer_segments segments;
	int importer = self->importer;
	char byte = 0;

	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_UNMAP, 31));
	EXPECT_EQ(-ENOENT, importer_copy(importer, IMPORTER_READ, 31, 0, &byte, 1));
	EXPECT_EQ(-ENOENT, importer_copy(importer, IMPORTER_WRITE, 31, 0, &byte, 1));
	EXPECT_EQ(-ENOENT, importer_segments(importer, 31, &segments));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_CHANGE_TABLE, 31));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_LEAK, 31));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_VUNMAP, 31));
	EXPECT_EQ(-ENOENT, importer_copy(importer, IMPORTER_VMAP_READ, 31, 0, &byte, 1));
	EXPECT_EQ(-ENOENT, importer_copy(importer, IMPORTER_VMAP_WRITE, 31, 0, &byte, 1));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_SIGNAL, 31));

	ASSERT_EQ(0, importer_map(importer, 31, self->buf, self->device, IMPORTER_TO_DEVICE));
	EXPECT_EQ(-EBUSY, importer_map(importer, 31, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_vmap(importer, 31, self->buf));
	EXPECT_EQ(-EBUSY, importer_vmap(importer, 31, self->buf));
	ASSERT_EQ(0, importer_fence(importer, 31, self->buf, false));
	EXPECT_EQ(-EBUSY, importer_fence(importer, 31, self->buf, false));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 31));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_VUNMAP, 31));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_SIGNAL, 31));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_UNMAP, 31));
	/* One that failed leaves its slot free. */
	EXPECT_EQ(-EBADF, importer_map(importer, 31, -1, self->device, IMPORTER_TO_DEVICE));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_UNMAP, 31));
}

TEST_F(device, addresses_that_are_none)
{
	static const unsigned long cmds[] = {
		IMPORTER_LIMITS, IMPORTER_MAP, IMPORTER_READ, IMPORTER_WRITE, IMPORTER_SEGMENTS,
		IMPORTER_VMAP, IMPORTER_VMAP_READ, IMPORTER_VMAP_WRITE, IMPORTER_BEGIN,
		IMPORTER_END, IMPORTER_FENCE, IMPORTER_MAP_MANY, IMPORTER_STORE,
	};
	int importer = self->importer;
	struct importer_segments *segments;
	void *none = mmap(NULL, 2 * self->page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, none);
	segments = none;
	ASSERT_EQ(0, munmap((char *)none + self->page, self->page));
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		EXPECT_EQ(-EFAULT, importer_call(importer, cmds[i], (char *)none + self->page));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_vmap(importer, 0, self->buf));
	for (size_t i = 2; i < ARRAY_SIZE(cmds); i++)
		if (cmds[i] == IMPORTER_READ || cmds[i] == IMPORTER_WRITE ||
		    cmds[i] == IMPORTER_VMAP_READ || cmds[i] == IMPORTER_VMAP_WRITE)
			EXPECT_EQ(-EFAULT, importer_copy(importer, cmds[i], 0, 0,
							 (char *)none + self->page - 8, 16));
	ASSERT_EQ(0, mprotect(none, self->page, PROT_READ));
	EXPECT_EQ(-EFAULT, importer_call(importer, IMPORTER_SEGMENTS, segments));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
}

TEST_F(device, changed_table)
{
	struct importer_segments before, after;
	int importer = self->importer;
	char byte = 0;
	bool lost;

	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_segments(importer, 0, &before));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_CHANGE_TABLE, 0));
	/* Its own device knows better. */
	ASSERT_EQ(0, importer_segments(importer, 0, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_READ, 0, self->size - 1, &byte, 1));
	EXPECT_EQ(1, byte);
	byte = 2;
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_WRITE, 0, self->size - 1, &byte, 1));
	lost = writes_are_lost(importer, 0);
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	if (!lost)
		EXPECT_EQ(2, self->b[self->size - 1]);
}

TEST_F(device, many_at_once)
{
	struct importer_map_many many = {
		.fd = self->buf, .direction = IMPORTER_TO_DEVICE, .device = self->device,
		.count = 5,
	};
	int importer = self->importer;

	for (many.flags = 0; many.flags <= IMPORTER_ATTACH_EACH; many.flags++)
		ASSERT_EQ(0, importer_call(importer, IMPORTER_MAP_MANY, &many));
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(-EBUSY, seal_write(self->memfd));
	EXPECT_EQ(0, importer_call(importer, IMPORTER_UNMAP_MANY, NULL));
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	EXPECT_EQ(0, importer_call(importer, IMPORTER_UNMAP_MANY, NULL));
}

TEST_F(device, closing_undoes_it_all)
{
	int importer = importer_open();

	ASSERT_LE(0, importer);
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_map(importer, 9, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_vmap(importer, 3, self->buf));
	ASSERT_EQ(0, importer_fence(importer, 4, self->buf, true));
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(-EBUSY, seal_write(self->memfd));
	close(importer);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
}

TEST_F(device, kernel_mapping)
{
	int importer = self->importer;
	char bytes[8] = "sixteen", back[8];

	ASSERT_EQ(0, importer_vmap(importer, 0, self->buf));
	ASSERT_EQ(0, importer_vmap(importer, 1, self->buf));
	EXPECT_EQ(0, importer_finds(importer, IMPORTER_VMAP_READ, 0, self->size, 1));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_VMAP_WRITE, 0, self->page - 4, bytes, 8));
	EXPECT_EQ(0, memcmp(self->b + self->page - 4, bytes, 8));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_VUNMAP, 0));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_VMAP_READ, 1, self->page - 4, back, 8));
	EXPECT_EQ(0, memcmp(back, bytes, 8));
	EXPECT_EQ(-EINVAL, importer_copy(importer, IMPORTER_VMAP_READ, 1, self->size - 4, back, 8));
	EXPECT_EQ(-EINVAL, importer_copy(importer, IMPORTER_VMAP_WRITE, 1, -4, back, 8));
}

struct waiter {
	pthread_t thread;
	int importer, buf, direction;
	volatile int result;
};

static void *wait_for_access(void *arg)
{
	struct waiter *w = arg;

	w->result = importer_access(w->importer, IMPORTER_BEGIN, w->buf, w->direction);
	return NULL;
}

TEST_F(device, fences_hold_up_access)
{
	int importer = self->importer;

	for (int writes = 0; writes < 2; writes++) {
		struct waiter w = {
			.importer = importer, .buf = self->buf, .result = 1,
			.direction = writes ? IMPORTER_FROM_DEVICE : IMPORTER_TO_DEVICE,
		};

		ASSERT_EQ(0, importer_fence(importer, 5, self->buf, writes));
		/* Who reads need not wait for readers. */
		if (!writes) {
			ASSERT_EQ(0, importer_access(importer, IMPORTER_BEGIN, self->buf,
						     IMPORTER_FROM_DEVICE));
			ASSERT_EQ(0, importer_access(importer, IMPORTER_END, self->buf,
						     IMPORTER_FROM_DEVICE));
		}
		ASSERT_EQ(0, pthread_create(&w.thread, NULL, wait_for_access, &w));
		sleep_us(200000);
		EXPECT_EQ(1, w.result);
		ASSERT_EQ(0, importer_slot(importer, IMPORTER_SIGNAL, 5));
		pthread_join(w.thread, NULL);
		EXPECT_EQ(0, w.result);
		EXPECT_EQ(0, importer_access(importer, IMPORTER_END, self->buf, w.direction));
	}
}

static void on_alarm(int signal)
{
}

TEST_F(device, waits_are_interrupted)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_value.tv_usec = 200000 };
	int importer = self->importer;

	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, importer_fence(importer, 0, self->buf, true));
	setitimer(ITIMER_REAL, &timer, NULL);
	EXPECT_EQ(-EINTR, importer_access(importer, IMPORTER_BEGIN, self->buf,
					  IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_SIGNAL, 0));
	if (self->device != IMPORTER_EDU)
		return;
	/* All of it would take half a second and more. */
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE));
	setitimer(ITIMER_REAL, &timer, NULL);
	EXPECT_EQ(-EINTR, importer_finds(importer, IMPORTER_READ, 0, self->size, 1));
	EXPECT_EQ(0, importer_finds(importer, IMPORTER_READ, 0, self->page, 1));
}

TEST_F(device, stores_bytes_one_by_one)
{
	int importer = self->importer;
	char *owners = malloc(self->size), *back = malloc(self->size);

	for (size_t i = 0; i < self->size; i++)
		owners[i] = i % 7 + 2 * (i / 1000 % 3);
	EXPECT_EQ(-ENOENT, importer_store(importer, 0, owners, 1, 1, 2));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	if (self->device != IMPORTER_FAUX) {
		EXPECT_EQ(-EOPNOTSUPP, importer_store(importer, 0, owners, self->size, 3, 2));
		return;
	}
	EXPECT_EQ(-EINVAL, importer_store(importer, 0, owners, self->size + 1, 3, 2));
	ASSERT_EQ(0, importer_store(importer, 0, owners, self->size, 3, 200));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_READ, 0, 0, back, self->size));
	for (size_t i = 0; i < self->size; i++)
		ASSERT_EQ(owners[i] == 3 ? 200 : 1, (unsigned char)back[i]);
}

TEST_F(device, three_of_a_kind)
{
	static const int devices[] = { IMPORTER_FAUX, IMPORTER_FAUX_2, IMPORTER_FAUX_3 };
	int importer = self->importer;

	if (self->device != IMPORTER_FAUX)
		SKIP(return, "of the faux device");
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, importer_map_masked(importer, i, self->buf, devices[i],
						 IMPORTER_TO_DEVICE, 64 - i));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, importer_finds(importer, IMPORTER_READ, i, self->size, 1));
	/* The others are still there. */
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_UNPLUG, 0));
	EXPECT_EQ(-ENODEV, importer_finds(importer, IMPORTER_READ, 0, self->size, 1));
	EXPECT_EQ(0, importer_finds(importer, IMPORTER_READ, 1, self->size, 1));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_PLUG, 0));
}

TEST_F(device, limits)
{
	struct importer_limits limits = { .max_segment = 2 * self->page };
	struct importer_segments segments;
	int importer = self->importer;

	if (self->device != IMPORTER_FAUX)
		SKIP(return, "of the faux device");
	if (is_c_driver())
		SKIP(return, "this driver knows no limits (C10)");
	ASSERT_EQ(0, importer_call(importer, IMPORTER_LIMITS, &limits));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_segments(importer, 0, &segments));
	EXPECT_GE(2 * self->page, segments.longest);
	limits = (struct importer_limits){ .boundary = self->page };
	ASSERT_EQ(0, importer_call(importer, IMPORTER_LIMITS, &limits));
	ASSERT_EQ(0, importer_map(importer, 1, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_segments(importer, 1, &segments));
	EXPECT_EQ(0, segments.crossed);
	EXPECT_EQ(self->page, segments.longest);
	/* No machine serves so small a mask. */
	limits = (struct importer_limits){ .dma_mask = 0xff };
	ASSERT_EQ(0, importer_call(importer, IMPORTER_LIMITS, &limits));
	EXPECT_EQ(-EIO, importer_map(importer, 2, self->buf, self->device, IMPORTER_TO_DEVICE));
	limits = (struct importer_limits){};
	ASSERT_EQ(0, importer_call(importer, IMPORTER_LIMITS, &limits));
	EXPECT_EQ(0, importer_map(importer, 2, self->buf, self->device, IMPORTER_TO_DEVICE));
}

TEST_F(device, unplugged)
{
	struct importer_segments segments;
	int importer = self->importer;
	char byte = 2;

	if (self->device != IMPORTER_FAUX)
		SKIP(return, "of the faux device");
	EXPECT_EQ(-EBUSY, importer_slot(importer, IMPORTER_PLUG, 0));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_UNPLUG, 0));
	EXPECT_EQ(-ENODEV, importer_slot(importer, IMPORTER_UNPLUG, 0));
	EXPECT_EQ(-ENODEV, importer_map(importer, 1, self->buf, self->device, 0));
	EXPECT_EQ(-ENODEV, importer_copy(importer, IMPORTER_READ, 0, 0, &byte, 1));
	EXPECT_EQ(-ENODEV, importer_copy(importer, IMPORTER_WRITE, 0, 0, &byte, 1));
	EXPECT_EQ(0, importer_segments(importer, 0, &segments));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_PLUG, 0));
	/* It is another one. */
	EXPECT_EQ(-ENODEV, importer_copy(importer, IMPORTER_READ, 0, 0, &byte, 1));
	ASSERT_EQ(0, importer_map(importer, 1, self->buf, self->device, IMPORTER_TO_DEVICE));
	EXPECT_EQ(0, importer_copy(importer, IMPORTER_READ, 1, 0, &byte, 1));
	EXPECT_EQ(1, byte);
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 1));
}

TEST_F(device, unbound)
{
	int importer = self->importer;
	char name[256], byte = 2;
	bool lost;

	if (self->device != IMPORTER_EDU)
		SKIP(return, "of the edu device");
	ASSERT_TRUE(edu_name(name, sizeof(name)));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_copy(importer, IMPORTER_WRITE, 0, 0, &byte, 1));
	lost = writes_are_lost(importer, 0);
	ASSERT_EQ(0, write_text(EDU_DRIVER "unbind", name));
	/* Unmapped in good order, so nothing holds the pages but descriptor and mapping. */
	if (!lost)
		EXPECT_EQ(2, self->b[0]);
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	EXPECT_EQ(-ENODEV, importer_copy(importer, IMPORTER_READ, 0, 0, &byte, 1));
	ASSERT_EQ(0, write_text(EDU_DRIVER "bind", name));
	/* It is there again, the mapping is not. */
	EXPECT_EQ(-ENODEV, importer_copy(importer, IMPORTER_READ, 0, 0, &byte, 1));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
}

/* The device's binding owns it, whatever its importer does. */
TEST_F(device, forgotten_mapping_ends_with_the_binding)
{
	int importer = self->importer;
	char name[256];

	if (self->device != IMPORTER_EDU)
		SKIP(return, "of the edu device");
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "this kernel looks for leaks, and would find the value");
	ASSERT_TRUE(edu_name(name, sizeof(name)));
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_LEAK, 0));
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(-EBUSY, seal_write(self->memfd));
	ASSERT_EQ(0, write_text(EDU_DRIVER "unbind", name));
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	ASSERT_EQ(0, write_text(EDU_DRIVER "bind", name));
}

struct user {
	pthread_t thread;
	int buf, device, slot;
	size_t page;
	volatile bool stop;
	long done, gone, failures;
};

/* Maps, lets the device work, and unmaps, on a file of its own, over and over. */
static void *use(void *arg)
{
	struct user *u = arg;
	int importer = importer_open();
	char byte = 1;

	while (!u->stop) {
		int err = importer_map(importer, u->slot, u->buf, u->device,
				       u->slot ? IMPORTER_TO_DEVICE : IMPORTER_BIDIRECTIONAL);

		if (!err) {
			err = importer_copy(importer, u->slot ? IMPORTER_READ : IMPORTER_WRITE,
					    u->slot, u->page * u->slot, &byte, 1);
			u->failures += importer_slot(importer, IMPORTER_UNMAP, u->slot) != 0;
		}
		u->done += !err;
		u->gone += err == -ENODEV;
		u->failures += err && err != -ENODEV;
	}
	close(importer);
	return NULL;
}

TEST_F(device, comes_and_goes_in_use)
{
	bool edu = self->device == IMPORTER_EDU;
	struct user users[3] = {};
	char name[256];

	ASSERT_TRUE(!edu || edu_name(name, sizeof(name)));
	for (int i = 0; i < 3; i++) {
		users[i] = (struct user){
			.buf = self->buf, .device = self->device, .slot = i, .page = self->page,
		};
		ASSERT_EQ(0, pthread_create(&users[i].thread, NULL, use, &users[i]));
	}
	for (int i = 0; i < (edu ? 5 : 50); i++) {
		sleep_us(edu ? 300000 : 5000);
		if (edu) {
			EXPECT_EQ(0, write_text(EDU_DRIVER "unbind", name));
			EXPECT_EQ(0, write_text(EDU_DRIVER "bind", name));
		} else {
			EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_UNPLUG, 0));
			EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_PLUG, 0));
		}
	}
	sleep_us(edu ? 1000000 : 5000);
	for (int i = 0; i < 3; i++)
		users[i].stop = true;
	for (int i = 0; i < 3; i++) {
		pthread_join(users[i].thread, NULL);
		EXPECT_EQ(0, users[i].failures);
		EXPECT_LT(0, users[i].done);
	}
	TH_LOG("%ld times used, %ld times gone", users[0].done + users[1].done + users[2].done,
	       users[0].gone + users[1].gone + users[2].gone);
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
}

struct watcher {
	pthread_t thread;
	int importer;
	volatile bool *written;
	long late, seen;
};

/* Has the device read a byte of the buffer until the device is gone. */
static void *watch(void *arg)
{
	struct watcher *w = arg;
	bool late;
	char byte;

	for (;;) {
		late = *w->written;
		if (importer_copy(w->importer, IMPORTER_READ, 0, 0, &byte, 1))
			return NULL;
		w->late += late;
		w->seen += byte == 2;
	}
}

static void *unbind(void *name)
{
	write_text(EDU_DRIVER "unbind", name);
	return NULL;
}

/*
 * Writes byte 2 to @mem in a bracket while the device is being unbound from its
 * driver, which waits for reads of @w to complete. Returns 0 or -errno.
 */
static int write_while_unbinding(int importer, int buf, char *mem, size_t size, char *name,
				 struct watcher *w, int n)
{
	volatile bool written = false;
	char path[PATH_MAX];
	pthread_t unbinder;
	int err;

	for (int i = 0; i < n; i++) {
		w[i] = (struct watcher){ .importer = importer, .written = &written };
		if (pthread_create(&w[i].thread, NULL, watch, &w[i]))
			return -EAGAIN;
	}
	sleep_us(50000);
	if (pthread_create(&unbinder, NULL, unbind, name))
		return -EAGAIN;
	/* The link is removed right before others are told that the driver goes. */
	snprintf(path, sizeof(path), EDU_DRIVER "%s", name);
	while (!access(path, F_OK))
		sleep_us(100);
	sleep_us(5000);
	err = buf_sync(buf, SYNC_START_W);
	memset(mem, 2, size);
	err = err ?: buf_sync(buf, SYNC_END_W);
	written = true;
	pthread_join(unbinder, NULL);
	for (int i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	return err;
}

#define WATCHERS	3

TEST_F(device, own_no_sync_once_the_device_is_leaving)
{
	struct importer_segments segments;
	struct watcher w[WATCHERS];
	long late = 0, seen = 0;
	char name[256];

	if (self->device != IMPORTER_EDU || !edu_name(name, sizeof(name)))
		SKIP(return, "the other device has no driver that takes its time to go");
	for (int attempt = 0; attempt < 3 && !late; attempt++) {
		memset(self->b, 1, self->page);
		ASSERT_EQ(0, importer_map(self->importer, 0, self->buf, self->device,
					  IMPORTER_BIDIRECTIONAL));
		ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
		if (!segments.elsewhere)
			SKIP(return, "needs a device that does not reach the memory");
		EXPECT_EQ(0, write_while_unbinding(self->importer, self->buf, self->b, self->page,
						   name, w, WATCHERS));
		for (int i = 0; i < WATCHERS; i++) {
			late += w[i].late;
			seen += w[i].seen;
		}
		EXPECT_EQ(2, self->b[0]);
		ASSERT_EQ(0, write_text(EDU_DRIVER "bind", name));
		importer_slot(self->importer, IMPORTER_UNMAP, 0);
	}
	TH_LOG("%ld reads after the bracket", late);
	EXPECT_EQ(0, seen);
	if (!late && !seen)
		SKIP(return, "the driver was unbound before the bracket ended");
}

/* The last one, since the buffer is never given back. */
TEST_F(device, zz_leaked)
{
	int importer = self->importer;

	if (!access("/sys/kernel/debug/kmemleak", F_OK) ||
	    !access("/sys/kernel/debug/dma-api", F_OK))
		SKIP(return, "this kernel looks for leaks, and would find it");
	ASSERT_EQ(0, importer_map(importer, 0, self->buf, self->device, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, importer_slot(importer, IMPORTER_LEAK, 0));
	EXPECT_EQ(-ENOENT, importer_slot(importer, IMPORTER_UNMAP, 0));
	munmap(self->b, self->size);
	close(self->buf);
	close(importer);
	sleep_us(500000);
	EXPECT_EQ(-EBUSY, seal_write(self->memfd));
}

TEST_HARNESS_MAIN
