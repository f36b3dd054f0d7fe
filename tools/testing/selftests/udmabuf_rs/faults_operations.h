/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What faults.c has fail: set-ups, acts, what undoes them, and clean-ups, of the operations in its
 * table. Each returns 0 or -errno. Acts call nothing that allocates but the operation.
 */
#ifndef FAULTS_OPERATIONS_H
#define FAULTS_OPERATIONS_H

#include "faults.h"

#define PAGES		3
#define SCATTERED	600

/* Of the zone from which nothing is allocated that does not ask for it, if there is another. */
#ifdef __x86_64__
#define ZONE_DMA_BITS	24
#else
#define ZONE_DMA_BITS	32
#endif

#define FAR		((char *)(16ULL << 40))
#define FARTHER		(FAR + GIB)

/* The account of nobody else. */
#define OTHER_USER	65532

struct world {
	int fail, make_fail, kmsg, importer, dev, memfd, memfd2, buf, file, made;
	size_t size;
	pid_t pid;
	char *map;
	char text[4096];
	struct udmabuf_create_item items[4];
};

/* An operation. What act() does, undo() undoes if it has succeeded. */
struct operation {
	const char *name;
	int (*setup)(struct world *w);
	int (*act)(struct world *w);
	int (*undo)(struct world *w);
	int (*cleanup)(struct world *w);
	/* Those documented, and 0. */
	const int *errnos;
	/* A WARN of the core's own. */
	const char *warns;
	unsigned int flags;
};

#define NEEDS_IMPORTER	1
#define NEEDS_HUGE	2
/* The module comes and goes: nothing may be open. */
#define IS_MODULE	4
/* Charges go to other processes, or are none. */
#define NOT_CHARGED	8
/* Takes long: each point is tried once. */
#define LONG		16
/* Does not end with the process that did it. */
#define OUTLASTS	32
/* What the importer allocates after it has mapped does not count. */
#define OURS_ALONE	64
/* No page fault on the way, which would be tried again without end. */
#define NO_FAULTS	128

/* Set-ups and clean-ups ---------------------------------------------------- */

static int nothing(struct world *w)
{
	return 0;
}

