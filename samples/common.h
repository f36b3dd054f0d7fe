/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What producer and consumer have in common: the message that goes with the
 * dma-buf, and four small helpers.
 */
#ifndef SAMPLES_COMMON_H
#define SAMPLES_COMMON_H

#include <stddef.h>
#include <sys/un.h>
#include <linux/types.h>

#define DEFAULT_SOCKET	"/tmp/udmabuf-sample"

/*
 * A dma-buf is bytes and a size, no more. What the bytes mean travels beside
 * the descriptor, in one message over the socket.
 */
struct picture {
	__u32 width;	/* in pixels */
	__u32 height;	/* in lines */
	__u32 stride;	/* bytes from one line to the next */
	__u32 fourcc;	/* how a pixel looks: a code of <drm_fourcc.h> */
	__u32 checksum;	/* of stride * height bytes */
};

/* Says what failed, and why if errno knows, and ends the program. */
void fail(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/*
 * DMA_BUF_IOCTL_SYNC on a dma-buf: DMA_BUF_SYNC_START before the CPU touches
 * the bytes and DMA_BUF_SYNC_END after it, each with DMA_BUF_SYNC_READ, _WRITE
 * or _RW.
 */
void sync_buffer(int buffer, __u64 flags);

/* The name of a Unix socket as bind() and connect() want it. */
struct sockaddr_un socket_address(const char *path);

/* CRC-32 of some bytes. */
__u32 checksum(const void *bytes, size_t size);

#endif /* SAMPLES_COMMON_H */
