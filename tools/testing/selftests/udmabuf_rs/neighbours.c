// SPDX-License-Identifier: GPL-2.0
/*
 * neighbours: what users without privileges who have the node can cost others. They cannot pin more
 * than their limits allow, make others wait, or keep the module, once they have nothing of it.
 * hostile.c is about bytes and the log.
 *
 * Needs root, and that nothing else in the system has buffers.
 */
#include "neighbours.h"

/* Limits --------------------------------------------------------------------- */

#define LIMIT_MB	16
#define SECONDS		4
#define KEPT		32

/* Has a child with a user namespace of its own, where it has all capabilities, create one. */
static void create_in_a_namespace(struct attacker *a, uint64_t size)
{
	pid_t pid = fork();

	if (!pid) {
		if (!unshare(CLONE_NEWUSER))
			create(a->dev, memfd_new(size), 0, size);
		sleep_us(2000);
		_exit(0);
	}
	wait_status(pid);
}

/* The same of a child that is killed wherever it is. */
static void create_and_be_killed(struct attacker *a, uint64_t size, uint64_t us)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			create(a->dev, memfd_new(size), 0, size);
	}
	sleep_us(us);
	kill(pid, SIGKILL);
	wait_status(pid);
}

/* Keeps @buf in one of many ways that need no descriptor of it, or not for long. */
static void keep(int buf, uint64_t size, uint64_t way, int sock)
{
	switch (way % 4) {
	case 0:
		/* Half of a mapping is enough. */
		munmap(map_rw(buf, size), size / 2);
		break;
	case 1:
		send_fds(sock, &buf, 1);
		break;
	case 2:
		lose_in_a_cycle(buf);
		break;
	default:
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sleep_us(30000);
			_exit(0);
		}
	}
}

/* Takes back what is in flight, and waits for children that have ended. */
static void let_go(const int *pair)
{
	int fd;

	while (recv(pair[1], &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
	       !recv_fds(pair[1], &fd, 1))
		close(fd);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* A life of pinning: mappings are dropped with the process, which starts anew now and then. */
static void pin_for_a_while(struct attacker *a, uint64_t *state)
{
	int pair[2];

	CHILD_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	for (int i = 0; i < KEPT; i++) {
		uint64_t size = (2 + next(state) % 1024) / 2 * 2 * page_size();
		int memfd = memfd_new(size), buf;
		struct udmabuf_create_item items[] = {
			{ .memfd = memfd, .size = size }, { .memfd = memfd, .size = size },
		};

		buf = next(state) % 2 ? create(a->dev, memfd, 0, size) :
					create_list(a->dev, items, 2);
		close(memfd);
		if (buf >= 0) {
			keep(buf, size, next(state), pair[0]);
			if (next(state) % 4)
				close(buf);
		} else if (next(state) % 4 == 0) {
			create_in_a_namespace(a, size);
		} else if (next(state) % 4 == 0) {
			create_and_be_killed(a, size, next(state) % 3000);
		} else if (next(state) % 4 == 0) {
			let_go(pair);
		}
		did_one(a);
	}
	let_go(pair);
}

static void pin_all_one_can(struct attacker *a)
{
	uint64_t state = 0x2545f4914f6cdd1dULL + a->nr;

	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pin_for_a_while(a, &state);
			_exit(0);
		}
		wait_status(pid);
		next(&state);
		did_one(a);
	}
}

static const struct attack pinning = { "pinning", pin_all_one_can, .anywhere = true };

FIXTURE(pins)
{
	struct accounts a;
	struct user *other, *same;
};

FIXTURE_VARIANT(pins)
{
	enum limit limit;
};

FIXTURE_VARIANT_ADD(pins, of_user) { OF_USER };
FIXTURE_VARIANT_ADD(pins, of_total) { OF_TOTAL };
FIXTURE_VARIANT_ADD(pins, of_memlock) { OF_MEMLOCK };

FIXTURE_SETUP(pins)
{
	ACCOUNTS_SETUP();
	self->other = user_start(self->a.dev, OTHER_USER, NONE);
	self->same = user_start(self->a.dev, USER, NONE);
	ASSERT_NE(NULL, self->same);
}

FIXTURE_TEARDOWN(pins)
{
	ACCOUNTS_TEARDOWN();
}

