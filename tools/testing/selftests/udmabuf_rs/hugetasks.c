// SPDX-License-Identifier: GPL-2.0
/*
 * hugetasks: what processes and threads do to each other over mappings where one
 * entry of a page table maps many pages, and processes without such entries.
 */
#include "hugemap.h"
#include <sys/prctl.h>

#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE	41
#endif
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED	2
#endif

HUGE_FIXTURE(hugetasks);

/* fork ------------------------------------------------------------------------ */

TEST_F(hugetasks, fork_each_sees_the_other)
{
	struct scene *s = &self->s;
	int i, touched;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2);
		int to_child[2], to_parent[2];
		pid_t pid;
		char *b;

		touched = i % 2;
		ASSERT_EQ(0, pipe(to_child));
		ASSERT_EQ(0, pipe(to_parent));
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		put_in_files(s, 0, s->pages, 1);
		if (touched)
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(!wrong(s, b, 0, s->pages, 1));
			put(s, b, 0, s->pages, 2);
			CHILD_CHECK(!step_send(to_parent[1]));
			CHILD_CHECK(!step_wait(to_child[0]));
			CHILD_CHECK(!wrong(s, b, 0, s->pages, 3));
			_exit(0);
		}
		EXPECT_EQ(0, step_wait(to_parent[0]));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 2));
		put(s, b, 0, s->pages, 3);
		EXPECT_EQ(0, step_send(to_child[1]));
		EXPECT_EQ(0, wait_status(pid));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 3));
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 3));
		close(to_child[0]);
		close(to_child[1]);
		close(to_parent[0]);
		close(to_parent[1]);
	}
}

/* What the parent does to its own mapping is no matter of the child's. */
TEST_F(hugetasks, fork_then_the_parent_unmaps_or_protects)
{
	struct scene *s = &self->s;
	size_t size = s->pages * s->pg;
	int i, sock[2];

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at);
		pid_t pid;
		char *b;

		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		put(s, b, 0, s->pages, 1);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(!step_wait(sock[1]));
			CHILD_CHECK(!wrong(s, b, 0, s->pages, 1));
			put(s, b, 0, s->pages, 2);
			CHILD_CHECK(!munmap(b + page * s->pg, 3 * s->pg));
			CHILD_CHECK(!wrong(s, b, 0, page, 2));
			_exit(0);
		}
		if (i % 2) {
			EXPECT_EQ(0, munmap(b, size));
			EXPECT_EQ(SIGSEGV, touch(b, false));
		} else {
			EXPECT_EQ(0, mprotect(b + page * s->pg, s->pg, PROT_NONE));
			EXPECT_EQ(SIGSEGV, touch(b + page * s->pg, false));
		}
		EXPECT_EQ(0, step_send(sock[0]));
		EXPECT_EQ(0, wait_status(pid));
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
		if (i % 2 == 0) {
			EXPECT_EQ(SIGSEGV, touch(b + page * s->pg, false));
			EXPECT_EQ(0, wrong(s, b, 0, page, 2));
		}
		close(sock[0]);
		close(sock[1]);
	}
}

/*
 * Nothing is unmapped when advice splits a mapping. A large entry across the border
 * would show the child what it was not to inherit.
 */
TEST_F(hugetasks, fork_of_a_part)
{
	struct scene *s = &self->s;
	int i, up;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at), n, end, first;
		char *b, *m;
		pid_t pid;

		/* A few pages in a slot; and all from there on. */
		up = i % 2;
		n = up ? s->pages - page : 5;
		end = page + n;
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		m = b + page * s->pg;
		ASSERT_EQ(0, madvise(m, n * s->pg, MADV_DONTFORK));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(touch(m, false) == SIGSEGV);
			CHILD_CHECK(touch(m + n * s->pg - 1, true) == SIGSEGV);
			CHILD_CHECK(!wrong(s, b, 0, page, 1));
			CHILD_CHECK(!wrong(s, b + end * s->pg, end, s->pages - end, 1));
			n = n < 5 ? n : 5;
			CHILD_CHECK(mmap(m, n * s->pg, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m);
			CHILD_CHECK(zero_up_to(m, n * s->pg) == n * s->pg);
			memset(m, 'm', n * s->pg);
			CHILD_CHECK(!wrong_in_files(s, 0, s->pages, 1));
			_exit(0);
		}
		EXPECT_EQ(0, wait_status(pid));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		/* The parts go one after the other, and take only their own with them. */
		first = page;
		EXPECT_EQ(0, munmap(b, first * s->pg));
		EXPECT_EQ(SIGSEGV, touch(m - 1, false));
		EXPECT_EQ(0, wrong(s, m, first, s->pages - first, 1));
	}
}

