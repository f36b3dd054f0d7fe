// SPDX-License-Identifier: GPL-2.0
/*
 * brackets: those that overlap, are left open, or never began. Row 5 of the
 * coherence matrix, with A1 and A2.
 *
 * The rule: START shows what devices have written, END with WRITE passes on what
 * the CPU has written, and neither loses a byte that somebody else is writing.
 * Nobody has to be known for that: any number of them in any order will do.
 */
#include "coherence.h"
#include <sys/time.h>

/* Brackets that are left open: more than a list would hold, longer than one would be minded. */
#define LEFT_OPEN	300
#define LONG_US		5700000

COHERENCE_FIXTURE(brackets);

/* Another process, and how to keep in step with it --------------------------- */

struct other {
	pid_t pid;
	int sock;
};

/*
 * Runs @work in a child; it talks to us through step_wait() and step_send() on
 * the descriptor that it is given. Ends with it when we end.
 */
static struct other other_start(struct scene *s, void (*work)(struct scene *s, int sock))
{
	struct other o = {};
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return (struct other){ .pid = -errno };
	o.pid = fork();
	if (!o.pid) {
		close(sock[0]);
		work(s, sock[1]);
		_exit(0);
	}
	close(sock[1]);
	o.sock = sock[0];
	return o;
}

/* Lets it go on to its end. */
static int other_end(struct other *o)
{
	step_send(o->sock);
	return wait_status(o->pid);
}

static int other_kill(struct other *o)
{
	kill(o->pid, SIGKILL);
	return wait_status(o->pid);
}

/* Page 0 in a bracket that stays open until the other side says so. */
static void writes_slowly(struct scene *s, int sock)
{
	CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
	cpu_puts(s, 0, 1);
	CHILD_CHECK(!step_send(sock));
	CHILD_CHECK(!step_wait(sock));
	CHILD_CHECK(!cpu_has(s, 0, 1));
	CHILD_CHECK(!buf_sync(s->buf, SYNC_END_W));
}

static void reads_slowly(struct scene *s, int sock)
{
	CHILD_CHECK(!buf_sync(s->buf, SYNC_START_R));
	CHILD_CHECK(!step_send(sock));
	CHILD_CHECK(!step_wait(sock));
	CHILD_CHECK(!buf_sync(s->buf, SYNC_END_R));
}

/* 5: brackets that overlap --------------------------------------------------- */

static void *thread_bracket_reads(void *arg)
{
	struct scene *s = arg;

	return (void *)(long)(buf_sync(s->buf, SYNC_START_R) || buf_sync(s->buf, SYNC_END_R));
}

TEST_F(brackets, r05_start_of_a_thread_undoes_nothing)
{
	struct scene *s = &self->s;
	pthread_t thread;
	void *failed;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
		cpu_puts(s, 0, 1 + i);
		ASSERT_EQ(0, pthread_create(&thread, NULL, thread_bracket_reads, s));
		ASSERT_EQ(0, pthread_join(thread, &failed));
		EXPECT_EQ(NULL, failed);
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
		cpu_puts(s, 1, 3 + i);
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
		if (writing[i] == IMPORTER_BIDIRECTIONAL) {
			EXPECT_EQ(0, device_has(s, 0, 0, 1 + i));
			EXPECT_EQ(0, device_has(s, 0, 1, 3 + i));
		}
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
		EXPECT_EQ(0, cpu_has(s, 1, 3 + i));
	}
}

TEST_F(brackets, r05_start_of_a_process_undoes_nothing)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		struct other o;

		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		o = other_start(s, writes_slowly);
		ASSERT_EQ(0, step_wait(o.sock));
		EXPECT_EQ(0, bracket_has(s, 0, 1));
		/* To write is no reason to undo what another writes, either. */
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_RW));
		EXPECT_EQ(0, cpu_has(s, 0, 1));
		cpu_puts(s, 1, 2);
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_RW));
		EXPECT_EQ(0, other_end(&o));
		if (writing[i] == IMPORTER_BIDIRECTIONAL) {
			EXPECT_EQ(0, device_has(s, 0, 0, 1));
			EXPECT_EQ(0, device_has(s, 0, 1, 2));
		}
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 1));
		EXPECT_EQ(0, cpu_has(s, 1, 2));
	}
}

TEST_F(brackets, r05_end_of_one_process_takes_nothing_from_another)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	o = other_start(s, writes_slowly);
	ASSERT_EQ(0, step_wait(o.sock));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	EXPECT_EQ(0, other_bracket_has(s, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
}

TEST_F(brackets, r05_end_of_one_thread_takes_nothing_from_another)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	cpu_puts(s, 0, 1);
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
	cpu_puts(s, 1, 2);
	EXPECT_EQ(0, other_bracket_has(s, 1, 2));
	EXPECT_EQ(0, cpu_has(s, 1, 2));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	EXPECT_EQ(0, device_has(s, 0, 1, 2));
}

