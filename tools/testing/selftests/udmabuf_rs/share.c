// SPDX-License-Identifier: GPL-2.0
/*
 * share: one buffer, several processes. Sockets, fork, dup, exec, and how long
 * the pages stay.
 */
#include "udmabuf_test.h"

#define PAGES	16

UDMABUF_FIXTURE(share);

/*
 * A process with nothing of ours but a socket. It maps what it is sent, checks
 * it for pattern 1, writes pattern 2 and waits for a byte before it leaves.
 */
static pid_t stranger(int *sock)
{
	size_t size = PAGES * page_size();
	int pair[2], fd;
	pid_t pid;
	char *b;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = fork();
	if (pid) {
		close(pair[1]);
		*sock = pair[0];
		return pid;
	}
	close(pair[0]);
	CHILD_CHECK(!recv_fds(pair[1], &fd, 1));
	CHILD_CHECK(lseek(fd, 0, SEEK_END) == (off_t)size);
	b = map_rw(fd, size);
	CHILD_CHECK(b != MAP_FAILED);
	CHILD_CHECK(!buf_sync(fd, SYNC_START_RW));
	CHILD_CHECK(matches(b, size, 1) == size);
	fill(b, size, 2);
	CHILD_CHECK(!buf_sync(fd, SYNC_END_RW));
	CHILD_CHECK(!step_send(pair[1]));
	CHILD_CHECK(!step_wait(pair[1]));
	/* Whatever the sender closed meanwhile, this is still the same memory. */
	CHILD_CHECK(!buf_sync(fd, SYNC_START_R));
	CHILD_CHECK(matches(b, size, 2) == size);
	CHILD_CHECK(!buf_sync(fd, SYNC_END_R));
	_exit(0);
}

