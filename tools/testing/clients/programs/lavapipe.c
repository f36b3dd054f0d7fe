// SPDX-License-Identifier: GPL-2.0
/*
 * Shares memory of one Vulkan device with another as dma-bufs, and memfds with both, and compares
 * every byte.
 *
 * Prints "N of N comparisons" and ends with 0 if all were equal.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "gpu.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static int compared, equal;

static void fill(unsigned char *bytes, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i += 4) {
		seed = seed * 1664525 + 1013904223;
		memcpy(bytes + i, &seed, 4);
	}
}

static void compare(const unsigned char *bytes, size_t size, uint32_t seed, const char *what)
{
	unsigned char *wanted = malloc(size);

	fill(wanted, size, seed);
	compared++;
	if (!memcmp(bytes, wanted, size))
		equal++;
	else
		printf("%zu bytes: %s: not equal\n", size, what);
	free(wanted);
}

/* Compares a copy that the device makes. */
static void compare_on(struct gpu *gpu, struct memory *mem, uint32_t seed, const char *what)
{
	struct memory own = allocated(gpu, mem->size, false);

	copy(gpu, mem, &own);
	compare(own.bytes, own.size, seed, what);
	drop(&own);
}

static void sync_fd(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		if (errno != EINTR && errno != EAGAIN)
			die("DMA_BUF_IOCTL_SYNC", errno);
}

/* Writes from both sides; then frees the exporter's memory first. */
static void exchange(struct gpu *from, struct gpu *to, VkDeviceSize size)
{
	struct memory mem = allocated(from, size, true);
	int fd = exported(&mem), kept = dup(fd);
	struct memory other = imported(to, size, fd), own;
	unsigned char *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0);

	if (mapped == MAP_FAILED)
		die("mmap of the buffer", errno);
	fill(mem.bytes, size, 1);
	compare(other.bytes, size, 1, "written by the exporter's CPU, read by the importer's");
	compare_on(to, &other, 1, "written by the exporter's CPU, read by the importer");
	fill(other.bytes, size, 2);
	compare(mem.bytes, size, 2, "written by the importer's CPU, read by the exporter's");
	own = allocated(to, size, false);
	fill(own.bytes, size, 3);
	copy(to, &own, &other);
	drop(&own);
	compare_on(from, &mem, 3, "written by the importer, read by the exporter");
	sync_fd(kept, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	compare(mapped, size, 3, "written by the importer, read through the descriptor");
	fill(mapped, size, 4);
	sync_fd(kept, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	drop(&mem);
	compare_on(to, &other, 4, "written through the descriptor, read as the exporter is gone");
	drop(&other);
	compare(mapped, size, 4, "read as both are gone");
	munmap(mapped, size);
	close(kept);
}

/* A memfd that both devices import, by way of the node. */
static void share_memfd(struct gpu *one, struct gpu *other, VkDeviceSize size)
{
	int node = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd = memfd_create("lavapipe", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	struct udmabuf_create create = { .memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC,
					 .size = size };
	struct memory mems[2];
	unsigned char *bytes;
	int fd;

	if (node < 0 || memfd < 0 || ftruncate(memfd, size) ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		die("memfd", errno);
	fd = ioctl(node, UDMABUF_CREATE, &create);
	if (fd < 0)
		die("UDMABUF_CREATE", errno);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (bytes == MAP_FAILED)
		die("mmap of the memfd", errno);
	close(node);
	mems[0] = imported(one, size, dup(fd));
	mems[1] = imported(other, size, fd);
	fill(bytes, size, 5);
	compare_on(one, &mems[0], 5, "written to the memfd, read by one device");
	compare_on(other, &mems[1], 5, "written to the memfd, read by the other");
	fill(mems[0].bytes, size, 6);
	compare(bytes, size, 6, "written by one device's CPU, read from the memfd");
	close(memfd);
	compare_on(other, &mems[1], 6, "written by one device's CPU, read by the other");
	drop(&mems[0]);
	drop(&mems[1]);
	munmap(bytes, size);
}

int main(void)
{
	static const VkDeviceSize sizes[] = { 4096, 1 << 20, (5 << 20) + 4096 };
	struct gpu one = {}, other = {};

	open_gpu(&one);
	open_gpu(&other);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		exchange(&one, &other, sizes[i]);
		exchange(&other, &one, sizes[i]);
		share_memfd(&one, &other, sizes[i]);
	}
	close_gpu(&one);
	close_gpu(&other);
	printf("%d of %d comparisons\n", equal, compared);
	return equal != compared;
}
