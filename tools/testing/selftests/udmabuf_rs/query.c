// SPDX-License-Identifier: GPL-2.0
/*
 * query: UDMABUF_QUERY, the numbers of the calls, and the older calls beside them.
 *
 * Also built for 32-bit callers (query_32).
 */
#include "udmabuf_test.h"

#define VER0	UDMABUF_QUERY_SIZE_VER0
/* A byte that no field has. */
#define UNTOUCHED	((char)0xa5)

UDMABUF_OWN_FIXTURE(query);

/* For tests that hold for the C driver as well. */
UDMABUF_FIXTURE(either);

static int query(int dev, void *arg)
{
	return ioctl(dev, UDMABUF_QUERY, arg) ? -errno : 0;
}

static struct udmabuf_query query_all(int dev)
{
	struct udmabuf_query q = { .size = sizeof(q) };

	if (query(dev, &q))
		memset(&q, 0, sizeof(q));
	return q;
}

/* The version of the module as a number; -1 if it is not three numbers. */
static long module_version(void)
{
	unsigned int major, minor, patch;
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), "/sys/module/%s/version", module_name());
	if (read_text(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%u.%u.%u", &major, &minor, &patch) != 3)
		return -1;
	return major << 16 | minor << 8 | patch;
}

TEST_F(query, every_field)
{
	struct udmabuf_query q = query_all(self->dev);
	uint64_t size_limit = (uint64_t)param_get("size_limit_mb") * MIB;

	ASSERT_EQ(VER0, sizeof(q));
	EXPECT_EQ(VER0, q.size);
	EXPECT_EQ(UDMABUF_API_VERSION, q.api_version);
	EXPECT_LT(0, module_version());
	EXPECT_EQ(module_version(), q.module_version);
	EXPECT_EQ(param_get("list_limit"), q.list_limit);
	EXPECT_EQ(KNOWN_FLAGS, q.flags);
	EXPECT_EQ(1ULL << UDMABUF_CACHE_CACHED, q.cache);
	EXPECT_EQ(size_limit, q.size_limit);
	/* The default is no limit. */
	EXPECT_EQ(1, param_get("staging"));
	EXPECT_EQ(0, param_get("staging_limit_mb"));
	EXPECT_EQ(UINT64_MAX, q.staging_limit);
	EXPECT_EQ(0, param_get("user_limit_mb"));
	EXPECT_EQ(UINT64_MAX, q.user_limit);
	EXPECT_EQ(0, param_get("total_limit_mb"));
	EXPECT_EQ(UINT64_MAX, q.total_limit);
}

TEST_F(query, limits_are_those_of_the_moment)
{
	struct udmabuf_query before = query_all(self->dev), q, expected;
	const struct {
		const char *param;
		long long value;
		/* The field that changes, and its new value. */
		void *field;
		size_t bytes;
		uint64_t answer;
	} cases[] = {
		{ "list_limit", 1, &expected.list_limit, 4, 1 },
		{ "list_limit", 777, &expected.list_limit, 4, 777 },
		{ "size_limit_mb", 1, &expected.size_limit, 8, MIB },
		{ "size_limit_mb", 5000, &expected.size_limit, 8, 5000 * MIB },
		/* A user has half of it. */
		{ "staging_limit_mb", 1, &expected.staging_limit, 8, MIB / 2 },
		{ "staging_limit_mb", 5000, &expected.staging_limit, 8, 2500 * MIB },
		{ "staging_user_limit_mb", 7, &expected.staging_limit, 8, 7 * MIB },
		{ "staging_limit_mb", 0, &expected.staging_limit, 8, UINT64_MAX },
		{ "staging", 0, &expected.staging_limit, 8, 0 },
		{ "user_limit_mb", 3, &expected.user_limit, 8, 3 * MIB },
		{ "user_limit_mb", INT_MAX, &expected.user_limit, 8, INT_MAX * MIB },
		{ "total_limit_mb", 5, &expected.total_limit, 8, 5 * MIB },
		{ "total_limit_mb", 0, &expected.total_limit, 8, UINT64_MAX },
		{ "staging", 1, &expected.staging_limit, 8, UINT64_MAX },
	};

	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		long long was = param_get(cases[i].param);

		expected = before;
		memcpy(cases[i].field, &cases[i].answer, cases[i].bytes);
		EXPECT_EQ(0, param_set_number(cases[i].param, cases[i].value));
		q = query_all(self->dev);
		EXPECT_EQ(0, param_set_number(cases[i].param, was));
		EXPECT_EQ(0, memcmp(&expected, &q, sizeof(q)))
			TH_LOG("%s = %lld", cases[i].param, cases[i].value);
	}
	q = query_all(self->dev);
	EXPECT_EQ(0, memcmp(&before, &q, sizeof(q)));
}

