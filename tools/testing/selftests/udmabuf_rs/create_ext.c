// SPDX-License-Identifier: GPL-2.0
/*
 * create_ext: the strict creation call, what it accepts and what it answers.
 *
 * Also built for 32-bit callers (create_ext_32).
 */
#include "udmabuf_test.h"

#define PAGES		8
#define VER0		UDMABUF_CREATE_EXT_SIZE_VER0

UDMABUF_OWN_FIXTURE(create_ext);

/* Flags, seals and access modes -------------------------------------------- */

FIXTURE(combinations)
{
	int dev;
	int kmsg;
};

FIXTURE_VARIANT(combinations)
{
	bool huge;
};

FIXTURE_VARIANT_ADD(combinations, tmpfs) { .huge = false };
FIXTURE_VARIANT_ADD(combinations, hugetlb) { .huge = true };

FIXTURE_SETUP(combinations)
{
	if (is_c_driver())
		SKIP(return, "the C driver has no such call");
	if (variant->huge)
		NEED_HUGE(2);
	self->kmsg = kmsg_open();
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(combinations)
{
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
	close(self->dev);
}

static int answer_to_combination(uint64_t flags, int mode, int seals)
{
	bool read_only = flags & UDMABUF_EXT_READ_ONLY;

	if (!(seals & F_SEAL_SHRINK))
		return -EINVAL;
	if (!read_only && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EINVAL;
	if (mode == O_WRONLY || (mode == O_RDONLY && !read_only))
		return -EACCES;
	return 0;
}

TEST_F(combinations, of_flags_access_modes_and_seals)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY };
	static const int all_seals[] = { F_SEAL_SHRINK, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	unsigned int mfd = MFD_ALLOW_SEALING | (variant->huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	uint64_t size = variant->huge ? HUGE : PAGES * page_size();

	for (int i = 0; i < 3 * 8 * 8; i++) {
		uint64_t flags = i % 8;
		int mode = modes[i / 64], seals = 0, memfd, fd, buf, answer;
		long long pins = pins_outstanding();
		const char *broken = NULL;

		for (int bit = 0; bit < 3; bit++)
			seals |= i / 8 & 1 << bit ? all_seals[bit] : 0;
		memfd = memfd_make(size, mfd, seals);
		ASSERT_LE(0, memfd);
		fd = fd_reopen(memfd, mode);
		ASSERT_LE(0, fd);
		buf = create_ext_one(self->dev, fd, 0, size, flags, NULL);
		if (buf >= 0) {
			broken = broken_promise(buf, flags, size);
			EXPECT_EQ(seals & F_SEAL_WRITE ? 0 : -EBUSY, seal_write(memfd));
		}
		answer = closed(buf);
		EXPECT_EQ(answer_to_combination(flags, mode, seals), answer)
			TH_LOG("flags %d, mode %d, seals %#x", (int)flags, mode, seals);
		EXPECT_EQ(NULL, broken)
			TH_LOG("flags %d, mode %d, seals %#x: %s", (int)flags, mode, seals, broken);
		/* After an error at once. */
		EXPECT_EQ(0, answer ? seal_write(memfd) : seal_write_soon(memfd));
		EXPECT_EQ(pins, pins_outstanding());
		close(fd);
		close(memfd);
	}
}

TEST_F(create_ext, unknown_flag_is_refused_alone_and_beside_known_ones)
{
	size_t pg = page_size();
	int memfd = memfd_new(pg), fds = count_fds();

	for (uint64_t known = 0; known <= KNOWN_FLAGS; known++) {
		EXPECT_EQ(0, closed(create_ext_one(self->dev, memfd, 0, pg, known, NULL)));
		for (int bit = 3; bit < 64; bit++) {
			EXPECT_EQ(-EINVAL, create_ext_one(self->dev, memfd, 0, pg,
							  known | 1ULL << bit, NULL))
				TH_LOG("bit %d beside %d", bit, (int)known);
		}
		EXPECT_EQ(-EINVAL, create_ext_one(self->dev, memfd, 0, pg, known | ~KNOWN_FLAGS,
						  NULL));
	}
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create_ext, cache_attribute_and_reserved_field)
{
	struct udmabuf_create_item item = { .memfd = memfd_new(page_size()), .size = page_size() };
	struct udmabuf_create_ext ext = make_ext(&item, 1, 0);

	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	for (int bit = 0; bit < 32; bit++) {
		ext.cache = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, create_ext(self->dev, &ext));
		ext.cache = 0;
		ext.__reserved = 1U << bit;
		EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));
		ext.__reserved = 0;
	}
	ext.cache = UINT_MAX;
	EXPECT_EQ(-EOPNOTSUPP, create_ext(self->dev, &ext));
	EXPECT_EQ(0, seal_write_soon(item.memfd));
}