TEST_F(brackets, r05_end_reaches_the_devices_whatever_is_open)
{
	static void (* const others[])(struct scene *s, int sock) = { reads_slowly, writes_slowly };
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_map(s, 1, IMPORTER_TO_DEVICE));
	for (int i = 0; i < 2; i++) {
		struct other o = other_start(s, others[i]);

		ASSERT_EQ(0, step_wait(o.sock));
		ASSERT_EQ(0, bracket_puts(s, 1, 10 + i));
		EXPECT_EQ(0, device_has(s, 0, 1, 10 + i));
		EXPECT_EQ(0, device_has(s, 1, 1, 10 + i));
		EXPECT_EQ(0, other_end(&o));
	}
	EXPECT_EQ(0, device_has(s, 1, 0, 1));
}

TEST_F(brackets, r05_read_bracket_of_another)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_FROM_DEVICE));
	o = other_start(s, reads_slowly);
	ASSERT_EQ(0, step_wait(o.sock));
	ASSERT_EQ(0, device_puts(s, 0, 0, 2));
	EXPECT_EQ(0, bracket_has(s, 0, 2));
	EXPECT_EQ(0, other_end(&o));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, 0, 2));
}

static void leaves_a_bracket_open(struct scene *s, int sock)
{
	CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
	CHILD_CHECK(!step_send(sock));
	CHILD_CHECK(!step_wait(sock));
	pause();
}

static void becomes_another_program(struct scene *s, int sock)
{
	CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
	execl("/bin/busybox", "sleep", "60", NULL);
	CHILD_CHECK(0);
}

TEST_F(brackets, r05_killed_in_a_bracket)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		struct other o;

		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		o = other_start(s, leaves_a_bracket_open);
		ASSERT_EQ(0, step_wait(o.sock));
		EXPECT_EQ(-SIGKILL, other_kill(&o));
		ASSERT_EQ(0, device_puts(s, 0, 0, 1 + i));
		EXPECT_EQ(0, bracket_has(s, 0, 1 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
	}
}

TEST_F(brackets, r05_dead_process_does_not_keep_an_unmap_from_fetching)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, leaves_a_bracket_open);
	ASSERT_EQ(0, step_wait(o.sock));
	EXPECT_EQ(-SIGKILL, other_kill(&o));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
}

TEST_F(brackets, r05_exec_in_a_bracket)
{
	struct scene *s = &self->s;
	char byte;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, becomes_another_program);
	/* Its end of the socket closes with exec. */
	ASSERT_EQ(0, read(o.sock, &byte, 1));
	EXPECT_EQ(0, kill(o.pid, 0));
	sleep_us(100000);
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	EXPECT_EQ(-SIGKILL, other_kill(&o));
}

TEST_F(brackets, r05_process_that_is_stopped_in_a_bracket)
{
	struct scene *s = &self->s;
	struct other o;
	int status;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, leaves_a_bracket_open);
	ASSERT_EQ(0, step_wait(o.sock));
	ASSERT_EQ(0, kill(o.pid, SIGSTOP));
	ASSERT_EQ(o.pid, waitpid(o.pid, &status, WUNTRACED));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	ASSERT_EQ(0, device_puts(s, 0, 1, 2));
	ASSERT_EQ(0, device_unmap(s, 0));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
	EXPECT_EQ(0, cpu_has(s, 1, 2));
	EXPECT_EQ(-SIGKILL, other_kill(&o));
}

/* Never leaves the last bracket before it opens the next. */
static void starts_for_ever(struct scene *s, int sock)
{
	struct timeval never_block = { .tv_usec = 200000 };
	char byte;

	CHILD_CHECK(!setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &never_block, sizeof(never_block)));
	CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
	CHILD_CHECK(!step_send(sock));
	while (read(sock, &byte, 1) < 0)
		CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
}

TEST_F(brackets, r05_process_that_starts_for_ever)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, starts_for_ever);
	ASSERT_EQ(0, step_wait(o.sock));
	sleep_us(500000);
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	EXPECT_EQ(0, other_end(&o));
}

static void leaves_many_open(struct scene *s, int sock)
{
	for (int i = 0; i < LEFT_OPEN; i++)
		CHILD_CHECK(!buf_sync(s->buf, SYNC_START_W));
	CHILD_CHECK(!step_send(sock));
	CHILD_CHECK(!step_wait(sock));
}