TEST_F(query, answers_are_what_the_driver_does)
{
	struct udmabuf_query q = query_all(self->dev);
	size_t pg = page_size();
	struct udmabuf_create_item *items = calloc(q.list_limit + 1, sizeof(*items));
	int memfd = memfd_new(pg);
	struct udmabuf_create_ext ext;

	for (int i = 0; i <= q.list_limit; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = pg };
	ext = make_ext(items, q.list_limit, 0);
	EXPECT_EQ(0, closed(create_ext(self->dev, &ext)));
	ext.count++;
	EXPECT_EQ(-EINVAL, create_ext(self->dev, &ext));
	for (int bit = 0; bit < 64; bit++) {
		ext = make_ext(items, 1, 1ULL << bit);
		EXPECT_EQ(q.flags >> bit & 1 ? 0 : -EINVAL, closed(create_ext(self->dev, &ext)))
			TH_LOG("flag %d", bit);
		ext = make_ext(items, 1, 0);
		ext.cache = bit;
		EXPECT_EQ(q.cache >> bit & 1 ? 0 : -EOPNOTSUPP,
			  closed(create_ext(self->dev, &ext)))
			TH_LOG("cache %d", bit);
	}
	/* EBADFD says that the size has passed. */
	EXPECT_EQ(0, param_set_number("size_limit_mb", 3));
	q = query_all(self->dev);
	EXPECT_EQ(-EBADFD, create_ext_one(self->dev, -1, 0, q.size_limit, 0, NULL));
	EXPECT_EQ(-EINVAL, create_ext_one(self->dev, -1, 0, q.size_limit + pg, 0, NULL));
	EXPECT_EQ(0, param_set_number("size_limit_mb", INT_MAX));
}

TEST_F(query, every_size_of_the_struct)
{
	struct udmabuf_query all = query_all(self->dev);
	size_t pg = page_size();
	char *end = end_of_memory(2), *arg;
	uint32_t size;

	ASSERT_NE(NULL, end);
	for (size = 0; size <= pg + 64; size++) {
		int answer = size < VER0 ? -EINVAL : size > pg ? -E2BIG : 0;
		size_t room = size < VER0 ? VER0 : size > pg ? pg : size, wrong = 0;

		/* With memory behind the struct, and at the end of memory. */
		arg = end - 2 * pg;
		memset(arg, UNTOUCHED, 2 * pg);
		memcpy(arg, &size, sizeof(size));
		EXPECT_EQ(answer, query(self->dev, arg))
			TH_LOG("size %u", size);
		if (!answer) {
			EXPECT_EQ(0, memcmp(arg, &all, VER0));
			for (size_t i = VER0; i < room; i++)
				wrong += arg[i] != 0;
		}
		for (size_t i = answer ? sizeof(size) : room; i < 2 * pg; i++)
			wrong += arg[i] != UNTOUCHED;
		EXPECT_EQ(0, wrong)
			TH_LOG("size %u", size);
		memcpy(end - room, &size, sizeof(size));
		EXPECT_EQ(answer, query(self->dev, end - room))
			TH_LOG("size %u", size);
		if (answer)
			continue;
		memcpy(end - room + 1, &size, sizeof(size));
		EXPECT_EQ(-EFAULT, query(self->dev, end - room + 1))
			TH_LOG("size %u", size);
	}
	for (size = UINT_MAX; size > pg; size /= 3) {
		memcpy(end - VER0, &size, sizeof(size));
		EXPECT_EQ(-E2BIG, query(self->dev, end - VER0));
	}
}

TEST_F(query, EFAULT_for_a_bad_address)
{
	size_t pg = page_size();
	char *end = end_of_memory(1), *constant = end_of_memory(1) - pg;
	uint32_t size = VER0;

	ASSERT_NE(NULL, end);
	for (size_t n = 0; n < VER0; n++) {
		memcpy(end - n, &size, n < sizeof(size) ? n : sizeof(size));
		EXPECT_EQ(-EFAULT, query(self->dev, end - n))
			TH_LOG("%zu bytes", n);
	}
	memcpy(constant, &size, sizeof(size));
	EXPECT_EQ(0, query(self->dev, constant));
	ASSERT_EQ(0, mprotect(constant, pg, PROT_READ));
	EXPECT_EQ(-EFAULT, query(self->dev, constant));
	EXPECT_EQ(-EFAULT, query(self->dev, NULL));
	EXPECT_EQ(-EFAULT, query(self->dev, (void *)-8L));
	EXPECT_EQ(-EFAULT, query(self->dev, (void *)LONG_MIN));
}

