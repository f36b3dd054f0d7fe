// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: what root reads of the buffers there are. Needs the module in importer/,
 * and debugfs.
 */
#include <grp.h>
#include <sys/prctl.h>

#include "importer_test.h"

#define DIR_PATH	"/sys/kernel/debug/udmabuf_rs/"
#define BUFFERS		DIR_PATH "buffers"
#define TOTALS		DIR_PATH "totals"

#define PAGES		16
#define OTHER_USER	65534
#define MAX_TEXT	(16 * MIB)
/* Mappings of a buffer that are shown. */
#define SHOWN		64
#define MANY		10000
#define LARGE		GIB
#define TIMED		500
#define CHURN_MS	4000

FIXTURE(debugfs)
{
	int kmsg, importer, dev, memfd, buf;
	size_t size;
	char *text;
};

FIXTURE_SETUP(debugfs)
{
	self->kmsg = kmsg_open();
	if (is_c_driver())
		SKIP(return, "the C driver has no files in debugfs");
	if (access("/sys/kernel/debug/dma_buf", F_OK))
		SKIP(return, "no debugfs at /sys/kernel/debug");
	ASSERT_EQ(0, access(BUFFERS, F_OK))
		TH_LOG("%s: %s", BUFFERS, strerror(errno));
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	importer_call(self->importer, IMPORTER_PLUG, NULL);
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	self->text = malloc(MAX_TEXT);
	ASSERT_NE(NULL, self->text);
	self->size = PAGES * page_size();
	self->memfd = memfd_new(self->size);
	self->buf = create_ext_one(self->dev, self->memfd, 0, self->size, UDMABUF_EXT_CLOEXEC,
				   "frame");
	ASSERT_LE(0, self->buf);
}

FIXTURE_TEARDOWN(debugfs)
{
	close(self->importer);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

static unsigned long long inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* The line of @buf in @text, cut out of it, or NULL. */
static char *line_in(char *text, int buf)
{
	char start[64], *line, *end;

	snprintf(start, sizeof(start), "inode=%llu ", inode_of(buf));
	for (line = text; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (strncmp(line, start, strlen(start)))
			continue;
		if (end)
			*end = '\0';
		return line;
	}
	return NULL;
}

/* Reads the file, and returns the line of @buf, or NULL. */
static char *line_of(char *text, int buf)
{
	return read_text(BUFFERS, text, MAX_TEXT) < 0 ? NULL : line_in(text, buf);
}

/* The value of @key in @line, in a buffer that the next call but seven uses again. */
static const char *value_of(const char *line, const char *key)
{
	static char values[8][4096];
	static unsigned int next;
	char *value = values[next++ % ARRAY_SIZE(values)], wanted[32];
	const char *at;

	snprintf(wanted, sizeof(wanted), " %s=", key);
	at = line ? strstr(line, wanted) : NULL;
	if (!at)
		return "(none)";
	at += strlen(wanted);
	snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(at, "\n "), at);
	return value;
}

static unsigned long long number_of(const char *line, const char *key)
{
	return strtoull(value_of(line, key), NULL, 10);
}

#define EXPECT_VALUE(line, key, value)	EXPECT_STREQ(value, value_of(line, key))

static unsigned long long total(const char *key)
{
	char text[512], wanted[32], *at;

	snprintf(wanted, sizeof(wanted), "\n%s=", key);
	text[0] = '\n';
	if (read_text(TOTALS, text + 1, sizeof(text) - 1) < 0)
		return -1;
	at = strstr(text, wanted);
	return at ? strtoull(at + strlen(wanted), NULL, 10) : -1ULL;
}

