/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What users without privileges do to others: attacks, which go on until they are ended, and a
 * victim that measures how long its own calls take meanwhile. For neighbours.c, whose tests say
 * what must hold, and neighbour_figures.c, which prints figures of either driver.
 */
#ifndef NEIGHBOURS_H
#define NEIGHBOURS_H

#include "accounts.h"
#include "hostile.h"

/* Of an attacker's memfd, and how often a list of it names it. */
#define CHURNED		(32 * MIB)
#define LISTED		64
#define ATTACKERS	3
#define HELD		500
#define SHARED_BUF	MIB

/* Opens the node to all users, or to root alone. */
static inline int node_for_all(bool all)
{
	return chmod(node_path(), all ? 0666 : 0600) ? -errno : 0;
}

/* Where an attacker begins, and how far all of them have come. */
struct attacker {
	int dev, importer, nr;
	/* A buffer that all of them have. */
	int shared;
	long *done;
};

static inline void did_one(struct attacker *a)
{
	__atomic_add_fetch(a->done, 1, __ATOMIC_RELAXED);
}

/* The core warns of a device that does not reach a buffer of the C driver. */
static inline int device_bits(void)
{
	return is_c_driver() ? 0 : FEW_BITS;
}

/* Attacks -------------------------------------------------------------------- */

static inline void churn_buffers(struct attacker *a)
{
	struct udmabuf_create_item items[LISTED];
	int memfd = listed_memfd(items, LISTED, CHURNED);

	for (int i = 0; ; i++) {
		int buf = i % 2 ? create_list(a->dev, items, LISTED) :
				  create(a->dev, memfd, 0, CHURNED);

		CHILD_CHECK(buf >= 0 || buf == -ENOMEM || buf == -EINVAL);
		closed(buf);
		did_one(a);
	}
}

static inline void open_the_node(struct attacker *a)
{
	for (;;) {
		int dev = node_open();

		CHILD_CHECK(dev >= 0);
		close(dev);
		did_one(a);
	}
}

static inline void use_a_shared_buffer(struct attacker *a)
{
	int slot = a->nr % IMPORTER_SLOTS;

	for (;;) {
		int err = importer_map_masked(a->importer, slot, a->shared, IMPORTER_FAUX_2,
					      IMPORTER_BIDIRECTIONAL, device_bits());
		char *b = map_rw(a->shared, SHARED_BUF);

		for (int i = 0; b != MAP_FAILED && i < 4; i++) {
			buf_sync(a->shared, SYNC_START_RW);
			tag_pages(b, SHARED_BUF / page_size(), i);
			buf_sync(a->shared, SYNC_END_RW);
		}
		munmap(b, SHARED_BUF);
		if (!err)
			importer_slot(a->importer, IMPORTER_UNMAP, slot);
		did_one(a);
	}
}

static inline void hold_buffers(struct attacker *a)
{
	int memfd = memfd_new(page_size());

	for (int i = 0; i < HELD; i++)
		CHILD_CHECK(create(a->dev, memfd, 0, page_size()) >= 0);
	for (;;) {
		did_one(a);
		sleep_us(1000);
	}
}

/* Processes that are killed while they create a buffer that takes long. */
static inline void be_killed(struct attacker *a)
{
	struct udmabuf_create_item items[LISTED];

	listed_memfd(items, LISTED, CHURNED);
	for (int i = 0; ; i++) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			create_list(a->dev, items, LISTED);
			_exit(0);
		}
		CHILD_CHECK(pid > 0);
		sleep_us(1000 + i * 1777 % 30000);
		kill(pid, SIGKILL);
		wait_status(pid);
		did_one(a);
	}
}

