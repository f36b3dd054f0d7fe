// SPDX-License-Identifier: GPL-2.0
/*
 * sync: DMA_BUF_IOCTL_SYNC, the bracket around access by the CPU.
 *
 * Also built for 32-bit callers (sync_32). What brackets do behind a bounce
 * buffer is in bounce.c.
 */
#include "udmabuf_test.h"
#include <poll.h>
#include <sys/time.h>
#include <drm/drm.h>
#include <drm/vgem_drm.h>

#define PAGES	8

UDMABUF_FIXTURE(sync);

static int buffer(int dev)
{
	return create(dev, memfd_new(PAGES * page_size()), 0, PAGES * page_size());
}

/* One call, no restart: 0 or -errno. */
static int sync_once(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

TEST_F(sync, D4_every_direction)
{
	static const uint64_t dir[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };

	for (size_t i = 0; i < ARRAY_SIZE(dir); i++) {
		int buf = buffer(self->dev);

		ASSERT_LE(0, buf);
		for (int round = 0; round < 3; round++) {
			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_START | dir[i]));
			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_END | dir[i]));
		}
		close(buf);
	}
}

TEST_F(sync, bad_flags_are_EINVAL)
{
	static const uint64_t bad[] = {
		0, DMA_BUF_SYNC_START, DMA_BUF_SYNC_END,
		DMA_BUF_SYNC_RW | 8, DMA_BUF_SYNC_RW | 16,
		DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END | 0x100,
		DMA_BUF_SYNC_RW | 1ULL << 32, DMA_BUF_SYNC_RW | 1ULL << 63, ~0ULL,
	};
	int buf = buffer(self->dev);

	ASSERT_LE(0, buf);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, sync_once(buf, bad[i]));
}

TEST_F(sync, EFAULT_and_ENOTTY)
{
	int buf = buffer(self->dev);

	ASSERT_LE(0, buf);
	EXPECT_EQ(-1, ioctl(buf, DMA_BUF_IOCTL_SYNC, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(buf, _IOW('b', 77, __u64), NULL));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(buf, UDMABUF_CREATE, NULL));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(sync, C17_end_without_start)
{
	static const uint64_t end[] = { SYNC_END_R, SYNC_END_W, SYNC_END_RW };

	for (size_t i = 0; i < ARRAY_SIZE(end); i++) {
		int buf = buffer(self->dev);

		EXPECT_EQ(0, sync_once(buf, end[i]));
		close(buf);
	}
}

TEST_F(sync, C17_end_without_start_changes_nothing)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	fill(a, size, 1);
	EXPECT_EQ(0, sync_once(buf, SYNC_END_RW));
	EXPECT_EQ(size, matches(b, size, 1));
	/* And the next bracket is as good as any. */
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	fill(b, size, 2);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(size, matches(a, size, 2));
}

TEST_F(sync, second_end)
{
	int buf = buffer(self->dev);

	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, sync_once(buf, SYNC_END_RW));
	EXPECT_EQ(0, sync_once(buf, SYNC_END_RW));
	EXPECT_EQ(0, sync_once(buf, SYNC_END_R));
}

/* The DMA debug API, where the kernel has it, warns about the C driver here. */
TEST_F(sync, C9_bracket_of_another_direction)
{
	static const uint64_t dir[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(dir); i++) {
		for (j = 0; j < ARRAY_SIZE(dir); j++) {
			int buf = buffer(self->dev);

			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_START | dir[i]));
			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_START | dir[j]));
			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_END | dir[i]));
			EXPECT_EQ(0, buf_sync(buf, DMA_BUF_SYNC_END | dir[j]));
			close(buf);
		}
	}
}

TEST_F(sync, nested_and_overlapping_brackets)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_W));
	fill(b, size / 2, 1);
	/* A second START must not undo what the open bracket has written. */
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(size / 2, matches(b, size / 2, 1));
	fill(b + size / 2, size / 2, 2);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_W));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
	EXPECT_EQ(size / 2, matches(a, size / 2, 1));
	EXPECT_EQ(size / 2, matches(a + size / 2, size / 2, 2));
}

