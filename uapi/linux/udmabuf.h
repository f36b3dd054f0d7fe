/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * udmabuf: make a dma-buf of the pages of one or more memfds.
 *
 * This header is a superset of the one in the kernel tree: the same names,
 * layouts and numbers, so a program built with either works with either
 * driver. It needs nothing but the kernel's own <linux/types.h> and
 * <linux/ioctl.h>.
 *
 * The ioctls are issued on the device node (/dev/udmabuf, or /dev/udmabuf_rs
 * where another driver holds that name). Any open mode will do: a node opened
 * O_RDONLY still creates buffers that can be written. The layouts are the same
 * for 32-bit and 64-bit programs.
 */
#ifndef _UAPI_LINUX_UDMABUF_H
#define _UAPI_LINUX_UDMABUF_H

#include <linux/types.h>
#include <linux/ioctl.h>

/**
 * DOC: Creating a buffer
 *
 * Both ioctls return a new dma-buf file descriptor (zero or greater) on
 * success, and -1 with errno set on failure; after a failure nothing is
 * pinned and no descriptor is open.
 *
 * What each item must be:
 *
 * - ``memfd`` is a descriptor of memfd_create(2): tmpfs or hugetlb memory made
 *   so that it can be sealed (MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL), opened for
 *   reading and writing;
 * - ``offset`` and ``size`` are multiples of the page size, and the range they
 *   name lies inside the file. For MFD_HUGETLB the page size here is still the
 *   base page size, so a part of a huge page is legal;
 * - the memfd carries F_SEAL_SHRINK, which keeps the pages from being truncated
 *   away, and carries neither F_SEAL_WRITE nor F_SEAL_FUTURE_WRITE, which the
 *   buffer would get around. Other seals are of no concern. Once a buffer
 *   exists, adding F_SEAL_WRITE fails with EBUSY until the buffer is gone.
 *
 * The buffer holds the pages, not the descriptors: the memfd and the node may
 * be closed at once. Pages that the memfd does not have yet are allocated and
 * read as zero. Memory stays pinned until the last reference to the dma-buf
 * (descriptor, mapping, importer) is gone.
 *
 * Holes must not be punched into an exported range (FALLOC_FL_PUNCH_HOLE,
 * MADV_REMOVE): the buffer keeps the old pages while the memfd gets new ones,
 * and the two no longer show the same bytes. F_SEAL_SHRINK does not forbid it.
 *
 * Alignment, the sum of the sizes and the limits are checked first; then each
 * item in turn: descriptor, seals, access mode, range. errno of both ioctls:
 *
 * ========  ==================================================================
 * EFAULT    the argument, or the list behind it, cannot be read
 * EINVAL    ``offset`` or ``size`` is not a multiple of the page size; the sizes
 *           add up to 0, or to more than the module parameter size_limit_mb; a
 *           range overflows or ends past the end of its memfd; an item among
 *           others has size 0; ``count`` is 0, or more than list_limit;
 *           F_SEAL_SHRINK is missing; F_SEAL_WRITE or F_SEAL_FUTURE_WRITE is set
 * EBADFD    ``memfd`` is not an open descriptor, or is neither tmpfs nor hugetlb
 *           memory
 * EACCES    ``memfd`` is open for reading only, or for writing only
 * ENOMEM    no memory for the pages, for huge pages (an empty pool), or for the
 *           driver's own bookkeeping; or one page would be pinned so often that
 *           its reference count could overflow
 * ENOSPC    no memory, where the kernel accounts for it strictly
 * EIO       a page of the memfd is broken, or cannot be read back from swap
 * EMFILE    the process has no free descriptor; ENFILE: the system has none
 * EINTR     a fatal signal came while pages were being pinned
 * ENOTTY    not an ioctl of this device
 * ========  ==================================================================
 */

/**
 * DOC: Sharing a buffer with the CPU (DMA_BUF_IOCTL_SYNC)
 *
 * The descriptor can be mapped with mmap(2), MAP_SHARED, up to the size that
 * lseek(fd, 0, SEEK_END) or fstat(2) tells; MAP_PRIVATE is refused (EINVAL).
 * Each stretch of CPU access through such a mapping, or through a mapping of
 * the memfd itself, belongs between two calls of DMA_BUF_IOCTL_SYNC (from
 * <linux/dma-buf.h>) on the dma-buf descriptor::
 *
 *	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
 *
 *	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) == -1 &&
 *	       (errno == EINTR || errno == EAGAIN))
 *		;
 *	... read and write the mapping ...
 *	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
 *	... the same loop ...
 *
 * - READ, WRITE or RW says what the CPU does inside the bracket; END names the
 *   same direction as its START. Any other bit answers EINVAL.
 * - START with READ waits for devices that still write (fences), START with
 *   WRITE for those that still read as well. The wait ends with EINTR or EAGAIN
 *   when a signal comes; nothing has happened then and the call is to be made
 *   again.
 * - What a device wrote before START is visible after it. What the CPU wrote
 *   before an END with WRITE is visible to every device after that.
 * - SYNC has no state: STARTs and ENDs may come in any number and order, from any
 *   thread or process, and be left out. An END without a START succeeds.
 * - No START, END or device that comes or goes overwrites what somebody is
 *   writing. But a bracket is no lock: of two that write the same byte at the same
 *   time, or bytes of one cache line on a machine that is not cache coherent, one
 *   loses. Nothing outside the buffer is ever read or written.
 * - Where a device has a copy of its own (a software IOMMU, a confidential guest,
 *   a 32-bit device), bytes pass at START, END with WRITE, map and unmap only.
 *   START answers EIO if a page of the buffer is broken.
 * - Where every device shares the memory (a plain PC), access outside a bracket
 *   happens to work. Nothing is promised to programs that rely on it.
 */

/* The new descriptor gets O_CLOEXEC. Unknown bits are ignored. */
#define UDMABUF_FLAGS_CLOEXEC	0x01

/**
 * struct udmabuf_create - Argument of UDMABUF_CREATE: a buffer of one range.
 *
 * @memfd: Descriptor of the memfd.
 * @flags: UDMABUF_FLAGS_CLOEXEC or 0; unknown bits are ignored.
 * @offset: Start of the range in the memfd, in bytes.
 * @size: Length of the range, in bytes; the size of the buffer.
 */
struct udmabuf_create {
	__u32 memfd;
	__u32 flags;
	__u64 offset;
	__u64 size;
};

/**
 * struct udmabuf_create_item - One range of UDMABUF_CREATE_LIST.
 *
 * @memfd: Descriptor of the memfd; items may name different ones.
 * @__pad: Ignored.
 * @offset: Start of the range in the memfd, in bytes.
 * @size: Length of the range, in bytes, not 0.
 */
struct udmabuf_create_item {
	__u32 memfd;
	__u32 __pad;
	__u64 offset;
	__u64 size;
};

/**
 * struct udmabuf_create_list - Argument of UDMABUF_CREATE_LIST.
 *
 * The buffer is the ranges of the list one after the other, in that order. A
 * range, or a page, may be named more than once.
 *
 * @flags: UDMABUF_FLAGS_CLOEXEC or 0; unknown bits are ignored.
 * @count: Number of items, 1 to the module parameter list_limit.
 * @list: The items.
 */
struct udmabuf_create_list {
	__u32 flags;
	__u32 count;
	struct udmabuf_create_item list[];
};

#define UDMABUF_CREATE       _IOW('u', 0x42, struct udmabuf_create)
#define UDMABUF_CREATE_LIST  _IOW('u', 0x43, struct udmabuf_create_list)

#endif /* _UAPI_LINUX_UDMABUF_H */