TEST_F(share, D4_socket_to_an_unrelated_process)
{
	size_t size = PAGES * page_size();
	int sock, memfd, buf;
	pid_t pid = stranger(&sock);
	char *a;

	ASSERT_LE(0, pid);
	memfd = memfd_new(size);
	a = map_rw(memfd, size);
	ASSERT_NE(MAP_FAILED, a);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_W));
	fill(a, size, 1);
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_W));
	ASSERT_EQ(0, send_fds(sock, &buf, 1));
	ASSERT_EQ(0, step_wait(sock));
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(size, matches(a, size, 2));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_R));
	munmap(a, size);

	/* The sender goes first ... */
	close(buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	ASSERT_EQ(0, step_send(sock));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, D4_receiver_goes_first)
{
	size_t size = PAGES * page_size();
	int sock, memfd, buf;
	pid_t pid = stranger(&sock);
	char *b;

	ASSERT_LE(0, pid);
	memfd = memfd_new(size);
	buf = create(self->dev, memfd, 0, size);
	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	fill(b, size, 1);
	ASSERT_EQ(0, send_fds(sock, &buf, 1));
	ASSERT_EQ(0, step_wait(sock));
	ASSERT_EQ(0, step_send(sock));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(size, matches(b, size, 2));
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	munmap(b, size);
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, D4_descriptor_in_flight_keeps_the_pages)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	int sock[2], got;
	char *b;

	ASSERT_LE(0, buf);
	b = map_rw(buf, size);
	fill(b, size, 3);
	munmap(b, size);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	ASSERT_EQ(0, send_fds(sock[0], &buf, 1));
	close(buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	ASSERT_EQ(0, recv_fds(sock[1], &got, 1));
	b = map_rw(got, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(size, matches(b, size, 3));
	munmap(b, size);
	ASSERT_EQ(0, send_fds(sock[0], &got, 1));
	close(got);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	/* Never received: gone with the socket. */
	close(sock[0]);
	close(sock[1]);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, several_buffers_in_one_message)
{
	size_t pg = page_size();
	int memfd = memfd_new(4 * pg), sock[2], sent[4], got[4], i;
	char *a = map_rw(memfd, 4 * pg), *b;

	tag_pages(a, 4, 4);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	for (i = 0; i < 4; i++) {
		sent[i] = create(self->dev, memfd, i * pg, pg);
		ASSERT_LE(0, sent[i]);
	}
	ASSERT_EQ(0, send_fds(sock[0], sent, 4));
	ASSERT_EQ(0, recv_fds(sock[1], got, 4));
	for (i = 0; i < 4; i++) {
		b = map_rw(got[i], pg);
		ASSERT_NE(MAP_FAILED, b);
		EXPECT_EQ(word_at(4, i), page_tag(b, 0));
	}
}

TEST_F(share, D4_every_kind_of_reference_keeps_the_pages)
{
	size_t pg = page_size(), size = PAGES * pg;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size);
	int again, third, sock[2];
	char *b, *c;
	pid_t pid;

	ASSERT_LE(0, buf);
	again = dup(buf);
	third = fcntl(buf, F_DUPFD_CLOEXEC, 100);
	ASSERT_LE(0, again);
	ASSERT_LE(100, third);
	b = map_rw(buf, size);
	c = map_at(buf, 3 * pg, pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	ASSERT_NE(MAP_FAILED, c);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Its own copies of all of these: the last to go. */
		CHILD_CHECK(!step_wait(sock[1]));
		_exit(0);
	}

	close(buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	close(third);
	munmap(b, size);
	close(again);
	/* In this process one page of a mapping is left. */
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	munmap(c, pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	ASSERT_EQ(0, step_send(sock[0]));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, mapping_alone_keeps_the_pages)
{
	size_t pg = page_size();
	int memfd = memfd_new(PAGES * pg), buf = create(self->dev, memfd, 0, PAGES * pg);
	char *b = map_at(buf, 2 * pg, 4 * pg, PROT_READ);

	ASSERT_NE(MAP_FAILED, b);
	close(buf);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	munmap(b, 2 * pg);
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	munmap(b + 2 * pg, 2 * pg);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, D4_child_keeps_the_pages_of_a_dead_parent)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), sock[2];
	pid_t pid;
	char byte;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int buf = create(self->dev, memfd, 0, size);
		char *b = map_rw(buf, size);

		CHILD_CHECK(b != MAP_FAILED);
		fill(b, size, 5);
		if (!fork()) {
			CHILD_CHECK(!step_wait(sock[1]));
			CHILD_CHECK(matches(b, size, 5) == size);
			fill(b, size, 6);
			CHILD_CHECK(!step_send(sock[1]));
		}
		_exit(0);
	}
	close(sock[1]);
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(-EBUSY, seal_write(memfd));
	ASSERT_EQ(0, step_send(sock[0]));
	ASSERT_EQ(0, step_wait(sock[0]));
	/* End of file: the last one has gone. */
	EXPECT_EQ(0, read(sock[0], &byte, 1));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F(share, exec_closes_what_is_CLOEXEC)
{
	size_t size = PAGES * page_size();
	int memfd = memfd_new(size), keep, drop;
	char a[16], b[16];
	pid_t pid;

	keep = create_flags(self->dev, memfd, 0, size, 0);
	drop = create_flags(self->dev, memfd, 0, size, UDMABUF_FLAGS_CLOEXEC);
	ASSERT_LE(0, keep);
	ASSERT_LE(0, drop);
	ASSERT_EQ(1, pwrite(memfd, "e", 1, 0));
	snprintf(a, sizeof(a), "%d", keep);
	snprintf(b, sizeof(b), "%d", drop);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		execl("/proc/self/exe", "share", "--after-exec", a, b, NULL);
		_exit(101);
	}
	EXPECT_EQ(0, wait_status(pid));
}

/* The other side of exec_closes_what_is_CLOEXEC. */
static int after_exec(int keep, int drop)
{
	size_t size = PAGES * page_size();
	char *b;

	CHILD_CHECK(fcntl(drop, F_GETFD) == -1 && errno == EBADF);
	CHILD_CHECK(buf_size(keep) == size);
	b = map_rw(keep, size);
	CHILD_CHECK(b != MAP_FAILED);
	CHILD_CHECK(!buf_sync(keep, SYNC_START_R));
	CHILD_CHECK(*b == 'e');
	CHILD_CHECK(!buf_sync(keep, SYNC_END_R));
	return 0;
}