TEST_F(sync, D2_bracket_makes_bytes_visible_to_another_process)
{
	size_t size = PAGES * page_size();
	int buf = buffer(self->dev), sock[2], round;
	char *b;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	if (!pid) {
		for (round = 0; round < 20; round++) {
			CHILD_CHECK(!step_wait(sock[1]));
			CHILD_CHECK(!buf_sync(buf, SYNC_START_RW));
			CHILD_CHECK(matches(b, size, 2 * round) == size);
			fill(b, size, 2 * round + 1);
			CHILD_CHECK(!buf_sync(buf, SYNC_END_RW));
			CHILD_CHECK(!step_send(sock[1]));
		}
		_exit(0);
	}
	close(sock[1]);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, buf_sync(buf, SYNC_START_W));
		fill(b, size, 2 * round);
		ASSERT_EQ(0, buf_sync(buf, SYNC_END_W));
		ASSERT_EQ(0, step_send(sock[0]));
		ASSERT_EQ(0, step_wait(sock[0]));
		ASSERT_EQ(0, buf_sync(buf, SYNC_START_R));
		EXPECT_EQ(size, matches(b, size, 2 * round + 1));
		ASSERT_EQ(0, buf_sync(buf, SYNC_END_R));
	}
	EXPECT_EQ(0, wait_status(pid));
}

TEST_F(sync, poll_without_a_fence_is_ready)
{
	struct pollfd p = { .fd = buffer(self->dev), .events = POLLIN | POLLOUT };

	ASSERT_EQ(1, poll(&p, 1, 5000));
	EXPECT_EQ(POLLIN | POLLOUT, p.revents & (POLLIN | POLLOUT));
	EXPECT_EQ(0, buf_sync(p.fd, SYNC_START_RW));
	ASSERT_EQ(1, poll(&p, 1, 5000));
	EXPECT_EQ(0, buf_sync(p.fd, SYNC_END_RW));
}

TEST_F(sync, bracket_without_or_after_a_mapping)
{
	size_t size = PAGES * page_size();
	int buf = buffer(self->dev);
	char *b;

	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	b[0] = 1;
	munmap(b, size);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
}

TEST_F(sync, bracket_begun_and_ended_on_two_descriptors)
{
	int buf = buffer(self->dev), other = dup(buf);

	ASSERT_LE(0, other);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(other, SYNC_END_RW));
	EXPECT_EQ(0, buf_sync(other, SYNC_START_W));
	close(other);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_W));
}

TEST_F(sync, bracket_left_open_at_close)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), i;

	for (i = 0; i < 200; i++) {
		int buf = create(self->dev, memfd, 0, size);

		ASSERT_LE(0, buf);
		EXPECT_EQ(0, buf_sync(buf, i & 1 ? SYNC_START_RW : SYNC_START_R));
		close(buf);
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(sync, dead_process_leaves_its_bracket_open)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size), i;
	char *a = map_rw(memfd, size), *b = map_rw(buf, size);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(!buf_sync(buf, SYNC_START_RW));
			fill(b, size, 100 + i);
			if (i & 1)
				raise(SIGKILL);
			_exit(0);
		}
		EXPECT_EQ(i & 1 ? -SIGKILL : 0, wait_status(pid));
		/* Others go on as if it had never been there. */
		EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
		EXPECT_EQ(size, matches(b, size, 100 + i));
		fill(b, size, 200 + i);
		EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
		EXPECT_EQ(size, matches(a, size, 200 + i));
	}
}

struct worker {
	int buf, nr, bad;
	char *mem;
};

static void *bracket_worker(void *arg)
{
	struct worker *w = arg;
	size_t pg = page_size();
	int i;

	for (i = 0; i < 500; i++) {
		w->bad += buf_sync(w->buf, i & 1 ? SYNC_START_RW : SYNC_START_W) != 0;
		fill(w->mem + w->nr * pg, 256, w->nr * 1000 + i);
		w->bad += matches(w->mem + w->nr * pg, 256, w->nr * 1000 + i) != 256;
		w->bad += buf_sync(w->buf, i & 1 ? SYNC_END_RW : SYNC_END_W) != 0;
	}
	return NULL;
}

