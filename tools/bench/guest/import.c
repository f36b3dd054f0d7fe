// SPDX-License-Identifier: GPL-2.0
/* What a device does with a buffer. */
#define _GNU_SOURCE
#include <sys/ioctl.h>

#include "bench.h"
#include "udmabuf_importer.h"

/* The mappings of a buffer that live meanwhile, and of how many the average is. */
#define MANY		10000
#define LAST		100

static int map_for(unsigned int device, int slot, int fd)
{
	struct importer_map args = {
		.slot = slot,
		.fd = fd,
		.direction = IMPORTER_BIDIRECTIONAL,
		.device = device,
	};

	return ioctl(importer_fd, IMPORTER_MAP, &args);
}

int importer_map(int slot, int fd)
{
	return map_for(device, slot, fd);
}

void importer_unmap(int slot)
{
	ioctl(importer_fd, IMPORTER_UNMAP, slot);
}

void import_one(int fd)
{
	struct importer_segments segments = { .slot = 0 };
	uint64_t start = ticks();

	if (importer_map(0, fd)) {
		failed("map");
		return;
	}
	record("map", since(start));
	measure_sync(NULL, "sync_1", fd);
	if (!ioctl(importer_fd, IMPORTER_SEGMENTS, &segments))
		record("segments", segments.count);
	start = ticks();
	ioctl(importer_fd, IMPORTER_UNMAP, 0);
	record("unmap", since(start));
}

void import_four(int fd)
{
	int mapped = 0;

	while (mapped < 4 && !importer_map(mapped, fd))
		mapped++;
	if (mapped == 4)
		measure_sync(NULL, "sync_4", fd);
	else
		failed("sync_4");
	while (mapped)
		ioctl(importer_fd, IMPORTER_UNMAP, --mapped);
}

void vmap(int fd)
{
	struct importer_vmap args = { .slot = 0, .fd = fd };
	uint64_t start = ticks();

	if (ioctl(importer_fd, IMPORTER_VMAP, &args)) {
		failed("vmap");
		return;
	}
	record("vmap", since(start));
	start = ticks();
	ioctl(importer_fd, IMPORTER_VUNMAP, 0);
	record("vunmap", since(start));
}

/* A mapping from attaching to detaching, and one that an attachment has made before. */
void import_small(int fd)
{
	uint64_t start, once, twice;

	for (int i = 0; i < 5; i++) {
		start = ticks();
		if (importer_map(0, fd)) {
			failed("map_unmap");
			return;
		}
		importer_unmap(0);
		once = since(start);
		record("map_unmap", once);
		start = ticks();
		if (map_for(device | IMPORTER_AGAIN, 0, fd)) {
			failed("remap");
			return;
		}
		importer_unmap(0);
		twice = since(start);
		record("remap", twice > once ? twice - once : 0);
	}
}

static int map_many(int fd, int count, unsigned int flags)
{
	struct importer_map_many many = {
		.fd = fd, .direction = IMPORTER_BIDIRECTIONAL, .device = device,
		.flags = flags, .count = count,
	};

	return ioctl(importer_fd, IMPORTER_MAP_MANY, &many);
}

/* @names are those of mapping with a tenth of MANY live, with all of them, and of unmapping. */
static void many_live(int fd, unsigned int flags, const char *const *names)
{
	uint64_t start;
	int live = 0;

	for (int i = 0; i < 2; i++) {
		int wanted = i ? MANY : MANY / 10;

		if (map_many(fd, wanted - LAST - live, flags)) {
			failed(names[i]);
			break;
		}
		start = ticks();
		if (map_many(fd, LAST, flags)) {
			failed(names[i]);
			break;
		}
		record(names[i], since(start) / LAST);
		live = wanted;
	}
	start = ticks();
	ioctl(importer_fd, IMPORTER_UNMAP_MANY);
	if (live == MANY)
		record(names[2], since(start) / MANY);
}

void import_live(int fd)
{
	static const char *const names[] = { "map_1000", "map_10000", "unmap_10000" };

	many_live(fd, 0, names);
}

void import_attached(int fd)
{
	static const char *const names[] = { "attach_1000", "attach_10000", "detach_10000" };

	many_live(fd, IMPORTER_ATTACH_EACH, names);
}
