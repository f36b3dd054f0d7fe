// SPDX-License-Identifier: GPL-2.0
/*
 * account_races: creations that together exceed a limit race, accounts come and go, and operations
 * in a random order are compared with a model.
 *
 * Needs root, and that nothing else in the system has buffers.
 */
#include "accounts.h"

#define SEED		14
#define ROUNDS		200
#define OPERATIONS	10000

/* Races ------------------------------------------------------------------------ */

struct race {
	int dev, memfd, tasks;
	uint64_t size;
	int arrived, generation;
	int bufs[4];
	/* Rounds in which so many buffers were created. */
	int *rounds;
};

struct racer {
	struct race *race;
	int index;
	pthread_t thread;
};

/* Waits until all tasks are here, without sleeping. */
static void meet(struct race *race)
{
	int generation = __atomic_load_n(&race->generation, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&race->arrived, 1, __ATOMIC_ACQ_REL) == race->tasks) {
		__atomic_store_n(&race->arrived, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&race->generation, generation + 1, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&race->generation, __ATOMIC_ACQUIRE) == generation)
		sched_yield();
}

static void *run(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;

	for (int round = 0; round < ROUNDS; round++) {
		int created = 0;

		meet(race);
		race->bufs[racer->index] = create(race->dev, race->memfd, 0, race->size);
		meet(race);
		if (!racer->index) {
			for (int i = 0; i < race->tasks; i++)
				created += race->bufs[i] >= 0;
			race->rounds[created]++;
		}
		meet(race);
		if (race->bufs[racer->index] >= 0)
			close(race->bufs[racer->index]);
	}
	return NULL;
}

/* Threads of one user create a buffer each, at a time, again and again. */
static void run_all(struct race *race)
{
	struct racer racers[4];

	for (int i = 0; i < race->tasks; i++) {
		racers[i] = (struct racer){ .race = race, .index = i };
		CHILD_CHECK(!pthread_create(&racers[i].thread, NULL, run, &racers[i]));
	}
	for (int i = 0; i < race->tasks; i++)
		pthread_join(racers[i].thread, NULL);
}

FIXTURE(race)
{
	struct accounts a;
};

FIXTURE_VARIANT(race)
{
	enum limit limit;
	int tasks;
	/* The user that opened the node. */
	uid_t opener;
};

FIXTURE_VARIANT_ADD(race, of_two_for_user) { OF_USER, 2, USER };
FIXTURE_VARIANT_ADD(race, of_two_for_total) { OF_TOTAL, 2, USER };
FIXTURE_VARIANT_ADD(race, of_two_for_memlock) { OF_MEMLOCK, 2, USER };
FIXTURE_VARIANT_ADD(race, of_four_for_user) { OF_USER, 4, 0 };
FIXTURE_VARIANT_ADD(race, of_four_for_total) { OF_TOTAL, 4, 0 };
FIXTURE_VARIANT_ADD(race, of_four_for_memlock) { OF_MEMLOCK, 4, 0 };

FIXTURE_SETUP(race)
{
	ACCOUNTS_SETUP();
}

FIXTURE_TEARDOWN(race)
{
	ACCOUNTS_TEARDOWN();
}

