/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test importer, as tests call it: 0 or -errno. Needs the module in
 * importer/; importer/udmabuf_importer.h says what it does.
 */
#ifndef IMPORTER_TEST_H
#define IMPORTER_TEST_H

#include "udmabuf_test.h"
#include "importer/udmabuf_importer.h"

#define IMPORTER	"/dev/udmabuf_importer"

/* The names of two of its devices. */
#define FAUX_NAME	"udmabuf_importer"
#define FAUX_2_NAME	"udmabuf_importer_2"

static inline int importer_open(void)
{
	int fd = open(IMPORTER, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int importer_call(int importer, unsigned long cmd, void *arg)
{
	return ioctl(importer, cmd, arg) ? -errno : 0;
}

/* For the calls whose argument is a slot, or nothing. */
static inline int importer_slot(int importer, unsigned long cmd, unsigned long slot)
{
	return importer_call(importer, cmd, (void *)slot);
}

static inline int importer_map(int importer, int slot, int buf, int device, int direction)
{
	struct importer_map map = {
		.slot = slot, .fd = buf, .direction = direction, .device = device,
	};

	return importer_call(importer, IMPORTER_MAP, &map);
}

/* @cmd is one of the four that move bytes. */
static inline int importer_copy(int importer, unsigned long cmd, int slot, uint64_t offset,
				void *bytes, size_t length)
{
	struct importer_bytes args = {
		.slot = slot, .offset = offset, .length = length, .address = (uintptr_t)bytes,
	};

	return importer_call(importer, cmd, &args);
}

/* The device stores @value where @owners, of @length bytes, is @owner. */
static inline int importer_store(int importer, int slot, const void *owners, size_t length,
				 int owner, int value)
{
	struct importer_store store = {
		.slot = slot, .owner = owner, .value = value, .length = length,
		.address = (uintptr_t)owners,
	};

	return importer_call(importer, IMPORTER_STORE, &store);
}

/* The fewest address bits with which a device reaches some memory. arm64 has none so low. */
#ifdef __x86_64__
#define FEW_BITS	28
#else
#define FEW_BITS	32
#endif

/* Maps for a faux device that has such masks from now on: bits of addresses, 0 for all. */
static inline int importer_map_masked(int importer, int slot, int buf, int device, int direction,
				      int bits)
{
	struct importer_limits limits = { .dma_mask = bits && bits < 64 ? (1ULL << bits) - 1 : 0 };
	int err = importer_call(importer, IMPORTER_LIMITS, &limits);

	return err ?: importer_map(importer, slot, buf, device, direction);
}

static inline int importer_segments(int importer, int slot, struct importer_segments *segments)
{
	*segments = (struct importer_segments){ .slot = slot };
	return importer_call(importer, IMPORTER_SEGMENTS, segments);
}

/* Maps for a device that reaches none of the pages. -ERANGE if it reaches some. */
static inline int importer_map_staged(int importer, int slot, int buf, int device, int direction)
{
	struct importer_segments segments;
	int err = importer_map_masked(importer, slot, buf, device, direction, FEW_BITS);

	return err ?: importer_segments(importer, slot, &segments) ?:
	       segments.elsewhere == buf_size(buf) / page_size() ? 0 : -ERANGE;
}

/* Memory below 2^FEW_BITS, and somewhat more. */
#define TRY_BYTES	(4 * MIB)
#define MAX_TRIES	80

/*
 * A memfd whose first pages a device with few address bits does not reach. What is allocated
 * first may lie where it does: that is kept until there is something else.
 */
static inline int memfd_out_of_reach(int dev, int importer, size_t size)
{
	int tried[MAX_TRIES], count = 0, memfd = -ENOMEM, buf, err = -ERANGE;

	while (err == -ERANGE && count < MAX_TRIES) {
		memfd = memfd_new(TRY_BYTES);
		if (memfd < 0)
			break;
		tried[count++] = memfd;
		if (fallocate(memfd, 0, 0, TRY_BYTES))
			break;
		buf = create(dev, memfd, 0, size);
		err = importer_map_staged(importer, 0, buf, IMPORTER_FAUX,
					  IMPORTER_TO_DEVICE);
		importer_slot(importer, IMPORTER_UNMAP, 0);
		closed(buf);
	}
	for (int i = 0; i < count - !err; i++)
		close(tried[i]);
	return err ?: memfd;
}

static inline int importer_vmap(int importer, int slot, int buf)
{
	struct importer_vmap vmap = { .slot = slot, .fd = buf };

	return importer_call(importer, IMPORTER_VMAP, &vmap);
}

/* @cmd is IMPORTER_BEGIN or IMPORTER_END. */
static inline int importer_access(int importer, unsigned long cmd, int buf, int direction)
{
	struct importer_access access = { .fd = buf, .direction = direction };

	return importer_call(importer, cmd, &access);
}

static inline int importer_fence(int importer, int slot, int buf, bool writes)
{
	struct importer_fence fence = { .slot = slot, .fd = buf, .writes = writes };

	return importer_call(importer, IMPORTER_FENCE, &fence);
}

#define EDU_DRIVER	"/sys/bus/pci/drivers/udmabuf_importer/"

/* The name of the edu device on its bus. */
static inline bool edu_name(char *name, size_t size)
{
	DIR *dir = opendir(EDU_DRIVER);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		found = strchr(entry->d_name, ':');
		if (found)
			snprintf(name, size, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* One byte all over the first @size bytes: written by @cmd, or looked for ----- */

static inline int importer_fill(int importer, unsigned long cmd, int slot, size_t size, int byte)
{
	char *bytes = malloc(size);
	int err;

	if (!bytes)
		return -ENOMEM;
	memset(bytes, byte, size);
	err = importer_copy(importer, cmd, slot, 0, bytes, size);
	free(bytes);
	return err;
}

/* 0 when @cmd reads it everywhere, -EIO when not. */
static inline int importer_finds(int importer, unsigned long cmd, int slot, size_t size, int byte)
{
	char *bytes = malloc(size);
	int err;

	if (!bytes)
		return -ENOMEM;
	memset(bytes, ~byte, size);
	err = importer_copy(importer, cmd, slot, 0, bytes, size);
	for (size_t i = 0; !err && i < size; i++)
		if (bytes[i] != (char)byte)
			err = -EIO;
	free(bytes);
	return err;
}

#endif /* IMPORTER_TEST_H */
