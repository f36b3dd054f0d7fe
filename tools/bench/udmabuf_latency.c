// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's part of tools/bench/latency: the longest times of one kind of memory,
 * with each driver in turn. The table is the host's business.
 *
 * Output, a line each:
 *   fact KEY VALUE
 *   sample KIND OPERATION MEMORY SIZE DRIVER PER_MILLE INSTRUCTIONS
 *   answer OPERATION MEMORY SIZE DRIVER ERROR
 * KIND is
 *   fault   the longest page fault of a mapping that is touched in order
 *   inode   the longest time that the driver holds the inode lock of the memfd
 *   resv    the same of the reservation lock
 *   driver  the same of a mutex of the driver's own
 *   alive   from SIGKILL to the end of the task, where it came that far in the
 *           operation; in "nothing" there is none
 *   takes   the operation, undisturbed
 * Lock times come from the function tracer, and have some of its instructions in
 * them. 0: the lock was not taken.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "counting.h"

/* Addresses that nothing else has: one on a multiple of 1 GiB, one on none but a page's. */
#define ALIGNED		((char *)0x200000000000)
#define UNALIGNED	(ALIGNED + 5 * PAGE)

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/shmem_enabled"
#define SPLIT		"/sys/kernel/debug/split_huge_pages"
#define TRACING		"/sys/kernel/tracing/"

#define MOST_PAGES	(2 * GIB / PAGE)
#define ROUNDS		3
#define SLOT		0

/* How a memfd comes by its pages. */
struct memory {
	const char *name;
	uint64_t folio;
	bool shuffled, split;
};

static struct memory memory;
static uint64_t size;
/* The device has a copy of the buffer, or bounces. */
static bool staged;

static const struct driver *driver;
static int memfd;
static uint32_t longest[MOST_PAGES];

static void print_sample(const char *kind, const char *operation, int at, uint64_t value)
{
	printf("sample %s %s %s %lu %s %d %lu\n", kind, operation, memory.name, size,
	       driver->name, at, value);
	fflush(stdout);
}

static void print_answer(const char *operation, int error)
{
	printf("answer %s %s %lu %s %s\n", operation, memory.name, size, driver->name,
	       strerror(error));
	fflush(stdout);
}

/* Memory -------------------------------------------------------------------------- */

/* The same on every run. */
static uint32_t *shuffled(uint64_t count)
{
	uint32_t *order = malloc(count * sizeof(*order)), swap;
	uint64_t state = 1, other;

	CHECK(order);
	for (uint64_t i = 0; i < count; i++)
		order[i] = i;
	for (uint64_t i = count - 1; i > 0; i--) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		other = (state >> 33) % (i + 1);
		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
	return order;
}

/* Has shmem allocate folios of that size, and of no other but a page's. */
static void set_folios(bool on)
{
	char path[128];

	if (memory.folio == PAGE)
		return;
	snprintf(path, sizeof(path), SHMEM_ENABLED, memory.folio / KIB);
	write_text(path, on ? "always" : "never");
}

static void split_folios(const char *p)
{
	char text[128];

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(), (uintptr_t)p, (uintptr_t)p + size);
	write_text(SPLIT, text);
}

/* See populate() of udmabuf_bench.c. */
static void populate(void)
{
	uint64_t step = memory.folio, count = size / step;
	char *p = mmap(ALIGNED, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
		       memfd, 0);
	uint32_t *order = memory.shuffled ? shuffled(count) : NULL;

	CHECK(p != MAP_FAILED);
	set_folios(true);
	for (uint64_t i = 0; i < count; i++)
		*(volatile char *)(p + (order ? order[i] : i) * step) = 1;
	set_folios(false);
	free(order);
	if (memory.split)
		split_folios(p);
	CHECK(!munmap(p, size));
}

/* The longest page fault ---------------------------------------------------------- */

/*
 * Of each page the least of some rounds, which an interrupt spares; of these the
 * most.
 */
