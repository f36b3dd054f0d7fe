// SPDX-License-Identifier: GPL-2.0
/*
 * export - passes a dma-buf from the driver of rust_dma_buf_exporter.rs to that of
 * rust_dma_buf_importer.rs.
 *
 * The exporter's memory begins with a greeting. The importer's device reads that and leaves
 * another; what the drivers see is in the kernel log.
 *
 * Usage: export
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

/* The exporter's one ioctl; the argument is a number of pages, the result a descriptor. */
#define EXPORTER	"/dev/rust_dma_buf_exporter"
#define EXPORT		_IO('d', 2)

/* The importer's one ioctl; the argument is the descriptor of a dma-buf. */
#define IMPORTER	"/dev/rust_dma_buf_importer"
#define LOOK_AT		_IO('d', 1)

static void fail(const char *what)
{
	fprintf(stderr, "export: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_node(const char *path)
{
	int node = open(path, O_RDWR | O_CLOEXEC);

	if (node == -1)
		fail(path);
	return node;
}

int main(void)
{
	struct dma_buf_sync start = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	struct dma_buf_sync end = { .flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ };
	size_t size = 4 * sysconf(_SC_PAGESIZE);
	const char *text;
	int buffer;

	buffer = ioctl(open_node(EXPORTER), EXPORT, 4);
	if (buffer == -1)
		fail("EXPORT");
	text = mmap(NULL, size, PROT_READ, MAP_SHARED, buffer, 0);
	if (text == MAP_FAILED)
		fail("cannot map the buffer");

	if (ioctl(open_node(IMPORTER), LOOK_AT, buffer) == -1)
		fail("LOOK_AT");

	/* Every CPU access to a dma-buf belongs between a START and an END. */
	if (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &start) == -1)
		fail("DMA_BUF_IOCTL_SYNC");
	printf("read through the mapping: %s\n", text);
	ioctl(buffer, DMA_BUF_IOCTL_SYNC, &end);
	return 0;
}
