/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The floor of what a dma-buf of memfd pages costs, through /dev/udmabuf_floor:
 * what no driver can do without is done here, and nothing else.
 *
 * An open file has room for one range at a time, which is either pinned or in a
 * buffer; EBUSY while there is one, ENOSPC where FLOOR_ROOM was too small.
 */
#ifndef UDMABUF_FLOOR_H
#define UDMABUF_FLOOR_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* A range of a memfd, in bytes. */
struct floor_range {
	__s32 memfd;
	__u32 pad;
	__u64 offset;
	__u64 size;
};

/* Page table entries by what one maps, on x86: 4 KiB, 2 MiB, 1 GiB. */
struct floor_entries {
	__u64 ptes;
	__u64 pmds;
	__u64 puds;
};

/* How the memory of a range lies, and the fewest entries for it at an address. */
struct floor_frames {
	struct floor_range range;
	__u64 address;
	__u64 folios;
	__u64 runs;		/* of adjacent frames */
	struct floor_entries fewest;
};

/* The entries that the caller's page tables have for a range of addresses. */
struct floor_mapped {
	__u64 address;
	__u64 size;
	struct floor_entries found;
};

/* Zeroes as much memory as @size, which @folio divides, in pieces of that; bytes. */
struct floor_zero {
	__u64 size;
	__u64 folio;
};

/* Makes room for so many folios; what is measured below allocates none. */
#define FLOOR_ROOM	_IO('F', 1)
#define FLOOR_PIN	_IOW('F', 2, struct floor_range)
#define FLOOR_UNPIN	_IO('F', 3)
/* Pins and exports; returns a descriptor, and closing that unpins. Size 0: pins nothing. */
#define FLOOR_CREATE	_IOW('F', 4, struct floor_range)
#define FLOOR_FRAMES	_IOWR('F', 5, struct floor_frames)
#define FLOOR_MAPPED	_IOWR('F', 6, struct floor_mapped)
#define FLOOR_ZERO	_IOW('F', 7, struct floor_zero)

#endif /* UDMABUF_FLOOR_H */