TEST_F(create_ext, pad_of_an_item)
{
	static const int places[] = { 0, 17, 39 };
	struct udmabuf_create_item items[40];
	int memfd = memfd_new(page_size());
	struct udmabuf_create_ext ext = make_ext(items, 40, 0);

	for (int i = 0; i < 40; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = page_size() };
	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	for (int i = 0; i < 3 * 32; i++) {
		items[places[i / 32]].__pad = 1U << i % 32;
		EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));
		/* The older call ignores it. */
		EXPECT_EQ(0, closed(create_list(self->dev, items, 40)));
		items[places[i / 32]].__pad = 0;
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* Order of errors ---------------------------------------------------------- */

struct attempt {
	struct udmabuf_create_ext ext;
	/* Not zero, and behind the end of the struct if the size is right. */
	uint64_t tail;
	struct udmabuf_create_item items[2];
};

TEST_F(create_ext, order_of_errors)
{
	size_t pg = page_size();
	int memfd = memfd_new(2 * pg), unsealed = memfd_make(pg, MFD_ALLOW_SEALING, 0);
	int write_only = fd_reopen(memfd, O_WRONLY);
	uint64_t name = (uintptr_t)"a name of more than thirty-one bytes";
	struct attempt a;
	const struct {
		const char *what;
		void *field;
		size_t bytes;
		uint64_t value;
		int error;
	} mistakes[] = {
		/* The first of them is the answer. */
		{ "size too small", &a.ext.size, 4, VER0 - 1, -EINVAL },
		{ "size too large", &a.ext.size, 4, pg + 1, -E2BIG },
		{ "tail", &a.ext.size, 4, VER0 + sizeof(uint64_t), -E2BIG },
		{ "flag", &a.ext.flags, 8, 8, -EINVAL },
		{ "reserved field", &a.ext.__reserved, 4, 1, -EINVAL },
		{ "cache attribute", &a.ext.cache, 4, 1, -EOPNOTSUPP },
		{ "count", &a.ext.count, 4, UINT_MAX, -EINVAL },
		{ "address of the name", &a.ext.name, 8, 1, -EFAULT },
		{ "length of the name", &a.ext.name, 8, name, -EINVAL },
		{ "address of the items", &a.ext.items, 8, 1, -EFAULT },
		{ "pad", &a.items[1].__pad, 4, 1, -EINVAL },
		{ "alignment", &a.items[0].offset, 8, 1, -EINVAL },
		{ "descriptor", &a.items[0].memfd, 4, -1, -EBADFD },
		{ "seals", &a.items[0].memfd, 4, unsealed, -EINVAL },
		{ "access mode", &a.items[0].memfd, 4, write_only, -EACCES },
		{ "range", &a.items[0].offset, 8, 2 * pg, -EINVAL },
	};

	ASSERT_LE(0, write_only);
	for (int i = 0; i < ARRAY_SIZE(mistakes); i++) {
		for (int j = i; j < ARRAY_SIZE(mistakes); j++) {
			struct udmabuf_create_item item = { .memfd = memfd, .size = pg };

			/* Two mistakes in one field cannot be made at a time. */
			if (i != j && mistakes[i].field == mistakes[j].field)
				continue;
			a = (struct attempt){ make_ext(a.items, 2, 0), 1, { item, item } };
			EXPECT_EQ(0, closed(create_ext(self->dev, &a.ext)));
			memcpy(mistakes[i].field, &mistakes[i].value, mistakes[i].bytes);
			memcpy(mistakes[j].field, &mistakes[j].value, mistakes[j].bytes);
			EXPECT_EQ(mistakes[i].error, create_ext(self->dev, &a.ext))
				TH_LOG("%s, %s", mistakes[i].what, mistakes[j].what);
		}
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
}

/* The size of the struct --------------------------------------------------- */

/* An argument that ends where memory does. @length bytes of it are inside. */
static void *at_end(char *end, const struct udmabuf_create_ext *ext, size_t length)
{
	memset(end - 2 * page_size(), 0, 2 * page_size());
	memcpy(end - length, ext, length < sizeof(*ext) ? length : sizeof(*ext));
	return end - length;
}

TEST_F(create_ext, every_size_of_the_struct)
{
	size_t pg = page_size();
	struct udmabuf_create_item item = { .memfd = memfd_new(pg), .size = pg };
	struct udmabuf_create_ext ext = make_ext(&item, 1, 0);
	char *end = end_of_memory(2);

	ASSERT_EQ(VER0, sizeof(ext));
	ASSERT_NE(NULL, end);
	for (ext.size = 0; ext.size <= pg + 64; ext.size++) {
		int answer = ext.size < VER0 ? -EINVAL : ext.size > pg ? -E2BIG : 0;
		size_t length = ext.size < VER0 ? VER0 : ext.size;

		EXPECT_EQ(answer, closed(create_ext(self->dev, at_end(end, &ext, length))))
			TH_LOG("size %u", ext.size);
		if (answer)
			continue;
		/* The last byte cannot be read. */
		EXPECT_EQ(-EFAULT, create_ext(self->dev, at_end(end, &ext, length - 1)))
			TH_LOG("size %u", ext.size);
	}
	/* Nobody looks for what is behind the struct. */
	ext.size = pg + 1;
	EXPECT_EQ(-E2BIG, create_ext(self->dev, at_end(end, &ext, VER0)));
	ext.size = UINT_MAX;
	EXPECT_EQ(-E2BIG, create_ext(self->dev, at_end(end, &ext, VER0)));
	ext.size = 1U << 31;
	EXPECT_EQ(-E2BIG, create_ext(self->dev, at_end(end, &ext, VER0)));
	EXPECT_EQ(0, seal_write_soon(item.memfd));
}

TEST_F(create_ext, every_byte_of_the_tail)
{
	size_t pg = page_size();
	const uint32_t sizes[] = { VER0 + 1, VER0 + 7, 64, 129, pg - 1, pg };
	struct udmabuf_create_item item = { .memfd = memfd_new(pg), .size = pg };
	struct udmabuf_create_ext ext = make_ext(&item, 1, 0);
	char *end = end_of_memory(2), *arg;

	ASSERT_NE(NULL, end);
	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		ext.size = sizes[i];
		arg = at_end(end, &ext, ext.size);
		for (size_t at = VER0; at < ext.size; at++) {
			arg[at] = 1 << at % 8;
			EXPECT_EQ(-E2BIG, create_ext(self->dev, (void *)arg))
				TH_LOG("byte %zu of %u", at, ext.size);
			arg[at] = 0;
		}
		EXPECT_EQ(0, closed(create_ext(self->dev, (void *)arg)));
	}
	/* Bytes behind the size are not the struct's. */
	ext.size = VER0;
	arg = at_end(end, &ext, pg);
	memset(arg + VER0, 0xff, pg - VER0);
	EXPECT_EQ(0, closed(create_ext(self->dev, (void *)arg)));
	EXPECT_EQ(0, seal_write_soon(item.memfd));
}

