// SPDX-License-Identifier: GPL-2.0
/*
 * consumer - receives a dma-buf with a picture in it from another process,
 * reads it, and puts it on a display.
 *
 * It knows nothing of udmabuf: whatever made the dma-buf (a camera, a decoder,
 * a GPU), the steps are the same.
 *
 * Usage: consumer [--socket SOCKET] [--no-display]
 * Exit status: 0 all done, 1 something failed, 2 read but not displayed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "common.h"

#define MAX_CARDS 16

/* A way to light up a screen: card -> crtc (scans out) -> connector (the plug). */
struct display {
	int card;
	char path[32];
	__u32 crtc;
	__u32 connector;
	drmModeModeInfo mode;
};

static void die_usage(void)
{
	fputs("usage: consumer [--socket SOCKET] [--no-display]\n"
	      "  --socket      where to listen for the producer (" DEFAULT_SOCKET ")\n"
	      "  --no-display  read the picture, do not show it\n",
	      stderr);
	exit(64);
}

/* Waits for a producer at @path; returns the connection, and who it is. */
static int wait_for_producer(const char *path, pid_t *pid)
{
	struct sockaddr_un address = socket_address(path);
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int listener, sock;

	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener == -1)
		fail("cannot make a socket");
	unlink(path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(listener, 1) == -1)
		fail("cannot listen at %s", path);
	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (sock == -1)
		fail("no connection at %s", path);
	unlink(path);
	close(listener);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) == -1)
		fail("cannot ask who is at the other end of %s", path);
	*pid = peer.pid;
	return sock;
}

/* The counterpart of the producer's send_picture(). */
static int receive_picture(int sock, struct picture *pic)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = { .iov_base = pic, .iov_len = sizeof(*pic) };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header;
	ssize_t length;
	int buffer;

	length = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	if (length == -1)
		fail("cannot receive from the producer");
	errno = 0;
	if (length != sizeof(*pic))
		fail("the producer's message has %zd bytes, not %zu", length, sizeof(*pic));
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		fail("the producer's message brings no descriptor");
	memcpy(&buffer, CMSG_DATA(header), sizeof(int));
	return buffer;
}

/*
 * Returns the size of the buffer. It comes from the kernel and can be relied
 * on; what the other process says of the picture has to fit into it.
 */
static size_t check_size(int buffer, const struct picture *pic)
{
	off_t size = lseek(buffer, 0, SEEK_END);

	if (size == -1)
		fail("cannot ask for the buffer's size");
	errno = 0;
	if (pic->fourcc != DRM_FORMAT_XRGB8888)
		fail("the picture is not XRGB8888, all that this sample knows");
	if (!pic->width || !pic->height || pic->stride / 4 < pic->width ||
	    (__u64)pic->stride * pic->height > (__u64)size)
		fail("a picture of %ux%u with %u bytes a line is not in %lld bytes",
		     pic->width, pic->height, pic->stride, (long long)size);
	return size;
}

