// SPDX-License-Identifier: GPL-2.0
/*
 * stress: everything at once, and every byte known. Tasks make buffers, write and
 * read them through all ways there are, map them for devices, fork and are killed,
 * while memory is compacted, swapped out, scarce and taken from the pools, devices go
 * and the limits change. Needs the module in importer/.
 *
 * Environment:
 *   STRESS_SECONDS  how long, 20 if it is not set
 *   STRESS_SEED     the order of things, as far as tasks decide it; the time if not set
 */
#include <sys/prctl.h>

#include "memcg.h"
#include "stress.h"

#define WORKERS		4
#define MEMORY		(256 * MIB)

FIXTURE(stress)
{
	int kmsg, importer;
	long long pins;
};

static void reset_parameters(void)
{
	param_set("memlock", "0");
	param_set("user_limit_mb", "0");
	param_set("total_limit_mb", "0");
	param_set("staging_limit_mb", "0");
	param_set("staging_user_limit_mb", "0");
	param_set("staging", "1");
}

FIXTURE_SETUP(stress)
{
	self->kmsg = kmsg_open();
	if (is_c_driver())
		SKIP(return, "the C driver loses bytes where it bounces, and has no limits");
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP(return, "the importer's module is not loaded");
	importer_call(self->importer, IMPORTER_PLUG, NULL);
	reset_parameters();
	self->pins = pins_outstanding();
}