/* Pages that the kernel says are pinned, from one look: it adds up processors now and then. */
static long long pinned_pages(void)
{
	static char text[32768];
	char *acquired, *released;

	write_text("/proc/sys/vm/stat_refresh", "1");
	if (read_text("/proc/vmstat", text, sizeof(text)) <= 0)
		return -1;
	acquired = strstr(text, "nr_foll_pin_acquired ");
	released = strstr(text, "nr_foll_pin_released ");
	if (!acquired || !released)
		return -1;
	return atoll(strchr(acquired, ' ')) - atoll(strchr(released, ' '));
}

/* By how much that may be wrong while pages are pinned: what a processor keeps to itself. */
static long long pinned_pages_blur(void)
{
	return 2 * 125 * sysconf(_SC_NPROCESSORS_ONLN);
}

struct seen {
	long long counted, pinned;
	int others, refused;
};

/* Looks on, and has the other user create a buffer now and then. */
static struct seen look_on(struct user *other, uint64_t seconds, long long pinned_before)
{
	uint64_t until = now_us() + seconds * 1000000;
	struct seen seen = {};

	for (int i = 0; now_us() < until; i++) {
		long long counted = param_get("pinned_bytes"), pinned;

		seen.counted = counted > seen.counted ? counted : seen.counted;
		if (i % 8)
			continue;
		pinned = pinned_pages() - pinned_before;
		seen.pinned = pinned > seen.pinned ? pinned : seen.pinned;
		if (!other || i % 64)
			continue;
		seen.others++;
		if (user_create(other, 0, megabyte()))
			seen.refused++;
		else
			user_close(other, 0);
	}
	return seen;
}

TEST_F(pins, stay_within_the_limit_at_every_moment)
{
	/* All that the other user has, once the limit is not of both. */
	uint64_t limit = LIMIT_MB * MIB, others = variant->limit == OF_TOTAL ? 0 : MIB;
	struct rlimit memlock = { limit, limit }, was;
	long long before = pinned_pages();
	struct seen seen;
	struct gang gang;

	ASSERT_EQ(0, limit_set(variant->limit, self->other, LIMIT_MB));
	ASSERT_EQ(0, limit_set(variant->limit, self->same, LIMIT_MB));
	/* Attackers inherit it, and cannot raise it. */
	ASSERT_EQ(0, prlimit(0, RLIMIT_MEMLOCK, &memlock, &was));
	ASSERT_EQ(0, gang_start(&gang, self->a.dev, &pinning));
	/* The attackers share a buffer that root has created. */
	close(gang.shared);
	seen = look_on(others ? self->other : NULL, SECONDS, before);
	gang_end(&gang);
	for (int i = 0; i < 100 && !held_is(0, 0); i++) {
		collect_sockets();
		sleep_us(50000);
	}
	prlimit(0, RLIMIT_MEMLOCK, &was, NULL);
	TH_LOG("of %d MiB up to %lld KiB charged, %lld pinned; %d of %d of another user failed",
	       LIMIT_MB, seen.counted / 1024, seen.pinned * (long long)page_size() / 1024,
	       seen.refused, seen.others);
	/* RLIMIT_MEMLOCK is looked at after the buffer is counted, and before it is pinned. */
	if (variant->limit != OF_MEMLOCK)
		EXPECT_GE(limit + others, seen.counted);
	EXPECT_GE((long long)((limit + others) / page_size()) + pinned_pages_blur(), seen.pinned);
	/* They came close. */
	EXPECT_LT((long long)(limit / page_size() / 2), seen.pinned);
	EXPECT_EQ(0, seen.refused);
	limits_off();
	EXPECT_STREQ("", not_given_back(self->same));
}

/* Waiting -------------------------------------------------------------------- */

/*
 * What a call of another may take beside attackers: the median, so many times what it takes without
 * them; 99 of 100 calls, so long, or 20 times that. Pinning one of their lists takes longer: calls
 * that wait for it are beyond one of the two. Both bounds allow for a host that is busy.
 */
#define MEDIAN_RATIO	5
#define LONGEST_MS	100
#define BLUR_NS		200000
#define TRIES		3

FIXTURE(waits)
{
	int kmsg, dev;
};

FIXTURE_VARIANT(waits)
{
	int attack;
};

FIXTURE_VARIANT_ADD(waits, large_buffers) { 0 };
FIXTURE_VARIANT_ADD(waits, opened_nodes) { 1 };
FIXTURE_VARIANT_ADD(waits, held_buffers) { 2 };
FIXTURE_VARIANT_ADD(waits, killed_creations) { 3 };
FIXTURE_VARIANT_ADD(waits, shared_buffer) { 4 };