/* Bad addresses ------------------------------------------------------------ */

TEST_F(create_ext, EFAULT_wherever_memory_ends)
{
	size_t pg = page_size();
	struct udmabuf_create_item item = { .memfd = memfd_new(pg), .size = pg };
	struct udmabuf_create_item items[2] = { item, item };
	static const char name[32] = "thirty-two bytes and no end here";
	struct udmabuf_create_ext ext = make_ext(items, 2, 0);
	char *end = end_of_memory(2);

	ASSERT_NE(NULL, end);
	for (size_t n = 0; n <= sizeof(ext); n++) {
		EXPECT_EQ(n < sizeof(ext) ? -EFAULT : 0,
			  closed(create_ext(self->dev, at_end(end, &ext, n))))
			TH_LOG("%zu bytes of the struct", n);
	}
	for (size_t n = 0; n <= sizeof(items); n++) {
		ext.items = (uintptr_t)memcpy(end - n, items, n);
		EXPECT_EQ(n < sizeof(items) ? -EFAULT : 0, closed(create_ext(self->dev, &ext)))
			TH_LOG("%zu bytes of the items", n);
	}
	ext.items = (uintptr_t)items;
	for (size_t n = 0; n <= sizeof(name); n++) {
		ext.name = (uintptr_t)memcpy(end - n, name, n);
		/* 32 bytes without an end are too many; the next is not looked at. */
		EXPECT_EQ(n < sizeof(name) ? -EFAULT : -EINVAL, create_ext(self->dev, &ext))
			TH_LOG("%zu bytes of the name", n);
	}
	end[-1] = '\0';
	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	EXPECT_EQ(0, seal_write_soon(item.memfd));
}