/* KWin: the memfd is the client's, the buffer one plane at a page offset. */
TEST_F(share, client_like_KWin)
{
	size_t pg = page_size();
	int sock[2], memfd, buf;
	char *b;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int mine = memfd_make(PAGES * pg, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_SEAL);
		char *a = map_rw(mine, PAGES * pg);

		CHILD_CHECK(a != MAP_FAILED);
		tag_pages(a, PAGES, 7);
		CHILD_CHECK(!send_fds(sock[1], &mine, 1));
		_exit(0);
	}
	ASSERT_EQ(0, recv_fds(sock[0], &memfd, 1));
	EXPECT_EQ(0, wait_status(pid));
	buf = create(self->dev, memfd, 5 * pg, 3 * pg);
	ASSERT_LE(0, buf);
	b = map_rw(buf, 3 * pg);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(word_at(7, 5), page_tag(b, 0));
	EXPECT_EQ(word_at(7, 7), page_tag(b, 2));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
}

/* GStreamer, Weston: node opened read-only, memfd and node closed at once. */
TEST_F(share, client_like_GStreamer)
{
	size_t size = PAGES * page_size();
	int dev = open(node_path(), O_RDONLY | O_CLOEXEC);
	int memfd = memfd_new(size), buf = create(dev, memfd, 0, size);
	char *b;

	ASSERT_LE(0, buf);
	close(memfd);
	close(dev);
	b = map_rw(buf, size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_W));
	fill(b, size, 8);
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_W));
	munmap(b, size);
	b = map_at(buf, 0, size, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(size, matches(b, size, 8));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
}

/* QEMU: a list in the guest's order, mapped read-only, never a SYNC. */
TEST_F(share, client_like_QEMU)
{
	size_t pg = page_size();
	int memfd = memfd_new(64 * pg), buf, i;
	struct udmabuf_create_item items[16];
	char *ram = map_rw(memfd, 64 * pg), *b;

	for (i = 0; i < 16; i++) {
		items[i] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = (i * 37 % 64) * pg, .size = pg,
		};
	}
	buf = create_list(self->dev, items, 16);
	ASSERT_LE(0, buf);
	b = map_at(buf, 0, 16 * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	tag_pages(ram, 64, 9);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(word_at(9, i * 37 % 64), page_tag(b, i));
}

/* udev gives the node to the user at the seat: no privilege is needed behind it. */
TEST_F(share, user_without_privileges)
{
	size_t size = PAGES * page_size();
	struct rlimit none = {};
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int memfd, buf;
		char *b;

		CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
		CHILD_CHECK(!setgid(65534) && !setuid(65534));
		memfd = memfd_new(size);
		buf = create(self->dev, memfd, 0, size);
		CHILD_CHECK(buf >= 0);
		b = map_rw(buf, size);
		CHILD_CHECK(b != MAP_FAILED);
		CHILD_CHECK(!buf_sync(buf, SYNC_START_RW));
		fill(b, size, 1);
		CHILD_CHECK(!buf_sync(buf, SYNC_END_RW));
		CHILD_CHECK(matches(b, size, 1) == size);
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
}

TEST_F(share, D4_two_writers_and_a_reader)
{
	size_t size = PAGES * page_size(), half = size / 2;
	int memfd = memfd_new(size), buf = create(self->dev, memfd, 0, size), w, round;
	char *b = map_rw(buf, size);
	pid_t pid[2];

	ASSERT_NE(MAP_FAILED, b);
	for (w = 0; w < 2; w++) {
		pid[w] = fork();
		ASSERT_LE(0, pid[w]);
		if (!pid[w]) {
			for (round = 0; round < 50; round++) {
				CHILD_CHECK(!buf_sync(buf, SYNC_START_RW));
				fill(b + w * half, half, 100 * w + round);
				CHILD_CHECK(matches(b + w * half, half, 100 * w + round) == half);
				CHILD_CHECK(!buf_sync(buf, SYNC_END_RW));
			}
			_exit(0);
		}
	}
	for (w = 0; w < 2; w++)
		EXPECT_EQ(0, wait_status(pid[w]));
	ASSERT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(half, matches(b, half, 49));
	EXPECT_EQ(half, matches(b + half, half, 149));
	ASSERT_EQ(0, buf_sync(buf, SYNC_END_R));
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
