// SPDX-License-Identifier: GPL-2.0
/*
 * trace: the events of a buffer, each with its fields, in an instance of tracefs
 * that is this test's own. Needs the module in importer/, and root.
 */
#include "importer_test.h"

#define TRACEFS		"/sys/kernel/tracing"
#define EVENTS		TRACEFS "/events/udmabuf_rs"
#define PREFIX		"udmabuf_rs_"
#define PAGES		16
#define MAX_EVENTS	16
#define MAX_TEXT	256

/* Bytes that the CPU or a device changes: not a multiple of a word, and not at the start of one. */
#define CPU_AT		4099
#define CPU_BYTES	101
#define DEVICE_AT	9001
#define DEVICE_BYTES	77

static const char * const names[] = { "create", "release", "map", "unmap", "settle" };

/* What was recorded of one buffer. */
struct events {
	size_t count;
	char text[MAX_EVENTS][MAX_TEXT];
	/* Of the settle among them, or the last one. */
	unsigned long long ns;
};

FIXTURE(trace)
{
	char instance[64];
	int kmsg, importer, dev, memfd, buf;
	unsigned long long ino;
	size_t size;
	char *b;
	struct events events;
};

static int in_instance(const char *instance, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", instance, name);
	return write_text(path, text);
}

/* Has an event recorded, or no more; NULL: all of them. */
static int record(const char *instance, const char *name, bool on)
{
	char path[128];

	if (name)
		snprintf(path, sizeof(path), "events/udmabuf_rs/" PREFIX "%s/enable", name);
	else
		snprintf(path, sizeof(path), "events/udmabuf_rs/enable");
	return in_instance(instance, path, on ? "1" : "0");
}

/* Forgets what was recorded. */
static int forget(const char *instance)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/trace", instance);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

/* Cuts the time out, which is another each time. */
static void take_time(char *text, unsigned long long *ns)
{
	char *at = strstr(text, " ns="), *end;

	if (!at)
		return;
	*ns = strtoull(at + strlen(" ns="), &end, 10);
	memmove(at, end, strlen(end) + 1);
}

/* Takes the events of a buffer, without "udmabuf_rs_"; 0: of all buffers. */
static int take_events(const char *instance, unsigned long long ino, struct events *events)
{
	char path[PATH_MAX], line[1024], *text;
	unsigned long long of;
	FILE *file;

	memset(events, 0, sizeof(*events));
	snprintf(path, sizeof(path), "%s/trace", instance);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		text = line[0] == '#' ? NULL : strstr(line, ": " PREFIX);
		if (!text)
			continue;
		text += strlen(": " PREFIX);
		text[strcspn(text, "\n")] = '\0';
		if (ino && (sscanf(text, "%*[a-z]: ino=%llu", &of) != 1 || of != ino))
			continue;
		if (events->count == MAX_EVENTS || strlen(text) >= MAX_TEXT) {
			fclose(file);
			return -E2BIG;
		}
		take_time(text, &events->ns);
		strcpy(events->text[events->count++], text);
	}
	fclose(file);
	return forget(instance);
}

static unsigned long long inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* These events, and no others, were recorded of the buffer since the last call. */
#define EXPECT_EVENTS(...) do {							\
	const char * const wanted[] = { __VA_ARGS__ };				\
	size_t count = ARRAY_SIZE(wanted);					\
										\
	ASSERT_EQ(0, take_events(self->instance, self->ino, &self->events));	\
	EXPECT_EQ(count, self->events.count);					\
	for (size_t i = 0; i < self->events.count; i++)				\
		EXPECT_STREQ(i < count ? wanted[i] : "", self->events.text[i]);	\
} while (0)

#define EXPECT_NO_EVENTS() do {							\
	ASSERT_EQ(0, take_events(self->instance, self->ino, &self->events));	\
	EXPECT_EQ(0, self->events.count)					\
		TH_LOG("%s", self->events.text[0]);				\
} while (0)

/* The text of an event of the buffer, with its inode number and size. */
#define EVENT(name, format, ...) ({						\
	char *text = alloca(MAX_TEXT);						\
										\
	snprintf(text, MAX_TEXT, "%s: ino=%llu bytes=%zu" format, name,		\
		 self->ino, self->size, ##__VA_ARGS__);				\
	text;									\
})

