// SPDX-License-Identifier: GPL-2.0
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <uapi/linux/dma-buf.h>

#include "shim.h"

/* Rust cannot ask for VM_MAYSHARE in Linux 7.2: seam/version.rs. */
static_assert(VM_SHARED << 4 == VM_MAYSHARE);

/* The constants of linux/dma-buf.h for userspace are not in bindings: seam/dma_buf/buffer.rs. */
static_assert(DMA_BUF_NAME_LEN == 32);

int rs_inode_lock_shared_killable(struct file *file)
{
	return inode_lock_shared_killable(file_inode(file));
}

bool rs_inode_trylock_shared(struct file *file)
{
	return inode_trylock_shared(file_inode(file));
}

void rs_inode_unlock_shared(struct file *file)
{
	inode_unlock_shared(file_inode(file));
}

struct user_struct *rs_current_user(void)
{
	return current_user();
}

struct user_struct *rs_get_uid(struct user_struct *user)
{
	return get_uid(user);
}

int rs_copy_struct_from_user(void *to, size_t size, const void __user *from, size_t user_size)
{
	return copy_struct_from_user(to, size, from, user_size);
}

int rs_copy_struct_to_user(void __user *to, size_t user_size, const void *from, size_t size)
{
	return copy_struct_to_user(to, user_size, from, size, NULL);
}

unsigned long rs_folio_pfn(struct folio *folio)
{
	return folio_pfn(folio);
}

unsigned long rs_folio_nr_pages(struct folio *folio)
{
	return folio_nr_pages(folio);
}

bool rs_folio_test_uptodate(struct folio *folio)
{
	return folio_test_uptodate(folio);
}

int rs_folio_lock_killable(struct folio *folio)
{
	return folio_lock_killable(folio);
}

void rs_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

struct page *rs_pfn_to_page(unsigned long pfn)
{
	return pfn_to_page(pfn);
}

unsigned long rs_page_to_pfn(struct page *page)
{
	return page_to_pfn(page);
}

phys_addr_t rs_page_to_phys(struct page *page)
{
	return page_to_phys(page);
}

void rs_flush_dcache_page(struct page *page)
{
	flush_dcache_page(page);
}

void rs_memcpy_from_page(void *to, struct page *page, size_t offset, size_t len)
{
	memcpy_from_page(to, page, offset, len);
}

void rs_memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len)
{
	memcpy_to_page(page, offset, from, len);
}

void *rs_kvmalloc_array(size_t count, size_t size, gfp_t flags)
{
	return kvmalloc_array(count, size, flags);
}

unsigned long rs_totalram_pages(void)
{
	return totalram_pages();
}

void *rs_vmap(struct page **pages, unsigned int count)
{
	return vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

void rs_vunmap(const void *address)
{
	vunmap(address);
}

void *rs_vm_map_ram(struct page **pages, unsigned int count)
{
	return vm_map_ram(pages, count, NUMA_NO_NODE);
}

void rs_vm_unmap_ram(const void *address, unsigned int count)
{
	vm_unmap_ram(address, count);
}

void rs_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vm_flags_set(vma, flags);
}

bool rs_arch_needs_pgtable_deposit(void)
{
	return arch_needs_pgtable_deposit();
}

void rs_sg_set_page(struct scatterlist *sg, struct page *page, unsigned int len,
		    unsigned int offset)
{
	sg_set_page(sg, page, len, offset);
}

unsigned int rs_dma_get_max_seg_size(struct device *dev)
{
	return dma_get_max_seg_size(dev);
}

unsigned long rs_dma_get_seg_boundary(struct device *dev)
{
	return dma_get_seg_boundary(dev);
}

bool rs_dma_dev_need_sync(struct device *dev)
{
	return dma_dev_need_sync(dev);
}

bool rs_dma_need_unmap(struct device *dev)
{
	return dma_need_unmap(dev);
}

phys_addr_t rs_sg_phys(struct scatterlist *sg)
{
	return sg_phys(sg);
}

void rs_dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size, u32 dir)
{
	dma_sync_single_for_cpu(dev, addr, size, dir);
}

void rs_dma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size, u32 dir)
{
	dma_sync_single_for_device(dev, addr, size, dir);
}

int rs_dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	return dma_mapping_error(dev, addr);
}

const void *rs_get_dma_ops(struct device *dev)
{
	return get_dma_ops(dev);
}

u64 rs_dma_get_mask(struct device *dev)
{
	return dma_get_mask(dev);
}

const void *rs_dev_get_cma_area(struct device *dev)
{
	return dev_get_cma_area(dev);
}

int rs_dma_coerce_mask_and_coherent(struct device *dev, u64 mask)
{
	return dma_coerce_mask_and_coherent(dev, mask);
}

bool rs_dev_is_dma_coherent(struct device *dev)
{
	return dev_is_dma_coherent(dev);
}

int rs_dma_resv_lock_interruptible(struct dma_resv *resv, struct ww_acquire_ctx *ctx)
{
	return dma_resv_lock_interruptible(resv, ctx);
}

bool rs_dma_resv_trylock(struct dma_resv *resv)
{
	return dma_resv_trylock(resv);
}

void rs_dma_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

int rs_mutex_lock_interruptible(struct mutex *lock)
{
	return mutex_lock_interruptible(lock);
}

int rs_mutex_lock_killable(struct mutex *lock)
{
	return mutex_lock_killable(lock);
}

bool rs_mutex_trylock(struct mutex *lock)
{
	return mutex_trylock(lock);
}

bool rs_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

void rs_cond_resched(void)
{
	cond_resched();
}

void rs_device_lock(struct device *dev)
{
	device_lock(dev);
}

void rs_device_unlock(struct device *dev)
{
	device_unlock(dev);
}
