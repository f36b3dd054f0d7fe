/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * udmabuf: make a dma-buf of the pages of one or more memfds.
 *
 * This header is a superset of the one in the kernel tree: the same names,
 * layouts and numbers, so a program built with either works with either
 * driver. UDMABUF_CREATE_EXT and UDMABUF_QUERY are in this header alone; a
 * driver that lacks them answers ENOTTY. It needs nothing but the kernel's own
 * <linux/types.h> and <linux/ioctl.h>.
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
 * This is about UDMABUF_CREATE and UDMABUF_CREATE_LIST, which every driver has.
 * Both return a new dma-buf file descriptor (zero or greater) on
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
 *           its reference count could overflow; or more would be pinned than the
 *           administrator allows the user, or all
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
 * lseek(fd, 0, SEEK_END) or fstat(2) tells; MAP_PRIVATE is refused (EINVAL, or
 * EACCES if the buffer does not allow the mapping at all).
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

/**
 * DOC: Creating a buffer, strictly
 *
 * UDMABUF_CREATE_EXT makes the same buffers, and more: with a name, read-only,
 * without a CPU mapping. Nothing is ignored: what the driver does not know, it
 * refuses. UDMABUF_QUERY tells what it knows.
 *
 * Where the driver lacks both (ENOTTY), the older call makes a plain buffer::
 *
 *	struct udmabuf_create_item item = { .memfd = memfd, .size = size };
 *	struct udmabuf_create_ext ext = {
 *		.size = sizeof(ext), .flags = UDMABUF_EXT_CLOEXEC,
 *		.items = (uintptr_t)&item, .count = 1, .name = (uintptr_t)"frame",
 *	};
 *	struct udmabuf_create plain = { memfd, UDMABUF_FLAGS_CLOEXEC, 0, size };
 *	int buf = ioctl(node, UDMABUF_CREATE_EXT, &ext);
 *
 *	if (buf == -1 && errno == ENOTTY)
 *		buf = ioctl(node, UDMABUF_CREATE, &plain);
 *
 * A program that asks for UDMABUF_EXT_READ_ONLY or UDMABUF_EXT_NO_CPU_MAP must
 * not fall back: the older call makes a buffer without these properties.
 *
 * The structs grow at the end, by the rules of openat2(2) and clone3(2). ``size``
 * is the sizeof of the struct that the program was compiled with:
 *
 * - a shorter struct is read as if zeroes followed, and zero means: as before.
 *   A struct as short as the first version (UDMABUF_CREATE_EXT_SIZE_VER0) is
 *   accepted for ever;
 * - of a longer one, the bytes that the driver does not know must be zero
 *   (E2BIG). It may not be longer than a page.
 *
 * errno, beside those of UDMABUF_CREATE_LIST. These are checked first, in this
 * order:
 *
 * ==========  ================================================================
 * EFAULT      ``size`` cannot be read
 * EINVAL      ``size`` is less than UDMABUF_CREATE_EXT_SIZE_VER0
 * E2BIG       ``size`` is more than a page, or a byte that the driver does not
 *             know is not zero
 * EFAULT      the rest of the struct cannot be read
 * EINVAL      a flag is not known, or ``__reserved`` is not zero
 * EOPNOTSUPP  the driver has no such ``cache`` attribute
 * EINVAL      ``count`` is more than list_limit
 * EFAULT      ``name`` cannot be read
 * EINVAL      the name is longer than 31 bytes; ENOMEM: no memory for it
 * EFAULT      ``items`` cannot be read
 * EINVAL      ``__pad`` of an item is not zero
 * ==========  ================================================================
 */

/**
 * DOC: Read-only buffers
 *
 * A buffer made with UDMABUF_EXT_READ_ONLY refuses every request for write
 * access, whoever makes it: userspace, also as root, or a driver in the kernel.
 *
 * - The descriptor is O_RDONLY. mmap(2) with PROT_WRITE answers EACCES, and so
 *   does mprotect(2) later, also for mappings that a driver makes of the buffer.
 * - Debuggers read it (/proc/PID/mem, ptrace(2)), and cannot write it.
 * - DMA_BUF_IOCTL_SYNC with DMA_BUF_SYNC_WRITE answers EACCES.
 * - Drivers can have a device read it (DMA_TO_DEVICE). A driver that maps it for
 *   any other direction gets EACCES; one that wants a kernel mapping, which cannot
 *   be read-only, gets EINVAL. Documentation/udmabuf_rs.rst names drivers, among
 *   them two that do not ask and write all the same.
 *
 * Its memfds need F_SEAL_SHRINK as always, but not write access: they may be open
 * for reading only, and carry F_SEAL_WRITE or F_SEAL_FUTURE_WRITE.
 *
 * The promise is about the buffer, not about the memory: whoever can write the
 * memfd still can. To do so while devices read the buffer:
 *
 * - wait with poll(2) for POLLOUT on the buffer. START with READ, the only one
 *   that it accepts, waits for devices that write, and not for those that read;
 * - write between START and END with DMA_BUF_SYNC_READ. Every END of such a buffer
 *   passes on to devices what has been written.
 *
 * F_SEAL_FUTURE_WRITE can be added while the buffer lives. It takes write access
 * from all but mappings, and buffers that are not read-only, that exist already.
 * F_SEAL_WRITE answers EBUSY until the buffer is gone, since its pages are pinned.
 */