TEST_F(create_ext, EFAULT_for_addresses_of_nothing)
{
	size_t pg = page_size();
	struct udmabuf_create_item item = { .memfd = memfd_new(pg), .size = pg };
	struct udmabuf_create_ext good = make_ext(&item, 1, 0), ext = good;
	static const uint64_t bad[] = {
		1, 0xffffffff, 0xfffffff8, 0xffff888000000000, 0xffffffff81000000,
		0xfffffffffffffff8, 0x8000000000000000, 0x0000800000000000, 0x0000900000000000,
		0x00007ffffffff000,
	};
	uint64_t high = sizeof(long) == 4 ? 1ULL << 32 : 1ULL << 63;

	EXPECT_EQ(-EFAULT, create_ext(self->dev, NULL));
	ext.items = 0;
	EXPECT_EQ(-EFAULT, create_ext(self->dev, &ext));
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		/* The argument itself has as many bits as the program. */
		if (bad[i] == (uintptr_t)bad[i])
			EXPECT_EQ(-EFAULT, create_ext(self->dev, (void *)(uintptr_t)bad[i]));
		ext = good;
		ext.items = bad[i];
		EXPECT_EQ(-EFAULT, create_ext(self->dev, &ext))
			TH_LOG("items %#llx", (unsigned long long)bad[i]);
		ext = good;
		ext.name = bad[i];
		EXPECT_EQ(-EFAULT, create_ext(self->dev, &ext))
			TH_LOG("name %#llx", (unsigned long long)bad[i]);
	}
	/* No half of an address is ignored. */
	ext = good;
	ext.items |= high;
	EXPECT_EQ(-EFAULT, create_ext(self->dev, &ext));
	ext = good;
	ext.name = (uintptr_t)"name" | high;
	EXPECT_EQ(-EFAULT, create_ext(self->dev, &ext));
	ext.name &= ~high;
	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	EXPECT_EQ(0, seal_write_soon(item.memfd));
}

/* Names -------------------------------------------------------------------- */

