// SPDX-License-Identifier: GPL-2.0
/*
 * signals: brackets that wait for a fence, or that a signal reaches. Rows 11 to
 * 13 of the coherence matrix.
 */
#include "coherence.h"
#include <sys/ptrace.h>
#include <sys/time.h>

COHERENCE_FIXTURE(signals);

/* 11: a fence that is pending at START --------------------------------------- */

struct starter {
	pthread_t thread;
	struct scene *s;
	uint64_t start, seed;
	bool done;
	int result;
};

/* START, and what the page shows the moment it returns. */
static void *start_and_look(void *arg)
{
	struct starter *st = arg;

	st->result = buf_sync(st->s->buf, st->start);
	__atomic_store_n(&st->done, true, __ATOMIC_RELEASE);
	if (!st->result)
		st->result = cpu_has(st->s, 0, st->seed);
	buf_sync(st->s->buf, st->start | DMA_BUF_SYNC_END);
	return NULL;
}

TEST_F(signals, r11_start_waits_and_shows_what_came_before_the_signal)
{
	static const uint64_t starts[] = { SYNC_START_R, SYNC_START_W, SYNC_START_RW };
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (int i = 0; i < 3; i++) {
		struct starter st = { .s = s, .start = starts[i], .seed = 1 + i };

		ASSERT_EQ(0, importer_fence(s->importer, 0, s->buf, true));
		ASSERT_EQ(0, pthread_create(&st.thread, NULL, start_and_look, &st));
		sleep_us(200000);
		ASSERT_EQ(0, device_puts(s, 0, 0, 1 + i));
		EXPECT_FALSE(__atomic_load_n(&st.done, __ATOMIC_ACQUIRE));
		ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_SIGNAL, 0));
		ASSERT_EQ(0, pthread_join(st.thread, NULL));
		EXPECT_EQ(0, st.result);
	}
}

TEST_F(signals, r11_start_to_read_does_not_wait_for_a_device_that_reads)
{
	struct scene *s = &self->s;
	struct starter st = { .s = s, .start = SYNC_START_W, .seed = 1 };

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, bracket_puts(s, 0, 1));
	ASSERT_EQ(0, importer_fence(s->importer, 0, s->buf, false));
	EXPECT_EQ(0, bracket_has(s, 0, 1));
	ASSERT_EQ(0, pthread_create(&st.thread, NULL, start_and_look, &st));
	sleep_us(200000);
	EXPECT_FALSE(__atomic_load_n(&st.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_SIGNAL, 0));
	ASSERT_EQ(0, pthread_join(st.thread, NULL));
	EXPECT_EQ(0, st.result);
}

/*
 * A process that shares the buffer, and no more: it adds a fence of work on another
 * buffer before the last one signals, for ever. Each is pending for some 4 ms.
 */
static void adds_fences_for_ever(struct scene *s, unsigned int *count)
{
	int importer = importer_open(), other[2];

	for (int i = 0; i < 2; i++) {
		other[i] = create(s->dev, memfd_new(s->page), 0, s->page);
		CHILD_CHECK(other[i] >= 0);
	}
	for (int i = 0; ; i ^= 1) {
		struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW };
		struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_RW };

		CHILD_CHECK(!importer_fence(importer, i, other[i], true));
		CHILD_CHECK(!ioctl(other[i], DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out));
		in.fd = out.fd;
		CHILD_CHECK(!ioctl(s->buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in));
		close(out.fd);
		if (__atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL))
			CHILD_CHECK(!importer_slot(importer, IMPORTER_SIGNAL, i ^ 1));
		sleep_us(2000);
	}
}

