// SPDX-License-Identifier: GPL-2.0
/*
 * producer - decodes a PNG into a memfd, makes a dma-buf of it, and gives the
 * dma-buf to another process.
 *
 * The pixels are written once, by the decoder. The descriptor crosses to the
 * other process, the memory does not move.
 *
 * Usage: producer [--node NODE] [--socket SOCKET] [--canvas WxH] PICTURE.png
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <drm_fourcc.h>
#include <linux/udmabuf.h>
#include <png.h>

#include "common.h"

#define MAX_SIDE 16384

static void die_usage(void)
{
	fputs("usage: producer [--node NODE] [--socket SOCKET] [--canvas WxH] PICTURE.png\n"
	      "  --node    node to make the dma-buf with (/dev/udmabuf)\n"
	      "  --socket  where the consumer listens (" DEFAULT_SOCKET ")\n"
	      "  --canvas  size of the buffer, with the picture in its middle (size of the picture)\n",
	      stderr);
	exit(64);
}

/*
 * Decodes the picture at @path straight into a new memfd. With a @pic that has
 * a width and a height already, the picture goes to the middle of that canvas.
 */
static int decode_to_memfd(const char *path, struct picture *pic, size_t *size)
{
	png_image png = { .version = PNG_IMAGE_VERSION };
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned char *pixels, *corner;
	int memfd;

	if (!png_image_begin_read_from_file(&png, path)) {
		errno = 0;
		fail("cannot read %s as PNG: %s", path, png.message);
	}
	errno = 0;
	if (!pic->width) {
		pic->width = png.width;
		pic->height = png.height;
	}
	if (pic->width > MAX_SIDE || pic->height > MAX_SIDE)
		fail("%ux%u is too large", pic->width, pic->height);
	if (png.width > pic->width || png.height > pic->height)
		fail("%s is %ux%u, larger than the canvas of %ux%u", path,
		     png.width, png.height, pic->width, pic->height);

	/* Bytes blue, green, red, unused: what displays call XRGB8888. */
	png.format = PNG_FORMAT_BGRA;
	pic->fourcc = DRM_FORMAT_XRGB8888;
	pic->stride = pic->width * 4;

	/* dma-bufs are made of whole pages. */
	*size = (size_t)pic->stride * pic->height;
	*size = (*size + page - 1) / page * page;

	memfd = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd == -1)
		fail("cannot make a memfd");
	if (ftruncate(memfd, *size) == -1)
		fail("cannot size the memfd to %zu bytes", *size);
	pixels = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (pixels == MAP_FAILED)
		fail("cannot map the memfd");

	/* No SYNC here: this is plain memory until a dma-buf is made of it. */
	corner = pixels + (pic->height - png.height) / 2 * pic->stride +
		 (pic->width - png.width) / 2 * 4;
	if (!png_image_finish_read(&png, NULL, corner, pic->stride, NULL)) {
		errno = 0;
		fail("cannot decode %s: %s", path, png.message);
	}
	pic->checksum = checksum(pixels, (size_t)pic->stride * pic->height);

	munmap(pixels, *size);
	return memfd;
}

/* Makes a dma-buf of the whole memfd. */
static int make_dma_buf(const char *path, int memfd, size_t size)
{
	struct udmabuf_create create = {
		.memfd = memfd,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = 0,
		.size = size,
	};
	int node, buffer;

	/* The driver wants the promise that the file will never shrink. */
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == -1)
		fail("cannot seal the memfd with F_SEAL_SHRINK");

	node = open(path, O_RDWR | O_CLOEXEC);
	if (node == -1)
		fail("cannot open %s", path);
	buffer = ioctl(node, UDMABUF_CREATE, &create);
	if (buffer == -1)
		fail("%s made no dma-buf of %zu bytes (UDMABUF_CREATE)", path, size);
	close(node);
	return buffer;
}

static int connect_to_consumer(const char *path)
{
	struct sockaddr_un address = socket_address(path);
	int sock;

	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock == -1)
		fail("cannot make a socket");
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) == -1)
		fail("nobody answers at %s (start the consumer first)", path);
	return sock;
}

/*
 * One message: the geometry as its data, the descriptor as its "ancillary
 * data". The kernel opens the same dma-buf in the process that receives it.
 */
static void send_picture(int sock, const struct picture *pic, int buffer)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { .iov_base = (void *)pic, .iov_len = sizeof(*pic) };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &buffer, sizeof(int));

	if (sendmsg(sock, &message, MSG_NOSIGNAL) != sizeof(*pic))
		fail("cannot send the dma-buf to the consumer");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "node", required_argument, NULL, 'n' },
		{ "socket", required_argument, NULL, 's' },
		{ "canvas", required_argument, NULL, 'c' },
		{ }
	};
	const char *node = "/dev/udmabuf", *socket_path = DEFAULT_SOCKET, *path;
	struct picture pic = { 0 };
	int option, memfd, buffer, sock;
	size_t size;
	char rest;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			node = optarg;
		else if (option == 's')
			socket_path = optarg;
		else if (option != 'c' ||
			 sscanf(optarg, "%ux%u%c", &pic.width, &pic.height, &rest) != 2 ||
			 !pic.width || !pic.height)
			die_usage();
	}
	if (optind != argc - 1)
		die_usage();
	path = argv[optind];

	memfd = decode_to_memfd(path, &pic, &size);
	printf("producer[%d]: decoded %s into a memfd: %ux%u, %zu bytes, checksum %08x\n",
	       getpid(), path, pic.width, pic.height, size, pic.checksum);

	/* The dma-buf keeps the pages by itself, so the memfd can go. */
	buffer = make_dma_buf(node, memfd, size);
	close(memfd);
	printf("producer[%d]: %s made a dma-buf of it; memfd and node are closed\n",
	       getpid(), node);

	sock = connect_to_consumer(socket_path);
	send_picture(sock, &pic, buffer);
	printf("producer[%d]: sent the dma-buf over %s, and ends here\n",
	       getpid(), socket_path);
	return 0;
}