TEST_F(sync, D4_brackets_of_many_threads)
{
	size_t size = PAGES * page_size();
	struct worker w[PAGES];
	pthread_t thread[PAGES];
	int buf = buffer(self->dev), i;
	char *b = map_rw(buf, size);

	ASSERT_NE(MAP_FAILED, b);
	for (i = 0; i < PAGES; i++) {
		w[i] = (struct worker){ .buf = buf, .nr = i, .mem = b };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, bracket_worker, &w[i]));
	}
	for (i = 0; i < PAGES; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, w[i].bad);
		EXPECT_EQ(256, matches(b + i * page_size(), 256, i * 1000 + 499));
	}
}

struct starter {
	int buf;
	int *turn;
	int result;
};

static void *start_together(void *arg)
{
	struct starter *s = arg;

	__atomic_add_fetch(s->turn, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(s->turn, __ATOMIC_ACQUIRE) < 4)
		sched_yield();
	s->result = buf_sync(s->buf, SYNC_START_RW);
	s->result |= buf_sync(s->buf, SYNC_END_RW);
	return NULL;
}

/* Where a leak of one of four scatter tables shows is bounce.c. */
TEST_F(sync, first_brackets_of_four_threads_at_once)
{
	int round, i;

	for (round = 0; round < 50; round++) {
		int buf = buffer(self->dev), turn = 0;
		struct starter s[4];
		pthread_t thread[4];

		for (i = 0; i < 4; i++) {
			s[i] = (struct starter){ .buf = buf, .turn = &turn };
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, start_together, &s[i]));
		}
		for (i = 0; i < 4; i++) {
			pthread_join(thread[i], NULL);
			EXPECT_EQ(0, s[i].result);
		}
		close(buf);
	}
}

static void nothing(int sig)
{
}

TEST_F(sync, D4_signals_only_ever_restart)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = {};
	int buf = buffer(self->dev), i, err;

	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	for (i = 0; i < 2000; i++) {
		err = sync_once(buf, SYNC_START_RW);
		if (err)
			EXPECT_TRUE(err == -EINTR || err == -EAGAIN);
		err = sync_once(buf, SYNC_END_RW);
		EXPECT_EQ(0, err);
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

/* Fences, by the vgem driver: it attaches to a buffer and touches no byte ---- */

/* A file of the vgem driver, or -1. */
static int vgem_open(void)
{
	int minor;

	for (minor = 128; minor < 136; minor++) {
		char path[32], name[16] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", minor);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem"))
			return fd;
		close(fd);
	}
	return -1;
}

struct fence {
	int vgem;
	__u32 handle, id;
	uint64_t delay_us;
};

#define NEED_VGEM(f) do {						\
	(f)->delay_us = 400000;						\
	(f)->vgem = vgem_open();					\
	if ((f)->vgem < 0)						\
		SKIP(return, "needs the vgem module to make a fence");	\
} while (0)

