// SPDX-License-Identifier: GPL-2.0
/*
 * import - hands a dma-buf to the driver of rust_dma_buf_importer.rs.
 *
 * As hello.c it makes a dma-buf of a memfd with a greeting in it. The driver's
 * device reads that and leaves another; what the driver sees is in the kernel
 * log.
 *
 * Usage: import [NODE]
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
#include <linux/udmabuf.h>

/* The driver's one ioctl; the argument is the descriptor of a dma-buf. */
#define IMPORTER	"/dev/rust_dma_buf_importer"
#define LOOK_AT		_IO('d', 1)

static void fail(const char *what)
{
	fprintf(stderr, "import: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/udmabuf";
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC };
	size_t size = 4 * sysconf(_SC_PAGESIZE);
	int memfd, node, buffer, importer;
	char text[32] = "";

	/* A dma-buf of four pages: hello.c explains this part. */
	memfd = memfd_create("import", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd == -1 || ftruncate(memfd, size) == -1)
		fail("cannot make a memfd");
	if (dprintf(memfd, "hello from a program") < 0)
		fail("cannot write to the memfd");
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == -1)
		fail("cannot seal the memfd");
	node = open(path, O_RDWR | O_CLOEXEC);
	if (node == -1)
		fail(path);
	create.memfd = memfd;
	create.size = size;
	buffer = ioctl(node, UDMABUF_CREATE, &create);
	if (buffer == -1)
		fail("UDMABUF_CREATE");

	importer = open(IMPORTER, O_RDWR | O_CLOEXEC);
	if (importer == -1)
		fail(IMPORTER);
	if (ioctl(importer, LOOK_AT, buffer) == -1)
		fail("LOOK_AT");

	/* The device is done, and nothing is mapped for it any more. */
	if (pread(memfd, text, sizeof(text) - 1, 0) == -1)
		fail("cannot read the memfd");
	printf("read through the memfd: %s\n", text);
	return 0;
}
