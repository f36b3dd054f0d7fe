// SPDX-License-Identifier: GPL-2.0
/*
 * share_readonly - lets another user read memory, and not write it.
 *
 * An owner makes the memory and passes descriptors over a Unix socket. A reader, which becomes
 * another user if the owner is root, reads the memory and tries to write it. There are two ways
 * to share:
 *
 * 1. A read-only dma-buf. It refuses write access to every program and driver that asks.
 * 2. A memfd with F_SEAL_FUTURE_WRITE. Only mappings and dma-bufs older than the seal can write.
 *    The reader makes a read-only dma-buf of it for a device to read.
 *
 * Read-only is the buffer, or the file, not the memory: the owner goes on writing through its own
 * mapping of the memfd, and the reader sees the new bytes.
 *
 * Usage: share_readonly [NODE]
 * Exit status: 0 the reader was refused every write, 1 a write succeeded or a step failed, 2 the
 * driver makes no read-only buffers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

/* The user and the group "nobody" of most systems. */
#define NOBODY 65534

static const char *role = "owner";

/* Set when a write succeeds that must fail. */
static bool written;

static void fail(const char *what)
{
	const char *why = errno ? strerror(errno) : NULL;

	fprintf(stderr, "share_readonly: %s: %s%s%s\n", role, what,
		why ? ": " : "", why ? why : "");
	exit(1);
}

__attribute__((format(printf, 1, 2)))
static void say(const char *format, ...)
{
	va_list args;

	printf("%s (uid %u) ", role, getuid());
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* Sends one byte, and a descriptor with it unless that is -1; producer.c explains this part. */
static void send_to(int sock, int descriptor)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (descriptor != -1) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
	}
	if (sendmsg(sock, &message, MSG_NOSIGNAL) != 1)
		fail("cannot send to the other process");
}

/* Waits for the byte; returns the descriptor, or -1 if none came with it. */
static int receive_from(int sock)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header;
	int descriptor = -1;

	errno = 0;
	if (recvmsg(sock, &message, MSG_CMSG_CLOEXEC) != 1)
		fail("the other process is gone");
	header = CMSG_FIRSTHDR(&message);
	if (header)
		memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
	return descriptor;
}

/* Makes a read-only dma-buf of a whole memfd. */
static int make_readonly(int node, int memfd, size_t size, const char *name)
{
	struct udmabuf_create_item item = { .memfd = memfd, .size = size };
	struct udmabuf_create_ext create = {
		.size = sizeof(create),
		.flags = UDMABUF_EXT_CLOEXEC | UDMABUF_EXT_READ_ONLY,
		.items = (uintptr_t)&item,
		.count = 1,
		.name = (uintptr_t)name,
	};
	int buffer = ioctl(node, UDMABUF_CREATE_EXT, &create);

	if (buffer == -1)
		fail("UDMABUF_CREATE_EXT");
	return buffer;
}

static char *map(int descriptor, size_t size, int protection)
{
	char *text = mmap(NULL, size, protection, MAP_SHARED, descriptor, 0);

	if (text == MAP_FAILED)
		fail("no mapping of the memory");
	return text;
}

static int sync_buffer(int buffer, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int done;

	do {
		done = ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync);
	} while (done == -1 && (errno == EINTR || errno == EAGAIN));
	return done;
}

/* START or END of a CPU access. READ is the only direction of a read-only buffer. */
static void bracket(int buffer, __u64 point)
{
	if (sync_buffer(buffer, point | DMA_BUF_SYNC_READ) == -1)
		fail("DMA_BUF_IOCTL_SYNC");
}

static void wait_for_readers(int buffer)
{
	struct pollfd poll_fd = { .fd = buffer, .events = POLLOUT };

	while (poll(&poll_fd, 1, -1) == -1)
		if (errno != EINTR)
			fail("poll");
}

static void read_buffer(int buffer, const char *text, const char *expected)
{
	bool same;

	bracket(buffer, DMA_BUF_SYNC_START);
	say("reads: %s", text);
	same = !strcmp(text, expected);
	bracket(buffer, DMA_BUF_SYNC_END);
	errno = 0;
	if (!same)
		fail("the owner wrote something else");
}

