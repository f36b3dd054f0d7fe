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

#include "importer.h"

const void *rsi_get_dma_ops(struct device *dev)
{
	return get_dma_ops(dev);
}

bool rsi_use_dma_iommu(struct device *dev)
{
	return use_dma_iommu(dev);
}

bool rsi_iommu_is_dma_domain(struct iommu_domain *domain)
{
	return iommu_is_dma_domain(domain);
}

phys_addr_t rsi_dma_to_phys(struct device *dev, dma_addr_t address)
{
	return dma_to_phys(dev, address);
}

bool rsi_pfn_valid(unsigned long pfn)
{
	return pfn_valid(pfn);
}

struct page *rsi_pfn_to_page(unsigned long pfn)
{
	return pfn_to_page(pfn);
}

struct folio *rsi_page_folio(struct page *page)
{
	return page_folio(page);
}

bool rsi_folio_test_highmem(const struct folio *folio)
{
	return folio_test_highmem(folio);
}

void *rsi_phys_to_virt(phys_addr_t address)
{
	return phys_to_virt(address);
}

void rsi_iosys_map_memcpy_from(void *to, const struct iosys_map *map, size_t offset, size_t len)
{
	iosys_map_memcpy_from(to, map, offset, len);
}

void rsi_iosys_map_memcpy_to(struct iosys_map *map, size_t offset, const void *from, size_t len)
{
	iosys_map_memcpy_to(map, offset, from, len);
}

int rsi_dma_resv_lock_interruptible(struct dma_resv *resv, struct ww_acquire_ctx *ctx)
{
	return dma_resv_lock_interruptible(resv, ctx);
}

bool rsi_dma_resv_trylock(struct dma_resv *resv)
{
	return dma_resv_trylock(resv);
}

void rsi_dma_fence_put(struct dma_fence *fence)
{
	dma_fence_put(fence);
}

void rsi_reinit_completion(struct completion *completion)
{
	reinit_completion(completion);
}

/* Where the byte at @address, of the direct mapping or of vmalloc memory, lies. */
phys_addr_t rsi_kernel_to_phys(const void *address)
{
	if (is_vmalloc_addr(address))
		return page_to_phys(vmalloc_to_page(address)) + offset_in_page(address);
	return virt_to_phys((void *)address);
}