static void measure_faults(const char *name, char *address, int fd)
{
	uint64_t pages = size / PAGE, start, took;
	uint32_t most = 0;
	char *p;

	memset(longest, 0xff, pages * sizeof(*longest));
	for (int round = 0; round < ROUNDS; round++) {
		p = mmap(address, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		CHECK(p != MAP_FAILED);
		for (uint64_t i = 0; i < pages; i++) {
			start = read_clock();
			touch_at(p + i * PAGE);
			took = since(start);
			if (took < longest[i])
				longest[i] = took;
		}
		CHECK(!munmap(p, size));
	}
	for (uint64_t i = 0; i < pages; i++)
		if (longest[i] > most)
			most = longest[i];
	print_sample("fault", name, 0, most);
}

/* Operations ---------------------------------------------------------------------- */

/* A descriptor of the buffer where there is one, and what the last operation made. */
static int buffer, made;

static int new_buffer(void)
{
	buffer = create(driver->node, memfd, 0, size);
	return buffer < 0 ? -1 : 0;
}

static int close_buffer(void)
{
	return close(buffer);
}

static int do_nothing(void)
{
	return 0;
}

static int do_create(void)
{
	made = create(driver->node, memfd, 0, size);
	return made < 0 ? -1 : 0;
}

static int close_made(void)
{
	return made < 0 ? 0 : close(made);
}

static int do_touch(void)
{
	char *p = mmap(ALIGNED, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
		       buffer, 0);

	if (p == MAP_FAILED)
		return -1;
	touch(p, size);
	return 0;
}

static int do_map(void)
{
	return importer_map(SLOT, buffer, IMPORTER_FAUX);
}

static int do_unmap(void)
{
	return importer_unmap(SLOT);
}

static int do_vmap(void)
{
	struct importer_vmap args = { .slot = SLOT, .fd = buffer };

	return ioctl(importer_fd, IMPORTER_VMAP, &args);
}

static int do_vunmap(void)
{
	return ioctl(importer_fd, IMPORTER_VUNMAP, SLOT);
}

static int do_start(void)
{
	return sync_flags(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
}

static int do_end(void)
{
	return sync_flags(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static int buffer_and_map(void)
{
	return new_buffer() ?: do_map();
}

static int unmap_and_close(void)
{
	/* There may be nothing any more. */
	do_unmap();
	return close_buffer();
}

static int buffer_and_vmap(void)
{
	return new_buffer() ?: do_vmap();
}

static int vunmap_and_close(void)
{
	do_vunmap();
	return close_buffer();
}

static int map_and_start(void)
{
	return buffer_and_map() ?: do_start();
}

/* Where what comes before an operation is done: what the child makes, ends with it. */
enum place { PARENT, CHILD };

struct operation {
	const char *name;
	enum place place;
	int (*before)(void);
	int (*run)(void);
	int (*after)(void);
	bool kept;		/* whether what is there before is there after as well */
	bool plain, staged;	/* on which machine */
	/* The locks that are looked at. */
	bool inode, resv, own;	/* own: where the device has a copy */
};

static const struct operation operations[] = {
	{ "nothing", PARENT, do_nothing, do_nothing, do_nothing, .plain = true, .staged = true },
	{ "create", PARENT, do_nothing, do_create, close_made, .plain = true, .inode = true },
	{ "close", CHILD, new_buffer, close_buffer, do_nothing, .plain = true },
	{ "touch", PARENT, new_buffer, do_touch, close_buffer, .plain = true, .kept = true },
	{ "map", PARENT, new_buffer, do_map, unmap_and_close, .plain = true, .staged = true,
	  .resv = true, .own = true },
	{ "unmap", PARENT, buffer_and_map, do_unmap, close_buffer, .plain = true, .staged = true,
	  .resv = true, .own = true },
	{ "vmap", PARENT, new_buffer, do_vmap, vunmap_and_close, .plain = true, .resv = true },
	{ "vunmap", PARENT, buffer_and_vmap, do_vunmap, close_buffer, .plain = true,
	  .resv = true },
	{ "start", PARENT, new_buffer, do_start, close_buffer, .plain = true, .resv = true },
	{ "start_mapped", PARENT, buffer_and_map, do_start, unmap_and_close, .staged = true,
	  .resv = true, .own = true, .kept = true },
	{ "end_mapped", PARENT, map_and_start, do_end, unmap_and_close, .staged = true,
	  .resv = true, .own = true, .kept = true },
};

/* How long locks are held ---------------------------------------------------------- */

struct lock {
	const char *kind;
	const char *take, *release;	/* how the names of the functions begin */
	bool by_driver;			/* whether only what the driver itself takes counts */
	uint64_t since, longest;
};

static struct lock locks[] = {
	{ "inode", "down_read", "up_read", true },
	{ "resv", "ww_mutex_lock", "ww_mutex_unlock", false },
	{ "driver", "mutex_lock", "mutex_unlock", true },
};

#define LOCKS	(sizeof(locks) / sizeof(*locks))

static void set_tracer_up(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(TRACING "tracing_on", "0");
	write_text(TRACING "trace_clock", "x86-tsc");
	write_text(TRACING "buffer_size_kb", "8192");
	write_text(TRACING "set_ftrace_pid", pid);
	write_text(TRACING "set_ftrace_filter",
		   "down_read* up_read ww_mutex_*lock* mutex_lock* mutex_unlock");
	write_text(TRACING "current_tracer", "function");
}

static bool is_of_driver(const char *function)
{
	if (strstr(function, "udmabuf_importer"))
		return false;
	return strstr(function, "udmabuf") || !strncmp(function, "rs_", 3);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* A line of the tracer: "TASK-PID [CPU] FLAGS TICKS: FUNCTION <-PARENT". */
static void take_event(char *line)
{
	char *parent = strstr(line, " <-"), *colon, *function, *ticks;
	uint64_t now;

	if (!parent)
		return;
	*parent = '\0';
	parent += 3;
	colon = strrchr(line, ':');
	if (!colon)
		return;
	*colon = '\0';
	function = colon + 2;
	ticks = strrchr(line, ' ');
	CHECK(ticks);
	now = strtoull(ticks + 1, NULL, 10);
	for (struct lock *lock = locks; lock < locks + LOCKS; lock++) {
		if (lock->by_driver && !is_of_driver(parent))
			continue;
		if (begins(function, lock->take))
			lock->since = now;
		if (begins(function, lock->release) && lock->since) {
			if (now - lock->since > lock->longest)
				lock->longest = now - lock->since;
			lock->since = 0;
		}
	}
}

static void take_events(void)
{
	FILE *trace = fopen(TRACING "trace", "re");
	char line[1024];

	CHECK(trace);
	while (fgets(line, sizeof(line), trace)) {
		/* "entries-in-buffer/entries-written: 12/12" */
		unsigned long there, written;

		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &there,
			   &written) == 2)
			CHECK(there == written);
		if (line[0] != '#')
			take_event(line);
	}
	fclose(trace);
}

static void measure_locks(const struct operation *op)
{
	const bool wanted[LOCKS] = { op->inode, op->resv, op->own && staged };
	int error;

	if (op->before()) {
		print_answer(op->name, errno);
		return;
	}
	for (size_t i = 0; i < LOCKS; i++) {
		locks[i].since = 0;
		locks[i].longest = 0;
	}
	write_text(TRACING "trace", "\n");
	write_text(TRACING "tracing_on", "1");
	error = op->run() ? errno : 0;
	write_text(TRACING "tracing_on", "0");
	op->after();
	take_events();
	if (error) {
		print_answer(op->name, error);
		return;
	}
	for (size_t i = 0; i < LOCKS; i++)
		if (wanted[i])
			print_sample(locks[i].kind, op->name, 0, locks[i].longest);
}

/* How long a signal waits ------------------------------------------------------------ */

/* Where the child is killed, in parts of 1000 of the operation; staged, at every other one. */
static const int points[] = { 10, 250, 500, 750, 950 };

/* What the child tells. */
struct told {
	uint64_t start, took;
	int error;
};

static struct told *told;

/* Has a signal end this process after so many instructions, at whatever it is. */
static void end_after(uint64_t ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec soon = { .it_value = { ns / 1000000000, ns % 1000000000 } };
	timer_t timer;

	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	CHECK(!timer_settime(timer, 0, &soon, NULL));
}

static void be_child(const struct operation *op, uint64_t delay)
{
	if (op->place == CHILD && op->before()) {
		told->error = errno;
		_exit(0);
	}
	if (delay)
		end_after(delay);
	told->start = read_clock();
	if (op->run())
		told->error = errno;
	told->took = read_clock() - told->start;
	while (delay)
		;
	_exit(0);
}

/* Instructions from the signal to the end, or those of the operation where there is none. */
static int run_child(const struct operation *op, uint64_t delay, uint64_t *value)
{
	bool alone = op->place == PARENT && !op->kept;
	uint64_t now;
	pid_t child;

	if (alone && op->before())
		return errno;
	*told = (struct told){};
	child = fork();
	CHECK(child >= 0);
	if (!child)
		be_child(op, delay);
	CHECK(waitpid(child, NULL, 0) == child);
	now = read_clock();
	if (alone)
		op->after();
	/* What a killed task leaves to a workqueue is no part of the next. */
	usleep(300000);
	*value = delay ? now - told->start - delay : told->took;
	return delay ? 0 : told->error;
}

static int measure_points(const struct operation *op)
{
	uint64_t takes, value, delay;
	int error = run_child(op, 0, &takes);

	if (error)
		return error;
	print_sample("takes", op->name, 0, takes);
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i += staged ? 2 : 1) {
		delay = takes / 1000 * points[i];
		/* Not before the timer is set. */
		if (delay < 20000)
			delay = 20000;
		error = run_child(op, delay, &value);
		if (error)
			return error;
		print_sample("alive", op->name, points[i], value);
	}
	return 0;
}

static void measure_signal(const struct operation *op)
{
	int error;

	if (op->kept && op->before()) {
		print_answer(op->name, errno);
		return;
	}
	error = measure_points(op);
	if (error)
		print_answer(op->name, error);
	if (op->kept)
		op->after();
}

/* All of it ----------------------------------------------------------------------- */

static void measure(void)
{
	const size_t count = sizeof(operations) / sizeof(*operations);

	if (!staged && !new_buffer()) {
		measure_faults("aligned", ALIGNED, buffer);
		measure_faults("unaligned", UNALIGNED, buffer);
		close_buffer();
	}
	for (const struct operation *op = operations; op < operations + count; op++) {
		if (!(staged ? op->staged : op->plain))
			continue;
		if (op->inode || op->resv || op->own)
			measure_locks(op);
		measure_signal(op);
	}
}

/* The command line ---------------------------------------------------------------- */

static void parse_memory(const char *name)
{
	static const struct memory kinds[] = {
		{ "4k-contiguous", HUGE, false, true },
		{ "4k-fragmented", PAGE, true, false },
		{ "shmem-2m", HUGE, false, false },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(name, kinds[i].name))
			memory = kinds[i];
	if (!memory.name) {
		fprintf(stderr, "udmabuf_latency: no such memory: %s\n", name);
		exit(2);
	}
}

static const struct option options[] = {
	{ "driver", required_argument, NULL, 'd' },	/* NAME=NODE */
	{ "memory", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 's' },	/* bytes, a multiple of 2 MiB */
	{ "staged", no_argument, NULL, 't' },
	{}
};

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			parse_driver(optarg);
			break;
		case 'm':
			parse_memory(optarg);
			break;
		case 's':
			size = strtoull(optarg, NULL, 0);
			break;
		case 't':
			staged = true;
			break;
		default:
			return 2;
		}
	}
	CHECK(nr_drivers && memory.name && size && size % HUGE == 0 && size / PAGE <= MOST_PAGES);
	open_importer();
	calibrate();
	told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(told != MAP_FAILED);
	set_tracer_up();
	printf("begin %s\n", memory.name);
	fflush(stdout);
	memfd = memfd_of(size);
	populate();
	for (int i = 0; i < nr_drivers; i++) {
		driver = &drivers[i];
		measure();
	}
	return 0;
}
