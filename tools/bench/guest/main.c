// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's part of the benchmark: does each operation with each driver in
 * turn, and prints what every single one took. Sums are the host's business.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "bench.h"
#include "udmabuf_importer.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#define MFD_HUGE_1GB	(30U << 26)
#endif

struct subject subjects[SUBJECTS];
int drivers, nr_subjects;
struct memory memory;
uint64_t sizes[SIZES];
int nr_sizes;
int rounds = 7, warmups = 1;
bool all_at_any_size;
int floor_fd, importer_fd;
unsigned int device = IMPORTER_FAUX;
/* How often in a row a SYNC pair is done. */
int sync_pairs = 15;

static unsigned int groups;

static const char * const group_names[GROUPS] = {
	"create", "sync", "mmap", "touch", "unaligned", "random", "threads", "import", "import4",
	"vmap", "clean", "memory", "batch", "list", "small", "live",
	"attach", "life",
};

bool wants(enum group group)
{
	return groups & (1U << group);
}

/* Whether another group is wanted besides, or instead. */
bool wants_more(enum group group)
{
	return groups & ~(1U << group);
}

static void parse_memory(const char *name)
{
	static const struct memory kinds[] = {
		{ "4k-contiguous", 0, HUGE, false, true },
		{ "4k", 0, PAGE, false, false },
		{ "4k-fragmented", 0, PAGE, true, false },
		{ "shmem-2m", 0, HUGE, false, false },
		{ "hugetlb-2m", MFD_HUGETLB | MFD_HUGE_2MB, HUGE, false, false },
		{ "hugetlb-1g", MFD_HUGETLB | MFD_HUGE_1GB, GIB, false, false },
	};
	uint64_t run;

	memory.name = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(name, kinds[i].name))
			memory = kinds[i];
	/* Runs of so many pages. */
	if (sscanf(name, "4k-run-%lu", &run) == 1)
		memory = (struct memory){ name, 0, run * PAGE, true, run > 1 };
	if (!memory.name) {
		fprintf(stderr, "udmabuf_bench: no such memory: %s\n", name);
		exit(2);
	}
}

static void parse_group(const char *name)
{
	for (int i = 0; i < GROUPS; i++) {
		if (!strcmp(name, group_names[i])) {
			groups |= 1U << i;
			return;
		}
	}
	fprintf(stderr, "udmabuf_bench: no such group: %s\n", name);
	exit(2);
}

static void parse_subject(char *word)
{
	struct subject *subject = &subjects[nr_subjects];
	char *node = strchr(word, '=');

	CHECK(node && nr_subjects < SUBJECTS - 1);
	*node++ = '\0';
	*subject = (struct subject){ word, DRIVER, -1 };
	if (!strcmp(word, "heap"))
		subject->kind = HEAP;
	else if (!strcmp(word, "memfd"))
		subject->kind = BARE_MEMFD;
	if (subject->kind != BARE_MEMFD) {
		subject->node = open(node, O_RDWR | O_CLOEXEC);
		CHECK(subject->node >= 0);
	}
	if (subject->kind == DRIVER)
		CHECK(drivers++ == nr_subjects);
	nr_subjects++;
}

static const struct option options[] = {
	{ "subject", required_argument, NULL, 'd' },	/* NAME=NODE; drivers come first */
	{ "edu", no_argument, NULL, 'e' },		/* maps for that device */
	{ "pairs", required_argument, NULL, 'n' },	/* of SYNC, in a row */
	{ "memory", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 's' },	/* bytes */
	{ "group", required_argument, NULL, 'g' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "warmups", required_argument, NULL, 'w' },
	{ "icount", no_argument, NULL, 'i' },
	{ "long", no_argument, NULL, 'l' },
	{ "marks", no_argument, NULL, 'p' },
	{}
};

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };
	struct importer_limits limits = {};
	bool icount = false, mark = false;
	int option;

	parse_memory("4k-contiguous");
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			parse_subject(optarg);
			break;
		case 'e':
			device = IMPORTER_EDU;
			break;
		case 'n':
			sync_pairs = atoi(optarg);
			break;
		case 'm':
			parse_memory(optarg);
			break;
		case 's':
			CHECK(nr_sizes < SIZES);
			sizes[nr_sizes++] = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			parse_group(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'w':
			warmups = atoi(optarg);
			break;
		case 'i':
			icount = true;
			break;
		case 'l':
			all_at_any_size = true;
			break;
		case 'p':
			mark = true;
			break;
		default:
			return 2;
		}
	}
	subjects[nr_subjects++] = (struct subject){ "floor", FLOOR, -1 };
	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	floor_fd = open("/dev/udmabuf_floor", O_RDWR | O_CLOEXEC);
	CHECK(floor_fd >= 0);
	importer_fd = open("/dev/udmabuf_importer", O_RDWR | O_CLOEXEC);
	CHECK(importer_fd >= 0);
	/* A device that takes whatever there is in one segment. */
	CHECK(!ioctl(importer_fd, IMPORTER_LIMITS, &limits));
	calibrate(icount);
	marks = mark;
	run();
	return 0;
}