/* Pages 0 to 2 between STARTs and ENDs of ours that come while another process writes. */
static void others_come_between(struct __test_metadata *_metadata, struct scene *s)
{
	for (int i = 0; i < 3; i++) {
		struct other o = other_start(s, writes_slowly);

		ASSERT_EQ(0, step_wait(o.sock));
		EXPECT_EQ(0, other_bracket_has(s, 0, 1));
		ASSERT_EQ(0, bracket_puts(s, 1, 2 + i));
		EXPECT_EQ(0, other_end(&o));
		EXPECT_EQ(0, device_has(s, 0, 0, 1));
		EXPECT_EQ(0, device_has(s, 0, 1, 2 + i));
		ASSERT_EQ(0, bracket_puts(s, 0, 7));
	}
}

TEST_F_TIMEOUT(brackets, r05_A1_brackets_left_open_by_a_process_that_lives, 60)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, leaves_many_open);
	ASSERT_EQ(0, step_wait(o.sock));
	sleep_us(LONG_US);
	others_come_between(_metadata, s);
	EXPECT_EQ(0, other_end(&o));
}

static void *thread_start_and_wait(void *arg)
{
	struct scene *s = arg;
	long failed = buf_sync(s->buf, SYNC_START_W);

	pause();
	return (void *)failed;
}

TEST_F_TIMEOUT(brackets, r05_A1_brackets_left_open_by_threads, 60)
{
	struct scene *s = &self->s;
	pthread_t threads[LEFT_OPEN];

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (int i = 0; i < LEFT_OPEN; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, thread_start_and_wait, s));
	sleep_us(LONG_US);
	others_come_between(_metadata, s);
	for (int i = 0; i < LEFT_OPEN; i++) {
		pthread_cancel(threads[i]);
		pthread_join(threads[i], NULL);
	}
}

TEST_F(brackets, r05_A1_nine_starts_and_eight_ends)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (int i = 0; i < 9; i++)
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	cpu_puts(s, 0, 1);
	EXPECT_EQ(0, other_bracket_has(s, 0, 1));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
}

static void *thread_ends(void *arg)
{
	struct scene *s = arg;

	return (void *)(long)buf_sync(s->buf, SYNC_END_W);
}

TEST_F(brackets, r05_A2_end_without_a_start)
{
	struct scene *s = &self->s;
	pthread_t thread;
	void *failed;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	cpu_puts(s, 0, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, thread_ends, s));
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
	cpu_puts(s, 1, 2);
	EXPECT_EQ(0, other_bracket_has(s, 1, 2));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
	EXPECT_EQ(0, cpu_has(s, 1, 2));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
	EXPECT_EQ(0, device_has(s, 0, 1, 2));
}

struct slow_writer {
	struct scene *s;
	pthread_t thread;
	int go[2], err;
	bool written;
};

/* Page 0 in a bracket of this thread, until it is told to go on. */
static void *thread_writes_slowly(void *arg)
{
	struct slow_writer *w = arg;
	char byte;

	w->err = buf_sync(w->s->buf, SYNC_START_W);
	cpu_puts(w->s, 0, 1);
	__atomic_store_n(&w->written, true, __ATOMIC_RELEASE);
	if (read(w->go[0], &byte, 1) != 1)
		w->err = -EIO;
	w->err = w->err ?: buf_sync(w->s->buf, SYNC_END_W);
	return NULL;
}

TEST_F(brackets, r05_A2_start_before_any_device_was_mapped)
{
	struct scene *s = &self->s;
	struct slow_writer w = { .s = s };

	/* Our START is older than the device, and our END must not end what a thread does. */
	ASSERT_EQ(0, pipe2(w.go, O_CLOEXEC));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, thread_writes_slowly, &w));
	while (!__atomic_load_n(&w.written, __ATOMIC_ACQUIRE))
		sleep_us(1000);
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_W));
	cpu_puts(s, 1, 2);
	EXPECT_EQ(0, other_bracket_has(s, 0, 1));
	EXPECT_EQ(0, cpu_has(s, 1, 2));
	ASSERT_EQ(1, write(w.go[1], "", 1));
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	EXPECT_EQ(0, w.err);
	EXPECT_EQ(0, device_has(s, 0, 0, 1));
	EXPECT_EQ(0, device_has(s, 0, 1, 2));
}

/* 20: unmap while somebody writes --------------------------------------------- */

TEST_F(brackets, r20_B3_unmap_in_a_fresh_bracket_of_another)
{
	struct scene *s = &self->s;

	for (int i = 0; i < 2; i++) {
		struct other o;

		ASSERT_EQ(0, device_map(s, 0, writing[i]));
		o = other_start(s, writes_slowly);
		ASSERT_EQ(0, step_wait(o.sock));
		ASSERT_EQ(0, device_puts(s, 0, 1, 2 + i));
		ASSERT_EQ(0, device_unmap(s, 0));
		EXPECT_EQ(0, cpu_has(s, 0, 1));
		EXPECT_EQ(0, cpu_has(s, 1, 2 + i));
		EXPECT_EQ(0, other_end(&o));
	}
}

TEST_HARNESS_MAIN