static int open_dev(struct world *w)
{
	w->dev = node_open();
	return w->dev < 0 ? w->dev : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* All is closed; nothing is pinned any more. */
static int close_all(struct world *w)
{
	int err = 0;

	if (w->map)
		munmap(w->map, w->size);
	w->map = NULL;
	close_fd(&w->made);
	close_fd(&w->buf);
	close_fd(&w->file);
	close_fd(&w->dev);
	if (w->memfd >= 0)
		err = seal_write_soon(w->memfd);
	if (!err && w->memfd2 >= 0)
		err = seal_write_soon(w->memfd2);
	close_fd(&w->memfd);
	close_fd(&w->memfd2);
	return err;
}

/* A memfd whose pages are there, out of order if they are many. */
static int populated(size_t pages)
{
	int memfd = memfd_new(pages * page_size());

	for (size_t i = 0; memfd >= 0 && i < pages; i++)
		if (pwrite(memfd, "x", 1, i * 7 % pages * page_size()) != 1)
			return -errno;
	return memfd;
}

static int memfd_setup(struct world *w, size_t pages)
{
	w->size = pages * page_size();
	w->memfd = populated(pages);
	return w->memfd < 0 ? w->memfd : open_dev(w);
}

static int single_setup(struct world *w)
{
	return memfd_setup(w, PAGES);
}

static int scattered_setup(struct world *w)
{
	return memfd_setup(w, SCATTERED);
}

static int list_setup(struct world *w)
{
	int err = memfd_setup(w, PAGES);

	w->memfd2 = populated(PAGES);
	for (int i = 0; i < ARRAY_SIZE(w->items); i++)
		w->items[i] = (struct udmabuf_create_item){
			.memfd = i % 2 ? w->memfd2 : w->memfd,
			.size = PAGES * page_size(),
		};
	return err ?: w->memfd2 < 0 ? w->memfd2 : 0;
}

static int holes_setup(struct world *w)
{
	w->size = PAGES * page_size();
	w->memfd = memfd_new(w->size);
	return w->memfd < 0 ? w->memfd : open_dev(w);
}

static int fallocated_setup(struct world *w)
{
	int err = holes_setup(w);

	return err ?: fallocate(w->memfd, 0, 0, w->size) ? -errno : 0;
}

static int huge_setup(struct world *w)
{
	w->size = HUGE;
	w->memfd = memfd_new_huge(HUGE);
	return w->memfd < 0 ? w->memfd : open_dev(w);
}

static int read_only_setup(struct world *w)
{
	int err = single_setup(w), fd;

	if (err)
		return err;
	fd = fd_reopen(w->memfd, O_RDONLY);
	if (fd < 0)
		return fd;
	w->file = fd;
	return 0;
}

/* The real user is another, so that the account of the opener of the node is not the one. */
static int other_user_setup(struct world *w)
{
	int err = single_setup(w);

	return err ?: setresuid(OTHER_USER, -1, -1) ? -errno : 0;
}

static int other_user_cleanup(struct world *w)
{
	setresuid(0, -1, -1);
	return close_all(w);
}

/* Puts a buffer of all of the memfd after what @setup does. */
static int with_buffer(struct world *w, int (*setup)(struct world *w))
{
	int err = setup(w);

	if (err)
		return err;
	w->buf = create(w->dev, w->memfd, 0, w->size);
	return w->buf < 0 ? w->buf : 0;
}

static int buffer_setup(struct world *w)
{
	return with_buffer(w, single_setup);
}

static int scattered_buffer_setup(struct world *w)
{
	return with_buffer(w, scattered_setup);
}

static int map_to(struct world *w, char *to)
{
	w->map = mmap(to, w->size, PROT_READ | PROT_WRITE, MAP_SHARED | (to ? MAP_FIXED : 0),
		      w->buf, 0);
	if (w->map != MAP_FAILED)
		return 0;
	w->map = NULL;
	return -errno;
}

static int map_buffer(struct world *w)
{
	return map_to(w, NULL);
}

/* Where nothing else is, so that page tables of all levels are missing. */
static int map_far(struct world *w)
{
	return map_to(w, FAR);
}

static int mapped_setup(struct world *w)
{
	return buffer_setup(w) ?: map_far(w);
}

static int huge_mapped_setup(struct world *w)
{
	return with_buffer(w, huge_setup) ?: map_far(w);
}

static int touched(struct world *w)
{
	return touch(w->map, true) ? -EFAULT : 0;
}

static int huge_touched_setup(struct world *w)
{
	return huge_mapped_setup(w) ?: touched(w);
}

static int touched_setup(struct world *w)
{
	return mapped_setup(w) ?: touched(w);
}

/* Operations: the node -------------------------------------------------------- */

static int act_open(struct world *w)
{
	w->made = node_open();
	return w->made < 0 ? w->made : 0;
}

static int undo_made(struct world *w)
{
	close_fd(&w->made);
	return 0;
}

static int is_made(struct world *w, int fd)
{
	w->made = fd;
	return fd < 0 ? fd : 0;
}

static int act_create(struct world *w)
{
	return is_made(w, create(w->dev, w->memfd, 0, w->size));
}

static int act_create_list(struct world *w)
{
	struct {
		struct udmabuf_create_list head;
		struct udmabuf_create_item items[4];
	} list = { .head = { .flags = UDMABUF_FLAGS_CLOEXEC, .count = ARRAY_SIZE(w->items) } };
	int fd;

	memcpy(list.items, w->items, sizeof(w->items));
	fd = ioctl(w->dev, UDMABUF_CREATE_LIST, &list);
	return is_made(w, fd < 0 ? -errno : fd);
}

static int act_create_named(struct world *w)
{
	return is_made(w, create_ext_one(w->dev, w->memfd, 0, w->size, UDMABUF_EXT_CLOEXEC,
					 "a name of some length"));
}

static int act_create_read_only(struct world *w)
{
	return is_made(w, create_ext_one(w->dev, w->file, 0, w->size,
					 UDMABUF_EXT_CLOEXEC | UDMABUF_EXT_READ_ONLY, NULL));
}

static int act_create_ext_list(struct world *w)
{
	struct udmabuf_create_ext ext = make_ext(w->items, ARRAY_SIZE(w->items),
						 UDMABUF_EXT_CLOEXEC | UDMABUF_EXT_NO_CPU_MAP);

	return is_made(w, create_ext(w->dev, &ext));
}

static int act_query(struct world *w)
{
	struct udmabuf_query query = { .size = sizeof(query) };

	return ioctl(w->dev, UDMABUF_QUERY, &query) ? -errno : 0;
}

static int act_close(struct world *w)
{
	int fd = w->buf;

	w->buf = -1;
	return close(fd) ? -errno : 0;
}

static int undo_close(struct world *w)
{
	w->buf = create(w->dev, w->memfd, 0, w->size);
	return w->buf < 0 ? w->buf : 0;
}

/* Mappings of userspace ---------------------------------------------------------- */

static int undo_map(struct world *w)
{
	munmap(w->map, w->size);
	w->map = NULL;
	return 0;
}

static int act_touch(struct world *w)
{
	fault_signal = 0;
	if (!sigsetjmp(fault_jump, 0))
		*(volatile char *)w->map = 'w';
	return fault_signal ? -EFAULT : 0;
}

static int undo_touch(struct world *w)
{
	munmap(w->map, w->size);
	return map_far(w);
}

static int file_setup(struct world *w)
{
	int err = mapped_setup(w), fd;

	if (err)
		return err;
	fd = populated(1);
	if (fd < 0)
		return fd;
	w->file = fd;
	return 0;
}

/* The kernel writes to the mapping, which nobody has touched. */
static int act_read_into(struct world *w)
{
	ssize_t n = pread(w->file, w->map, 16, 0);

	return n == 16 ? 0 : n < 0 ? -errno : -EFAULT;
}

static int act_write_from(struct world *w)
{
	ssize_t n = pwrite(w->file, w->map, 16, 0);

	return n == 16 ? 0 : n < 0 ? -errno : -EFAULT;
}

static int proc_mem_setup(struct world *w)
{
	int err = touched_setup(w);

	if (err)
		return err;
	w->file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	return w->file < 0 ? -errno : 0;
}

static int act_proc_mem(struct world *w)
{
	char bytes[16];
	ssize_t n = pread(w->file, bytes, sizeof(bytes), (uintptr_t)w->map);

	if (n == sizeof(bytes))
		n = pwrite(w->file, bytes, sizeof(bytes), (uintptr_t)w->map + 16);
	return n == sizeof(bytes) ? 0 : n < 0 ? -errno : -EIO;
}

static int act_fork(struct world *w)
{
	w->pid = fork();
	if (w->pid < 0)
		return -errno;
	if (!w->pid)
		_exit(*(volatile char *)w->map != 'w');
	return 0;
}

static int undo_fork(struct world *w)
{
	return wait_status(w->pid);
}

static int check_byte(struct world *w)
{
	return *(volatile char *)w->map == 'w' ? 0 : -EILSEQ;
}

/* A page of what one entry maps. */
static int act_mprotect(struct world *w)
{
	return mprotect(w->map + page_size(), page_size(), PROT_READ) ? -errno : 0;
}

static int undo_huge(struct world *w)
{
	return check_byte(w) ?: undo_touch(w) ?: touched(w);
}

static int act_mremap(struct world *w)
{
	return mremap(w->map, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, FARTHER) == MAP_FAILED ?
	       -errno : 0;
}

static int undo_mremap(struct world *w)
{
	w->map = FARTHER;
	return undo_huge(w);
}

static int act_munmap(struct world *w)
{
	return munmap(w->map + page_size(), page_size()) ? -errno : 0;
}

/* Brackets ------------------------------------------------------------------------- */

static int act_sync(struct world *w)
{
	struct dma_buf_sync start = { SYNC_START_RW }, end = { SYNC_END_RW };

	return ioctl(w->buf, DMA_BUF_IOCTL_SYNC, &start) ||
	       ioctl(w->buf, DMA_BUF_IOCTL_SYNC, &end) ? -errno : 0;
}

/* Importers ------------------------------------------------------------------------ */

static int map_all_bits(struct world *w, int slot, int direction)
{
	return importer_map_masked(w->importer, slot, w->buf, IMPORTER_FAUX, direction, 64);
}

static int act_map(struct world *w)
{
	return importer_map(w->importer, 0, w->buf, IMPORTER_FAUX, IMPORTER_BIDIRECTIONAL);
}

static int act_map_again(struct world *w)
{
	return importer_map(w->importer, 0, w->buf, IMPORTER_FAUX | IMPORTER_AGAIN,
			    IMPORTER_BIDIRECTIONAL);
}

static int unmap_slot(struct world *w, int slot)
{
	return importer_slot(w->importer, IMPORTER_UNMAP, slot);
}

static int undo_map_device(struct world *w)
{
	return unmap_slot(w, 0);
}

/* Whatever the act has left in slot 0 or 1. */
static int importer_cleanup(struct world *w)
{
	unmap_slot(w, 0);
	unmap_slot(w, 1);
	importer_slot(w->importer, IMPORTER_VUNMAP, 0);
	return close_all(w);
}

/* The limits of the device, which last, are set by a mapping. */
static int direct_setup(struct world *w)
{
	return buffer_setup(w) ?: map_all_bits(w, 0, IMPORTER_TO_DEVICE) ?: unmap_slot(w, 0);
}

static int scattered_direct_setup(struct world *w)
{
	return scattered_buffer_setup(w) ?: map_all_bits(w, 0, IMPORTER_TO_DEVICE) ?:
	       unmap_slot(w, 0);
}

static int mapped_direct_setup(struct world *w)
{
	return buffer_setup(w) ?: map_all_bits(w, 0, IMPORTER_BIDIRECTIONAL);
}

/* With few address bits the device does not reach memory that the kernel hands out for memfds. */
static int map_few_bits(struct world *w, int direction)
{
	return importer_map_masked(w->importer, 0, w->buf, IMPORTER_FAUX, direction,
				   booted_with("swiotlb=force") ? 64 : ZONE_DMA_BITS);
}

static int is_staged(struct world *w, int slot)
{
	struct importer_segments segments;
	int err = importer_segments(w->importer, slot, &segments);

	return err ?: segments.elsewhere == w->size / page_size() ? 0 : -EILSEQ;
}

static int few_bits_setup(struct world *w, int direction)
{
	return buffer_setup(w) ?: map_few_bits(w, direction) ?: is_staged(w, 0);
}

static int mapped_staged_setup(struct world *w)
{
	return few_bits_setup(w, IMPORTER_BIDIRECTIONAL);
}

static int mapped_reader_setup(struct world *w)
{
	return few_bits_setup(w, IMPORTER_TO_DEVICE);
}

static int staged_setup(struct world *w)
{
	return mapped_reader_setup(w) ?: unmap_slot(w, 0);
}

static int undo_map_staged(struct world *w)
{
	return is_staged(w, 0) ?: unmap_slot(w, 0);
}

/* The device of slot 0, which reads, writes as well. */
static int act_map_writer(struct world *w)
{
	return importer_map(w->importer, 1, w->buf, IMPORTER_FAUX, IMPORTER_BIDIRECTIONAL);
}

/* Its base stays until it has detached. */
static int undo_map_writer(struct world *w)
{
	return is_staged(w, 1) ?: unmap_slot(w, 1) ?: unmap_slot(w, 0) ?:
	       importer_map(w->importer, 0, w->buf, IMPORTER_FAUX, IMPORTER_TO_DEVICE);
}

static int act_map_other(struct world *w)
{
	return importer_map(w->importer, 1, w->buf, IMPORTER_FAUX_2, IMPORTER_BIDIRECTIONAL);
}

static int undo_map_other(struct world *w)
{
	return unmap_slot(w, 1);
}

static int act_unmap(struct world *w)
{
	return unmap_slot(w, 0);
}

static int act_vmap(struct world *w)
{
	return importer_vmap(w->importer, 0, w->buf);
}

static int undo_vmap(struct world *w)
{
	return importer_slot(w->importer, IMPORTER_VUNMAP, 0);
}

static int vmapped_setup(struct world *w)
{
	return buffer_setup(w) ?: act_vmap(w);
}

/* Texts ---------------------------------------------------------------------------- */

static int read_file(struct world *w, const char *path)
{
	ssize_t n = read_text(path, w->text, sizeof(w->text));

	return n < 0 ? n : 0;
}

static int act_fdinfo(struct world *w)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", w->buf);
	return read_file(w, path);
}

