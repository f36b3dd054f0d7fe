// SPDX-License-Identifier: GPL-2.0
/*
 * producer - makes a dma-buf of a memfd, decodes a PNG into it, and gives the
 * dma-buf to another process.
 *
 * The pixels are written once, by the decoder. The descriptor crosses to the
 * other process, the memory does not move.
 *
 * Usage: producer [--node NODE] [--socket SOCKET] [--canvas WxH] PICTURE.png
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <drm_fourcc.h>
#include <linux/dma-buf.h>
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

/* Opens the picture at @path. A @pic that has no width yet gets that of the picture. */
static png_image open_picture(const char *path, struct picture *pic)
{
	png_image png = { .version = PNG_IMAGE_VERSION };

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
	return png;
}

/* Decodes the picture straight into the buffer, to the middle of the canvas. */
static void decode_into(int buffer, size_t size, png_image *png, struct picture *pic)
{
	unsigned char *pixels = map_buffer(buffer, size, PROT_READ | PROT_WRITE), *corner;

	corner = pixels + (pic->height - png->height) / 2 * pic->stride +
		 (pic->width - png->width) / 2 * 4;
	/* Every CPU access to a dma-buf belongs between a START and an END. */
	sync_buffer(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (!png_image_finish_read(png, NULL, corner, pic->stride, NULL)) {
		errno = 0;
		fail("cannot decode the picture: %s", png->message);
	}
	pic->checksum = checksum(pixels, (size_t)pic->stride * pic->height);
	sync_buffer(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	munmap(pixels, size);
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
	int option, buffer, sock;
	png_image png;
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

	png = open_picture(path, &pic);
	size = (size_t)pic.stride * pic.height;
	buffer = make_buffer(node, &size);
	printf("producer[%d]: %s made a dma-buf of %zu bytes; memfd and node are closed\n",
	       getpid(), node, size);

	decode_into(buffer, size, &png, &pic);
	printf("producer[%d]: decoded %s into it: %ux%u, checksum %08x\n",
	       getpid(), path, pic.width, pic.height, pic.checksum);

	sock = connect_to_consumer(socket_path);
	send_picture(sock, &pic, buffer);
	printf("producer[%d]: sent the dma-buf over %s, and ends here\n",
	       getpid(), socket_path);
	return 0;
}