/* Opens the file behind a descriptor once more, for writing. */
static int open_again(int descriptor)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* Prints a row of a table: a way to write, and the errno that refused it. */
static void print_attempt(const char *way, bool succeeded)
{
	printf("    %-40s %s\n", way, succeeded ? "succeeded" : strerrorname_np(errno));
}

static void must_fail(const char *way, bool succeeded)
{
	print_attempt(way, succeeded);
	written |= succeeded;
}

/* Tries the ways common to a dma-buf and a memfd, which is mapped read-only at @text. */
static void try_mappings(int descriptor, char *text, size_t size)
{
	/* Debuggers write here: it gets around the protection of private mappings. */
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (mem == -1)
		fail("cannot open /proc/self/mem");
	must_fail("mmap PROT_WRITE", mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
					  descriptor, 0) != MAP_FAILED);
	must_fail("mprotect PROT_WRITE", !mprotect(text, size, PROT_READ | PROT_WRITE));
	must_fail("write to /proc/self/mem", pwrite(mem, "X", 1, (uintptr_t)text) == 1);
	close(mem);
}

static void try_buffer(int buffer, char *text, size_t size)
{
	say("tries to write through the read-only dma-buf:");
	try_mappings(buffer, text, size);
	must_fail("open /proc/self/fd/N O_RDWR", open_again(buffer) != -1);
	must_fail("DMA_BUF_IOCTL_SYNC with WRITE",
		  !sync_buffer(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
}

/*
 * Without a seal, an O_RDONLY descriptor is no promise. /proc/self/fd opens the file again for
 * writing, for every user that the mode of the file allows to write; a new memfd has mode 0777.
 */
static void try_unsealed(int memfd)
{
	int again = open_again(memfd);

	say("tries to write an O_RDONLY memfd without a seal:");
	print_attempt("write", pwrite(memfd, "X", 1, 0) == 1);
	print_attempt("write, opened again O_RDWR", pwrite(again, "X", 1, 0) == 1);
	close(again);
}

static void try_sealed(int node, int memfd, size_t size)
{
	struct udmabuf_create writable = { .memfd = memfd, .size = size };
	char *text = map(memfd, size, PROT_READ);
	int again = open_again(memfd);

	/* The seal does not refuse the open, but every write after it. */
	if (again == -1)
		fail("cannot open the memfd again");
	say("tries to write the sealed memfd:");
	try_mappings(memfd, text, size);
	must_fail("write", pwrite(memfd, "X", 1, 0) == 1);
	must_fail("write, opened again O_RDWR", pwrite(again, "X", 1, 0) == 1);
	must_fail("UDMABUF_CREATE, a writable dma-buf",
		  ioctl(node, UDMABUF_CREATE, &writable) != -1);
	close(again);
	munmap(text, size);
}

static void become_another_user(void)
{
	role = "reader";
	if (geteuid()) {
		say("stays the same user; run as root, it becomes another");
		return;
	}
	if (setgroups(0, NULL) == -1 || setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
		fail("cannot become another user");
	/* Dropping root takes away /proc/self/mem, one of the ways to try. This gives it back. */
	if (prctl(PR_SET_DUMPABLE, 1) == -1)
		fail("PR_SET_DUMPABLE");
}

static int run_reader(int sock)
{
	int buffer, memfd, node;
	size_t size;
	char *text;

	become_another_user();

	/* 1. A read-only dma-buf is mapped and read as any other. */
	buffer = receive_from(sock);
	size = lseek(buffer, 0, SEEK_END);
	text = map(buffer, size, PROT_READ);
	read_buffer(buffer, text, "frame 1");
	try_buffer(buffer, text, size);
	send_to(sock, -1);

	/* The owner has changed the bytes. */
	receive_from(sock);
	read_buffer(buffer, text, "frame 2");
	munmap(text, size);
	close(buffer);

	/* 2. A memfd, first without the seal, then with it. */
	memfd = receive_from(sock);
	try_unsealed(memfd);
	close(memfd);
	send_to(sock, -1);
	memfd = receive_from(sock);
	node = receive_from(sock);
	try_sealed(node, memfd, size);

	/* A device would import this dma-buf; here the CPU reads it. */
	buffer = make_readonly(node, memfd, size, "reader");
	say("makes a read-only dma-buf of the sealed memfd");
	read_buffer(buffer, map(buffer, size, PROT_READ), "frame 3");
	return written;
}

static void run_owner(int sock, int node)
{
	int memfd = memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING), buffer, readonly;
	size_t size = sysconf(_SC_PAGESIZE);
	char *text, path[32];

	/* hello.c explains this part. */
	if (memfd == -1 || ftruncate(memfd, size) == -1)
		fail("cannot make a memfd of one page");
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == -1)
		fail("cannot seal the memfd");
	text = map(memfd, size, PROT_READ | PROT_WRITE);

	/* 1. Pass the dma-buf, keep the memfd. */
	strcpy(text, "frame 1");
	say("passes a read-only dma-buf with: %s", text);
	buffer = make_readonly(node, memfd, size, "frame");
	send_to(sock, buffer);
	receive_from(sock);
	errno = 0;
	if (strcmp(text, "frame 1"))
		fail("the reader has changed the memory");

	/*
	 * A device may still be reading: START does not wait for that, poll() does. Other CPUs see
	 * the new bytes at once, and devices after the END, though that says READ.
	 */
	wait_for_readers(buffer);
	bracket(buffer, DMA_BUF_SYNC_START);
	strcpy(text, "frame 2");
	bracket(buffer, DMA_BUF_SYNC_END);
	say("writes through the memfd: %s", text);
	send_to(sock, -1);

	/* Do not do this: see try_unsealed(). */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	readonly = open(path, O_RDONLY | O_CLOEXEC);
	if (readonly == -1)
		fail("cannot open the memfd O_RDONLY");
	send_to(sock, readonly);
	receive_from(sock);
	say("finds: %s", text);

	/*
	 * 2. Map, seal, pass, in this order. The seal does not revoke existing mappings and
	 * dma-bufs: the owner's mapping stays writable, and so would one of a reader that had
	 * the memfd before.
	 */
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == -1)
		fail("cannot seal the memfd");
	strcpy(text, "frame 3");
	say("passes the sealed memfd with: %s", text);
	send_to(sock, memfd);

	/*
	 * Pass the node as well: its permissions are checked at open(), where the reader would
	 * fail. Only trusted programs should have it, as it lets them pin memory.
	 */
	send_to(sock, node);
}

