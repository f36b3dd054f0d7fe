// SPDX-License-Identifier: GPL-2.0
/*
 * What no driver that makes dma-bufs of memfd pages can do without, so that a
 * benchmark can tell how much they do beyond: pin and unpin, export a buffer
 * that has no operations, and count entries of page tables.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/kref.h>
#include <linux/memfd.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "udmabuf_floor.h"

#define PMD_PAGES	(PMD_SIZE >> PAGE_SHIFT)
#define PUD_PAGES	(PUD_SIZE >> PAGE_SHIFT)
#define MAX_FOLIO	PMD_SIZE

/* Of an open file, and of the buffer that was made through it. */
struct floor {
	struct kref refs;
	struct mutex lock;	/* the rest */
	struct folio **folios;
	unsigned long room;
	unsigned long pinned;
	unsigned long first;	/* byte of the first folio at which the range starts */
};

/* Of buffers that hold nothing: the core wants them to have something. */
static struct floor nothing;

static void floor_free(struct kref *refs)
{
	struct floor *floor = container_of(refs, struct floor, refs);

	kvfree(floor->folios);
	kfree(floor);
}

static int floor_room(struct floor *floor, unsigned long room)
{
	struct folio **folios;

	if (floor->pinned)
		return -EBUSY;
	if (room <= floor->room)
		return 0;
	folios = kvmalloc_array(room, sizeof(*folios), GFP_KERNEL);
	if (!folios)
		return -ENOMEM;
	kvfree(floor->folios);
	floor->folios = folios;
	floor->room = room;
	return 0;
}

static int floor_pin(struct floor *floor, const struct floor_range *range)
{
	u64 last = range->offset + range->size - 1;
	struct folio *folio;
	struct file *memfd;
	long pinned;

	if (floor->pinned)
		return -EBUSY;
	if (!floor->room)
		return -ENOSPC;
	memfd = fget(range->memfd);
	if (!memfd)
		return -EBADF;
	pinned = memfd_pin_folios(memfd, range->offset, last, floor->folios,
				  min(floor->room, (unsigned long)UINT_MAX), &floor->first);
	fput(memfd);
	if (pinned <= 0)
		return pinned ?: -EINVAL;
	floor->pinned = pinned;
	if (pinned < floor->room)
		return 0;

	/* All room is used: it may have been too little. */
	folio = floor->folios[pinned - 1];
	if (folio_pos(folio) + folio_size(folio) > last)
		return 0;
	unpin_folios(floor->folios, pinned);
	floor->pinned = 0;
	return -ENOSPC;
}

static void floor_unpin(struct floor *floor)
{
	unpin_folios(floor->folios, floor->pinned);
	floor->pinned = 0;
}

static struct sg_table *floor_map(struct dma_buf_attachment *attachment,
				  enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void floor_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			enum dma_data_direction direction)
{
}

static void floor_release(struct dma_buf *buffer)
{
	struct floor *floor = buffer->priv;

	if (floor == &nothing)
		return;
	mutex_lock(&floor->lock);
	floor_unpin(floor);
	mutex_unlock(&floor->lock);
	kref_put(&floor->refs, floor_free);
}

/* The core wants no fewer operations. */
static const struct dma_buf_ops floor_ops = {
	.map_dma_buf	= floor_map,
	.unmap_dma_buf	= floor_unmap,
	.release	= floor_release,
};

static int floor_export(struct floor *floor, u64 size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *buffer;
	int fd;

	info.ops = &floor_ops;
	info.size = size ?: PAGE_SIZE;
	info.flags = O_RDWR;
	info.priv = floor;
	buffer = dma_buf_export(&info);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	fd = dma_buf_fd(buffer, O_CLOEXEC);
	if (fd < 0) {
		/* What was pinned is the caller's to undo, as after any failure. */
		buffer->priv = &nothing;
		dma_buf_put(buffer);
	}
	return fd;
}

static int floor_create(struct floor *floor, const struct floor_range *range)
{
	int ret;

	if (!range->size)
		return floor_export(&nothing, 0);

	ret = floor_pin(floor, range);
	if (ret)
		return ret;
	kref_get(&floor->refs);
	ret = floor_export(floor, range->size);
	if (ret < 0) {
		floor_unpin(floor);
		kref_put(&floor->refs, floor_free);
	}
	return ret;
}

/* Adds the fewest entries that map @pages pages from @frame on at page @at of the address space. */
static void add_fewest(struct floor_entries *entries, unsigned long at, unsigned long frame,
		       unsigned long pages)
{
	while (pages) {
		unsigned long both = at | frame, step = 1;

		if (IS_ALIGNED(both, PUD_PAGES) && pages >= PUD_PAGES) {
			step = PUD_PAGES;
			entries->puds++;
		} else if (IS_ALIGNED(both, PMD_PAGES) && pages >= PMD_PAGES) {
			step = PMD_PAGES;
			entries->pmds++;
		} else {
			entries->ptes++;
		}
		at += step;
		frame += step;
		pages -= step;
	}
}

