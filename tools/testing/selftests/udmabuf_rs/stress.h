/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memfds with their buffers and devices, and a copy of every byte: for stress.c. One
 * task owns a model, and nobody else writes its memory.
 *
 * Whatever is asked of the driver may be answered by an errno that the limits, the
 * cgroup and unplugged devices account for: `excused()`.
 */
#ifndef STRESS_H
#define STRESS_H

#include "importer_test.h"

#define MAX_PAGES	64
#define BUFFERS		3
#define VIEWS		2

/* What the task does, for the counts at the end. */
enum op {
	MAKE_MEMFD, MAKE_HUGE, MAKE_BUFFER, MAKE_LIST, MAKE_EXT, DROP_BUFFER,
	WRITE_FD, WRITE_MEMFD_MAP, WRITE_BUFFER_MAP, WRITE_MEM, WRITE_DEVICE, WRITE_VMAP,
	READ_FD, READ_MEMFD_MAP, READ_BUFFER_MAP, READ_MEM, READ_DEVICE, READ_VMAP,
	MAP_DIRECT, MAP_STAGED, UNMAP, VMAP, VUNMAP, FORKED, KILLED, DEVICE_GONE,
	COLLAPSE, PAGE_OUT, EXCUSED, OPS,
};

static const char * const op_names[OPS] = {
	"memfds", "memfds of huge pages", "buffers", "buffers of lists",
	"buffers by the strict call", "buffers dropped", "writes by pwrite",
	"writes through the memfd's mapping",
	"writes through the buffer's mapping", "writes by /proc/self/mem", "writes by a device",
	"writes through a kernel mapping", "reads by pread", "reads through the memfd's mapping",
	"reads through the buffer's mapping", "reads by /proc/self/mem", "reads by a device",
	"reads through a kernel mapping", "devices mapped directly", "devices staged", "unmaps",
	"kernel mappings", "their ends", "children that looked", "children that were killed",
	"devices that had gone", "collapses", "pageouts", "errors by limits",
};

/* A device, or the kernel, to which a buffer is mapped. */
struct view {
	bool used, kernel, writes, staged;
	int slot;
};

struct buffer {
	int fd;
	uint64_t flags;
	size_t pages;
	/* Which page of the memfd each page is. */
	uint16_t page[MAX_PAGES];
	char *map;
	struct view views[VIEWS];
};

struct model {
	int dev, importer, mem, memfd;
	bool huge;
	size_t page, pages, size;
	char *map, *bytes;
	struct buffer buffers[BUFFERS];
	uint32_t slots;
	uint64_t random;
	volatile unsigned long *counts;
	/* The first thing that went wrong. */
	char wrong[256];
};

static inline uint64_t some(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (m->random >> 11) % below;
}

static inline void count(struct model *m, enum op op)
{
	__atomic_fetch_add(&m->counts[op], 1, __ATOMIC_RELAXED);
}

static inline void went_wrong(struct model *m, const char *format, ...)
{
	va_list args;

	if (m->wrong[0])
		return;
	va_start(args, format);
	vsnprintf(m->wrong, sizeof(m->wrong), format, args);
	va_end(args);
}

/* Whether @err is one that the surroundings account for. Any other goes down as wrong. */
static inline bool excused(struct model *m, int err, const char *what)
{
	if (err == -ENOMEM) {
		count(m, EXCUSED);
		return true;
	}
	went_wrong(m, "%s: %s", what, strerror(-err));
	return false;
}

/* The same of a call of the importer, whose device may have gone. */
static inline bool excused_by_device(struct model *m, int err, const char *what)
{
	if (err == -ENODEV || err == -ENOENT) {
		count(m, DEVICE_GONE);
		return true;
	}
	return excused(m, err, what);
}

/* Brackets: around each access, of all buffers of the memfd ------------------ */

static inline void sync_all(struct model *m, uint64_t start_or_end)
{
	for (int i = 0; i < BUFFERS; i++) {
		struct buffer *b = &m->buffers[i];
		bool read_only = b->flags & UDMABUF_EXT_READ_ONLY;
		uint64_t how = read_only ? DMA_BUF_SYNC_READ : DMA_BUF_SYNC_RW;
		int err;

		if (b->fd < 0)
			continue;
		err = buf_sync(b->fd, start_or_end | how);
		if (err)
			excused(m, err, start_or_end ? "END" : "START");
	}
}