static int open_node(const char *path)
{
	struct udmabuf_query query = { .size = sizeof(query) };
	int node = open(path, O_RDWR | O_CLOEXEC);

	if (node == -1)
		fail(path);
	if (ioctl(node, UDMABUF_QUERY, &query) == -1 && errno != ENOTTY)
		fail("UDMABUF_QUERY");
	if (query.flags & UDMABUF_EXT_READ_ONLY)
		return node;
	fprintf(stderr,
		"share_readonly: %s makes no read-only buffers (no UDMABUF_CREATE_EXT); %s\n", path,
		"load udmabuf_rs and name its node, /dev/udmabuf_rs beside the C driver");
	exit(2);
}

int main(int argc, char **argv)
{
	int node, pair[2], status;
	pid_t reader;

	setvbuf(stdout, NULL, _IOLBF, 0);
	node = open_node(argc > 1 ? argv[1] : "/dev/udmabuf");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		fail("cannot make sockets");

	/* The reader starts before there is a memfd, and has the socket alone. */
	reader = fork();
	if (reader == -1)
		fail("cannot start the reader");
	if (!reader) {
		close(node);
		close(pair[0]);
		return run_reader(pair[1]);
	}
	close(pair[1]);
	run_owner(pair[0], node);

	if (waitpid(reader, &status, 0) == -1)
		fail("cannot wait for the reader");
	errno = 0;
	if (status)
		fail("the reader failed, or was not refused a write");
	say("is done: the buffer and the sealed memfd refused every write");
	return 0;
}