/* One of them is always too many, and it is one that is refused. */
TEST_F(race, all_but_one_pass)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct rlimit limit = { MIB, MIB };
	struct race race = {
		.dev = node_open_as(variant->opener),
		.memfd = memfd_new(MIB),
		.tasks = variant->tasks,
		.size = MIB / variant->tasks + page_size(),
		.rounds = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	};
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)race.rounds);
	ASSERT_LE(0, race.dev);
	ASSERT_EQ(0, limit_set(variant->limit, user, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
		CHILD_CHECK(!setresuid(USER, USER, USER));
		run_all(&race);
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(ROUNDS, race.rounds[variant->tasks - 1])
		TH_LOG("created: 0 %d, 1 %d, 2 %d, 3 %d, 4 %d times", race.rounds[0],
		       race.rounds[1], race.rounds[2], race.rounds[3], race.rounds[4]);
	EXPECT_STREQ("", not_given_back(user));
}

ACCOUNTS_FIXTURE(account_races);

/* Accounts are made with the first buffer of a user and go with the last. */
TEST_F_TIMEOUT(account_races, accounts_come_and_go, 60)
{
	static const uid_t uids[] = { USER, OTHER_USER, USER, OTHER_USER };
	uint64_t until = now_us() + 3000000;
	struct user *user[2];
	pid_t pids[4];

	ASSERT_EQ(0, param_set("memlock", "1"));
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
			int memfd = memfd_new(MIB);

			CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
			CHILD_CHECK(!setresuid(uids[i], uids[i], uids[i]));
			while (now_us() < until) {
				int buf = create(self->a.dev, memfd, 0, page_size());

				CHILD_CHECK(buf >= 0);
				close(buf);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, wait_status(pids[i]));
	for (int i = 0; i < 2; i++) {
		user[i] = user_start(self->a.dev, uids[i], NONE);
		EXPECT_STREQ("", not_given_back(user[i]));
	}
}

/* A model ---------------------------------------------------------------------- */

#define MODEL_UIDS	3
#define MODEL_USERS	5

/* Pages, unless said otherwise. */
struct model {
	uint64_t held[MODEL_UIDS], locked[MODEL_UIDS], total, buffers;
	uint64_t user_limit, total_limit;
	bool memlock;
	struct {
		struct user *user;
		/* Index of the user ID. */
		int uid;
		bool is_exempt;
		uint64_t rlimit;
		struct {
			uint64_t pages;
			int uid;
			bool is_locked;
		} bufs[BUFS];
	} users[MODEL_USERS];
};

static const uid_t model_uids[MODEL_UIDS] = { 0, USER, OTHER_USER };

static uint64_t random_below(uint64_t bound)
{
	static uint64_t count;

	return word_at(SEED, count++) % bound;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t left(uint64_t limit, uint64_t held)
{
	return limit > held ? limit - held : 0;
}

/* Pages that user @n can have pinned. */
static uint64_t model_room(struct model *m, int n)
{
	int uid = m->users[n].uid;
	uint64_t room = min_u64(left(m->user_limit, m->held[uid]), left(m->total_limit, m->total));

	if (m->memlock && !m->users[n].is_exempt)
		room = min_u64(room, left(m->users[n].rlimit, m->locked[uid]));
	return room;
}

/* Adds buffer @buf of user @n to the sums, or takes it away from them. */
static void model_count(struct model *m, int n, int buf, int sign)
{
	uint64_t pages = sign * m->users[n].bufs[buf].pages;
	int uid = m->users[n].bufs[buf].uid;

	m->held[uid] += pages;
	m->total += pages;
	m->buffers += sign;
	if (m->users[n].bufs[buf].is_locked)
		m->locked[uid] += pages;
}

/* The rest of these functions return whether the driver did what the model does. */
static bool model_create(struct model *m, int n, int buf)
{
	uint64_t room = model_room(m, n), pages = 1 + random_below(384);
	bool is_locked = m->memlock && !m->users[n].is_exempt;
	int answer;

	/* As much as there is room for, or a page more. */
	if (!random_below(4) && room < 1023)
		pages = room + random_below(2) ?: 1;
	answer = user_create_by(m->users[n].user, buf, random_below(WAYS), pages);
	if (pages > room)
		return answer == -ENOMEM;
	m->users[n].bufs[buf].pages = pages;
	m->users[n].bufs[buf].uid = m->users[n].uid;
	m->users[n].bufs[buf].is_locked = is_locked;
	model_count(m, n, buf, 1);
	return !answer;
}

static bool model_close(struct model *m, int n, int buf)
{
	model_count(m, n, buf, -1);
	m->users[n].bufs[buf].pages = 0;
	return !user_close(m->users[n].user, buf);
}

static bool model_set_limit(const char *name, uint64_t *limit, int mb)
{
	*limit = mb ? mb * megabyte() : UINT64_MAX;
	return !param_set_number(name, mb);
}

static bool model_set_rlimit(struct model *m, int n, uint64_t pages)
{
	m->users[n].rlimit = pages < 1024 ? pages : UINT64_MAX;
	return !user_limit(m->users[n].user, RLIMIT_MEMLOCK,
			   pages < 1024 ? pages * page_size() : RLIM_INFINITY);
}

static bool model_step(struct model *m)
{
	int what = random_below(100), n = random_below(MODEL_USERS), buf = random_below(BUFS);

	if (what < 85 && m->users[n].bufs[buf].pages)
		return model_close(m, n, buf);
	if (what < 85)
		return model_create(m, n, buf);
	if (what < 89)
		return model_set_limit("user_limit_mb", &m->user_limit, random_below(5));
	if (what < 92)
		return model_set_limit("total_limit_mb", &m->total_limit, random_below(9));
	if (what < 94) {
		m->memlock = !m->memlock;
		return !param_set_number("memlock", m->memlock);
	}
	if (what < 97)
		return model_set_rlimit(m, n, random_below(1536));
	/* One of them is now this user, now that. */
	m->users[0].uid = random_below(MODEL_UIDS);
	return !user_order(m->users[0].user, SET_REAL_UID, model_uids[m->users[0].uid]);
}

TEST_F_TIMEOUT(account_races, random_operations_agree_with_a_model, 300)
{
	static const enum privileges privileges[MODEL_USERS] = {
		ALL_BUT_IPC_LOCK, ALL, NONE, NONE, NONE,
	};
	static const int uids[MODEL_USERS] = { 0, 0, 1, 1, 2 };
	struct model m = { .user_limit = UINT64_MAX, .total_limit = UINT64_MAX };
	int created = 0;

	TH_LOG("seed %d", SEED);
	for (int n = 0; n < MODEL_USERS; n++) {
		m.users[n].user = user_start(self->a.dev, model_uids[uids[n]], privileges[n]);
		m.users[n].uid = uids[n];
		m.users[n].is_exempt = privileges[n] == ALL;
		ASSERT_TRUE(model_set_rlimit(&m, n, UINT64_MAX));
	}
	for (int i = 0; i < OPERATIONS; i++) {
		uint64_t before = m.buffers;

		ASSERT_TRUE(model_step(&m))
			TH_LOG("operation %d", i);
		ASSERT_TRUE(held_is(m.buffers, m.total * page_size()))
			TH_LOG("operation %d: %lld buffers, %lld bytes", i, param_get("buffers"),
			       param_get("pinned_bytes"));
		created += m.buffers > before;
	}
	TH_LOG("%d buffers were created", created);
	EXPECT_LT(OPERATIONS / 20, created);
	for (int n = 0; n < MODEL_USERS; n++) {
		for (int buf = 0; buf < BUFS; buf++)
			if (m.users[n].bufs[buf].pages)
				ASSERT_TRUE(model_close(&m, n, buf));
	}
	EXPECT_EQ(0, m.total);
	EXPECT_TRUE(held_is(0, 0));
	ASSERT_EQ(0, user_order(m.users[0].user, SET_REAL_UID, 0));
	for (int n = 0; n < MODEL_USERS; n++) {
		if (!m.users[n].is_exempt)
			EXPECT_STREQ("", not_given_back(m.users[n].user));
	}
}

TEST_HARNESS_MAIN