/* Buffers -------------------------------------------------------------------- */

static inline void drop_view(struct model *m, struct view *v)
{
	int err;

	if (!v->used)
		return;
	err = importer_slot(m->importer, v->kernel ? IMPORTER_VUNMAP : IMPORTER_UNMAP, v->slot);
	/* Of a device that has gone nothing is left. */
	if (err && err != -ENODEV && err != -ENOENT)
		went_wrong(m, "unmap: %s", strerror(-err));
	m->slots &= ~(1U << v->slot);
	v->used = false;
	count(m, v->kernel ? VUNMAP : UNMAP);
}

static inline void drop_buffer(struct model *m, struct buffer *b)
{
	if (b->fd < 0)
		return;
	for (int i = 0; i < VIEWS; i++)
		drop_view(m, &b->views[i]);
	/* Sometimes the mapping keeps it a moment longer. */
	if (some(m, 2)) {
		close(b->fd);
		if (b->map)
			munmap(b->map, b->pages * m->page);
	} else {
		if (b->map)
			munmap(b->map, b->pages * m->page);
		close(b->fd);
	}
	*b = (struct buffer){ .fd = -1 };
	count(m, DROP_BUFFER);
}

static inline int make_list(struct model *m, struct buffer *b, bool strict)
{
	struct udmabuf_create_item items[MAX_PAGES];
	struct udmabuf_create_ext ext;
	size_t n = 1 + some(m, 6);

	b->pages = 0;
	for (size_t i = 0; i < n; i++) {
		size_t first = some(m, m->pages), pages = 1 + some(m, m->pages - first);

		pages = pages > MAX_PAGES / 6 ? MAX_PAGES / 6 : pages;
		items[i] = (struct udmabuf_create_item){
			.memfd = m->memfd, .offset = first * m->page, .size = pages * m->page,
		};
		while (pages--)
			b->page[b->pages++] = first++;
	}
	if (!strict)
		return create_list(m->dev, items, n);
	ext = make_ext(items, n, UDMABUF_EXT_CLOEXEC | b->flags);
	ext.name = (uintptr_t)(some(m, 2) ? "stress" : NULL);
	return create_ext(m->dev, &ext);
}

static inline void make_buffer(struct model *m, struct buffer *b)
{
	static const uint64_t flags[] = {
		0, 0, UDMABUF_EXT_READ_ONLY, UDMABUF_EXT_NO_CPU_MAP,
	};
	size_t first = some(m, m->pages);
	enum op op = MAKE_BUFFER + some(m, 3);

	*b = (struct buffer){ .fd = -1 };
	if (op == MAKE_BUFFER) {
		b->pages = 1 + some(m, m->pages - first);
		for (size_t i = 0; i < b->pages; i++)
			b->page[i] = first + i;
		b->fd = create(m->dev, m->memfd, first * m->page, b->pages * m->page);
	} else {
		b->flags = op == MAKE_EXT ? flags[some(m, ARRAY_SIZE(flags))] : 0;
		b->fd = make_list(m, b, op == MAKE_EXT);
	}
	if (b->fd < 0) {
		excused(m, b->fd, op_names[op]);
		*b = (struct buffer){ .fd = -1 };
		return;
	}
	count(m, op);
	if (b->flags & UDMABUF_EXT_NO_CPU_MAP)
		return;
	b->map = map_at(b->fd, 0, b->pages * m->page,
			b->flags & UDMABUF_EXT_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE);
	if (b->map == MAP_FAILED) {
		excused(m, -errno, "mmap");
		b->map = NULL;
	}
}

static inline void drop_memfd(struct model *m)
{
	for (int i = 0; i < BUFFERS; i++)
		drop_buffer(m, &m->buffers[i]);
	if (m->memfd < 0)
		return;
	/* Nothing of it is pinned. */
	munmap(m->map, m->size);
	if (seal_write_soon(m->memfd))
		went_wrong(m, "F_SEAL_WRITE: something is still pinned");
	close(m->memfd);
	m->memfd = -1;
}