TEST_F(create_ext, names_are_those_that_SET_NAME_takes)
{
	size_t pg = page_size(), lengths[] = { 0, 1, 2, 15, 30, 31, 32, 33, 100, 0 };
	int memfd = memfd_new(pg), plain = create(self->dev, memfd, 0, pg);
	char one[512], two[512], *endless = end_of_memory(2) - 4 * KIB, name[128];
	const char *shown;

	ASSERT_LE(0, plain);
	for (int i = 0; i < ARRAY_SIZE(lengths); i++) {
		int buf, err, last = i == ARRAY_SIZE(lengths) - 1;

		/* Any bytes but a line feed, at which fdinfo ends for us. */
		for (int j = 0; j < lengths[i]; j++)
			name[j] = "a %s\\\xff\x01."[j % 8];
		name[lengths[i]] = '\0';
		if (last)
			memset(endless, 'e', 4 * KIB);
		err = ioctl(plain, DMA_BUF_SET_NAME_B, last ? endless : name) ? -errno : 0;
		buf = create_ext_one(self->dev, memfd, 0, pg, 0, last ? endless : name);
		EXPECT_EQ(last || lengths[i] > 31 ? -EINVAL : 0, buf < 0 ? buf : 0)
			TH_LOG("%zu bytes", lengths[i]);
		EXPECT_EQ(err, buf < 0 ? buf : 0);
		if (buf < 0)
			continue;
		shown = buf_name(buf, one, sizeof(one));
		ASSERT_NE(NULL, shown);
		EXPECT_STREQ(name, shown);
		EXPECT_STREQ(shown, buf_name(plain, two, sizeof(two)));
		/* It is no more than a first name. */
		EXPECT_EQ(0, ioctl(buf, DMA_BUF_SET_NAME_B, "another"));
		EXPECT_STREQ("another", buf_name(buf, one, sizeof(one)));
		close(buf);
	}
	plain = create_ext_one(self->dev, memfd, 0, pg, 0, NULL);
	EXPECT_LE(0, plain);
	EXPECT_EQ(NULL, buf_name(plain, one, sizeof(one)));
}

/* Objects of 32 bytes that the kernel has allocated, whichever pool they are of. */
static long objects_of_32_bytes(void)
{
	FILE *file = fopen("/proc/slabinfo", "re");
	long sum = -1, active, total, size;
	char line[512];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %ld %ld %ld", &active, &total, &size) == 3 &&
		    strstr(line, "-32 ")) {
			sum += active + (sum < 0);
		}
	}
	fclose(file);
	return sum;
}

#define NAMES	10000

TEST_F(create_ext, names_are_freed)
{
	static const char name[] = "a name of thirty-one bytes, all";
	size_t pg = page_size();
	int memfd = memfd_new(pg), wrong = 0;
	long before = objects_of_32_bytes();

	if (before < 0)
		SKIP(return, "no /proc/slabinfo");
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "a debug kernel keeps freed objects for a while");
	for (int i = 0; i < NAMES; i++) {
		wrong += closed(create_ext_one(self->dev, memfd, 0, pg, 0, name)) != 0;
		wrong += create_ext_one(self->dev, memfd, pg, pg, 0, name) != -EINVAL;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_GT(NAMES / 2, objects_of_32_bytes() - before);
}

/* Counts and items --------------------------------------------------------- */