TEST_F(debugfs, line_of_a_buffer)
{
	char *line = line_of(self->text, self->buf);
	int waited = 0;
	double age;

	ASSERT_NE(NULL, line);
	EXPECT_EQ(self->size, number_of(line, "size"));
	EXPECT_VALUE(line, "flags", "");
	EXPECT_EQ(getpid(), number_of(line, "pid"));
	EXPECT_VALUE(line, "uid", "0");
	EXPECT_VALUE(line, "comm", program_invocation_short_name);
	EXPECT_VALUE(line, "name", "frame");
	EXPECT_VALUE(line, "staging_bytes", "0");
	EXPECT_VALUE(line, "vmaps", "0");
	EXPECT_VALUE(line, "mappings", "");
	age = atof(value_of(line, "age"));
	EXPECT_GT(100, age);
	while (waited++ < 100 && atof(value_of(line, "age")) < age + 0.1) {
		sleep_us(10000);
		line = line_of(self->text, self->buf);
	}
	EXPECT_LE(age + 0.1, atof(value_of(line, "age")));
	EXPECT_GT(age + 100, atof(value_of(line, "age")));

	close(self->buf);
	EXPECT_EQ(NULL, line_of(self->text, self->memfd));
	EXPECT_EQ(0, seal_write_soon(self->memfd));
}

/* A page that is listed three times makes three runs, and folios. */
TEST_F(debugfs, runs_and_folios)
{
	struct udmabuf_create_item items[3];
	int memfd = listed_memfd(items, ARRAY_SIZE(items), page_size());
	struct udmabuf_create_ext ext = make_ext(items, ARRAY_SIZE(items), UDMABUF_EXT_CLOEXEC);
	int buf = create_ext(self->dev, &ext);
	char *line = line_of(self->text, buf);

	ASSERT_LE(0, memfd);
	EXPECT_EQ(3, number_of(line, "runs"));
	EXPECT_EQ(3, number_of(line, "folios"));
	close(buf);

	NEED_HUGE(2);
	memfd = memfd_new_huge(2 * HUGE);
	buf = create(self->dev, memfd, 0, 2 * HUGE);
	ASSERT_LE(0, buf);
	line = line_of(self->text, buf);
	EXPECT_GE(2, number_of(line, "runs"));
	EXPECT_EQ(2, number_of(line, "folios"));
	close(buf);
	/* From the middle of one to the middle of the other. */
	buf = create(self->dev, memfd, HUGE / 2, HUGE);
	line = line_of(self->text, buf);
	EXPECT_EQ(2, number_of(line, "folios"));
	EXPECT_EQ(HUGE, number_of(line, "size"));
}