static inline void make_memfd(struct model *m)
{
	drop_memfd(m);
	m->huge = !some(m, 8) && huge_ready(1);
	m->pages = 1 + some(m, MAX_PAGES);
	/* The model knows the beginning of a huge page. */
	m->size = m->huge ? HUGE : m->pages * m->page;
	m->memfd = m->huge ? memfd_new_huge(m->size) : memfd_new(m->size);
	if (m->memfd < 0) {
		excused(m, m->memfd, "memfd");
		m->memfd = -1;
		return;
	}
	/* Allocated, and so not written, or a hole until a buffer or a byte needs it. */
	if (some(m, 2))
		fallocate(m->memfd, 0, 0, m->size);
	m->map = map_rw(m->memfd, m->size);
	if (m->map == MAP_FAILED) {
		excused(m, -errno, "mmap of a memfd");
		close(m->memfd);
		m->memfd = -1;
		return;
	}
	memset(m->bytes, 0, MAX_PAGES * m->page);
	count(m, m->huge ? MAKE_HUGE : MAKE_MEMFD);
}

/* Devices, and the kernel ---------------------------------------------------- */

static inline void make_view(struct model *m, struct buffer *b, struct view *v)
{
	static const int directions[] = {
		IMPORTER_BIDIRECTIONAL, IMPORTER_TO_DEVICE, IMPORTER_FROM_DEVICE,
	};
	struct importer_segments segments;
	int device, direction, err;

	*v = (struct view){ .slot = __builtin_ctz(~m->slots), .kernel = !some(m, 4) };
	if (v->kernel) {
		if (b->flags)
			return;
		err = importer_vmap(m->importer, v->slot, b->fd);
		v->writes = true;
	} else {
		direction = directions[b->flags & UDMABUF_EXT_READ_ONLY ? 1 : some(m, 3)];
		v->writes = direction != IMPORTER_TO_DEVICE;
		/* The one that is unplugged reaches all memory, the other little of it. */
		device = some(m, 2) ? IMPORTER_FAUX : IMPORTER_FAUX_2;
		err = importer_map_masked(m->importer, v->slot, b->fd, device, direction,
					  device == IMPORTER_FAUX ? 0 : FEW_BITS);
	}
	if (err) {
		excused_by_device(m, err, v->kernel ? "vmap" : "map");
		return;
	}
	v->used = true;
	m->slots |= 1U << v->slot;
	v->staged = !v->kernel && !importer_segments(m->importer, v->slot, &segments) &&
		    segments.elsewhere;
	count(m, v->kernel ? VMAP : v->staged ? MAP_STAGED : MAP_DIRECT);
}

/* Bytes ---------------------------------------------------------------------- */

/* One place, through which bytes can be written or read. */
struct way {
	enum op op;
	struct buffer *buffer;
	struct view *view;
	/* Where the page is there, and in the memfd. */
	size_t at, page;
};

/* A way through a page that is chosen at random, and that can be @written. */
static inline struct way some_way(struct model *m, bool written)
{
	enum op first = written ? WRITE_FD : READ_FD;
	struct buffer *b = &m->buffers[some(m, BUFFERS)];
	struct way way = { .op = first + some(m, 2), .page = some(m, m->pages) };
	struct view *v = &b->views[some(m, VIEWS)];
	bool read_only = b->flags & UDMABUF_EXT_READ_ONLY;

	way.at = way.page;
	if (m->huge && way.op == first)
		way.op = first + 1;	/* hugetlbfs has no write() */
	if (b->fd < 0 || !some(m, 4))
		return way;
	way.buffer = b;
	way.at = some(m, b->pages);
	way.page = b->page[way.at];
	if (v->used && some(m, 3) && (!written || v->writes)) {
		way.view = v;
		way.op = first + (v->kernel ? 5 : 4);
		return way;
	}
	if (b->map && !(written && read_only)) {
		way.op = first + 2 + some(m, 2);
		return way;
	}
	way.op = first + 1;
	way.at = way.page;
	return way;
}

