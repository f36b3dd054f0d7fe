// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/memfd.h>
#include <linux/udmabuf.h>
#include <zlib.h>

#include "common.h"

void fail(const char *format, ...)
{
	int error = errno;
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (error)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
	exit(1);
}

#define HUGE_PAGE	((size_t)2 << 20)

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

/*
 * Has a byte of each 2 MiB allocated. A system that gives transparent huge pages to
 * files in memory does so for what is touched through an aligned mapping; only a few
 * settings make it do so for what UDMABUF_CREATE allocates.
 */
static void touch_huge_pages(int memfd, size_t size)
{
	char *bytes = map_buffer(memfd, size, PROT_READ | PROT_WRITE);

	for (size_t at = 0; at < size; at += HUGE_PAGE)
		*(volatile char *)(bytes + at) = 0;
	munmap(bytes, size);
}

/* A dma-buf of a new memfd, made with such flags; -1 and errno if that fails. */
static int make_buffer_of(int node, unsigned int flags, size_t size)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int buffer = -1, error;

	create.memfd = memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if ((int)create.memfd == -1)
		return -1;
	/* The driver wants the promise that the file will never shrink. */
	if (!ftruncate(create.memfd, size) && !fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		if (!flags && size >= HUGE_PAGE)
			touch_huge_pages(create.memfd, size);
		buffer = ioctl(node, UDMABUF_CREATE, &create);
	}

	/* The dma-buf keeps the pages by itself, so the memfd can go. */
	error = errno;
	close(create.memfd);
	errno = error;
	return buffer;
}

int make_buffer(const char *path, size_t *size)
{
	size_t small = round_up(*size, sysconf(_SC_PAGESIZE)), huge = round_up(*size, HUGE_PAGE);
	int node, buffer = -1;

	node = open(path, O_RDWR | O_CLOEXEC);
	if (node == -1)
		fail("cannot open %s", path);
	/* Whether there are enough huge pages shows when they are needed. */
	if (*size >= HUGE_PAGE)
		buffer = make_buffer_of(node, MFD_HUGETLB | MFD_HUGE_2MB, huge);
	*size = buffer != -1 ? huge : small;
	if (buffer == -1)
		buffer = make_buffer_of(node, 0, small);
	if (buffer == -1)
		fail("%s made no dma-buf of %zu bytes", path, small);
	close(node);
	return buffer;
}

void *map_buffer(int buffer, size_t size, int protection)
{
	char *room, *start = NULL;
	void *bytes;

	/* Room that has such an address in it; what lies before and behind goes back. */
	if (size >= HUGE_PAGE) {
		room = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED)
			fail("no room for a mapping of %zu bytes", size);
		start = (char *)round_up((size_t)room, HUGE_PAGE);
		if (start > room)
			munmap(room, start - room);
		if (start < room + HUGE_PAGE)
			munmap(start + size, room + HUGE_PAGE - start);
	}
	bytes = mmap(start, size, protection, MAP_SHARED | (start ? MAP_FIXED : 0), buffer, 0);
	if (bytes == MAP_FAILED)
		fail("cannot map the dma-buf");
	return bytes;
}

void sync_buffer(int buffer, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	/*
	 * START may wait for a device that is not done with the buffer. A
	 * signal ends that wait, nothing has happened then, and we ask again.
	 */
	while (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync) == -1)
		if (errno != EINTR && errno != EAGAIN)
			fail("DMA_BUF_IOCTL_SYNC, flags %llu", flags);
}

struct sockaddr_un socket_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	errno = 0;
	if (strlen(path) >= sizeof(address.sun_path))
		fail("the socket's name is too long: %s", path);
	memcpy(address.sun_path, path, strlen(path));
	return address;
}

__u32 checksum(const void *bytes, size_t size)
{
	return crc32_z(0, bytes, size);
}
