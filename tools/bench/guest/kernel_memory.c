// SPDX-License-Identifier: GPL-2.0
/* The kernel memory of a buffer. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"
#include "../floor/udmabuf_floor.h"

/* What a descriptor of the subject is: of a buffer, or an empty export. */
static int export(int memfd)
{
	struct floor_range nothing = { .memfd = -1 };

	return kind_now() == DRIVER ? create(memfd, 0, size_now) :
				   ioctl(floor_fd, FLOOR_CREATE, &nothing);
}

/* Gives back what slabs keep for later, which would be taken for free. */
static void shrink_slabs(void)
{
	DIR *caches = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[512];
	int fd;

	CHECK(caches);
	usleep(100000);
	while ((entry = readdir(caches))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		CHECK(write(fd, "1", 1) == 1);
		close(fd);
	}
	closedir(caches);
}

/* Counters are kept by each CPU, and what RCU frees comes late. */
static uint64_t kernel_memory(void)
{
	usleep(100000);
	write_text("/proc/sys/vm/stat_refresh", "1");
	return counter("/proc/meminfo", "Slab") + counter("/proc/meminfo", "VmallocUsed");
}

/*
 * Slabs come in pages, so it takes many small buffers to tell what one adds. Of
 * large ones as many as time and memory allow: the C driver takes both by the page.
 */
static int how_many(void)
{
	uint64_t budget = is_huge() ? 32 * GIB : 4 * GIB;

	if (size_now <= MIB || kind_now() == FLOOR)
		return 512;
	return budget / size_now < 64 ? budget / size_now : 64;
}

/* Those that are made first fill the holes in slabs; the others are what is counted. */
void measure_memory(int memfd)
{
	int count = how_many(), *fds = calloc(2 * count, sizeof(*fds)), made;
	uint64_t before = 0, after;

	CHECK(fds);
	shrink_slabs();
	for (made = 0; made < 2 * count; made++) {
		if (made == count)
			before = kernel_memory();
		fds[made] = export(memfd);
		if (fds[made] < 0)
			break;
	}
	after = kernel_memory();
	if (made < 2 * count)
		failed("memory");
	else
		record("memory", after > before ? (after - before) / count : 0);
	while (made)
		close(fds[--made]);
	free(fds);
}