/* Reads the whole picture as the rules of dma-buf want it. */
static __u32 read_picture(int buffer, size_t size, const struct picture *pic)
{
	void *pixels = map_buffer(buffer, size, PROT_READ);
	__u32 sum;

	/*
	 * Between START and END the bytes belong to the CPU: START waits for
	 * devices that still write, and makes what they wrote visible to us.
	 */
	sync_buffer(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	sum = checksum(pixels, (size_t)pic->stride * pic->height);
	sync_buffer(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);

	munmap(pixels, size);
	return sum;
}

/* Is there a screen at this connector which can show the picture as it is? */
static int use_connector(struct display *display, drmModeRes *resources,
			 drmModeConnector *connector, const struct picture *pic)
{
	drmModeEncoder *encoder;
	int i, j;

	if (connector->connection != DRM_MODE_CONNECTED)
		return 0;
	for (i = 0; i < connector->count_modes; i++)
		if (connector->modes[i].hdisplay == pic->width &&
		    connector->modes[i].vdisplay == pic->height)
			break;
	if (i == connector->count_modes) {
		printf("consumer[%d]: %s: the screen has no mode of %ux%u (its first: %s)\n",
		       getpid(), display->path, pic->width, pic->height,
		       i ? connector->modes[0].name : "none");
		return 0;
	}
	display->mode = connector->modes[i];
	display->connector = connector->connector_id;

	/* Encoders know which crtcs can feed the connector; any will do. */
	for (i = 0; i < connector->count_encoders; i++) {
		encoder = drmModeGetEncoder(display->card, connector->encoders[i]);
		if (!encoder)
			continue;
		for (j = 0; j < resources->count_crtcs; j++)
			if (encoder->possible_crtcs & (1U << j))
				break;
		drmModeFreeEncoder(encoder);
		if (j < resources->count_crtcs) {
			display->crtc = resources->crtcs[j];
			return 1;
		}
	}
	return 0;
}

/* Can this card import dma-bufs, and has it a screen for the picture? */
static int use_card(struct display *display, const struct picture *pic)
{
	drmModeConnector *connector;
	drmModeRes *resources;
	uint64_t prime = 0;
	int i, found = 0;

	drmGetCap(display->card, DRM_CAP_PRIME, &prime);
	if (!(prime & DRM_PRIME_CAP_IMPORT))
		return 0;
	resources = drmModeGetResources(display->card);
	if (!resources)
		return 0;
	for (i = 0; i < resources->count_connectors && !found; i++) {
		connector = drmModeGetConnector(display->card, resources->connectors[i]);
		if (!connector)
			continue;
		found = use_connector(display, resources, connector, pic);
		drmModeFreeConnector(connector);
	}
	drmModeFreeResources(resources);
	return found;
}

static int find_display(struct display *display, const struct picture *pic)
{
	int i;

	for (i = 0; i < MAX_CARDS; i++) {
		snprintf(display->path, sizeof(display->path), "/dev/dri/card%d", i);
		display->card = open(display->path, O_RDWR | O_CLOEXEC);
		if (display->card == -1) {
			if (errno != ENOENT)
				printf("consumer[%d]: cannot open %s: %s\n",
				       getpid(), display->path, strerror(errno));
			continue;
		}
		if (use_card(display, pic))
			return 1;
		close(display->card);
	}
	return 0;
}

/* Puts the buffer itself on the screen; there is no copy of it in between. */
static void put_on_screen(const struct display *display, int buffer, const struct picture *pic)
{
	__u32 handles[4] = { 0 }, strides[4] = { pic->stride }, offsets[4] = { 0 };
	__u32 connector = display->connector, framebuffer;
	drmModeModeInfo mode = display->mode;
	drmVersion *driver;

	/* The card's own name for our buffer ... */
	if (drmPrimeFDToHandle(display->card, buffer, &handles[0]))
		fail("%s does not import the dma-buf", display->path);
	/* ... what is in it ... */
	if (drmModeAddFB2(display->card, pic->width, pic->height, pic->fourcc,
			  handles, strides, offsets, &framebuffer, 0))
		fail("%s cannot display such a picture", display->path);
	/* ... and on which screen it is to be seen. */
	if (drmModeSetCrtc(display->card, display->crtc, framebuffer, 0, 0,
			   &connector, 1, &mode)) {
		if (errno == EACCES || errno == EPERM)
			fail("another program owns the screen of %s (try a text console)",
			     display->path);
		fail("%s does not show the picture", display->path);
	}

	driver = drmGetVersion(display->card);
	printf("consumer[%d]: imported it into %s (%s): on screen, mode %s\n", getpid(),
	       display->path, driver ? driver->name : "unknown driver", mode.name);
	drmFreeVersion(driver);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "no-display", no_argument, NULL, 'n' },
		{ }
	};
	const char *path = DEFAULT_SOCKET;
	struct display display;
	struct picture pic;
	int option, sock, buffer, no_display = 0;
	size_t size;
	pid_t producer;
	__u32 sum;
	char byte;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			path = optarg;
		else if (option == 'n')
			no_display = 1;
		else
			die_usage();
	}
	if (optind != argc)
		die_usage();

	sock = wait_for_producer(path, &producer);
	buffer = receive_picture(sock, &pic);
	close(sock);
	size = check_size(buffer, &pic);
	printf("consumer[%d]: got a dma-buf of %zu bytes from process %d: %ux%u pixels, XRGB8888\n",
	       getpid(), size, producer, pic.width, pic.height);

	sum = read_picture(buffer, size, &pic);
	errno = 0;
	if (sum != pic.checksum)
		fail("read checksum %08x, but the producer had %08x", sum, pic.checksum);
	printf("consumer[%d]: read it between START and END: checksum %08x, as the producer had\n",
	       getpid(), sum);

	if (no_display)
		return 0;
	if (!find_display(&display, &pic)) {
		fflush(stdout);
		fprintf(stderr, "consumer: no display for %ux%u; the picture was read, not shown\n",
			pic.width, pic.height);
		return 2;
	}
	put_on_screen(&display, buffer, &pic);

	/*
	 * The picture stays while we hold the card open. When we end, the
	 * kernel takes it down, and with that the last of the buffer.
	 */
	printf("consumer[%d]: Enter, or end of input, ends the show\n", getpid());
	while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
		;
	return 0;
}
