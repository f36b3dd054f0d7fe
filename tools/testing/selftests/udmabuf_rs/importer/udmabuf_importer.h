/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What the test importer does for the tests, through /dev/udmabuf_importer.
 *
 * Everything that an open file has mapped is unmapped when it is closed.
 */
#ifndef UDMABUF_IMPORTER_H
#define UDMABUF_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IMPORTER_SLOTS	32

/* enum dma_data_direction */
#define IMPORTER_BIDIRECTIONAL	0
#define IMPORTER_TO_DEVICE	1
#define IMPORTER_FROM_DEVICE	2

struct importer_map {
	__u32 slot;		/* a free one, below IMPORTER_SLOTS */
	__s32 fd;		/* the dma-buf */
	__u32 direction;
	__u32 max_segment;	/* bytes; 0: no limit */
};

struct importer_bytes {
	__u32 slot;
	__u32 byte;
};

struct importer_segments {
	__u32 slot;
	__u32 count;
	__u32 longest;
	__u32 pad;
	__u64 total;
};

struct importer_vmap {
	__s32 fd;
	__u32 expect;
	__u32 write;
};

/* Attaches the device and maps the dma-buf for it. */
#define IMPORTER_MAP		_IOW('I', 1, struct importer_map)
/* Unmaps and detaches; the argument is the slot. */
#define IMPORTER_UNMAP		_IO('I', 2)
/* The device writes a byte everywhere. */
#define IMPORTER_WRITE		_IOW('I', 3, struct importer_bytes)
/* The device reads: EIO unless the byte is everywhere. */
#define IMPORTER_CHECK		_IOW('I', 4, struct importer_bytes)
#define IMPORTER_SEGMENTS	_IOWR('I', 5, struct importer_segments)
/* Looks for a byte everywhere in a kernel mapping (EIO), then writes another. */
#define IMPORTER_VMAP		_IOW('I', 6, struct importer_vmap)

#endif /* UDMABUF_IMPORTER_H */
