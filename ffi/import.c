// SPDX-License-Identifier: GPL-2.0
#include <linux/completion.h>
#include <linux/dma-direct.h>
#include <linux/dma-fence.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/io.h>
#include <linux/iommu-dma.h>
#include <linux/iommu.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include "import.h"

int rsi_dma_coerce_mask_and_coherent(struct device *dev, u64 mask)
{
	return dma_coerce_mask_and_coherent(dev, mask);
}

bool rsi_dma_is_direct(struct device *dev)
{
	return !get_dma_ops(dev) && !use_dma_iommu(dev);
}

bool rsi_dma_is_translated(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && iommu_is_dma_domain(domain);
}

phys_addr_t rsi_dma_to_phys(struct device *dev, dma_addr_t address)
{
	if (rsi_dma_is_translated(dev))
		return iommu_iova_to_phys(iommu_get_domain_for_dev(dev), address);
	return dma_to_phys(dev, address);
}

/*
 * swiotlb_find_pool() looks no further either unless pools are allocated as
 * needed, and what finds those is not exported.
 */
bool rsi_is_swiotlb_buffer(struct device *dev, phys_addr_t address)
{
#ifdef CONFIG_SWIOTLB
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;

	return mem && address >= mem->defpool.start && address < mem->defpool.end;
#else
	return false;
#endif
}

bool rsi_is_ram(phys_addr_t address)
{
	return pfn_valid(PHYS_PFN(address)) && !PageHighMem(pfn_to_page(PHYS_PFN(address)));
}

void *rsi_phys_to_virt(phys_addr_t address)
{
	return phys_to_virt(address);
}

void rsi_memcpy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

void rsi_iosys_map_memcpy_from(void *to, const struct iosys_map *map, size_t offset, size_t len)
{
	iosys_map_memcpy_from(to, map, offset, len);
}

void rsi_iosys_map_memcpy_to(struct iosys_map *map, size_t offset, const void *from, size_t len)
{
	iosys_map_memcpy_to(map, offset, from, len);
}

int rsi_dma_resv_lock_interruptible(struct dma_resv *resv)
{
	return dma_resv_lock_interruptible(resv, NULL);
}

void rsi_dma_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

void rsi_reinit_completion(struct completion *completion)
{
	reinit_completion(completion);
}

/* A macro where lockdep is on. */
int rsi_mutex_lock_interruptible(struct mutex *mutex)
{
	return mutex_lock_interruptible(mutex);
}