TEST_F(query, node_open_for_one_way_only)
{
	static const int modes[] = { O_RDONLY, O_WRONLY };

	for (int i = 0; i < 2; i++) {
		int dev = open(node_path(), modes[i] | O_CLOEXEC), memfd = memfd_new(page_size());
		struct udmabuf_query q = { .size = sizeof(q) };
		int buf;

		ASSERT_LE(0, dev);
		EXPECT_EQ(0, query(dev, &q));
		EXPECT_EQ(UDMABUF_API_VERSION, q.api_version);
		buf = create_ext_one(dev, memfd, 0, page_size(), 0, NULL);
		ASSERT_LE(0, buf);
		EXPECT_EQ(NULL, broken_promise(buf, 0, page_size()));
		close(dev);
	}
}

/* Numbers ------------------------------------------------------------------ */

TEST_F(either, neighbours_of_the_numbers_are_ENOTTY)
{
	struct udmabuf_create_item item = { .memfd = memfd_new(page_size()), .size = page_size() };
	struct udmabuf_create_ext ext = make_ext(&item, 1, 0);
	struct udmabuf_query q = { .size = sizeof(q) };
	static const struct {
		unsigned long number;
		bool is_query;
	} others[] = {
		{ _IO('u', 0xdf) }, { _IO('u', 0xe2) }, { _IO('u', 0xe0 - 0x80) },
		{ _IO('u', 0xe2), true }, { _IO('u', 0xe1 - 0x80), true },
		{ _IO('v', 0xe0) }, { _IO('U', 0xe0) }, { _IO('v', 0xe1), true },
		{ _IOW('u', 0xe0, struct udmabuf_create_ext) },
		{ _IOR('u', 0xe0, struct udmabuf_create_ext) },
		{ _IOWR('u', 0xe0, struct udmabuf_create_ext) },
		{ _IOW('u', 0xe1, struct udmabuf_query), true },
		{ _IOR('u', 0xe1, struct udmabuf_query), true },
		{ _IOWR('u', 0xe1, struct udmabuf_query), true },
	};

	EXPECT_EQ(0x75e0, UDMABUF_CREATE_EXT);
	EXPECT_EQ(0x75e1, UDMABUF_QUERY);
	for (int i = 0; i < ARRAY_SIZE(others); i++) {
		void *arg = others[i].is_query ? (void *)&q : (void *)&ext;

		EXPECT_EQ(-1, ioctl(self->dev, others[i].number, arg));
		EXPECT_EQ(ENOTTY, errno)
			TH_LOG("%#lx", others[i].number);
	}
}

TEST_F(either, ENOTTY_of_a_driver_without_these_calls)
{
	struct udmabuf_query q = { .size = sizeof(q) };
	int memfd = memfd_new(page_size());

	if (!is_c_driver())
		SKIP(return, "this driver has them");
	EXPECT_EQ(-ENOTTY, create_ext_one(self->dev, memfd, 0, page_size(), 0, NULL));
	EXPECT_EQ(-ENOTTY, query(self->dev, &q));
}

TEST_F(either, older_calls_ignore_the_new_flags)
{
	size_t pg = page_size();
	struct udmabuf_create_item item = { .memfd = memfd_new(pg), .size = pg };

	for (uint32_t flags = 0; flags <= KNOWN_FLAGS; flags++) {
		int one = create_flags(self->dev, item.memfd, 0, pg, flags);
		int two = create_list_raw(self->dev, &item, 1, 1, flags);

		/* They know UDMABUF_FLAGS_CLOEXEC alone, which is the same bit. */
		EXPECT_EQ(NULL, broken_promise(one, flags & UDMABUF_EXT_CLOEXEC, pg));
		EXPECT_EQ(NULL, broken_promise(two, flags & UDMABUF_EXT_CLOEXEC, pg));
		close(one);
		close(two);
	}
}

/* The example of the header, unchanged, between the two lines. */
static int example(int node, int memfd, uint64_t size)
{
	/* ---- */
	struct udmabuf_create_item item = { .memfd = memfd, .size = size };
	struct udmabuf_create_ext ext = {
		.size = sizeof(ext), .flags = UDMABUF_EXT_CLOEXEC,
		.items = (uintptr_t)&item, .count = 1, .name = (uintptr_t)"frame",
	};
	struct udmabuf_create plain = { memfd, UDMABUF_FLAGS_CLOEXEC, 0, size };
	int buf = ioctl(node, UDMABUF_CREATE_EXT, &ext);

	if (buf == -1 && errno == ENOTTY)
		buf = ioctl(node, UDMABUF_CREATE, &plain);
	/* ---- */
	return buf;
}

TEST_F(either, example_of_the_header)
{
	size_t size = 3 * page_size();
	int buf = example(self->dev, memfd_new(size), size);
	char text[512];

	ASSERT_LE(0, buf);
	EXPECT_EQ(FD_CLOEXEC, fcntl(buf, F_GETFD));
	EXPECT_EQ(size, buf_size(buf));
	EXPECT_EQ(0, map_error(buf, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED));
	EXPECT_STREQ(is_c_driver() ? "(none)" : "frame",
		     buf_name(buf, text, sizeof(text)) ?: "(none)");
}

TEST_HARNESS_MAIN