/* Moves @len bytes at @offset of the page. 0 or -errno. */
static inline int go(struct model *m, const struct way *way, char *bytes, size_t offset, size_t len)
{
	size_t at = way->at * m->page + offset;
	int importer = m->importer, slot = way->view ? way->view->slot : 0;
	ssize_t n = len;

	switch (way->op) {
	case WRITE_FD:
		n = pwrite(m->memfd, bytes, len, at);
		break;
	case READ_FD:
		n = pread(m->memfd, bytes, len, at);
		break;
	case WRITE_MEMFD_MAP:
		memcpy(m->map + at, bytes, len);
		break;
	case READ_MEMFD_MAP:
		memcpy(bytes, m->map + at, len);
		break;
	case WRITE_BUFFER_MAP:
		memcpy(way->buffer->map + at, bytes, len);
		break;
	case READ_BUFFER_MAP:
		memcpy(bytes, way->buffer->map + at, len);
		break;
	case WRITE_MEM:
		n = pwrite(m->mem, bytes, len, (uintptr_t)way->buffer->map + at);
		break;
	case READ_MEM:
		n = pread(m->mem, bytes, len, (uintptr_t)way->buffer->map + at);
		break;
	case WRITE_DEVICE:
		return importer_copy(importer, IMPORTER_WRITE, slot, at, bytes, len);
	case READ_DEVICE:
		return importer_copy(importer, IMPORTER_READ, slot, at, bytes, len);
	case WRITE_VMAP:
		return importer_copy(importer, IMPORTER_VMAP_WRITE, slot, at, bytes, len);
	case READ_VMAP:
		return importer_copy(importer, IMPORTER_VMAP_READ, slot, at, bytes, len);
	default:
		return -EINVAL;
	}
	return n < 0 ? -errno : n == len ? 0 : -EIO;
}

static inline bool same(struct model *m, const struct way *way, const char *bytes, size_t offset,
			size_t len)
{
	const char *wanted = m->bytes + way->page * m->page + offset;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == wanted[i])
			continue;
		went_wrong(m, "%s: byte %zu of page %zu is %#x, not %#x%s", op_names[way->op],
			   offset + i, way->page, bytes[i] & 255, wanted[i] & 255,
			   way->view && way->view->staged ? ", staged" : "");
		return false;
	}
	return true;
}

/* Whether @err of a way is accounted for. The view is not used again. */
static inline bool gave_up(struct model *m, struct way *way, int err)
{
	if (!way->view)
		return excused(m, err, op_names[way->op]);
	if (!excused_by_device(m, err, op_names[way->op]))
		return false;
	drop_view(m, way->view);
	return true;
}

static inline void read_somewhere(struct model *m)
{
	static char bytes[65536];
	struct way way = some_way(m, false);
	size_t offset = some(m, m->page), len = 1 + some(m, m->page - offset);
	int err;

	sync_all(m, DMA_BUF_SYNC_START);
	err = go(m, &way, bytes, offset, len);
	if (!err)
		same(m, &way, bytes, offset, len);
	else
		gave_up(m, &way, err);
	sync_all(m, DMA_BUF_SYNC_END);
	count(m, way.op);
}

static inline void write_somewhere(struct model *m)
{
	static char bytes[65536];
	struct way way = some_way(m, true);
	struct way back = { READ_MEMFD_MAP, .page = way.page, .at = way.page };
	size_t offset = some(m, m->page), len = 1 + some(m, m->page - offset);
	char *model = m->bytes + way.page * m->page + offset;
	int err;

	for (size_t i = 0; i < len; i++)
		bytes[i] = some(m, 256);
	sync_all(m, DMA_BUF_SYNC_START);
	err = go(m, &way, bytes, offset, len);
	if (!err) {
		memcpy(model, bytes, len);
	} else if (gave_up(m, &way, err)) {
		/* A device that went has written all, or some, or nothing. */
		sync_all(m, DMA_BUF_SYNC_START);
		if (!go(m, &back, bytes, offset, len))
			memcpy(model, bytes, len);
	}
	/* What a device has written is fetched by the next access of the CPU, before its end. */
	if (!err && way.op == WRITE_DEVICE) {
		sync_all(m, DMA_BUF_SYNC_START);
		if (!go(m, &back, bytes, offset, len))
			same(m, &back, bytes, offset, len);
	}
	sync_all(m, DMA_BUF_SYNC_END);
	count(m, way.op);
}

#endif /* STRESS_H */
