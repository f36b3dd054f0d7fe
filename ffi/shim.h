/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions, macros and prototypes that bindgen leaves out, each under its
 * own name and in one line of C. compound.h has the functions that are none of the
 * kernel's, runs.h the loops. Every prototype has its Rust twin in ffi/mod.rs; the
 * C file includes this header, so the compiler holds the C half of each pair to it.
 */
#ifndef UDMABUF_RS_FFI_SHIM_H
#define UDMABUF_RS_FFI_SHIM_H

#include <linux/types.h>

struct device;
struct dma_fence;
struct dma_resv;
struct file;
struct folio;
struct mutex;
struct page;
struct scatterlist;
struct user_struct;
struct vm_area_struct;
struct vm_fault;
struct ww_acquire_ctx;

/* Files and inodes: linux/fs.h */
int rs_inode_lock_shared_killable(struct file *file);
bool rs_inode_trylock_shared(struct file *file);
void rs_inode_unlock_shared(struct file *file);

/* Users: linux/cred.h, linux/sched/user.h */
struct user_struct *rs_current_user(void);
struct user_struct *rs_get_uid(struct user_struct *user);

/* Structs of userspace that may be shorter or longer: linux/uaccess.h */
int rs_copy_struct_from_user(void *to, size_t size, const void __user *from, size_t user_size);
int rs_copy_struct_to_user(void __user *to, size_t user_size, const void *from, size_t size);

/* Folios and pages: linux/mm.h, linux/pagemap.h, linux/highmem.h */
unsigned long rs_folio_pfn(struct folio *folio);
unsigned long rs_folio_nr_pages(struct folio *folio);
bool rs_folio_test_uptodate(struct folio *folio);
int rs_folio_lock_killable(struct folio *folio);
void rs_folio_mark_uptodate(struct folio *folio);
struct page *rs_pfn_to_page(unsigned long pfn);
unsigned long rs_page_to_pfn(struct page *page);
phys_addr_t rs_page_to_phys(struct page *page);
void rs_flush_dcache_page(struct page *page);
void rs_memcpy_from_page(void *to, struct page *page, size_t offset, size_t len);
void rs_memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len);
void *rs_kvmalloc_array(size_t count, size_t size, gfp_t flags);
unsigned long rs_totalram_pages(void);
void *rs_vmap(struct page **pages, unsigned int count);
void rs_vunmap(const void *address);
void *rs_vm_map_ram(struct page **pages, unsigned int count);
void rs_vm_unmap_ram(const void *address, unsigned int count);
void rs_vm_flags_set(struct vm_area_struct *vma, unsigned long flags);

/* Page tables: linux/pgtable.h */
bool rs_arch_needs_pgtable_deposit(void);

/* DMA: linux/scatterlist.h, linux/dma-mapping.h, dma-map-ops.h, dma-resv.h */
void rs_sg_set_page(struct scatterlist *sg, struct page *page, unsigned int len,
		    unsigned int offset);
unsigned int rs_dma_get_max_seg_size(struct device *dev);
unsigned long rs_dma_get_seg_boundary(struct device *dev);
bool rs_dma_dev_need_sync(struct device *dev);
bool rs_dma_need_unmap(struct device *dev);
phys_addr_t rs_sg_phys(struct scatterlist *sg);
void rs_dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size, u32 dir);
void rs_dma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size, u32 dir);
int rs_dma_mapping_error(struct device *dev, dma_addr_t addr);
const void *rs_get_dma_ops(struct device *dev);
u64 rs_dma_get_mask(struct device *dev);
const void *rs_dev_get_cma_area(struct device *dev);
int rs_dma_coerce_mask_and_coherent(struct device *dev, u64 mask);
bool rs_dev_is_dma_coherent(struct device *dev);
int rs_dma_resv_lock_interruptible(struct dma_resv *resv, struct ww_acquire_ctx *ctx);
bool rs_dma_resv_trylock(struct dma_resv *resv);
void rs_dma_fence_put(struct dma_fence *fence);

/* Tasks and locks: linux/sched/signal.h, linux/mutex.h */
int rs_mutex_lock_interruptible(struct mutex *lock);
int rs_mutex_lock_killable(struct mutex *lock);
bool rs_mutex_trylock(struct mutex *lock);
bool rs_fatal_signal_pending(void);
void rs_cond_resched(void);

/* Devices: linux/device.h; linux/miscdevice.h has no way to ask for a name */
void rs_device_lock(struct device *dev);
void rs_device_unlock(struct device *dev);

#endif /* UDMABUF_RS_FFI_SHIM_H */
