// SPDX-License-Identifier: GPL-2.0
/*
 * neighbour_figures PART...: what a user without privileges who has the node can cost others, with
 * the driver and the parameters that are there. No test: it prints "key=value", a line each, for
 * tools/testing/neighbours.
 */
#include "neighbours.h"

#define FIGURE(key, ...) do {							\
	printf("%s=", key);							\
	printf(__VA_ARGS__);							\
	putchar('\n');								\
	fflush(stdout);								\
} while (0)

/* What the machine is left, and what is no limit of the driver. */
#define LEFT		(192 * MIB)
#define MOST_BUFFERS	20000
#define STEP		(8 * MIB)
/* What bounce buffers take in one piece, and open files of the importer. */
#define STAGED		(128 * KIB)
#define FILES		256
#define IO_TLB_USED	"/sys/kernel/debug/swiotlb/io_tlb_used"
#define LOCKABLE	(8 * MIB)
#define CALL_SECONDS	30

/* Shared with the child that does it. */
struct count {
	long done;
	int err;
};

/* Runs @work as NOBODY, who holds what it gets until it is told how much that was. */
static struct count as_nobody(int dev, void (*work)(int dev, struct count *count))
{
	struct count *count = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0), result;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit lockable = { LOCKABLE, LOCKABLE };
		struct rlimit files = { MOST_BUFFERS + 100, MOST_BUFFERS + 100 };

		setrlimit(RLIMIT_MEMLOCK, &lockable);
		setrlimit(RLIMIT_NOFILE, &files);
		become(NOBODY);
		work(dev, count);
		_exit(0);
	}
	wait_status(pid);
	result = *count;
	munmap(count, page_size());
	return result;
}

/* The machine runs out first, the calls fail first, or neither in the time that there is. */
static const char *end_of(struct count count)
{
	return count.err ? strerrorname_np(-count.err) : "stopped";
}

static void pin_memory(int dev, struct count *count)
{
	while (mem_available() > (long long)LEFT) {
		int memfd = memfd_new(STEP), buf = create(dev, memfd, 0, STEP);

		close(memfd);
		if (buf < 0) {
			count->err = buf;
			return;
		}
		count->done += STEP / MIB;
	}
}

static void print_memory(int dev)
{
	struct count count = as_nobody(dev, pin_memory);

	FIGURE("pinned_mib", "%ld", count.done);
	FIGURE("pinned_end", "%s", end_of(count));
}

static void make_buffers(int dev, struct count *count)
{
	int memfd = memfd_new(page_size());

	for (; count->done < MOST_BUFFERS; count->done++) {
		int buf = create(dev, memfd, 0, page_size());

		if (buf < 0) {
			count->err = buf;
			return;
		}
	}
}

static void print_buffers(int dev)
{
	struct count count = as_nobody(dev, make_buffers);

	FIGURE("buffers", "%ld", count.done);
	FIGURE("buffers_end", "%s", end_of(count));
}

/* Memory of devices that do not reach a buffer: our stagings, or slots of bounce buffers. */
static long long staged_bytes(void)
{
	if (!is_c_driver())
		return param_get("staging_bytes");
	return read_number(IO_TLB_USED) * 2048;
}

static void map_for_devices(int dev, struct count *count)
{
	long long before = staged_bytes();

	for (int files = 0; files < FILES; files++) {
		int importer = importer_open();

		for (int slot = 0; slot < IMPORTER_SLOTS; slot++) {
			int memfd = memfd_new(STAGED), buf, err;

			if (mem_available() < (long long)LEFT)
				return;
			buf = create(dev, memfd, 0, STAGED);
			close(memfd);
			err = buf < 0 ? buf : importer_map(importer, slot, buf, IMPORTER_FAUX,
							   IMPORTER_TO_DEVICE);
			if (err) {
				count->err = err;
				return;
			}
			count->done = staged_bytes() - before;
		}
	}
}

static void print_staging(int dev)
{
	struct count count;
	int importer = importer_open();

	if (importer < 0) {
		FIGURE("staging_skipped", "the importer's module is not loaded");
		return;
	}
	close(importer);
	chmod(IMPORTER, 0666);
	/* Bounce buffers of the C driver are counted there, for root alone. */
	chmod("/sys/kernel/debug", 0755);
	chmod("/sys/kernel/debug/swiotlb", 0755);
	chmod(IO_TLB_USED, 0444);
	count = as_nobody(dev, map_for_devices);
	FIGURE("staging_mib", "%lld", count.done / (long long)MIB);
	FIGURE("staging_end", "%s", end_of(count));
	if (!is_c_driver() && param_get("staging_user_limit_mb") < 0)
		FIGURE("staging_user_skipped", "there is no parameter staging_user_limit_mb");
}

static void print_times(const char *who, struct times *times)
{
	char key[100];

	for (enum call c = 0; c < CALLS; c++) {
		snprintf(key, sizeof(key), "wait_%s_%s", who, call_names[c]);
		FIGURE(key, "%llu %llu", (unsigned long long)quantile(times, c, 500),
		       (unsigned long long)quantile(times, c, 990));
	}
}

static void print_waits(int dev)
{
	struct times *times = malloc(sizeof(*times));
	struct gang gang;

	for (int i = -1; i < (int)ARRAY_SIZE(attacks); i++) {
		const char *name = i < 0 ? "alone" : attacks[i].name;
		int err = i < 0 ? 0 : gang_start(&gang, dev, &attacks[i]);

		if (!err)
			err = victim_measure(times);
		if (i >= 0)
			gang_end(&gang);
		if (err)
			FIGURE("wait_skipped", "%s: %s", name, strerror(-err));
		else
			print_times(name, times);
	}
}

/* The C driver takes all memory for some calls: there it is the calls up to the first line. */
static void print_log(int dev)
{
	int log = kmsg_open(), seen = kmsg_open(), memfd = memfd_new(page_size());
	struct budget budget = { 1000000, CALL_SECONDS, is_c_driver() ? &seen : NULL };
	struct spent spent = {};

	bad_calls(dev, memfd, -1, budget, &spent);
	FIGURE("bad_calls", "%ld", spent.calls);
	FIGURE("log_lines", "%d", log_lines(log));
}

static void print_unload(int dev)
{
	int importer = importer_open();
	struct attack holding = { "holding", hold_in_all_ways, importer >= 0 };
	struct gang gang;
	uint64_t gone;
	int err;

	close(importer);
	if (is_c_driver()) {
		FIGURE("unload_skipped", "the driver is built in");
		return;
	}
	err = gang_start(&gang, dev, &holding);
	close(dev);
	gang_end(&gang);
	gone = now_us();
	err = err ?: unload_within(60);
	if (err)
		FIGURE("unload_skipped", "%s", strerror(-err));
	else
		FIGURE("unload_ms", "%llu", (unsigned long long)(now_us() - gone) / 1000);
}

static const struct {
	const char *name;
	void (*print)(int dev);
} parts[] = {
	{ "waits", print_waits },
	{ "memory", print_memory },
	{ "buffers", print_buffers },
	{ "staging", print_staging },
	{ "log", print_log },
	{ "unload", print_unload },
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int dev = node_open();

		if (dev < 0 || node_for_all(true)) {
			fprintf(stderr, "%s: %s\n", node_path(), strerror(-dev));
			return 1;
		}
		for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
			if (!strcmp(argv[i], parts[p].name))
				parts[p].print(dev);
		close(dev);
	}
	return 0;
}