/**
 * DOC: Buffers without a CPU mapping
 *
 * A buffer made with UDMABUF_EXT_NO_CPU_MAP cannot be mapped by the CPU: mmap(2)
 * answers EACCES, and drivers that want a kernel mapping get EINVAL. Devices use
 * it as any other. The memfd can be mapped as before.
 */

/* The new descriptor gets O_CLOEXEC. */
#define UDMABUF_EXT_CLOEXEC		0x01ULL
/* The buffer refuses write access. */
#define UDMABUF_EXT_READ_ONLY		0x02ULL
/* The CPU cannot map the buffer. */
#define UDMABUF_EXT_NO_CPU_MAP		0x04ULL

/* How the CPU maps the buffer: cached, as memory usually is. */
#define UDMABUF_CACHE_CACHED		0

/**
 * struct udmabuf_create_ext - Argument of UDMABUF_CREATE_EXT.
 *
 * Set the whole struct to zero first.
 *
 * @size: Of the struct, in bytes.
 * @cache: UDMABUF_CACHE_CACHED; others answer EOPNOTSUPP.
 * @flags: Any of UDMABUF_EXT_*; unknown bits answer EINVAL.
 * @items: Address of an array of struct udmabuf_create_item, which make up the
 *	buffer as those of UDMABUF_CREATE_LIST do. __pad must be 0.
 * @count: Number of items, 1 to the module parameter list_limit.
 * @__reserved: 0.
 * @name: Address of a string of up to 31 bytes and a null byte, or 0 for none. It
 *	is the name that DMA_BUF_SET_NAME sets: fdinfo and debugfs show it.
 */
struct udmabuf_create_ext {
	__u32 size;
	__u32 cache;
	__aligned_u64 flags;
	__aligned_u64 items;
	__u32 count;
	__u32 __reserved;
	__aligned_u64 name;
};

/* sizeof(struct udmabuf_create_ext) in its first version. */
#define UDMABUF_CREATE_EXT_SIZE_VER0	40

/* Version of what this header describes. */
#define UDMABUF_API_VERSION		1

/**
 * struct udmabuf_query - Argument of UDMABUF_QUERY, filled by the driver.
 *
 * Limits are those in force at the moment of the call. Fields that the driver does
 * not know read as zero; fields behind the end of a shorter struct are left out.
 *
 * @size: In: of the struct, in bytes. Out: of the driver's.
 * @api_version: UDMABUF_API_VERSION of the driver. It grows with each addition.
 * @module_version: Version of the module: major << 16 | minor << 8 | patch.
 * @list_limit: Maximum number of items: the module parameter of that name.
 * @flags: The flags that UDMABUF_CREATE_EXT knows.
 * @cache: Its cache attributes: bit n for the attribute of value n.
 * @size_limit: Maximum size of a buffer in bytes: size_limit_mb, bounded by the
 *	kernel's address space.
 * @staging_limit: Maximum size in bytes of the memory for devices that do not
 *	reach the buffers of a user: the lesser of staging_limit_mb and
 *	staging_user_limit_mb; all bits set for no limit, 0 where such devices are
 *	refused.
 * @user_limit: Maximum size in bytes of all buffers of a user: user_limit_mb; all
 *	bits set for no limit. RLIMIT_MEMLOCK may be less: module parameter memlock.
 * @total_limit: The same of all users: total_limit_mb.
 */
struct udmabuf_query {
	__u32 size;
	__u32 api_version;
	__u32 module_version;
	__u32 list_limit;
	__aligned_u64 flags;
	__aligned_u64 cache;
	__aligned_u64 size_limit;
	__aligned_u64 staging_limit;
	__aligned_u64 user_limit;
	__aligned_u64 total_limit;
};

/* sizeof(struct udmabuf_query) in its first version. */
#define UDMABUF_QUERY_SIZE_VER0		64

/*
 * The numbers are far from those that the kernel's header counts up in, 'u' 0x40
 * to 0x4f. They have no size and no direction in them, as those of iommufd and
 * VFIO: the structs may grow, and a program compiled with an older header, or a
 * filter of system calls, goes on to know the same number.
 */
#define UDMABUF_CREATE_EXT   _IO('u', 0xe0)
#define UDMABUF_QUERY        _IO('u', 0xe1)

#endif /* _UAPI_LINUX_UDMABUF_H */
