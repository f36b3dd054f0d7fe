// SPDX-License-Identifier: GPL-2.0
#include <linux/capability.h>
#include <linux/cc_platform.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/overflow.h>
#include <linux/pgalloc.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/shmem_fs.h>
#include <linux/user_namespace.h>
#include <linux/vmalloc.h>
#include <linux/wait_bit.h>
#include <uapi/linux/fcntl.h>

#include "compound.h"

/*
 * Where a memory file keeps its seals, or NULL for any other file. The function of
 * this name in mm/memfd.c is static, and memfd_get_seals() and memfd_fcntl() are not
 * exported. Bits are only ever added, under the inode lock: a reader who holds that
 * lock shared sees them stand still.
 */
unsigned int *rs_memfd_file_seals_ptr(struct file *file)
{
	if (shmem_file(file))
		return &SHMEM_I(file_inode(file))->seals;
#ifdef CONFIG_HUGETLBFS
	if (is_file_hugepages(file))
		return &HUGETLBFS_I(file_inode(file))->seals;
#endif
	return NULL;
}

void rs_folio_zero(struct folio *folio)
{
	folio_zero_range(folio, 0, folio_size(folio));
	flush_dcache_folio(folio);
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

void rs_dma_never_bounce(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	dev->dma_io_tlb_mem = NULL;
#endif
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

u64 rs_file_size(struct file *file)
{
	return i_size_read(file_inode(file));
}

void *rs_lowmem_page_address(struct page *page)
{
	return PageHighMem(page) ? NULL : page_address(page);
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

bool rs_dma_mask_is_set(struct device *dev)
{
	return dev->dma_mask;
}

bool rs_memory_is_encrypted(void)
{
	return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

/* The first page of what dma_alloc_coherent() has returned, which lies in a row. */
struct page *rs_dma_coherent_page(void *address)
{
	return is_vmalloc_addr(address) ? vmalloc_to_page(address) : virt_to_page(address);
}

/* io_uring counts so, and does not export it: __io_account_mem(). */
int rs_user_lock_pages(struct user_struct *user, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unsigned long sum;
	long locked = atomic_long_read(&user->locked_vm);

	do {
		if (check_add_overflow((unsigned long)locked, pages, &sum) || sum > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &locked, sum));

	return 0;
}

void rs_user_unlock_pages(struct user_struct *user, unsigned long pages)
{
	atomic_long_sub(pages, &user->locked_vm);
}

/* capable() would have each call audited. */
bool rs_may_lock_memory(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK);
}

unsigned long rs_frame_after_folio(unsigned long frame)
{
	struct folio *folio = page_folio(pfn_to_page(frame));

	return folio_pfn(folio) + folio_nr_pages(folio);
}

/* Waits until @count, which others change, is 0. */
void rs_wait_until_zero(u32 *count)
{
	/* What they did before is done: pairs with the fully ordered operation. */
	wait_var_event(count, !smp_load_acquire(count));
}

/*
 * @count has become 0, by an operation that is ordered before this. What it was a
 * field of may be gone: only the address is used.
 */
void rs_wake_up_waiters_for_zero(u32 *count)
{
	wake_up_var(count);
}
