// SPDX-License-Identifier: GPL-2.0
/* What a device does with a buffer. */
#include <sys/ioctl.h>

#include "bench.h"
#include "udmabuf_importer.h"

static int importer_map(int slot, int fd)
{
	struct importer_map args = {
		.slot = slot,
		.fd = fd,
		.direction = IMPORTER_BIDIRECTIONAL,
		.device = IMPORTER_FAUX,
	};

	return ioctl(importer_fd, IMPORTER_MAP, &args);
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
