// SPDX-License-Identifier: GPL-2.0
/*
 * brackets: those that overlap. Row 5 of the coherence matrix.
 *
 * The rule: an open WRITE bracket guards the bytes of its process: no
 * START of others fetches over them what a device wrote. It does so until its
 * END, until the process is gone, or for five seconds since the process last
 * opened a bracket with none open, or ended one. END|WRITE reaches the devices
 * whatever else is open. A READ bracket guards nothing.
 */
#include "coherence.h"
#include <sys/time.h>

/* What a guard lasts, and a while for a machine that is slow. */
#define GUARD_OVER_US	5700000

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

TEST_F(brackets, r05_end_of_one_leaves_the_guard_of_another)
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

TEST_F(brackets, r05_end_of_one_thread_leaves_the_guard_of_another)
{
	struct scene *s = &self->s;

	/* Whose threads they are the kernel cannot know: two STARTs need two ENDs. */
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

TEST_F(brackets, r05_read_bracket_guards_nothing)
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

TEST_F(brackets, r05_dead_process_guards_nothing)
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

TEST_F(brackets, r05_exec_ends_the_guard)
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

TEST_F_TIMEOUT(brackets, r05_process_that_never_ends_its_bracket, 60)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, leaves_a_bracket_open);
	ASSERT_EQ(0, step_wait(o.sock));
	sleep_us(GUARD_OVER_US);
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

TEST_F_TIMEOUT(brackets, r05_process_that_starts_for_ever, 60)
{
	struct scene *s = &self->s;
	struct other o;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	o = other_start(s, starts_for_ever);
	ASSERT_EQ(0, step_wait(o.sock));
	sleep_us(GUARD_OVER_US);
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	EXPECT_EQ(0, other_end(&o));
}

TEST_HARNESS_MAIN
