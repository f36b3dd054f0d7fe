// SPDX-License-Identifier: GPL-2.0
/*
 * hello - the smallest program that makes a dma-buf of a memfd.
 *
 * A memfd is a file that lives in memory only. A dma-buf is a descriptor for
 * memory that devices can work on: displays, cameras, encoders, GPUs. The node
 * /dev/udmabuf makes the second out of the first. No byte is copied: both show
 * the same pages.
 *
 * Usage: hello [NODE]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

static void fail(const char *what)
{
	fprintf(stderr, "hello: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Every CPU access to a dma-buf belongs between a START and an END. */
static void sync_buffer(int buffer, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	while (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync) == -1)
		if (errno != EINTR && errno != EAGAIN)
			fail("DMA_BUF_IOCTL_SYNC");
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/udmabuf";
	size_t size = sysconf(_SC_PAGESIZE);
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC };
	int memfd, node, buffer;
	char *text;

	/* One page of memory with a greeting in it. */
	memfd = memfd_create("hello", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd == -1 || ftruncate(memfd, size) == -1)
		fail("cannot make a memfd of one page");
	if (dprintf(memfd, "hello from a memfd") < 0)
		fail("cannot write to the memfd");

	/* Promise that it never shrinks: a device may be using the last page. */
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == -1)
		fail("cannot seal the memfd");

	/* Ask for a dma-buf of it. */
	node = open(path, O_RDWR | O_CLOEXEC);
	if (node == -1)
		fail(path);
	create.memfd = memfd;
	create.offset = 0;
	create.size = size;
	buffer = ioctl(node, UDMABUF_CREATE, &create);
	if (buffer == -1)
		fail("UDMABUF_CREATE");
	close(node);

	/* Read the greeting through the dma-buf, and put another in its place. */
	text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
	if (text == MAP_FAILED)
		fail("cannot map the dma-buf");
	sync_buffer(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	printf("read through the dma-buf: %s\n", text);
	snprintf(text, size, "hello from a dma-buf");
	sync_buffer(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	munmap(text, size);

	/* The memfd has it too: they are the same pages. */
	text = mmap(NULL, size, PROT_READ, MAP_SHARED, memfd, 0);
	if (text == MAP_FAILED)
		fail("cannot map the memfd");
	printf("read through the memfd:   %s\n", text);
	return 0;
}
