// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's part of tools/bench/scale: what each operation takes while more and
 * more of one thing are alive. Medians and growth are the host's business.
 *
 * Output, a line each:
 *   fact KEY VALUE
 *   sample THING ALIVE OPERATION DRIVER INSTRUCTIONS
 *   failed THING ALIVE OPERATION DRIVER ERROR
 *   marked NUMBER THING ALIVE OPERATION DRIVER	(stretches marked up to then)
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "counting.h"

#define SIZE		(64 * KIB)
#define LEVELS		8
#define MOST		20000
/* Slots of the importer: one to measure with, and those that are among the oldest mappings. */
#define SLOT		0
#define FIRST_OLD	1
#define MOST_OLD	3

/* The things of which there are many. */
enum thing { BUFFERS, MAPPINGS, ATTACHMENTS, MMAPS, FORKS, THINGS };

static const char * const thing_names[THINGS] = {
	"buffers", "mappings", "attachments", "mmaps", "forks",
};

struct sample {
	const char *what;
	uint64_t value, marked;
	int error;
};

static unsigned int things;
static int levels[LEVELS], nr_levels;
static int repeats = 9;
static int device = IMPORTER_FAUX;

static const struct driver *driver;
static enum thing thing;
static int alive, most_alive;

/* Pages of all buffers, and the buffer that everything is done with. */
static int memfd, target;
static int old;
static int fds[MOST];
static char *maps[MOST];
static pid_t children[MOST];

static struct sample samples[4096];
static int nr_samples;

/* Samples are printed when nothing is being measured ------------------------------- */

static void keep(const char *what, uint64_t value, int error)
{
	CHECK(nr_samples < 4096);
	samples[nr_samples++] = (struct sample){ what, value, marked, error };
}

static void record(const char *what, uint64_t start)
{
	uint64_t spent = since(start);

	keep(what, spent, 0);
}

static void failed(const char *what)
{
	keep(what, 0, errno ?: EIO);
}

static void print_samples(void)
{
	for (int i = 0; i < nr_samples; i++) {
		const struct sample *s = &samples[i];

		if (s->error) {
			printf("failed %s %d %s %s %s\n", thing_names[thing], alive, s->what,
			       driver->name, strerror(s->error));
			continue;
		}
		printf("sample %s %d %s %s %lu\n", thing_names[thing], alive, s->what,
		       driver->name, s->value);
		if (marks)
			printf("marked %lu %s %d %s %s\n", s->marked, thing_names[thing], alive,
			       s->what, driver->name);
	}
	fflush(stdout);
	nr_samples = 0;
}

/* Whether a device has them. */
static bool is_imported(void)
{
	return thing == MAPPINGS || thing == ATTACHMENTS;
}

/* Operations ---------------------------------------------------------------------- */

/* The buffer number @index: each has pages of its own. */
static int new_buffer(int index)
{
	return create(driver->node, memfd, index * SIZE, SIZE);
}

/* Has no other task run before it sleeps, and none that it forks do as it does. */
static void keep_processor(bool keep)
{
	struct sched_param param = { .sched_priority = keep };

	CHECK(!sched_setscheduler(0, (keep ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK,
				  &param));
}

static pid_t forked(void)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	return child;
}

static void end_child(pid_t child)
{
	CHECK(!kill(child, SIGKILL));
	CHECK(waitpid(child, NULL, 0) == child);
}

static void measure_fork(void)
{
	uint64_t start;
	pid_t child;

	keep_processor(true);
	start = ticks();
	child = forked();
	if (child < 0)
		failed("fork");
	else
		record("fork", start);
	keep_processor(false);
	if (child < 0)
		return;
	start = ticks();
	end_child(child);
	record("exit", start);
}

static void measure_cpu_access(int fd)
{
	uint64_t start = ticks();
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		failed("mmap");
		return;
	}
	record("mmap", start);
	start = ticks();
	touch(p, SIZE);
	record("touch", start);
	/* The first may have something to set up. */
	sync_pair(fd);
	start = ticks();
	if (sync_pair(fd))
		failed("sync");
	else
		record("sync", start);
	start = ticks();
	munmap(p, SIZE);
	record("munmap", start);
}

static void measure_device_access(int fd)
{
	uint64_t start = ticks();

	if (importer_map(SLOT, fd, device)) {
		failed("map");
		return;
	}
	record("map", start);
	start = ticks();
	importer_unmap(SLOT);
	record("unmap", start);
}

static void measure_once(void)
{
	uint64_t start = ticks();
	int fd = new_buffer(most_alive);

	if (fd < 0) {
		failed("create");
		return;
	}
	record("create", start);
	measure_cpu_access(thing == BUFFERS ? fd : target);
	measure_device_access(thing == BUFFERS ? fd : target);
	start = ticks();
	close(fd);
	record("close", start);
	if (!is_imported())
		measure_fork();
}

/* Those that are alive ------------------------------------------------------------- */

static int map_many(int count)
{
	struct importer_map_many many = {
		.fd = target, .direction = IMPORTER_BIDIRECTIONAL, .device = device,
		.flags = thing == ATTACHMENTS ? IMPORTER_ATTACH_EACH : 0, .count = count,
	};

	return count ? ioctl(importer_fd, IMPORTER_MAP_MANY, &many) : 0;
}

