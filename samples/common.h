/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What producer and consumer have in common: the message that goes with the
 * dma-buf, and small helpers; among them the way to a buffer that costs little.
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
 * Makes a dma-buf of at least @size bytes of new memory, all of them 0, with the
 * node at @node. Sets @size to what it has.
 *
 * The memory is in huge pages of 2 MiB if it takes that much and the system has
 * some to spare (/proc/sys/vm/nr_hugepages): making, mapping and touching such a
 * buffer, and handing it to a device, takes a fraction of what it takes in pages
 * of 4 KiB. Otherwise a byte of each 2 MiB is touched first, for transparent huge
 * pages where they are on. All the rest is touched through the dma-buf only: the driver
 * allocates what is missing in one go.
 */
int make_buffer(const char *node, size_t *size);

/*
 * Maps all of a dma-buf or memfd, whose size is @size, with PROT_READ, PROT_WRITE or both.
 *
 * What takes 2 MiB begins at a multiple of that, so that one entry of a page table
 * stands for 512 pages. mmap() by itself seldom chooses such an address.
 */
void *map_buffer(int buffer, size_t size, int protection);

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