/* Threads ---------------------------------------------------------------------- */

#define THREADS		4
#define RACE_US		300000
#define TOUCHES		24

struct race {
	struct scene *s;
	pthread_barrier_t start, end;
	char *b;
	size_t pages;
	bool over, apart;
	size_t bad[THREADS];
	int round;
};

struct racer {
	struct race *race;
	int nr;
	pthread_t thread;
};

/* In each round: some pages, in an order of the thread's own, read and written. */
static void *racer_run(void *arg)
{
	struct racer *me = arg;
	struct race *r = me->race;
	struct scene *s = r->s;
	size_t i;

	for (;;) {
		pthread_barrier_wait(&r->start);
		if (__atomic_load_n(&r->over, __ATOMIC_ACQUIRE))
			return NULL;
		for (i = 0; i < TOUCHES; i++) {
			size_t page = (r->round + i * r->pages / TOUCHES) % r->pages;

			if (r->apart)
				page = (page + me->nr * s->per) % r->pages;
			else if (me->nr % 2)
				page = r->pages - 1 - page;
			if (me->nr < 2 && looked_at(s, page))
				r->bad[me->nr] += wrong(s, r->b + page * s->pg, page, 1, 1);
			((volatile char *)r->b)[page * s->pg + me->nr] = r->round;
			if (((volatile char *)r->b)[page * s->pg + me->nr] != (char)r->round)
				r->bad[me->nr]++;
		}
		pthread_barrier_wait(&r->end);
	}
}

static void race_begin(struct race *r, struct scene *s, struct racer *racers)
{
	int i;

	*r = (struct race){ .s = s };
	pthread_barrier_init(&r->start, NULL, THREADS + 1);
	pthread_barrier_init(&r->end, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){ .race = r, .nr = i };
		pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]);
	}
}

static size_t race_end(struct race *r, struct racer *racers)
{
	size_t bad = 0;
	int i;

	__atomic_store_n(&r->over, true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&r->start);
	for (i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		bad += r->bad[i];
	}
	return bad;
}

/* A mapping that is new in every round; by turns the threads begin in one slot and in several. */
static bool race_map(struct race *r)
{
	struct scene *s = r->s;

	r->round++;
	r->apart = r->round & 1;
	r->pages = r->round & 2 ? s->per : 2 * s->per;
	if (!clear(s))
		return false;
	r->b = map_pages(s, s->congruent, 0, r->pages, PROT_READ | PROT_WRITE);
	return r->b != MAP_FAILED;
}

TEST_F(hugetasks, first_touch_by_threads)
{
	struct scene *s = &self->s;
	struct racer racers[THREADS];
	uint64_t until = now_us() + RACE_US;
	struct race r;

	race_begin(&r, s, racers);
	do {
		ASSERT_TRUE(race_map(&r));
		pthread_barrier_wait(&r.start);
		pthread_barrier_wait(&r.end);
	} while (now_us() < until);
	EXPECT_EQ(0, race_end(&r, racers));
	EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 1));
}

TEST_F(hugetasks, fork_while_threads_touch)
{
	struct scene *s = &self->s;
	struct racer racers[THREADS];
	uint64_t until = now_us() + RACE_US;
	int child_bad = 0;
	struct race r;
	pid_t pid;

	race_begin(&r, s, racers);
	do {
		ASSERT_TRUE(race_map(&r));
		pthread_barrier_wait(&r.start);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(!wrong(s, r.b, 0, 40, 1));
			CHILD_CHECK(!wrong(s, r.b + (r.pages - 9) * s->pg, r.pages - 9, 9, 1));
			r.b[(r.pages / 2) * s->pg + THREADS] = 'c';
			_exit(0);
		}
		pthread_barrier_wait(&r.end);
		child_bad += wait_status(pid) != 0;
		child_bad += *(volatile char *)&r.b[(r.pages / 2) * s->pg + THREADS] != 'c';
		in_file(s, r.pages / 2)[THREADS] = 0;
	} while (now_us() < until);
	EXPECT_EQ(0, child_bad);
	EXPECT_EQ(0, race_end(&r, racers));
	EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 1));
}