TEST_F(debugfs, flags)
{
	static const struct {
		uint64_t flags;
		const char *text;
	} cases[] = {
		{ UDMABUF_EXT_READ_ONLY, "READ_ONLY" },
		{ UDMABUF_EXT_NO_CPU_MAP, "NO_CPU_MAP" },
		{ UDMABUF_EXT_READ_ONLY | UDMABUF_EXT_NO_CPU_MAP, "READ_ONLY|NO_CPU_MAP" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int buf = create_ext_one(self->dev, self->memfd, 0, self->size, cases[i].flags,
					 NULL);

		ASSERT_LE(0, buf);
		EXPECT_VALUE(line_of(self->text, buf), "flags", cases[i].text);
		EXPECT_VALUE(line_of(self->text, buf), "name", "");
		close(buf);
	}
}

/* What a user chooses neither makes a line nor looks like another field. */
TEST_F(debugfs, text_of_users_is_escaped)
{
	static const char name[] = "a b\n\tinode=1\\,\x7f\xff";
	int buf, ready[2];
	char *line, byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!prctl(PR_SET_NAME, "c\nuid=0 d"));
		CHILD_CHECK(!setgroups(0, NULL) && !setgid(OTHER_USER) && !setuid(OTHER_USER));
		buf = create_ext_one(self->dev, self->memfd, 0, self->size, UDMABUF_EXT_CLOEXEC,
				     name);
		CHILD_CHECK(buf >= 0);
		CHILD_CHECK(write(ready[1], "x", 1) == 1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_LT(0, read_text(BUFFERS, self->text, MAX_TEXT));
	EXPECT_EQ(NULL, strstr(self->text, "\ninode=1\\"));
	line = strstr(self->text, "comm=c\\012uid\\0750\\040d ");
	ASSERT_NE(NULL, line);
	EXPECT_VALUE(line, "name", "a\\040b\\012\\011inode\\0751\\134\\054\\177\\377");
	/* The account that it is charged to, whoever reads. */
	while (line > self->text && line[-1] != '\n')
		line--;
	EXPECT_EQ(OTHER_USER, number_of(line, "uid"));
	EXPECT_EQ(pid, number_of(line, "pid"));
	kill(pid, SIGKILL);
	wait_status(pid);
}

TEST_F(debugfs, mappings)
{
	static const int directions[] = {
		IMPORTER_TO_DEVICE, IMPORTER_TO_DEVICE, IMPORTER_BIDIRECTIONAL,
	};
	struct importer_segments segments;
	const char *how, *line;
	char wanted[256];

	for (int i = 0; i < ARRAY_SIZE(directions); i++)
		ASSERT_EQ(0, importer_map_masked(self->importer, i, self->buf, IMPORTER_FAUX,
						 directions[i], 64));
	ASSERT_EQ(0, importer_map(self->importer, 3, self->buf, IMPORTER_FAUX_2,
				  IMPORTER_FROM_DEVICE));
	ASSERT_EQ(0, importer_segments(self->importer, 0, &segments));
	how = segments.elsewhere ? "staged" : "direct";
	/* The latest comes first. */
	snprintf(wanted, sizeof(wanted), "%s:FROM_DEVICE:%s,%s:BIDIRECTIONAL:%s,%s:TO_DEVICE:%s*2",
		 FAUX_2_NAME, how, FAUX_NAME, how, FAUX_NAME, how);
	EXPECT_VALUE(line_of(self->text, self->buf), "mappings", wanted);

	ASSERT_EQ(0, importer_vmap(self->importer, 4, self->buf));
	ASSERT_EQ(0, importer_vmap(self->importer, 5, self->buf));
	EXPECT_VALUE(line_of(self->text, self->buf), "vmaps", "2");
	for (int i = 0; i < 6; i++)
		importer_slot(self->importer, i < 4 ? IMPORTER_UNMAP : IMPORTER_VUNMAP, i);
	line = line_of(self->text, self->buf);
	EXPECT_VALUE(line, "mappings", "");
	EXPECT_VALUE(line, "vmaps", "0");
}

/* As long as they all are, and then those that are and "...". */
TEST_F(debugfs, more_mappings_than_are_shown)
{
	static const int directions[] = { IMPORTER_TO_DEVICE, IMPORTER_FROM_DEVICE };
	int importers[SHOWN / IMPORTER_SLOTS + 1], n;
	const char *value, *at;

	for (n = 0; n < ARRAY_SIZE(importers); n++) {
		importers[n] = importer_open();
		ASSERT_LE(0, importers[n]);
	}
	for (n = 0; n < SHOWN + 3; n++) {
		int commas = 0;

		ASSERT_EQ(0, importer_map_masked(importers[n / IMPORTER_SLOTS], n % IMPORTER_SLOTS,
						 self->buf, IMPORTER_FAUX, directions[n % 2], 64));
		value = value_of(line_of(self->text, self->buf), "mappings");
		for (at = strchr(value, ','); at; at = strchr(at + 1, ','))
			commas++;
		EXPECT_EQ(n < SHOWN ? n : SHOWN, commas);
		EXPECT_EQ(n >= SHOWN, !!strstr(value, ",..."))
			TH_LOG("%d mappings: %s", n + 1, value);
	}
	for (n = 0; n < ARRAY_SIZE(importers); n++)
		close(importers[n]);
	EXPECT_VALUE(line_of(self->text, self->buf), "mappings", "");
}

TEST_F(debugfs, staged)
{
	int memfd = memfd_out_of_reach(self->dev, self->importer, self->size), buf;
	const char *line;

	ASSERT_LE(0, memfd);
	buf = create(self->dev, memfd, 0, self->size);
	/* A device that only reads has no use for the bytes both last agreed on. */
	ASSERT_EQ(0, importer_map_staged(self->importer, 0, buf, IMPORTER_FAUX,
					 IMPORTER_TO_DEVICE));
	line = line_of(self->text, buf);
	EXPECT_VALUE(line, "mappings", FAUX_NAME ":TO_DEVICE:staged");
	EXPECT_EQ(self->size, number_of(line, "staging_bytes"));
	ASSERT_EQ(0, importer_map_staged(self->importer, 1, buf, IMPORTER_FAUX,
					 IMPORTER_FROM_DEVICE));
	line = line_of(self->text, buf);
	EXPECT_EQ(2 * self->size, number_of(line, "staging_bytes"));
	EXPECT_EQ(2 * self->size, total("staging_bytes"));
	EXPECT_EQ(2 * self->size, param_get("staging_bytes"));
	importer_slot(self->importer, IMPORTER_UNMAP, 0);
	importer_slot(self->importer, IMPORTER_UNMAP, 1);
	EXPECT_EQ(0, number_of(line_of(self->text, buf), "staging_bytes"));
	EXPECT_EQ(0, total("staging_bytes"));
}

TEST_F(debugfs, totals)
{
	unsigned long long buffers = total("buffers"), bytes = total("pinned_bytes");
	unsigned long long lines = 0, size = 0;
	int more[3];

	EXPECT_EQ(param_get("buffers"), buffers);
	EXPECT_EQ(param_get("pinned_bytes"), bytes);
	for (int i = 0; i < ARRAY_SIZE(more); i++)
		more[i] = create(self->dev, self->memfd, 0, (i + 1) * page_size());
	EXPECT_EQ(buffers + 3, total("buffers"));
	EXPECT_EQ(bytes + 6 * page_size(), total("pinned_bytes"));

	ASSERT_LT(0, read_text(BUFFERS, self->text, MAX_TEXT));
	for (char *line = self->text; *line; line = strchr(line, '\n') + 1) {
		lines++;
		size += number_of(line, "size");
	}
	EXPECT_EQ(buffers + 3, lines);
	EXPECT_EQ(bytes + 6 * page_size(), size);
	for (int i = 0; i < ARRAY_SIZE(more); i++)
		close(more[i]);
	EXPECT_EQ(buffers, total("buffers"));
}

TEST_F(debugfs, root_alone_reads)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!setgroups(0, NULL) && !setgid(OTHER_USER) && !setuid(OTHER_USER));
		CHILD_CHECK(open(BUFFERS, O_RDONLY) < 0 && errno == EACCES);
		CHILD_CHECK(open(TOTALS, O_RDONLY) < 0 && errno == EACCES);
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_GT(0, write_text(BUFFERS, "1"));
}