static int act_buffers(struct world *w)
{
	return read_file(w, DEBUGFS "udmabuf_rs/buffers");
}

static int act_totals(struct world *w)
{
	return read_file(w, DEBUGFS "udmabuf_rs/totals");
}

static int act_param_read(struct world *w)
{
	return read_file(w, "/sys/module/udmabuf_rs/parameters/list_limit") ?:
	       read_file(w, "/sys/module/udmabuf_rs/parameters/pinned_bytes") ?:
	       read_file(w, "/sys/module/udmabuf_rs/parameters/node");
}

static int act_param_write(struct world *w)
{
	return write_text("/sys/module/udmabuf_rs/parameters/list_limit", "1000");
}

static int undo_param_write(struct world *w)
{
	long long now = param_get("list_limit");

	return param_set_number("list_limit", 1024) ?: now == 1000 ? 0 : -EILSEQ;
}

static int cleanup_param_write(struct world *w)
{
	return param_get("list_limit") == 1024 ? 0 : -EILSEQ;
}

/* The module ----------------------------------------------------------------------- */

static int unload(struct world *w)
{
	return module_unload();
}

static int load_setup(struct world *w)
{
	w->file = open(module_file(), O_RDONLY | O_CLOEXEC);
	return w->file < 0 ? -errno : module_unload();
}

static int act_load(struct world *w)
{
	return syscall(SYS_finit_module, w->file, "", 0) ? -errno : 0;
}

/* Loaded again for good. */
static int load_cleanup(struct world *w)
{
	int err = act_load(w);

	close_fd(&w->file);
	return err ?: access(DEBUGFS "udmabuf_rs/buffers", R_OK) ? -errno : 0;
}

static int reload(struct world *w)
{
	return module_load("");
}

#endif /* FAULTS_OPERATIONS_H */
