// SPDX-License-Identifier: GPL-2.0
#include <linux/cc_platform.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/iommu-dma.h>
#include <linux/iommu.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/vmalloc.h>
#include <uapi/linux/fcntl.h>

#include "shim.h"

bool rs_shmem_file(struct file *file)
{
	return shmem_file(file);
}

bool rs_is_file_hugepages(struct file *file)
{
	return is_file_hugepages(file);
}

bool rs_file_readable(struct file *file)
{
	return file->f_mode & FMODE_READ;
}

bool rs_file_writable(struct file *file)
{
	return file->f_mode & FMODE_WRITE;
}

u64 rs_file_size(struct file *file)
{
	return i_size_read(file_inode(file));
}

/*
 * memfd_get_seals() and memfd_fcntl() are not exported, so this reads what they
 * read. Bits are only ever added, under the inode lock: a reader who holds that
 * lock shared sees them stand still.
 */
int rs_memfd_get_seals(struct file *file)
{
	if (shmem_file(file))
		return READ_ONCE(SHMEM_I(file_inode(file))->seals);
#ifdef CONFIG_HUGETLBFS
	if (is_file_hugepages(file))
		return READ_ONCE(HUGETLBFS_I(file_inode(file))->seals);
#endif
	return F_SEAL_SEAL;
}

int rs_inode_lock_shared_killable(struct file *file)
{
	return inode_lock_shared_killable(file_inode(file));
}

void rs_inode_unlock_shared(struct file *file)
{
	inode_unlock_shared(file_inode(file));
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

void rs_folio_zero(struct folio *folio)
{
	folio_zero_range(folio, 0, folio_size(folio));
	flush_dcache_folio(folio);
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

void *rs_lowmem_page_address(struct page *page)
{
	return PageHighMem(page) ? NULL : page_address(page);
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

size_t rs_entries_per_table(void)
{
	return PTRS_PER_PTE;
}

bool rs_vmf_is_empty(struct vm_fault *vmf)
{
	return pmd_none(pmdp_get_lockless(vmf->pmd));
}

bool rs_vmf_is_huge(struct vm_fault *vmf)
{
	return pmd_leaf(pmdp_get_lockless(vmf->pmd));
}

/*
 * pmd_install() is not exported; neither is init_mm, which pmd_populate() of
 * arm64 refers to with CONFIG_DEBUG_VM.
 */
void rs_pmd_install(struct vm_fault *vmf)
{
#if !defined(CONFIG_ARM64) || !defined(CONFIG_DEBUG_VM)
	struct mm_struct *mm = vmf->vma->vm_mm;
	spinlock_t *ptl = pmd_lock(mm, vmf->pmd);

	if (likely(pmd_none(*vmf->pmd))) {
		mm_inc_nr_ptes(mm);
		/* The table is clear for all who find it. */
		smp_wmb();
		pmd_populate(mm, vmf->pmd, vmf->prealloc_pte);
		vmf->prealloc_pte = NULL;
	}
	spin_unlock(ptl);
#endif
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

const void *rs_get_dma_ops(struct device *dev)
{
	return get_dma_ops(dev);
}

bool rs_use_dma_iommu(struct device *dev)
{
	return use_dma_iommu(dev);
}

phys_addr_t rs_dma_to_phys(struct device *dev, dma_addr_t address)
{
	return dma_to_phys(dev, address);
}

phys_addr_t rs_iommu_dma_to_phys(struct device *dev, dma_addr_t address)
{
	return iommu_iova_to_phys(iommu_get_domain_for_dev(dev), address);
}

phys_addr_t rs_sg_phys(struct scatterlist *sg)
{
	return sg_phys(sg);
}

bool rs_sg_dma_is_swiotlb(struct scatterlist *sg)
{
	return sg_dma_is_swiotlb(sg);
}

void rs_dma_sync_sg_for_cpu(struct device *dev, struct scatterlist *sg, int nents, u32 dir)
{
	dma_sync_sg_for_cpu(dev, sg, nents, dir);
}

void rs_dma_sync_sg_for_device(struct device *dev, struct scatterlist *sg, int nents, u32 dir)
{
	dma_sync_sg_for_device(dev, sg, nents, dir);
}

int rs_dma_coerce_mask_and_coherent(struct device *dev, u64 mask)
{
	return dma_coerce_mask_and_coherent(dev, mask);
}

bool rs_dma_mask_is_set(struct device *dev)
{
	return dev->dma_mask;
}

void rs_dma_never_bounce(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	dev->dma_io_tlb_mem = NULL;
#endif
}

bool rs_dev_is_dma_coherent(struct device *dev)
{
	return dev_is_dma_coherent(dev);
}

bool rs_memory_is_encrypted(void)
{
	return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

int rs_dma_resv_lock_interruptible(struct dma_resv *resv, struct ww_acquire_ctx *ctx)
{
	return dma_resv_lock_interruptible(resv, ctx);
}

bool rs_mm_has_users(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users);
}

bool rs_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

void rs_cond_resched(void)
{
	cond_resched();
}

static struct kernfs_node *child(struct kernfs_node *parent, const char *name)
{
	struct kernfs_node *kn = parent ? kernfs_find_and_get(parent, name) : NULL;

	kernfs_put(parent);
	return kn;
}

/*
 * misc_class is private to misc.c, and registering a name that is taken makes
 * sysfs dump the stack. So look for /sys/class/misc/NAME, without depending on
 * where, or whether, sysfs is mounted: /sys/kernel is always there to start
 * from, and its parent, the root, never changes.
 */
bool rs_misc_name_taken(const char *name)
{
	struct kernfs_node *kn = NULL;
	bool taken;

	if (IS_ENABLED(CONFIG_SYSFS) && kernel_kobj->sd) {
		kn = rcu_dereference_protected(kernel_kobj->sd->__parent, true);
		kernfs_get(kn);
		kn = child(child(child(kn, "class"), "misc"), name);
	}
	taken = kn;
	kernfs_put(kn);
	return taken;
}

void rs_device_lock(struct device *dev)
{
	device_lock(dev);
}

void rs_device_unlock(struct device *dev)
{
	device_unlock(dev);
}