#define CREATE(text)	EVENT("create", "%s comm=%s", text, program_invocation_short_name)

#define MAPPING(name, device, direction, how)					\
	EVENT(name, " device=%s direction=%s %s", device, direction, how)

#define SETTLE(point, fetched, pushed)						\
	EVENT("settle", " point=%s fetched=%d pushed=%d ret=0", point, fetched, pushed)

FIXTURE_SETUP(trace)
{
	self->kmsg = kmsg_open();
	if (is_c_driver())
		SKIP(return, "the C driver has no tracepoints");
	if (access(TRACEFS "/instances", F_OK))
		SKIP(return, "no tracefs at %s", TRACEFS);
	/* Not skipped: the events would be missing for users as well. */
	ASSERT_EQ(0, access(EVENTS, F_OK))
		TH_LOG("%s: %s", EVENTS, strerror(errno));
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	importer_call(self->importer, IMPORTER_PLUG, NULL);

	snprintf(self->instance, sizeof(self->instance), TRACEFS "/instances/udmabuf_rs.%d",
		 getpid());
	ASSERT_EQ(0, mkdir(self->instance, 0700))
		TH_LOG("%s: %s", self->instance, strerror(errno));
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	self->size = PAGES * page_size();
	self->memfd = memfd_out_of_reach(self->dev, self->importer, self->size);
	ASSERT_LE(0, self->memfd)
		TH_LOG("no memory out of reach of a device: %s", strerror(-self->memfd));
	self->buf = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, self->buf);
	self->ino = inode_of(self->buf);
	ASSERT_NE(0, self->ino);
	self->b = map_rw(self->buf, self->size);
	ASSERT_NE(MAP_FAILED, self->b);
	ASSERT_EQ(0, record(self->instance, NULL, true));
}

FIXTURE_TEARDOWN(trace)
{
	close(self->importer);
	if (self->instance[0]) {
		record(self->instance, NULL, false);
		EXPECT_EQ(0, rmdir(self->instance));
	}
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

TEST_F(trace, own_release)
{
	munmap(self->b, self->size);
	close(self->buf);
	EXPECT_EVENTS(EVENT("release", ""));
}

/* A page that is listed three times makes three runs. */
TEST_F(trace, own_create)
{
	struct udmabuf_create_item items[3];
	int memfd = listed_memfd(items, ARRAY_SIZE(items), page_size());
	const struct {
		uint64_t flags;
		const char *name, *text;
	} cases[] = {
		{ 0, NULL, " runs=3 flags= name=(null)" },
		{ UDMABUF_EXT_CLOEXEC, "frame", " runs=3 flags= name=frame" },
		{ UDMABUF_EXT_READ_ONLY, "r", " runs=3 flags=READ_ONLY name=r" },
		{ UDMABUF_EXT_NO_CPU_MAP, "n", " runs=3 flags=NO_CPU_MAP name=n" },
		{ UDMABUF_EXT_READ_ONLY | UDMABUF_EXT_NO_CPU_MAP, "b",
		  " runs=3 flags=READ_ONLY|NO_CPU_MAP name=b" },
	};

	ASSERT_LE(0, memfd);
	self->size = 3 * page_size();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct udmabuf_create_ext ext = make_ext(items, 3, cases[i].flags);
		int buf;

		ext.name = (uintptr_t)cases[i].name;
		buf = create_ext(self->dev, &ext);
		ASSERT_LE(0, buf);
		self->ino = inode_of(buf);
		EXPECT_EVENTS(CREATE(cases[i].text));
		close(buf);
	}
}

TEST_F(trace, own_create_by_the_older_calls)
{
	struct udmabuf_create_item items[2];
	int memfd = listed_memfd(items, ARRAY_SIZE(items), page_size());
	int buf;

	ASSERT_LE(0, memfd);
	buf = create_list(self->dev, items, 2);
	ASSERT_LE(0, buf);
	self->ino = inode_of(buf);
	self->size = 2 * page_size();
	EXPECT_EVENTS(CREATE(" runs=2 flags= name=(null)"));
	close(buf);

	buf = create(self->dev, memfd, 0, page_size());
	ASSERT_LE(0, buf);
	self->ino = inode_of(buf);
	self->size = page_size();
	EXPECT_EVENTS(CREATE(" runs=1 flags= name=(null)"));
	close(buf);
}