static int vgem_import(struct fence *f, int buf)
{
	struct drm_prime_handle prime = { .fd = buf };

	if (ioctl(f->vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return -errno;
	f->handle = prime.handle;
	return 0;
}

/* From now on a device writes (or just reads) the buffer, until fence_signal(). */
static int fence_attach(struct fence *f, int buf, bool writes)
{
	struct drm_vgem_fence_attach attach = { .flags = writes ? VGEM_FENCE_WRITE : 0 };
	int err = vgem_import(f, buf);

	if (err)
		return err;
	attach.handle = f->handle;
	if (ioctl(f->vgem, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach))
		return -errno;
	f->id = attach.out_fence;
	return 0;
}

static int fence_signal(struct fence *f)
{
	struct drm_vgem_fence_signal signal = { .fence = f->id };

	return ioctl(f->vgem, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal) ? -errno : 0;
}

static void *signal_later(void *arg)
{
	struct fence *f = arg;

	sleep_us(f->delay_us);
	fence_signal(f);
	return NULL;
}

/* How long a START takes on a buffer with such a fence, signalled after its delay. */
static long long start_takes(int dev, bool writes, uint64_t start, struct fence *f)
{
	int buf = buffer(dev), err;
	uint64_t begun, took;
	pthread_t thread;

	err = fence_attach(f, buf, writes);
	if (err)
		return err;
	begun = now_us();
	if (pthread_create(&thread, NULL, signal_later, f))
		return -EAGAIN;
	err = buf_sync(buf, start);
	took = now_us() - begun;
	pthread_join(thread, NULL);
	if (!err)
		err = buf_sync(buf, start | DMA_BUF_SYNC_END);
	close(buf);
	return err ? err : (long long)took;
}

TEST_F(sync, start_waits_for_a_device_that_writes)
{
	struct fence f;

	NEED_VGEM(&f);
	EXPECT_LE(350000, start_takes(self->dev, true, SYNC_START_R, &f));
	EXPECT_LE(350000, start_takes(self->dev, true, SYNC_START_W, &f));
	EXPECT_LE(350000, start_takes(self->dev, true, SYNC_START_RW, &f));
}

TEST_F(sync, start_to_write_waits_for_a_device_that_reads)
{
	struct fence f;
	long long took;

	NEED_VGEM(&f);
	EXPECT_LE(350000, start_takes(self->dev, false, SYNC_START_W, &f));
	EXPECT_LE(350000, start_takes(self->dev, false, SYNC_START_RW, &f));
	/* Two may read at once. */
	f.delay_us = 2000000;
	took = start_takes(self->dev, false, SYNC_START_R, &f);
	EXPECT_LE(0, took);
	EXPECT_GT(1500000, took);
}

TEST_F(sync, waiting_start_is_ended_by_a_signal)
{
	struct sigaction act = { .sa_handler = nothing };
	struct itimerval soon = { {}, { 0, 200000 } };
	int buf = buffer(self->dev), err;
	struct fence f;

	NEED_VGEM(&f);
	ASSERT_EQ(0, fence_attach(&f, buf, true));
	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	err = sync_once(buf, SYNC_START_R);
	EXPECT_TRUE(err == -EINTR || err == -EAGAIN);
	EXPECT_EQ(0, fence_signal(&f));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
}

TEST_F(sync, waiting_start_is_ended_by_a_kill)
{
	int buf = buffer(self->dev);
	struct fence f;
	uint64_t begun;
	pid_t pid;

	NEED_VGEM(&f);
	ASSERT_EQ(0, fence_attach(&f, buf, true));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		buf_sync(buf, SYNC_START_R);
		_exit(0);
	}
	sleep_us(200000);
	begun = now_us();
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, wait_status(pid));
	EXPECT_GT(2000000, now_us() - begun);
	EXPECT_EQ(0, fence_signal(&f));
}

TEST_F(sync, end_never_waits)
{
	int buf = buffer(self->dev);
	struct fence f;
	uint64_t begun;

	NEED_VGEM(&f);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_RW));
	ASSERT_EQ(0, fence_attach(&f, buf, true));
	begun = now_us();
	EXPECT_EQ(0, sync_once(buf, SYNC_END_RW));
	EXPECT_GT(2000000, now_us() - begun);
	EXPECT_EQ(0, fence_signal(&f));
}

TEST_F(sync, fence_comes_out_as_a_sync_file)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_READ, .fd = -1 };
	int buf = buffer(self->dev);
	struct pollfd p = { .events = POLLIN };
	struct fence f;

	NEED_VGEM(&f);
	ASSERT_EQ(0, fence_attach(&f, buf, true));
	ASSERT_EQ(0, ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out));
	p.fd = out.fd;
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_EQ(0, fence_signal(&f));
	EXPECT_EQ(1, poll(&p, 1, 5000));
}

TEST_F(sync, attached_importer_keeps_the_buffer)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	struct drm_gem_close gone = {};
	struct fence f;

	NEED_VGEM(&f);
	ASSERT_EQ(0, vgem_import(&f, buf));
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	close(buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	gone.handle = f.handle;
	ASSERT_EQ(0, ioctl(f.vgem, DRM_IOCTL_GEM_CLOSE, &gone));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
