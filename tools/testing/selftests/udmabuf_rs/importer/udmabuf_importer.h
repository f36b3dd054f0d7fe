/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What the test importer does for the tests, through /dev/udmabuf_importer.
 *
 * Whatever an open file has mapped, and whatever fences it has added, is undone
 * when it is closed: unmapped, detached, signalled.
 *
 * Errors: EINVAL for what makes no sense, EBUSY for a slot in use, ENODEV for a
 * device that is not there, ENOENT for an empty slot, EFAULT; and what the
 * dma-buf core or the exporter answer.
 */
#ifndef UDMABUF_IMPORTER_H
#define UDMABUF_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Mappings, kernel mappings and fences of one open file, each. */
#define IMPORTER_SLOTS		32

/* enum dma_data_direction */
#define IMPORTER_BIDIRECTIONAL	0
#define IMPORTER_TO_DEVICE	1
#define IMPORTER_FROM_DEVICE	2

/*
 * The devices. FAUX has no hardware behind it: what it would do, the CPU does
 * through the physical address that a DMA address stands for. EDU is QEMU's PCI
 * device: its DMA engine does it. NO_DRIVER is the edu device while that is unbound;
 * the CPU does its work. FAUX_2 and FAUX_3 are more devices like FAUX.
 */
#define IMPORTER_FAUX		0
#define IMPORTER_EDU		1
#define IMPORTER_NO_DRIVER	2
#define IMPORTER_FAUX_2		3
#define IMPORTER_FAUX_3		4

/*
 * Added to a device with a driver, in importer_map: the buffer is mapped, unmapped
 * and mapped again for the same attachment.
 */
#define IMPORTER_AGAIN		0x100

/* Flags of importer_limits: the device has no such mask at all. */
#define IMPORTER_NO_MASK		1
#define IMPORTER_NO_COHERENT_MASK	2

/*
 * Limits of a faux device; 0 means: no limit. They are set by later calls that map
 * for it through this file, and last until they are set again.
 */
struct importer_limits {
	__u32 max_segment;	/* bytes */
	__u32 flags;
	__u64 boundary;		/* bytes, a power of two */
	__u64 dma_mask;
	__u64 coherent_mask;	/* of memory allocated for the device; 0: as dma_mask */
};

struct importer_map {
	__u32 slot;		/* a free one, below IMPORTER_SLOTS */
	__s32 fd;		/* the dma-buf */
	__u32 direction;
	__u32 device;
};

/* Each mapping has an attachment of its own; otherwise one attachment has all of them. */
#define IMPORTER_ATTACH_EACH	1

struct importer_map_many {
	__s32 fd;		/* the dma-buf */
	__u32 direction;
	__u32 device;
	__u32 flags;
	__u32 count;		/* of mappings, at least 1 */
};

/* Bytes of the buffer, and where they are in userspace. */
struct importer_bytes {
	__u32 slot;
	__u32 pad;
	__u64 offset;
	__u64 length;
	__u64 address;
};

/*
 * Bytes that the device stores, one by one: each from offset on for which the byte
 * at the same place from address on is owner.
 */
struct importer_store {
	__u32 slot;
	__u32 owner;
	__u32 value;
	__u32 pad;
	__u64 offset;
	__u64 length;
	__u64 address;
};

/* The scatter list as the device sees it. */
struct importer_segments {
	__u32 slot;
	__u32 count;
	__u64 longest;		/* bytes, as the next two */
	__u64 total;
	__u64 crossed;		/* of segments that cross the boundary in importer_limits */
	__u64 highest;		/* address for the device of any byte */
	__u32 elsewhere;	/* pages of which the device has a copy: bounced or staged */
	__u32 translated;	/* 1 when an IOMMU lies between */
};

struct importer_vmap {
	__u32 slot;
	__s32 fd;
};

struct importer_access {
	__s32 fd;
	__u32 direction;	/* as the core passes it: to the device is what the CPU writes */
};

struct importer_fence {
	__u32 slot;
	__s32 fd;
	__u32 writes;		/* 1: what a device writes, 0: what one reads */
	__u32 pad;
};

#define IMPORTER_LIMITS		_IOW('I', 1, struct importer_limits)
/* Attaches the device and maps the dma-buf for it. */
#define IMPORTER_MAP		_IOW('I', 2, struct importer_map)
/* Unmaps and detaches; the argument is the slot. */
#define IMPORTER_UNMAP		_IO('I', 3)
/* The device reads the buffer, or writes it, through its DMA addresses. */
#define IMPORTER_READ		_IOW('I', 4, struct importer_bytes)
#define IMPORTER_WRITE		_IOW('I', 5, struct importer_bytes)
#define IMPORTER_SEGMENTS	_IOWR('I', 6, struct importer_segments)
/* Changes the addresses in the table that the slot got, as RDMA does. */
#define IMPORTER_CHANGE_TABLE	_IO('I', 7)
/*
 * Forgets a mapping: one of the faux device stays for good, for the test of leak
 * detectors; one of the edu device until that is unbound.
 */
#define IMPORTER_LEAK		_IO('I', 8)
/*
 * Maps the dma-buf many times, beside the slots; unmaps all of these. One call that
 * fails may have made some of its mappings.
 */
#define IMPORTER_MAP_MANY	_IOW('I', 9, struct importer_map_many)
#define IMPORTER_UNMAP_MANY	_IO('I', 10)
/*
 * Of a faux device. The calling thread is the device meanwhile: several devices
 * store at the same time, and beside all other calls.
 */
#define IMPORTER_STORE		_IOW('I', 11, struct importer_store)

/* A kernel mapping; bytes are read and written through it by the CPU. */
#define IMPORTER_VMAP		_IOW('I', 16, struct importer_vmap)
#define IMPORTER_VUNMAP		_IO('I', 17)
#define IMPORTER_VMAP_READ	_IOW('I', 18, struct importer_bytes)
#define IMPORTER_VMAP_WRITE	_IOW('I', 19, struct importer_bytes)

/*
 * mmap() at this offset and further on maps the buffer that the slot's kernel
 * mapping is of, by dma_buf_mmap().
 */
#define IMPORTER_MMAP_SHIFT	30
#define IMPORTER_MMAP_OFFSET(slot)	((__u64)(slot) << IMPORTER_MMAP_SHIFT)
/*
 * The same for any buffer, at IMPORTER_MMAP_OFFSET(IMPORTER_SLOTS); the argument is
 * the dma-buf.
 */
#define IMPORTER_MMAP		_IO('I', 20)

/* dma_buf_begin_cpu_access() and dma_buf_end_cpu_access(), as a driver calls them. */
#define IMPORTER_BEGIN		_IOW('I', 24, struct importer_access)
#define IMPORTER_END		_IOW('I', 25, struct importer_access)

/* A fence in the dma-buf's reservation object, and its end; the argument is the slot. */
#define IMPORTER_FENCE		_IOW('I', 32, struct importer_fence)
#define IMPORTER_SIGNAL		_IO('I', 33)

/*
 * Takes the first faux device away, whatever is mapped for it, and brings a new one.
 * The edu device goes by sysfs.
 */
#define IMPORTER_UNPLUG		_IO('I', 40)
#define IMPORTER_PLUG		_IO('I', 41)
/* Adds another device to the bus of the faux device, and removes it. */
#define IMPORTER_ADD_AND_REMOVE	_IO('I', 42)
/* Has the edu device's driver refuse it with EBUSY (1), or accept it (0). */
#define IMPORTER_REFUSE		_IO('I', 43)

#endif /* UDMABUF_IMPORTER_H */