/* Two sockets, each in flight in the other, with a buffer that only the collector can free. */
static inline void lose_in_a_cycle(int buf)
{
	int pair[2], both[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	both[0] = pair[1];
	both[1] = buf;
	send_fds(pair[0], both, 2);
	both[0] = pair[0];
	send_fds(pair[1], both, 2);
	close(pair[0]);
	close(pair[1]);
}

/* Everything that may hold the module, in a process that is about to be killed. */
static inline void hold_in_all_ways(struct attacker *a)
{
	size_t size = 63 * page_size();
	struct udmabuf_create_item items[LISTED];
	int dev = node_open(), buf, importer = a->importer;

	for (int i = 0; i < 8; i++) {
		buf = create(dev, memfd_new(size), 0, size);
		CHILD_CHECK(buf >= 0 && map_rw(buf, size) != MAP_FAILED);
		lose_in_a_cycle(buf);
		lose_in_a_cycle(dev);
		buf_sync(buf, SYNC_START_RW);
		if (importer >= 0) {
			int slot = a->nr * 8 + i;

			importer_map_masked(importer, slot, buf, IMPORTER_FAUX_2,
					    IMPORTER_BIDIRECTIONAL, i % 2 ? device_bits() : 0);
			importer_fence(importer, slot, buf, true);
		}
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	listed_memfd(items, LISTED, CHURNED);
	did_one(a);
	for (;;)
		close(create_list(dev, items, LISTED));
}

/* Has the kernel collect sockets that are lost in a cycle: it does when any socket is closed. */
static inline void collect_sockets(void)
{
	close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* Unloads the module as soon as that can be done, within @seconds. */
static inline int unload_within(uint64_t seconds)
{
	uint64_t until = now_us() + seconds * 1000000;
	int err;

	for (;;) {
		collect_sockets();
		err = module_unload();
		if (err != -EWOULDBLOCK || now_us() > until)
			return err;
		sleep_us(10000);
	}
}

struct attack {
	const char *name;
	void (*run)(struct attacker *a);
	bool needs_importer;
	/* On all processors, where no victim measures. */
	bool anywhere;
};

static const struct attack attacks[] = {
	{ "large_buffers", churn_buffers },
	{ "opened_nodes", open_the_node },
	{ "held_buffers", hold_buffers },
	{ "killed_creations", be_killed },
	{ "shared_buffer", use_a_shared_buffer, true },
};

/* The processor that attackers run on: the last. The victim has the first. */
static inline void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

struct gang {
	pid_t pids[ATTACKERS];
	int importer, shared;
	long *done;
};

/* Starts attackers, and returns once all of them are at it. */
static inline int gang_start(struct gang *g, int dev, const struct attack *attack)
{
	long *done = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	struct attacker a = { .dev = dev, .importer = -1, .done = done };

	if (done == MAP_FAILED)
		return -errno;
	*g = (struct gang){ .importer = -1, .done = done };
	if (attack->needs_importer) {
		g->importer = importer_open();
		if (g->importer < 0)
			return g->importer;
		a.importer = g->importer;
	}
	g->shared = create(dev, memfd_new(SHARED_BUF), 0, SHARED_BUF);
	a.shared = g->shared;
	for (a.nr = 0; a.nr < ATTACKERS; a.nr++, a.done++) {
		g->pids[a.nr] = fork();
		if (g->pids[a.nr])
			continue;
		if (!attack->anywhere)
			run_on(sysconf(_SC_NPROCESSORS_ONLN) - 1);
		become(NOBODY);
		attack->run(&a);
	}
	for (int i = 0; i < ATTACKERS; i++)
		for (int wait = 0; !__atomic_load_n(&done[i], __ATOMIC_RELAXED); wait++) {
			if (wait > 6000)
				return -ETIMEDOUT;
			sleep_us(10000);
		}
	return 0;
}

static inline void gang_end(struct gang *g)
{
	for (int i = 0; i < ATTACKERS; i++)
		if (g->pids[i] > 0)
			kill(g->pids[i], SIGKILL);
	for (int i = 0; i < ATTACKERS; i++)
		if (g->pids[i] > 0)
			wait_status(g->pids[i]);
	close(g->shared);
	if (g->importer >= 0)
		close(g->importer);
	munmap(g->done, page_size());
}

/* The victim ----------------------------------------------------------------- */

enum call { OPEN_NODE, CREATE_BUF, FIRST_FAULT, START_END, CLOSE_BUF, CALLS };

static const char * const call_names[CALLS] = { "open", "create", "fault", "start_end", "close" };

#define ROUNDS		200
#define VICTIM_PAGES	16

struct times {
	uint64_t ns[CALLS][ROUNDS];
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The time since *@since, which is now. */
static inline uint64_t lap(uint64_t *since)
{
	uint64_t now = now_ns(), took = now - *since;

	*since = now;
	return took;
}

static inline void victim_round(struct times *times, int round, int memfd)
{
	size_t size = VICTIM_PAGES * page_size();
	uint64_t since = now_ns();
	int dev, buf;
	char *b;

	dev = node_open();
	times->ns[OPEN_NODE][round] = lap(&since);
	CHILD_CHECK(dev >= 0);
	buf = create(dev, memfd, 0, size);
	times->ns[CREATE_BUF][round] = lap(&since);
	CHILD_CHECK(buf >= 0);
	b = map_rw(buf, size);
	CHILD_CHECK(b != MAP_FAILED);
	lap(&since);
	*(volatile char *)b = 1;
	times->ns[FIRST_FAULT][round] = lap(&since);
	CHILD_CHECK(!buf_sync(buf, SYNC_START_RW) && !buf_sync(buf, SYNC_END_RW));
	times->ns[START_END][round] = lap(&since);
	munmap(b, size);
	lap(&since);
	close(buf);
	times->ns[CLOSE_BUF][round] = lap(&since);
	close(dev);
}

/*
 * Measures a process of OTHER_USER with a small buffer. It has precedence over attackers, and a
 * processor of its own where there are two: what it waits for is what others hold.
 */
static inline int victim_measure(struct times *result)
{
	struct times *times = mmap(NULL, sizeof(*times), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sched_param first = { .sched_priority = 10 };
	int status;
	pid_t pid;

	if (times == MAP_FAILED)
		return -errno;
	pid = fork();
	if (!pid) {
		char *a;
		int memfd;

		run_on(0);
		CHILD_CHECK(!sched_setscheduler(0, SCHED_FIFO, &first));
		become(OTHER_USER);
		memfd = memfd_new(VICTIM_PAGES * page_size());
		a = map_rw(memfd, VICTIM_PAGES * page_size());
		CHILD_CHECK(a != MAP_FAILED);
		fill(a, VICTIM_PAGES * page_size(), 1);
		for (int i = 0; i < ROUNDS; i++) {
			victim_round(times, i, memfd);
			/* Wherever the attackers are. */
			sleep_us(1000 + i * 787 % 2000);
		}
		_exit(0);
	}
	status = pid < 0 ? -errno : wait_status(pid);
	*result = *times;
	munmap(times, sizeof(*times));
	return status;
}

static inline int compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* The time that @per_mille of the calls do not exceed. */
static inline uint64_t quantile(struct times *times, enum call call, int per_mille)
{
	qsort(times->ns[call], ROUNDS, sizeof(uint64_t), compare_times);
	return times->ns[call][(ROUNDS - 1) * per_mille / 1000];
}

#endif /* NEIGHBOURS_H */