TEST_F(hugetasks, split_and_replaced_while_threads_touch)
{
	struct scene *s = &self->s;
	struct racer racers[THREADS];
	uint64_t until = now_us() + RACE_US;
	struct race r;

	race_begin(&r, s, racers);
	do {
		size_t i;

		ASSERT_TRUE(race_map(&r));
		pthread_barrier_wait(&r.start);
		/* The threads see the same bytes at the same address, whatever maps them. */
		for (i = 0; i < 8; i++) {
			char *m = r.b + (i * r.pages / 8 + 1) * s->pg;

			madvise(m, 3 * s->pg, i & 1 ? MADV_DONTFORK : MADV_NOHUGEPAGE);
			mmap(m + s->pg, s->pg, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     s->buf, m + s->pg - r.b);
		}
		pthread_barrier_wait(&r.end);
		EXPECT_EQ(0, wrong(s, r.b, 0, 16, 1));
		EXPECT_EQ(0, wrong(s, r.b + (r.pages - 16) * s->pg, r.pages - 16, 16, 1));
	} while (now_us() < until);
	EXPECT_EQ(0, race_end(&r, racers));
	EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 1));
}

/* A process without transparent huge pages --------------------------------------- */

static int thp_disable(bool disable, unsigned long flags)
{
	return prctl(PR_SET_THP_DISABLE, disable, disable ? flags : 0, 0, 0) ? -errno : 0;
}

TEST_F(hugetasks, thp_disabled_for_the_process)
{
	static const unsigned long flags[] = { 0, PR_THP_DISABLE_EXCEPT_ADVISED };
	struct scene *s = &self->s;
	int i, j;

	for (j = 0; j < ARRAY_SIZE(flags); j++) {
		if (thp_disable(true, flags[j]))
			SKIP(return, "PR_SET_THP_DISABLE: %s", strerror(errno));
		for (i = 0; i < SHIFTS; i++) {
			struct cost cost;
			char *b;

			ASSERT_TRUE(clear(s));
			b = map_all(s, shift(s, i));
			ASSERT_NE(MAP_FAILED, b);
			cost = cost_of_touching(s, b, s->pages);
			/* No large entry: a page table for each slot that is there as a whole. */
			EXPECT_LE((s->pages / s->per - 1) * s->pg / 1024, cost.kib);
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
			put(s, b, 0, s->pages, 2);
			EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
			put_in_files(s, 0, s->pages, 1);
		}
		ASSERT_EQ(0, thp_disable(false, 0));
	}
}

/* Large entries that are there already, and page tables, when it changes. */
TEST_F(hugetasks, thp_disabled_in_between)
{
	struct scene *s = &self->s;
	int i, on;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at);
		char *b;

		on = i % 2;
		if (thp_disable(on, 0))
			SKIP(return, "PR_SET_THP_DISABLE: %s", strerror(errno));
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		/* Two slots; of another one page. */
		EXPECT_EQ(0, wrong(s, b, 0, s->per, 1));
		EXPECT_EQ(0, wrong(s, b + page * s->pg, page, 1, 1));
		ASSERT_EQ(0, thp_disable(!on, 0));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		ASSERT_EQ(0, mprotect(b + page * s->pg, s->pg, PROT_READ));
		EXPECT_EQ(SIGSEGV, touch(b + page * s->pg, true));
		EXPECT_EQ(0, touch(b + (page + 1) * s->pg, true));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		ASSERT_EQ(0, thp_disable(on, 0));
		ASSERT_EQ(0, mprotect(b + page * s->pg, s->pg, PROT_READ | PROT_WRITE));
		put(s, b, 0, s->pages, 2);
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
		put_in_files(s, 0, s->pages, 1);
		ASSERT_EQ(0, thp_disable(false, 0));
	}
}