/* Numbers change between two readings: ages are cut out of @text. */
static void forget_ages(char *text)
{
	for (char *at = text; (at = strstr(at, " age=")); at++) {
		char *end = strchr(at + 1, ' ');

		memmove(at, end, strlen(end) + 1);
	}
}

/* However it is read, the text is the same. */
TEST_F(debugfs, small_reads_and_seeks)
{
	char *again = malloc(MAX_TEXT);
	size_t used = 0, whole;
	int fd, bufs[100];
	ssize_t n;

	for (int i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, bufs[ARRAY_SIZE(bufs) - 1]);
	whole = read_text(BUFFERS, self->text, MAX_TEXT);
	fd = open(BUFFERS, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (int pass = 0; pass < 2; pass++) {
		/* The second time after a look at the middle. */
		if (pass)
			ASSERT_LT(0, pread(fd, again, 4096, whole / 2));
		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		for (used = 0; (n = read(fd, again + used, 1 + used % 700)) > 0; used += n)
			;
		again[used] = '\0';
		ASSERT_LT(0, read_text(BUFFERS, self->text, MAX_TEXT));
		forget_ages(self->text);
		forget_ages(again);
		EXPECT_STREQ(self->text, again);
	}
	for (int i = 0; i < ARRAY_SIZE(bufs); i++)
		close(bufs[i]);
	close(fd);
	free(again);
}

/* A file that has been read up to a buffer goes on there, whatever goes meanwhile. */
TEST_F(debugfs, goes_on_where_it_was)
{
	int bufs[200], fd = open(BUFFERS, O_RDONLY | O_CLOEXEC), seen[200] = {};
	size_t used;
	ssize_t n;

	for (int i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = create(self->dev, self->memfd, 0, self->size);
	ASSERT_LE(0, bufs[ARRAY_SIZE(bufs) - 1]);
	n = read(fd, self->text, 1000);
	ASSERT_EQ(1000, n);
	used = n;
	/* Of the first 100, of which some were read, and in the middle of what is to come. */
	for (int i = 0; i < 150; i += 2)
		close(bufs[i]);
	while ((n = read(fd, self->text + used, 4096)) > 0)
		used += n;
	self->text[used] = '\0';
	for (int i = 0; i < ARRAY_SIZE(bufs); i++) {
		char start[64];

		if (i < 150 && i % 2 == 0)
			continue;
		snprintf(start, sizeof(start), "inode=%llu ", inode_of(bufs[i]));
		for (char *at = self->text; (at = strstr(at, start)); at++)
			seen[i]++;
		EXPECT_EQ(1, seen[i])
			TH_LOG("buffer %d", i);
		close(bufs[i]);
	}
	close(fd);
}

/* Makes and drops buffers until killed. */
static void churn(int dev, int memfd, unsigned int seed)
{
	int bufs[64] = {};

	for (;;) {
		int *buf = &bufs[rand_r(&seed) % ARRAY_SIZE(bufs)];

		if (*buf > 0)
			close(*buf);
		*buf = create(dev, memfd, 0, (1 + rand_r(&seed) % PAGES) * page_size());
	}
}

/* Maps and unmaps @buf until killed. */
static void churn_mappings(int importer, int buf)
{
	for (int i = 0;; i++) {
		importer_slot(importer, IMPORTER_UNMAP, i % 8);
		importer_map(importer, i % 8, buf, IMPORTER_FAUX, i % 3);
	}
}

/* Counts in @lines what it has read of. */
static void read_until_killed(const char *path, volatile unsigned long *lines)
{
	static char line[4096];
	FILE *file;

	while ((file = fopen(path, "re"))) {
		while (fgets(line, sizeof(line), file))
			++*lines;
		fclose(file);
	}
}

/* Memory that a child shares. */
static void *shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Every line is whole, and every buffer that stays is seen once in each reading. */
TEST_F(debugfs, while_buffers_come_and_go)
{
	int stay[50], importer = importer_open();
	pid_t pids[5];
	volatile unsigned long *lines = shared(page_size());
	uint64_t end;
	long readings = 0;

	for (int i = 0; i < ARRAY_SIZE(stay); i++) {
		stay[i] = create(self->dev, self->memfd, 0, self->size);
		/* Among others. */
		closed(create(self->dev, self->memfd, 0, self->size));
	}
	for (int i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i])
			continue;
		if (i == 0)
			churn_mappings(importer, stay[7]);
		else if (i <= 2)
			read_until_killed(i == 1 ? BUFFERS : TOTALS, &lines[i - 1]);
		else
			churn(self->dev, self->memfd, i);
	}
	end = now_us() + CHURN_MS * 1000ULL;
	while (now_us() < end) {
		int seen[ARRAY_SIZE(stay)] = {};

		ASSERT_LT(0, read_text(BUFFERS, self->text, MAX_TEXT));
		for (char *line = self->text, *next; *line; line = next) {
			unsigned long long inode, size;

			next = strchr(line, '\n');
			ASSERT_NE(NULL, next);
			*next++ = '\0';
			ASSERT_NE(NULL, strstr(line, " mappings="))
				TH_LOG("%s", line);
			ASSERT_EQ(0, strncmp(line, "inode=", strlen("inode=")))
				TH_LOG("%s", line);
			inode = strtoull(line + strlen("inode="), NULL, 10);
			size = number_of(line, "size");
			ASSERT_NE(0, inode);
			ASSERT_LT(0, size);
			ASSERT_GE(self->size, size);
			for (int i = 0; i < ARRAY_SIZE(stay); i++)
				seen[i] += inode == inode_of(stay[i]);
		}
		for (int i = 0; i < ARRAY_SIZE(stay); i++)
			ASSERT_EQ(1, seen[i]);
		readings++;
	}
	EXPECT_LT(3, readings);
	EXPECT_LT(100, lines[0]);
	EXPECT_LT(3, lines[1]);
	for (int i = 0; i < ARRAY_SIZE(pids); i++) {
		kill(pids[i], SIGKILL);
		wait_status(pids[i]);
	}
	for (int i = 0; i < ARRAY_SIZE(stay); i++)
		close(stay[i]);
	/* With its mappings. */
	close(importer);
	close(self->buf);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Has the calling task run on one processor alone. */
static int run_on_one(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(0, sizeof(set), &set) ?: sched_setscheduler(0, policy, &param);
}

/*
 * Makes and drops buffers, and lets other tasks run in between. Returns the median time of a
 * creation in ns.
 */
static uint64_t time_creations(int dev, int memfd, size_t size)
{
	static uint64_t times[TIMED];
	struct timespec a, b;

	for (int i = 0; i < TIMED; i++) {
		int buf;

		sleep_us(1000);
		clock_gettime(CLOCK_MONOTONIC, &a);
		buf = create(dev, memfd, 0, size);
		clock_gettime(CLOCK_MONOTONIC, &b);
		if (closed(buf))
			return 0;
		times[i] = (b.tv_sec - a.tv_sec) * 1000000000ULL + b.tv_nsec - a.tv_nsec;
	}
	qsort(times, TIMED, sizeof(times[0]), by_value);
	return times[TIMED / 2];
}

/*
 * The median time of a creation in ns while a task reads @path, at least @least lines of it; 0
 * if that cannot be. It has the same processor, and runs only while a timer is waited for. So a
 * lock that it holds for most of the time is held when most creations begin.
 */
static uint64_t time_while_read(int dev, int memfd, const char *path, unsigned long least)
{
	volatile unsigned long *lines = shared(page_size());
	unsigned long before;
	uint64_t time;
	pid_t pid;

	if (run_on_one(SCHED_FIFO, 1))
		return 0;
	pid = fork();
	if (pid < 0)
		return 0;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHILD_CHECK(!run_on_one(SCHED_OTHER, 0));
		read_until_killed(path, lines);
		_exit(1);
	}
	for (int i = 0; i < 600 && *lines < least; i++)
		sleep_us(100000);
	before = *lines;
	time = time_creations(dev, memfd, page_size());
	kill(pid, SIGKILL);
	wait_status(pid);
	run_on_one(SCHED_OTHER, 0);
	return before >= least && *lines > before ? time : 0;
}