/* A failed call makes no buffer, and no events. */
TEST_F(trace, own_failed_create)
{
	EXPECT_EQ(-EBADFD, create(self->dev, self->dev, 0, self->size));
	EXPECT_EQ(-EINVAL, create(self->dev, self->memfd, 0, TRY_BYTES + page_size()));
	self->ino = 0;
	EXPECT_NO_EVENTS();
}

static const char * const directions[] = {
	[IMPORTER_BIDIRECTIONAL] = "BIDIRECTIONAL",
	[IMPORTER_TO_DEVICE] = "TO_DEVICE",
	[IMPORTER_FROM_DEVICE] = "FROM_DEVICE",
};

TEST_F(trace, own_map_direct)
{
	struct importer_segments segments;

	for (int direction = 0; direction < ARRAY_SIZE(directions); direction++) {
		const char *name = directions[direction];

		ASSERT_EQ(0, importer_map_masked(self->importer, 0, self->buf, IMPORTER_FAUX,
						 direction, 64));
		ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
		if (segments.elsewhere)
			SKIP(return, "no device reaches all memory here");
		EXPECT_EVENTS(MAPPING("map", FAUX_NAME, name, "direct"));
		/* Nothing has to be settled. */
		ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_RW));
		ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_RW));
		EXPECT_NO_EVENTS();
		ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
		EXPECT_EVENTS(MAPPING("unmap", FAUX_NAME, name, "direct"));
	}
}

TEST_F(trace, own_map_staged)
{
	for (int direction = 0; direction < ARRAY_SIZE(directions); direction++) {
		const char *name = directions[direction];
		bool writes = direction != IMPORTER_TO_DEVICE;

		ASSERT_EQ(0, importer_map_staged(self->importer, 0, self->buf, IMPORTER_FAUX,
						 direction));
		EXPECT_EVENTS(SETTLE("map", 0, 0), MAPPING("map", FAUX_NAME, name, "staged"));
		ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
		if (writes)
			EXPECT_EVENTS(SETTLE("unmap", 0, 0),
				      MAPPING("unmap", FAUX_NAME, name, "staged"));
		else
			EXPECT_EVENTS(MAPPING("unmap", FAUX_NAME, name, "staged"));
	}
}

/* Inverts bytes: each of them changes. */
static void invert(char *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = ~at[i];
}

static int device_inverts(int importer, int slot, uint64_t offset, size_t size)
{
	char *bytes = malloc(size);
	int err = importer_copy(importer, IMPORTER_READ, slot, offset, bytes, size);

	if (!err) {
		invert(bytes, size);
		err = importer_copy(importer, IMPORTER_WRITE, slot, offset, bytes, size);
	}
	free(bytes);
	return err;
}

/* Bytes that the CPU has changed go to devices at END, what a device has changed comes at START. */
TEST_F(trace, own_settle_of_one_device)
{
	uint64_t begun;

	ASSERT_EQ(0, importer_map_staged(self->importer, 0, self->buf, IMPORTER_FAUX,
					 IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, take_events(self->instance, self->ino, &self->events));

	begun = now_us();
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_RW));
	EXPECT_EVENTS(SETTLE("start", 0, 0));
	EXPECT_LT(0, self->events.ns);
	EXPECT_GE((now_us() - begun + 1) * 1000, self->events.ns);

	invert(self->b + CPU_AT, CPU_BYTES);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_RW));
	EXPECT_EVENTS(SETTLE("end", 0, CPU_BYTES));

	ASSERT_EQ(0, device_inverts(self->importer, 0, DEVICE_AT, DEVICE_BYTES));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EVENTS(SETTLE("start", DEVICE_BYTES, 0));
	/* Nothing is to be done at the end of an access that reads. */
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_R));
	EXPECT_NO_EVENTS();

	/* Whole pages. */
	invert(self->b, self->size);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_W));
	EXPECT_EVENTS(SETTLE("end", 0, (int)self->size));

	ASSERT_EQ(0, device_inverts(self->importer, 0, DEVICE_AT, DEVICE_BYTES));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	EXPECT_EVENTS(SETTLE("unmap", DEVICE_BYTES, 0),
		      MAPPING("unmap", FAUX_NAME, "BIDIRECTIONAL", "staged"));
}