TEST_F(hugetasks, advised_against_huge_pages)
{
	struct scene *s = &self->s;
	int i, touched;

	for (i = 0; i < 2 * SHIFTS; i++) {
		size_t at = shift(s, i / 2), page = middle_page(s, at);
		char *b;

		touched = i % 2;
		ASSERT_TRUE(clear(s));
		b = map_all(s, at);
		ASSERT_NE(MAP_FAILED, b);
		if (touched)
			EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		/* From the middle of a slot on, then all, then the other way. */
		EXPECT_EQ(0, madvise(b + page * s->pg, (s->pages - page) * s->pg, MADV_NOHUGEPAGE));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 1));
		EXPECT_EQ(0, madvise(b, s->pages * s->pg, MADV_NOHUGEPAGE));
		put(s, b, 0, s->pages, 2);
		EXPECT_EQ(0, madvise(b, s->pages * s->pg, MADV_HUGEPAGE));
		EXPECT_EQ(0, wrong(s, b, 0, s->pages, 2));
		EXPECT_EQ(0, wrong_in_files(s, 0, s->pages, 2));
		put_in_files(s, 0, s->pages, 1);
	}
}

#define COPIES		64
#define COPY_THREADS	2

/* A slot of the buffer, mapped many times: as many races a round. */
struct flips {
	struct scene *s;
	pthread_barrier_t start, end;
	char *copies;
	size_t first;
	bool over;
	size_t bad[COPY_THREADS];
};

struct flipper {
	struct flips *flips;
	int nr;
	pthread_t thread;
};

static void *touch_copies(void *arg)
{
	struct flipper *me = arg;
	struct flips *f = me->flips;
	struct scene *s = f->s;
	size_t page = me->nr ? s->per - 1 : 0, i;

	for (;;) {
		pthread_barrier_wait(&f->start);
		if (__atomic_load_n(&f->over, __ATOMIC_ACQUIRE))
			return NULL;
		for (i = 0; i < COPIES; i++)
			f->bad[me->nr] += wrong(s, f->copies + i * s->slot + page * s->pg,
						f->first + page, 1, 1);
		pthread_barrier_wait(&f->end);
	}
}

static void *keep_toggling_thp(void *arg)
{
	struct flips *f = arg;
	bool on = false;

	while (!__atomic_load_n(&f->over, __ATOMIC_ACQUIRE)) {
		on = !on;
		thp_disable(on, 0);
		/* Others want the lock as well that this takes. */
		sleep_us(20);
	}
	return NULL;
}

/* A fault that was to be served by pages finds a large entry there, and the reverse. */
TEST_F(hugetasks, thp_disabled_and_enabled_while_threads_touch)
{
	struct scene *s = &self->s;
	struct flipper flippers[COPY_THREADS];
	struct flips f = { .s = s, .first = (s->per - s->congruent) % s->per };
	uint64_t until = now_us() + 3 * RACE_US;
	size_t i;
	pthread_t toggler;
	char *hole;

	if (thp_disable(false, 0))
		SKIP(return, "PR_SET_THP_DISABLE: %s", strerror(errno));
	hole = mmap(NULL, (COPIES + 1) * s->slot, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	f.copies = (char *)(((uintptr_t)hole + s->slot - 1) / s->slot * s->slot);
	pthread_barrier_init(&f.start, NULL, COPY_THREADS + 1);
	pthread_barrier_init(&f.end, NULL, COPY_THREADS + 1);
	for (i = 0; i < COPY_THREADS; i++) {
		flippers[i] = (struct flipper){ .flips = &f, .nr = i };
		ASSERT_EQ(0, pthread_create(&flippers[i].thread, NULL, touch_copies, &flippers[i]));
	}
	ASSERT_EQ(0, pthread_create(&toggler, NULL, keep_toggling_thp, &f));
	do {
		for (i = 0; i < COPIES; i++)
			ASSERT_NE(MAP_FAILED, mmap(f.copies + i * s->slot, s->slot, PROT_READ,
						   MAP_SHARED | MAP_FIXED, s->buf,
						   f.first * s->pg));
		pthread_barrier_wait(&f.start);
		pthread_barrier_wait(&f.end);
	} while (now_us() < until);
	__atomic_store_n(&f.over, true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&f.start);
	for (i = 0; i < COPY_THREADS; i++) {
		pthread_join(flippers[i].thread, NULL);
		EXPECT_EQ(0, f.bad[i]);
	}
	pthread_join(toggler, NULL);
}

TEST_HARNESS_MAIN
