// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/dma-buf.h>
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