/* What one device has written goes to the others as well: here to one that only reads. */
TEST_F(trace, own_settle_of_two_devices)
{
	ASSERT_EQ(0, importer_map_staged(self->importer, 0, self->buf, IMPORTER_FAUX,
					 IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, take_events(self->instance, self->ino, &self->events));
	ASSERT_EQ(0, device_inverts(self->importer, 0, DEVICE_AT, DEVICE_BYTES));
	invert(self->b + CPU_AT, CPU_BYTES);
	ASSERT_EQ(0, importer_map_staged(self->importer, 1, self->buf, IMPORTER_FAUX_2,
					 IMPORTER_TO_DEVICE));
	/* Once before the device is known to be staged, once before its staging is filled. */
	EXPECT_EVENTS(SETTLE("map", DEVICE_BYTES, CPU_BYTES), SETTLE("map", 0, 0),
		      MAPPING("map", FAUX_2_NAME, "TO_DEVICE", "staged"));

	invert(self->b + CPU_AT, CPU_BYTES);
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_END_W));
	EXPECT_EVENTS(SETTLE("end", 0, 2 * CPU_BYTES));

	ASSERT_EQ(0, device_inverts(self->importer, 0, DEVICE_AT, DEVICE_BYTES));
	ASSERT_EQ(0, buf_sync(self->buf, SYNC_START_R));
	EXPECT_EVENTS(SETTLE("start", DEVICE_BYTES, DEVICE_BYTES));
}

/* All that is recorded: from creation to release. */
static int live(int dev, int memfd, size_t size, int importer)
{
	int buf = create(dev, memfd, 0, size), err;

	if (buf < 0)
		return buf;
	err = importer_map_masked(importer, 0, buf, IMPORTER_FAUX, IMPORTER_TO_DEVICE, 64) ?:
	      importer_slot(importer, IMPORTER_UNMAP, 0) ?:
	      importer_map_staged(importer, 0, buf, IMPORTER_FAUX, IMPORTER_BIDIRECTIONAL) ?:
	      buf_sync(buf, SYNC_START_RW) ?:
	      buf_sync(buf, SYNC_END_RW) ?:
	      importer_slot(importer, IMPORTER_UNMAP, 0);
	close(buf);
	return err;
}

TEST_F(trace, own_nothing_while_off)
{
	self->ino = 0;
	ASSERT_EQ(0, live(self->dev, self->memfd, self->size, self->importer));
	ASSERT_EQ(0, take_events(self->instance, 0, &self->events));
	/* create, map, unmap, then staged: settle, map, settle, settle, settle, unmap, release */
	EXPECT_EQ(10, self->events.count);

	ASSERT_EQ(0, record(self->instance, NULL, false));
	ASSERT_EQ(0, live(self->dev, self->memfd, self->size, self->importer));
	EXPECT_NO_EVENTS();
}

/* Each is switched on by itself. */
TEST_F(trace, own_one_event_alone)
{
	const size_t counts[] = { 1, 1, 2, 2, 4 };

	self->ino = 0;
	ASSERT_EQ(0, record(self->instance, NULL, false));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		ASSERT_EQ(0, record(self->instance, names[i], true));
		ASSERT_EQ(0, live(self->dev, self->memfd, self->size, self->importer));
		ASSERT_EQ(0, record(self->instance, names[i], false));
		ASSERT_EQ(0, take_events(self->instance, 0, &self->events));
		EXPECT_EQ(counts[i], self->events.count)
			TH_LOG("%s", names[i]);
		for (size_t at = 0; at < self->events.count; at++)
			EXPECT_EQ(0, strncmp(names[i], self->events.text[at], length));
	}
}

TEST_HARNESS_MAIN