FIXTURE_SETUP(waits)
{
	int importer = importer_open();

	if (attacks[variant->attack].needs_importer && importer < 0)
		SKIP(return, "the importer's module is not loaded");
	close(importer);
	self->kmsg = kmsg_open();
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, node_for_all(true));
}

FIXTURE_TEARDOWN(waits)
{
	node_for_all(false);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->dev);
	close(self->kmsg);
}

/* Returns the first call that takes too long, or NULL. */
static const char *too_slow(struct times *quiet, struct times *busy)
{
	for (enum call c = 0; c < CALLS; c++) {
		uint64_t longest = LONGEST_MS * 1000000ULL, by_ratio = 20 * quantile(quiet, c, 990);

		if (quantile(busy, c, 500) > MEDIAN_RATIO * quantile(quiet, c, 500) + BLUR_NS ||
		    quantile(busy, c, 990) > (longest > by_ratio ? longest : by_ratio))
			return call_names[c];
	}
	return NULL;
}

static void show_times(struct __test_metadata *_metadata, struct times *quiet, struct times *busy)
{
	for (enum call c = 0; c < CALLS; c++)
		TH_LOG("%-10s median %5llu us, alone %5llu; 99%% %6llu, alone %6llu", call_names[c],
		       (unsigned long long)quantile(busy, c, 500) / 1000,
		       (unsigned long long)quantile(quiet, c, 500) / 1000,
		       (unsigned long long)quantile(busy, c, 990) / 1000,
		       (unsigned long long)quantile(quiet, c, 990) / 1000);
}

TEST_F_TIMEOUT(waits, are_as_short_as_without_neighbours, 300)
{
	struct times *quiet = malloc(sizeof(*quiet)), *busy = malloc(sizeof(*busy));
	const char *slow = NULL;
	struct gang gang;

	/* Others may keep the machine under this one busy: what is the driver's comes back. */
	for (int i = 0; !i || (slow && i < TRIES); i++) {
		ASSERT_EQ(0, victim_measure(quiet));
		ASSERT_EQ(0, gang_start(&gang, self->dev, &attacks[variant->attack]));
		EXPECT_EQ(0, victim_measure(busy));
		gang_end(&gang);
		slow = too_slow(quiet, busy);
		show_times(_metadata, quiet, busy);
	}
	EXPECT_EQ(NULL, slow)
		TH_LOG("too slow, %d times: %s", TRIES, slow);
}

/* Unloading ------------------------------------------------------------------ */

FIXTURE(unload)
{
	int kmsg, dev;
};

static bool is_loaded(void)
{
	return param_get("buffers") >= 0;
}

FIXTURE_SETUP(unload)
{
	if (is_c_driver())
		SKIP(return, "the C driver is built in and cannot be unloaded");
	if (access(module_file(), R_OK))
		SKIP(return, "no %s to load again", module_file());
	self->kmsg = kmsg_open();
	if (!is_loaded())
		module_load("");
	self->dev = node_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, node_for_all(true));
}

FIXTURE_TEARDOWN(unload)
{
	close(self->dev);
	if (!is_loaded())
		module_load("");
	node_for_all(false);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

#define UNLOAD_SECONDS	5

TEST_F(unload, takes_seconds_once_attackers_are_gone)
{
	int importer = importer_open();
	struct attack holding = { "holding", hold_in_all_ways, importer >= 0 };
	struct gang gang;
	uint64_t gone;
	int err;

	close(importer);
	ASSERT_EQ(0, gang_start(&gang, self->dev, &holding));
	sleep_us(300000);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	close(self->dev);
	self->dev = -1;
	gang_end(&gang);
	gone = now_us();
	err = unload_within(60);
	TH_LOG("unloaded %llu ms after the attackers had gone",
	       (unsigned long long)(now_us() - gone) / 1000);
	EXPECT_EQ(0, err);
	EXPECT_GT(UNLOAD_SECONDS * 1000000, now_us() - gone);
}

/* The one way that there is: each module that has a node is kept by whoever has it open. */
TEST_F(unload, is_refused_while_an_attacker_has_the_node_open)
{
	int held[2], released[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(held));
	ASSERT_EQ(0, pipe(released));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->dev);
		become(NOBODY);
		CHILD_CHECK(node_open() >= 0 && !step_send(held[1]));
		step_wait(released[0]);
		_exit(0);
	}
	ASSERT_EQ(0, step_wait(held[0]));
	close(self->dev);
	self->dev = -1;
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, step_send(released[1]));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, unload_within(UNLOAD_SECONDS));
}

TEST_HARNESS_MAIN