/* Maps some before many others are mapped, to unmap them after. */
static int grow_imported(int count)
{
	int more = count - alive;

	for (old = 0; old < more && old < MOST_OLD; old++)
		if (importer_map(FIRST_OLD + old, target, device))
			return -1;
	return map_many(more - old);
}

static void measure_oldest(void)
{
	for (int i = 0; i < MOST_OLD; i++) {
		int slot = FIRST_OLD + i % old;
		uint64_t start = ticks();

		importer_unmap(slot);
		record("unmap_old", start);
		if (old < MOST_OLD)
			CHECK(!importer_map(slot, target, device));
	}
	for (int i = 0; i < old && old < MOST_OLD; i++)
		importer_unmap(FIRST_OLD + i);
	CHECK(!map_many(old));
}

/* Makes number @index. */
static int add_one(int index)
{
	switch (thing) {
	case BUFFERS:
		fds[index] = new_buffer(index);
		return fds[index];
	case MMAPS:
		maps[index] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, target, 0);
		if (maps[index] == MAP_FAILED)
			return -1;
		touch(maps[index], SIZE);
		return 0;
	case FORKS:
		children[index] = forked();
		return children[index];
	default:
		return 0;
	}
}

static int grow(int count)
{
	if (is_imported()) {
		if (grow_imported(count))
			return -1;
		alive = count;
	}
	for (; alive < count; alive++)
		if (add_one(alive) < 0)
			return -1;
	return 0;
}

static void remove_all(void)
{
	if (is_imported())
		CHECK(!ioctl(importer_fd, IMPORTER_UNMAP_MANY));
	while (alive > 0) {
		alive--;
		if (thing == BUFFERS)
			close(fds[alive]);
		else if (thing == MMAPS)
			munmap(maps[alive], SIZE);
		else if (thing == FORKS)
			end_child(children[alive]);
	}
}

/* Rounds -------------------------------------------------------------------------- */

static void measure_level(int level)
{
	if (grow(level)) {
		failed("grow");
		print_samples();
		return;
	}
	/* What frees memory late is done before. */
	usleep(100000);
	for (int i = 0; i <= repeats; i++) {
		int before = nr_samples;

		measure_once();
		/* The first one has caches filled. */
		if (!i)
			nr_samples = before;
	}
	if (is_imported())
		measure_oldest();
	print_samples();
}

static void measure_thing(void)
{
	char *p = NULL;

	alive = 0;
	target = new_buffer(most_alive + 1);
	CHECK(target >= 0);
	/* What children share. */
	if (thing == FORKS) {
		p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, target, 0);
		CHECK(p != MAP_FAILED);
		touch(p, SIZE);
	}
	for (int i = 0; i < nr_levels; i++)
		measure_level(levels[i]);
	remove_all();
	if (p)
		munmap(p, SIZE);
	close(target);
	usleep(200000);
}

static void run(void)
{
	uint64_t size = (most_alive + 2) * SIZE;
	char *p;

	memfd = memfd_of(size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	CHECK(p != MAP_FAILED);
	for (uint64_t at = 0; at < size; at += PAGE)
		*(volatile char *)(p + at) = 1;
	CHECK(!munmap(p, size));
	for (thing = 0; thing < THINGS; thing++) {
		if (things && !(things & 1U << thing))
			continue;
		printf("begin %s\n", thing_names[thing]);
		fflush(stdout);
		for (int i = 0; i < nr_drivers; i++) {
			driver = &drivers[i];
			measure_thing();
		}
	}
}

/* The command line ---------------------------------------------------------------- */

static void parse_thing(const char *name)
{
	for (int i = 0; i < THINGS; i++) {
		if (!strcmp(name, thing_names[i])) {
			things |= 1U << i;
			return;
		}
	}
	fprintf(stderr, "udmabuf_scale: no such thing: %s\n", name);
	exit(2);
}

static void parse_level(const char *text)
{
	int level = atoi(text);

	CHECK(nr_levels < LEVELS && level > most_alive && level <= MOST);
	levels[nr_levels++] = level;
	most_alive = level;
}

static const struct option options[] = {
	{ "driver", required_argument, NULL, 'd' },	/* NAME=NODE */
	{ "thing", required_argument, NULL, 't' },
	{ "alive", required_argument, NULL, 'a' },	/* in ascending order */
	{ "repeats", required_argument, NULL, 'r' },
	{ "edu", no_argument, NULL, 'e' },
	{ "marks", no_argument, NULL, 'p' },
	{}
};

int main(int argc, char **argv)
{
	struct rlimit limit = { MOST + 1000, MOST + 1000 };
	bool mark = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			parse_driver(optarg);
			break;
		case 't':
			parse_thing(optarg);
			break;
		case 'a':
			parse_level(optarg);
			break;
		case 'r':
			repeats = atoi(optarg);
			break;
		case 'e':
			device = IMPORTER_EDU;
			break;
		case 'p':
			mark = true;
			break;
		default:
			return 2;
		}
	}
	CHECK(nr_drivers && nr_levels);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(!setrlimit(RLIMIT_NPROC, &limit));
	open_importer();
	calibrate();
	marks = mark;
	run();
	return 0;
}