/* While the list is read, with @least buffers, a creation takes less than twice as long. */
#define EXPECT_HOLDS_UP_NOBODY(least) do {						\
	uint64_t other = time_while_read(self->dev, self->memfd, "/proc/kallsyms", 1000);	\
	uint64_t list = time_while_read(self->dev, self->memfd, BUFFERS, least);	\
											\
	EXPECT_NE(0, other);								\
	EXPECT_NE(0, list);								\
	EXPECT_GT(2 * other, list);							\
} while (0)

TEST_F_TIMEOUT(debugfs, reading_many_buffers_holds_up_nobody, 300)
{
	struct rlimit limit = { MANY + 100, MANY + 100 };
	static int bufs[MANY];

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < MANY; i++) {
		bufs[i] = create(self->dev, self->memfd, 0, page_size());
		ASSERT_LE(0, bufs[i]);
	}
	EXPECT_HOLDS_UP_NOBODY(MANY);
	for (int i = 0; i < MANY; i++)
		close(bufs[i]);
}

/* They are counted when they are shown, which takes most of the time here. */
TEST_F_TIMEOUT(debugfs, counting_many_folios_holds_up_nobody, 300)
{
	int memfd = memfd_new(LARGE), buf = create(self->dev, memfd, 0, LARGE);

	ASSERT_LE(0, buf);
	EXPECT_EQ(LARGE / page_size(), number_of(line_of(self->text, buf), "folios"))
		TH_LOG("the memfd has huge pages");
	EXPECT_HOLDS_UP_NOBODY(2);
	close(buf);
}

/* An open file keeps the module, and nothing else does. */
TEST_F(debugfs, open_file_keeps_the_module)
{
	static const char * const paths[] = { BUFFERS, TOTALS };
	int fd;

	if (access(module_file(), R_OK))
		SKIP(return, "no %s to load", module_file());
	close(self->buf);
	close(self->dev);
	EXPECT_EQ(0, seal_write_soon(self->memfd));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EAGAIN, module_unload());
		EXPECT_LE(0, read(fd, self->text, 4096));
		close(fd);
	}
	ASSERT_EQ(0, module_unload());
	EXPECT_NE(0, access(DIR_PATH, F_OK));
	ASSERT_EQ(0, module_load(""));
	EXPECT_EQ(0, access(BUFFERS, F_OK));
}

TEST_HARNESS_MAIN