TEST_F_TIMEOUT(signals, r11_A3_start_while_fences_never_cease, 60)
{
	unsigned int *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static const uint64_t starts[] = { SYNC_START_R, SYNC_START_RW };
	struct scene *s = &self->s;
	uint64_t longest = 0;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, count);
	/* dma_buf_begin_cpu_access() waits by itself afterwards, and may start over. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "the core's own wait does not end on a kernel as slow as this");
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		adds_fences_for_ever(s, count);
		_exit(0);
	}
	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < 3)
		sleep_us(1000);
	for (int i = 0; i < 20; i++) {
		uint64_t started = now_us(), took;

		ASSERT_EQ(0, buf_sync(s->buf, starts[i & 1]));
		took = now_us() - started;
		ASSERT_EQ(0, buf_sync(s->buf, starts[i & 1] | DMA_BUF_SYNC_END));
		longest = took > longest ? took : longest;
	}
	/* They have not ceased. */
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_status(pid));
	TH_LOG("the longest of 20 STARTs took %llu us beside %u fences",
	       (unsigned long long)longest, *count);
	EXPECT_GT(1000000, longest);
}

/* 12: a signal at START ------------------------------------------------------ */

static void nothing(int sig)
{
}

/* One START, which SIGALRM reaches while it waits: 0 or -errno. */
static int start_interrupted(struct scene *s, uint64_t start, int flags)
{
	struct sigaction act = { .sa_handler = nothing, .sa_flags = flags };
	struct itimerval soon = { {}, { 0, 200000 } };
	struct dma_buf_sync sync = { .flags = start };

	if (sigaction(SIGALRM, &act, NULL) || setitimer(ITIMER_REAL, &soon, NULL))
		return -ENOSYS;
	return ioctl(s->buf, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

TEST_F(signals, r12_interrupted_start_leaves_nothing_behind)
{
	static const uint64_t starts[] = { SYNC_START_R, SYNC_START_W, SYNC_START_RW };
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, importer_fence(s->importer, 0, s->buf, true));
		EXPECT_EQ(-EINTR, start_interrupted(s, starts[i], 0));
		ASSERT_EQ(0, device_puts(s, 0, 0, 1 + i));
		ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_SIGNAL, 0));
		/* There is no bracket: others fetch, and so does the next try. */
		EXPECT_EQ(0, other_bracket_has(s, 0, 1 + i));
		ASSERT_EQ(0, device_puts(s, 0, 0, 11 + i));
		ASSERT_EQ(0, buf_sync(s->buf, starts[i]));
		EXPECT_EQ(0, cpu_has(s, 0, 11 + i));
		ASSERT_EQ(0, buf_sync(s->buf, starts[i] | DMA_BUF_SYNC_END));
	}
}

static void *signal_the_fence(void *arg)
{
	struct scene *s = arg;

	sleep_us(500000);
	if (device_puts(s, 0, 0, 1))
		return s;
	return importer_slot(s->importer, IMPORTER_SIGNAL, 0) ? s : NULL;
}

TEST_F(signals, r12_interrupted_start_goes_on)
{
	struct scene *s = &self->s;
	pthread_t thread;
	sigset_t alarm;
	void *failed;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, importer_fence(s->importer, 0, s->buf, true));
	/* The thread must not be the one that the signal goes to. */
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &alarm, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, signal_the_fence, s));
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &alarm, NULL));
	EXPECT_EQ(0, start_interrupted(s, SYNC_START_R, SA_RESTART));
	EXPECT_EQ(0, cpu_has(s, 0, 1));
	ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_R));
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
}

/* A tracer can have a signal arrive between the entry of a system call and its work. */
static int next_stop(pid_t pid, int how, int signal)
{
	int status;

	if (ptrace(how, pid, NULL, signal) || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSTOPPED(status) ? WSTOPSIG(status) : -ECHILD;
}

/* Runs @pid, which is stopped, up to the entry of its next DMA_BUF_IOCTL_SYNC. */
static int run_to_sync(pid_t pid)
{
	struct __ptrace_syscall_info info;
	int stop;

	do {
		stop = next_stop(pid, PTRACE_SYSCALL, 0);
		if (stop != (SIGTRAP | 0x80))
			return -EPROTO;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
			return -errno;
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_ioctl ||
		 (unsigned int)info.entry.args[1] != (unsigned int)DMA_BUF_IOCTL_SYNC);
	return 0;
}

/* From there on with a signal pending; what the call returned, or -ECHILD. */
static long sync_with_signal(pid_t pid)
{
	struct __ptrace_syscall_info info;

	if (kill(pid, SIGUSR1) || next_stop(pid, PTRACE_SYSCALL, 0) != (SIGTRAP | 0x80))
		return -ECHILD;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return -ECHILD;
	/* The signal is delivered now, and the rest goes on untraced. */
	if (next_stop(pid, PTRACE_CONT, 0) != SIGUSR1)
		return -ECHILD;
	if (ptrace(PTRACE_DETACH, pid, NULL, SIGUSR1))
		return -ECHILD;
	return info.exit.rval;
}

static int trace(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -ECHILD;
	return ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) ?
	       -errno : 0;
}

