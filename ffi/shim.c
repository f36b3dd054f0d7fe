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

/* Give back the pin on @folio, and see to it that its contents are kept. */
static __always_inline void unpin_and_keep(struct folio *folio)
{
	if (likely(folio_test_dirty(folio)))
		unpin_folio(folio);
	else
		unpin_user_page_range_dirty_lock(&folio->page, 1, true);
}

/* Folios that @page to @end lie in, up to one that is not before @stop; returns its page. */
static __always_inline struct page *unpin_folios_of(struct page *page, struct page *stop,
						    struct page *end)
{
	const unsigned long mask = BIT(PG_head) | BIT(PG_dirty);
	struct folio *folio = page_folio(page);

	while (page < stop) {
		/* One page, and dirty: the flags are read once. */
		if (likely((READ_ONCE(folio->flags.f) & mask) == BIT(PG_dirty))) {
			page++;
			unpin_folio(folio);
		} else {
			page = min(end, folio_page(folio, folio_nr_pages(folio)));
			unpin_and_keep(folio);
		}
		/* What follows the end of a folio is no tail. */
		folio = (struct folio *)page;
	}
	return page;
}

/*
 * Mark dirty and unpin, once, each folio of a buffer that is a list of runs, from
 * a page at which a folio or a run begins up to one that is not before @until.
 * Returns that page.
 *
 * A loop, since a call from Rust for each small folio takes half as many
 * instructions again, as does unpin_user_page_range_dirty_lock().
 */
size_t rs_unpin_runs(const struct rs_run *run, const struct rs_run *last, size_t pages, size_t at,
		     size_t until)
{
	for (; at < until; run++) {
		struct page *page;
		size_t left;

		if (at == run->page) {
			const struct rs_run *stop = run + min(until - at, (size_t)(last - run));

			/* Runs of one page, as most are where memory is fragmented. */
			for (; run < stop && run[1].page - run->page == 1; run++)
				unpin_and_keep(page_folio(pfn_to_page(run->frame)));
			at = run->page;
			if (at >= until)
				break;
		}
		page = pfn_to_page(run->frame + (at - run->page));
		left = (run == last ? pages : run[1].page) - at;
		at += unpin_folios_of(page, page + min(left, until - at), page + left) - page;
	}
	return at;
}

/*
 * A hugetlb folio carries the mark on its head, and which of its pages is bad
 * is not for modules to know: the whole folio counts as poisoned.
 */
static __always_inline bool page_is_poisoned(struct page *page)
{
	return PageHWPoison(page) ||
	       (folio_test_hugetlb(page_folio(page)) && folio_test_hwpoison(page_folio(page)));
}

bool rs_pages_are_poisoned(unsigned long pfn, unsigned long count)
{
	unsigned long end = pfn + count;

	while (pfn < end) {
		struct page *page = pfn_to_page(pfn);
		struct folio *folio = page_folio(page);

		if (count == 1)
			return page_is_poisoned(page);
		if (folio_contain_hwpoisoned_page(folio))
			return true;
		pfn += folio_nr_pages(folio) - folio_page_idx(folio, page);
	}
	return false;
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

void *rs_vmap(struct page **pages, unsigned int count)
{
	return vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

void rs_vunmap(const void *address)
{
	vunmap(address);
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
 * What vmf_insert_pfn() does for one page, for the pages @at to @end of a buffer
 * that is a list of runs, in a table that is locked. @run is that of page @at.
 * The caching attributes are those of the area: what a memfd is made of is
 * ordinary memory, in which there are no others to look up.
 */
void rs_fill_entries(struct vm_area_struct *vma, unsigned long address, pte_t *entry,
		     const struct rs_run *run, const struct rs_run *last, size_t at, size_t end)
{
	pgprot_t prot = vma->vm_page_prot;

	for (; at < end; run++) {
		size_t stop = run == last ? end : min(end, run[1].page);
		unsigned long pfn = run->frame + (at - run->page);
		struct page *page = pfn_to_page(pfn);

		for (; at < stop; at++, page++, pfn++, entry++, address += PAGE_SIZE) {
			if (pte_none(ptep_get(entry)) && !page_is_poisoned(page))
				set_pte_at(vma->vm_mm, address, entry,
					   pte_mkspecial(pfn_pte(pfn, prot)));
		}
	}
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