static int floor_frames(struct floor *floor, struct floor_frames *frames)
{
	unsigned long left = frames->range.size >> PAGE_SHIFT, at = frames->address >> PAGE_SHIFT;
	unsigned long run = 0, length = 0, i;
	int ret;

	ret = floor_pin(floor, &frames->range);
	if (ret)
		return ret;

	frames->folios = floor->pinned;
	frames->runs = 0;
	frames->fewest = (struct floor_entries){};
	for (i = 0; i < floor->pinned; i++) {
		unsigned long skip = i ? 0 : floor->first >> PAGE_SHIFT;
		unsigned long frame = folio_pfn(floor->folios[i]) + skip;
		unsigned long pages = min(folio_nr_pages(floor->folios[i]) - skip, left);

		if (!length || frame != run + length) {
			add_fewest(&frames->fewest, at, run, length);
			at += length;
			frames->runs++;
			run = frame;
			length = 0;
		}
		length += pages;
		left -= pages;
	}
	add_fewest(&frames->fewest, at, run, length);
	floor_unpin(floor);
	return 0;
}

/* Counts what the tables below @pud have up to @end, which lies in the range of @pud. */
static void count_below(pud_t *pud, unsigned long at, unsigned long end,
			struct floor_entries *found)
{
	unsigned long next;

	for (; at < end; at = next) {
		pmd_t *pmd = pmd_offset(pud, at);
		pmd_t value = pmdp_get(pmd);

		next = pmd_addr_end(at, end);
		if (pmd_none(value))
			continue;
		if (pmd_leaf(value)) {
			found->pmds++;
			continue;
		}
		for (; at < next; at += PAGE_SIZE)
			if (!pte_none(ptep_get(pte_offset_kernel(pmd, at))))
				found->ptes++;
	}
}

/*
 * Nothing but the caller changes these tables, which is one thread: no lock of
 * theirs is taken.
 */
static int floor_mapped(struct floor_mapped *mapped)
{
	unsigned long at = mapped->address, end = at + mapped->size, next;
	struct mm_struct *mm = current->mm;

	if (!mm || end < at || end > TASK_SIZE_MAX)
		return -EINVAL;

	mapped->found = (struct floor_entries){};
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (; at < end; at = next) {
		pgd_t *pgd = pgd_offset(mm, at);
		p4d_t *p4d;
		pud_t *pud;

		next = pud_addr_end(at, end);
		if (pgd_none(pgdp_get(pgd)))
			continue;
		p4d = p4d_offset(pgd, at);
		if (p4d_none(p4dp_get(p4d)))
			continue;
		pud = pud_offset(p4d, at);
		if (pud_none(pudp_get(pud)))
			continue;
		if (pud_leaf(pudp_get(pud)))
			mapped->found.puds++;
		else
			count_below(pud, at, next, &mapped->found);
	}
	mmap_read_unlock(mm);
	return 0;
}

/* Of one folio again and again, so that nothing but zeroing grows with the size. */
static int floor_zero(const struct floor_zero *zero)
{
	struct page *pages;
	u64 done;

	if (!zero->folio || zero->folio > MAX_FOLIO || zero->size % zero->folio)
		return -EINVAL;
	pages = alloc_pages(GFP_KERNEL, get_order(zero->folio));
	if (!pages)
		return -ENOMEM;
	for (done = 0; done < zero->size; done += zero->folio)
		memset(page_address(pages), 0, zero->folio);
	__free_pages(pages, get_order(zero->folio));
	return 0;
}

static long floor_call(struct floor *floor, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct floor_mapped mapped;
	struct floor_frames frames;
	struct floor_range range;
	struct floor_zero zero;
	long ret;

	switch (cmd) {
	case FLOOR_ROOM:
		return floor_room(floor, arg);
	case FLOOR_PIN:
	case FLOOR_CREATE:
		if (copy_from_user(&range, user, sizeof(range)))
			return -EFAULT;
		return cmd == FLOOR_PIN ? floor_pin(floor, &range) : floor_create(floor, &range);
	case FLOOR_UNPIN:
		floor_unpin(floor);
		return 0;
	case FLOOR_FRAMES:
		if (copy_from_user(&frames, user, sizeof(frames)))
			return -EFAULT;
		ret = floor_frames(floor, &frames);
		return ret ?: copy_to_user(user, &frames, sizeof(frames)) ? -EFAULT : 0;
	case FLOOR_MAPPED:
		if (copy_from_user(&mapped, user, sizeof(mapped)))
			return -EFAULT;
		ret = floor_mapped(&mapped);
		return ret ?: copy_to_user(user, &mapped, sizeof(mapped)) ? -EFAULT : 0;
	case FLOOR_ZERO:
		if (copy_from_user(&zero, user, sizeof(zero)))
			return -EFAULT;
		return floor_zero(&zero);
	default:
		return -ENOTTY;
	}
}

static long floor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct floor *floor = file->private_data;
	long ret;

	mutex_lock(&floor->lock);
	ret = floor_call(floor, cmd, arg);
	mutex_unlock(&floor->lock);
	return ret;
}

static int floor_open(struct inode *inode, struct file *file)
{
	struct floor *floor = kzalloc(sizeof(*floor), GFP_KERNEL);

	if (!floor)
		return -ENOMEM;
	kref_init(&floor->refs);
	mutex_init(&floor->lock);
	file->private_data = floor;
	return 0;
}

static int floor_close(struct inode *inode, struct file *file)
{
	struct floor *floor = file->private_data;

	kref_put(&floor->refs, floor_free);
	return 0;
}

static const struct file_operations floor_fops = {
	.owner		= THIS_MODULE,
	.open		= floor_open,
	.release	= floor_close,
	.unlocked_ioctl	= floor_ioctl,
};

static struct miscdevice floor_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "udmabuf_floor",
	.fops	= &floor_fops,
	.mode	= 0600,
};
module_misc_device(floor_misc);

MODULE_DESCRIPTION("The floor of what dma-bufs of memfd pages cost");
MODULE_AUTHOR("The udmabuf_rs authors");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