TEST_F(create_ext, count)
{
	long long limit = param_get("list_limit"), allocated;
	size_t pg = page_size();
	struct udmabuf_create_item *items = calloc(limit + 1, sizeof(*items));
	struct udmabuf_create_ext ext = make_ext(items, 0, 0);
	int memfd = memfd_new(pg), low[2];

	ASSERT_LT(3, limit);
	for (int i = 0; i <= limit; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = pg };
	EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));
	ext.count = limit;
	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	ext.count = limit + 1;
	EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));

	ASSERT_EQ(0, param_set_number("list_limit", 3));
	for (int i = 0; i < 2; i++) {
		ext.count = 3 + i;
		low[i] = closed(create_ext(self->dev, &ext));
	}
	ASSERT_EQ(0, param_set_number("list_limit", limit));
	EXPECT_EQ(0, low[0]);
	EXPECT_EQ(-EINVAL, low[1]);

	/* Neither read nor made room for. */
	ext.items = 0;
	allocated = pages_allocated();
	for (ext.count = UINT_MAX; ext.count > limit; ext.count /= 2)
		EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));
	EXPECT_GT(4096, pages_allocated() - allocated);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(create_ext, answers_to_items_are_those_of_the_older_calls)
{
	uint64_t pg = page_size(), size = PAGES * pg;
	int good = memfd_new(size), pipefd[2];
	const uint64_t offsets[] = { 0, pg, size - pg, size, 1, 512, pg + 1, 1ULL << 63, -pg };
	const uint64_t sizes[] = { pg, size, 0, 1, pg + 1, 1ULL << 40, 1ULL << 63, -pg, -2 * pg };
	int fds[] = {
		good, memfd_make(size, MFD_ALLOW_SEALING, 0), memfd_make(size, 0, 0),
		memfd_make(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_WRITE),
		memfd_make(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE),
		fd_reopen(good, O_RDONLY), fd_reopen(good, O_WRONLY), fd_reopen(good, O_PATH),
		memfd_new(0), memfd_new(pg + 100), create(self->dev, good, 0, pg), self->dev,
		-1, INT_MAX, -1,
	};
	int seen[2 + EBADFD] = {};

	ASSERT_EQ(0, pipe2(pipefd, O_CLOEXEC));
	fds[ARRAY_SIZE(fds) - 1] = pipefd[0];
	for (int i = 0; i < ARRAY_SIZE(fds) * 9 * 9 * 4; i++) {
		struct udmabuf_create_item bad = {
			.memfd = fds[i / (9 * 9 * 4)],
			.offset = offsets[i / 4 % 9],
			.size = sizes[i / (9 * 4) % 9],
		}, fine = { .memfd = good, .offset = pg, .size = pg };
		/* Alone, or one of three. */
		int place = i % 4, count = place < 3 ? 3 : 1, list, ext, err;
		struct udmabuf_create_item items[3] = { fine, fine, fine };
		struct udmabuf_create_ext arg = make_ext(items, count, UDMABUF_EXT_CLOEXEC);

		items[place % 3] = bad;
		list = create_list(self->dev, items, count);
		ext = create_ext(self->dev, &arg);
		err = ext < 0 ? ext : 0;
		EXPECT_EQ(list < 0 ? list : 0, err)
			TH_LOG("fd %d, offset %#llx, size %#llx, %d", (int)bad.memfd,
			       (unsigned long long)bad.offset, (unsigned long long)bad.size, place);
		if (count == 1)
			EXPECT_EQ(closed(create(self->dev, bad.memfd, bad.offset, bad.size)), err);
		seen[-err]++;
		if (ext >= 0) {
			EXPECT_EQ(buf_size(list), buf_size(ext));
			EXPECT_EQ(NULL, broken_promise(ext, UDMABUF_EXT_CLOEXEC, buf_size(ext)));
		}
		close(list);
		close(ext);
	}
	EXPECT_LT(0, seen[0]);
	EXPECT_LT(0, seen[EINVAL]);
	EXPECT_LT(0, seen[EACCES]);
	EXPECT_LT(0, seen[EBADFD]);
	close(fds[10]);
	EXPECT_EQ(0, seal_write_soon(good));
}

TEST_F(create_ext, items_in_order)
{
	size_t pg = page_size();
	int memfds[2] = { memfd_new(PAGES * pg), memfd_new(PAGES * pg) }, buf;
	struct udmabuf_create_item items[] = {
		{ .memfd = memfds[1], .offset = 3 * pg, .size = 2 * pg },
		{ .memfd = memfds[0], .offset = 7 * pg, .size = pg },
		{ .memfd = memfds[1], .offset = 3 * pg, .size = pg },
	};
	struct udmabuf_create_ext ext = make_ext(items, 3, 0);
	char *a;

	for (int i = 0; i < 2; i++) {
		a = map_rw(memfds[i], PAGES * pg);
		ASSERT_NE(MAP_FAILED, a);
		tag_pages(a, PAGES, i);
		munmap(a, PAGES * pg);
	}
	buf = create_ext(self->dev, &ext);
	ASSERT_LE(0, buf);
	a = map_rw(buf, 4 * pg);
	ASSERT_NE(MAP_FAILED, a);
	EXPECT_EQ(word_at(1, 3), page_tag(a, 0));
	EXPECT_EQ(word_at(1, 4), page_tag(a, 1));
	EXPECT_EQ(word_at(0, 7), page_tag(a, 2));
	EXPECT_EQ(word_at(1, 3), page_tag(a, 3));
}

TEST_HARNESS_MAIN