FIXTURE_TEARDOWN(stress)
{
	importer_call(self->importer, IMPORTER_PLUG, NULL);
	close(self->importer);
	reset_parameters();
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

/* What all tasks share. */
struct arena {
	unsigned long counts[OPS];
	uint64_t end;
	char wrong[256];
};

static bool is_over(const struct arena *a)
{
	return now_us() >= a->end || a->wrong[0];
}

static void tell(struct arena *a, const char *wrong)
{
	static char none;

	if (*wrong && __atomic_compare_exchange_n(&a->wrong[0], &none, *wrong, false,
						  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		snprintf(a->wrong, sizeof(a->wrong), "%s", wrong);
}

/* A child that looks at what it has inherited, or that is killed while it uses it. */
static void fork_a_child(struct model *m)
{
	bool killed = some(m, 2);
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		excused(m, -errno, "fork");
		return;
	}
	if (!pid) {
		uint64_t end = now_us() + 200000;

		/* Another order than that of the parent. */
		m->random ^= 0x9e3779b97f4a7c15ULL;
		do
			read_somewhere(m);
		while (killed && !m->wrong[0] && now_us() < end);
		_exit(m->wrong[0] ? 1 : 0);
	}
	if (killed) {
		sleep_us(some(m, 5000));
		kill(pid, SIGKILL);
		wait_status(pid);
		count(m, KILLED);
		return;
	}
	status = wait_status(pid);
	/* Killed for want of memory, or by another. */
	if (status && status != -SIGKILL)
		went_wrong(m, "a child has seen other bytes: status %d", status);
	count(m, FORKED);
}

static void step(struct model *m)
{
	struct buffer *b = &m->buffers[some(m, BUFFERS)];
	struct view *v = &b->views[some(m, VIEWS)];
	uint64_t what = some(m, 1000);

	if (m->memfd < 0 || what < 5) {
		make_memfd(m);
	} else if (what < 55) {
		drop_buffer(m, b);
		make_buffer(m, b);
	} else if (what < 155 && b->fd >= 0) {
		if (v->used)
			drop_view(m, v);
		else
			make_view(m, b, v);
	} else if (what < 165) {
		fork_a_child(m);
	} else if (what < 170 && !m->huge) {
		madvise(m->map, m->pages * m->page, MADV_COLLAPSE);
		count(m, COLLAPSE);
	} else if (what < 180 && !m->huge) {
		madvise(m->map, m->pages * m->page, MADV_PAGEOUT);
		count(m, PAGE_OUT);
	} else if (what < 560) {
		write_somewhere(m);
	} else {
		read_somewhere(m);
	}
}

/* In the cgroup, until the time is over. */
static void work(struct arena *a, uint64_t seed)
{
	struct model m = {
		.memfd = -1, .page = page_size(), .random = seed, .counts = a->counts,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text(GROUP "/cgroup.procs", "0");
	for (int i = 0; i < BUFFERS; i++)
		m.buffers[i].fd = -1;
	m.dev = node_open();
	m.importer = importer_open();
	m.mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	m.bytes = malloc(MAX_PAGES * m.page);
	if (m.dev < 0 || m.importer < 0 || m.mem < 0 || !m.bytes)
		_exit(3);
	while (!is_over(a) && !m.wrong[0])
		step(&m);
	if (!m.wrong[0])
		drop_memfd(&m);
	tell(a, m.wrong);
	_exit(0);
}

/* One change of the surroundings. */
static void disturb(int importer, uint64_t random)
{
	static const char * const limits[] = {
		"user_limit_mb", "total_limit_mb", "staging_limit_mb", "staging_user_limit_mb",
	};

	switch (random % 8) {
	case 0:
		write_text("/proc/sys/vm/compact_memory", "1");
		break;
	case 1:
		pool_resize(HUGE, random >> 8 & 15);
		break;
	case 2:
		importer_call(importer, IMPORTER_UNPLUG, NULL);
		sleep_us(random >> 8 & 0x3fff);
		importer_call(importer, IMPORTER_PLUG, NULL);
		break;
	case 3:
		param_set(limits[random >> 16 & 3], random & 512 ? "1" : "0");
		break;
	case 4:
		param_set("memlock", random & 256 ? "1" : "0");
		break;
	case 5:
		write_text("/proc/sys/vm/drop_caches", "3");
		break;
	case 6:
		write_text(GROUP "/memory.high", random & 256 ? "8M" : "max");
		break;
	default:
		read_number("/sys/kernel/debug/udmabuf_rs/buffers");
	}
}

TEST_F_TIMEOUT(stress, all_at_once, 7200)
{
	uint64_t seconds = strtoull(env_or("STRESS_SECONDS", "20"), NULL, 10);
	uint64_t seed = strtoull(env_or("STRESS_SEED", "0"), NULL, 0) ?: now_us() | 1;
	struct arena *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *no_group = group_make();
	unsigned long started = 0;
	pid_t pids[WORKERS] = {};
	char text[32];

	ASSERT_NE(MAP_FAILED, a);
	if (no_group)
		SKIP(return, "%s", no_group);
	snprintf(text, sizeof(text), "%llu", MEMORY);
	ASSERT_EQ(0, write_text(GROUP "/memory.max", text));
	a->end = now_us() + seconds * 1000000;
	printf("# seed %#llx\n", (unsigned long long)seed);
	fflush(stdout);
	while (!is_over(a)) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		for (int i = 0; i < WORKERS; i++) {
			bool kill_it = pids[i] && !(seed >> (32 + 4 * i) & 15);

			if (kill_it)
				kill(pids[i], SIGKILL);
			if (pids[i] && waitpid(pids[i], NULL, kill_it ? 0 : WNOHANG) != pids[i])
				continue;
			pids[i] = fork();
			if (!pids[i])
				work(a, seed * (2 * i + 1) | 1);
			started++;
		}
		disturb(self->importer, seed >> 24);
		sleep_us(20000);
	}
	for (int i = 0; i < WORKERS; i++)
		waitpid(pids[i], NULL, 0);
	write_text(GROUP "/memory.high", "max");
	group_remove();

	ASSERT_STREQ("", a->wrong);
	printf("# %lu tasks\n", started);
	for (int i = 0; i < OPS; i++) {
		printf("# %lu %s\n", a->counts[i], op_names[i]);
		if (i == MAP_DIRECT || i == MAP_STAGED || i == MAKE_HUGE || i == DEVICE_GONE)
			continue;
		EXPECT_LT(0, a->counts[i])
			TH_LOG("no %s", op_names[i]);
	}
	EXPECT_LT(0, a->counts[MAP_DIRECT] + a->counts[MAP_STAGED]);
	/* What was pinned is not pinned any more. */
	for (int i = 0; i < 100 && param_get("buffers"); i++)
		sleep_us(50000);
	EXPECT_EQ(0, param_get("buffers"));
	EXPECT_EQ(0, param_get("pinned_bytes"));
	EXPECT_EQ(0, param_get("staging_bytes"));
	EXPECT_EQ(self->pins, pins_outstanding());
}

TEST_HARNESS_MAIN
