// SPDX-License-Identifier: GPL-2.0
/*
 * A device for tests that imports dma-bufs. There is no hardware: what the
 * device would do, the CPU does through the memory that the DMA addresses stand
 * for, bounce buffers included. Works where DMA goes without an IOMMU.
 */
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "udmabuf_importer.h"

struct mapping {
	struct dma_buf *buf;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	enum dma_data_direction direction;
};

struct importer {
	struct mutex lock;	/* of what the file has mapped */
	struct mapping mappings[IMPORTER_SLOTS];
};

static struct platform_device *pdev;
static DEFINE_MUTEX(limits_lock);

static int map(struct mapping *m, const struct importer_map *arg)
{
	int err;

	if (m->table)
		return -EBUSY;
	m->direction = arg->direction;
	m->buf = dma_buf_get(arg->fd);
	if (IS_ERR(m->buf))
		return PTR_ERR(m->buf);
	m->attachment = dma_buf_attach(m->buf, &pdev->dev);
	if (IS_ERR(m->attachment)) {
		err = PTR_ERR(m->attachment);
		goto put;
	}
	scoped_guard(mutex, &limits_lock) {
		dma_set_max_seg_size(&pdev->dev, arg->max_segment ?: UINT_MAX);
		m->table = dma_buf_map_attachment_unlocked(m->attachment, m->direction);
	}
	if (!IS_ERR(m->table))
		return 0;
	err = PTR_ERR(m->table);
	m->table = NULL;
	dma_buf_detach(m->buf, m->attachment);
put:
	dma_buf_put(m->buf);
	return err;
}

static void unmap(struct mapping *m)
{
	dma_buf_unmap_attachment_unlocked(m->attachment, m->table, m->direction);
	dma_buf_detach(m->buf, m->attachment);
	dma_buf_put(m->buf);
	m->table = NULL;
}

static u8 *memory_of(struct scatterlist *sg)
{
	return phys_to_virt(dma_to_phys(&pdev->dev, sg_dma_address(sg)));
}

static int device_writes(struct mapping *m, u8 byte)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(m->table, sg, i)
		memset(memory_of(sg), byte, sg_dma_len(sg));
	return 0;
}

static int device_checks(struct mapping *m, u8 byte)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(m->table, sg, i)
		if (memchr_inv(memory_of(sg), byte, sg_dma_len(sg)))
			return -EIO;
	return 0;
}

static void measure(struct mapping *m, struct importer_segments *arg)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(m->table, sg, i) {
		arg->count++;
		arg->longest = max(arg->longest, sg_dma_len(sg));
		arg->total += sg_dma_len(sg);
	}
}

static int use_vmap(const struct importer_vmap *arg)
{
	struct dma_buf *buf = dma_buf_get(arg->fd);
	struct iosys_map map;
	int err;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	err = dma_buf_vmap_unlocked(buf, &map);
	if (!err) {
		if (memchr_inv(map.vaddr, arg->expect, buf->size))
			err = -EIO;
		memset(map.vaddr, arg->write, buf->size);
		dma_buf_vunmap_unlocked(buf, &map);
	}
	dma_buf_put(buf);
	return err;
}

static struct mapping *slot(struct importer *importer, unsigned long slot)
{
	if (slot >= IMPORTER_SLOTS || !importer->mappings[slot].table)
		return NULL;
	return &importer->mappings[slot];
}

static long importer_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct importer *importer = file->private_data;
	union {
		struct importer_map map;
		struct importer_bytes bytes;
		struct importer_segments segments;
		struct importer_vmap vmap;
	} u = {};
	struct mapping *m;

	if (_IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	if (copy_from_user(&u, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;

	guard(mutex)(&importer->lock);
	switch (cmd) {
	case IMPORTER_MAP:
		if (u.map.slot >= IMPORTER_SLOTS || u.map.direction > DMA_FROM_DEVICE)
			return -EINVAL;
		return map(&importer->mappings[u.map.slot], &u.map);
	case IMPORTER_UNMAP:
		m = slot(importer, arg);
		if (!m)
			return -EINVAL;
		unmap(m);
		return 0;
	case IMPORTER_WRITE:
		m = slot(importer, u.bytes.slot);
		return m ? device_writes(m, u.bytes.byte) : -EINVAL;
	case IMPORTER_CHECK:
		m = slot(importer, u.bytes.slot);
		return m ? device_checks(m, u.bytes.byte) : -EINVAL;
	case IMPORTER_SEGMENTS:
		m = slot(importer, u.segments.slot);
		if (!m)
			return -EINVAL;
		u.segments = (struct importer_segments){ .slot = u.segments.slot };
		measure(m, &u.segments);
		if (copy_to_user((void __user *)arg, &u.segments, sizeof(u.segments)))
			return -EFAULT;
		return 0;
	case IMPORTER_VMAP:
		return use_vmap(&u.vmap);
	}
	return -ENOTTY;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *importer = kzalloc_obj(*importer);

	if (!importer)
		return -ENOMEM;
	mutex_init(&importer->lock);
	file->private_data = importer;
	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *importer = file->private_data;

	for (int i = 0; i < IMPORTER_SLOTS; i++)
		if (importer->mappings[i].table)
			unmap(&importer->mappings[i]);
	kfree(importer);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "udmabuf_importer",
	.fops = &importer_fops,
};

static int __init importer_init(void)
{
	int err;

	pdev = platform_device_register_simple("udmabuf_importer", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	err = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (!err)
		err = misc_register(&importer_misc);
	if (err)
		platform_device_unregister(pdev);
	return err;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	misc_deregister(&importer_misc);
	platform_device_unregister(pdev);
}
module_exit(importer_exit);

MODULE_DESCRIPTION("A device without hardware that imports dma-bufs, for tests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