static void wait_for_tracer(void)
{
	struct sigaction act = { .sa_handler = nothing };

	CHILD_CHECK(!sigaction(SIGUSR1, &act, NULL));
	CHILD_CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	kill(getpid(), SIGSTOP);
}

TEST_F(signals, r12_start_with_a_signal_pending)
{
	struct scene *s = &self->s;
	long err;
	pid_t pid;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, device_puts(s, 0, 0, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		wait_for_tracer();
		/* Either it is through, or this is called again. */
		CHILD_CHECK(!buf_sync(s->buf, SYNC_START_R));
		CHILD_CHECK(!cpu_has(s, 0, 1));
		CHILD_CHECK(!buf_sync(s->buf, SYNC_END_R));
		_exit(0);
	}
	ASSERT_EQ(0, trace(pid));
	ASSERT_EQ(0, run_to_sync(pid));
	err = sync_with_signal(pid);
	EXPECT_TRUE(!err || err == -EINTR || err == -512)
		TH_LOG("START returned %ld", err);
	EXPECT_EQ(0, wait_status(pid));
}

/* 13: a signal at END -------------------------------------------------------- */

TEST_F(signals, r13_end_with_a_signal_pending_reaches_the_device)
{
	static const uint64_t starts[] = { SYNC_START_W, SYNC_START_RW };
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			struct dma_buf_sync end = { .flags = starts[i] | DMA_BUF_SYNC_END };

			CHILD_CHECK(!buf_sync(s->buf, starts[i]));
			cpu_puts(s, 0, 1 + i);
			wait_for_tracer();
			/* Once: nobody calls END again. */
			CHILD_CHECK(!ioctl(s->buf, DMA_BUF_IOCTL_SYNC, &end));
			_exit(0);
		}
		ASSERT_EQ(0, trace(pid));
		ASSERT_EQ(0, run_to_sync(pid));
		EXPECT_EQ(0, sync_with_signal(pid));
		EXPECT_EQ(0, wait_status(pid));
		EXPECT_EQ(0, device_has(s, 0, 0, 1 + i));
		EXPECT_EQ(0, cpu_has(s, 0, 1 + i));
	}
}

/* The same while END has to wait for the lock, as far as chance has it. */
struct storm {
	struct scene *s;
	bool stop;
};

static void *keep_the_lock_busy(void *arg)
{
	struct storm *storm = arg;

	while (!__atomic_load_n(&storm->stop, __ATOMIC_ACQUIRE)) {
		device_map(storm->s, 5, IMPORTER_TO_DEVICE);
		device_unmap(storm->s, 5);
	}
	return NULL;
}

TEST_F(signals, r13_end_under_a_storm_of_signals)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = {};
	struct storm storm = { .s = &self->s };
	struct scene *s = &self->s;
	int rounds = is_edu() ? 5 : 50;
	pthread_t thread;
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &alarm, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_the_lock_busy, &storm));
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &alarm, NULL));
	for (int i = 0; i < rounds; i++) {
		struct dma_buf_sync end = { .flags = SYNC_END_W };

		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_W));
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
		cpu_puts(s, 0, i);
		EXPECT_EQ(0, ioctl(s->buf, DMA_BUF_IOCTL_SYNC, &end));
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
		EXPECT_EQ(0, device_has(s, 0, 0, i));
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_HARNESS_MAIN
