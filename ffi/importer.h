/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions, macros and prototypes that bindgen leaves out, for the
 * importer's half of the seam, which udmabuf_rs.ko is built without. Every
 * prototype here has its Rust twin in importer.rs; importer.c includes this
 * header, so the compiler holds the C half of each pair to it.
 */
#ifndef UDMABUF_RS_FFI_IMPORTER_H
#define UDMABUF_RS_FFI_IMPORTER_H

#include <linux/types.h>

struct completion;
struct device;
struct dma_fence;
struct dma_resv;
struct folio;
struct iommu_domain;
struct iosys_map;
struct page;
struct ww_acquire_ctx;

/* Each calls the function or macro of the name behind "rsi_", and nothing else. */

/* DMA: linux/dma-mapping.h, dma-map-ops.h, dma-direct.h, iommu-dma.h, iommu.h */
const void *rsi_get_dma_ops(struct device *dev);
bool rsi_use_dma_iommu(struct device *dev);
bool rsi_iommu_is_dma_domain(struct iommu_domain *domain);
phys_addr_t rsi_dma_to_phys(struct device *dev, dma_addr_t address);

/* Memory: linux/mm.h, linux/io.h, linux/iosys-map.h */
bool rsi_pfn_valid(unsigned long pfn);
struct page *rsi_pfn_to_page(unsigned long pfn);
struct folio *rsi_page_folio(struct page *page);
bool rsi_folio_test_highmem(const struct folio *folio);
void *rsi_phys_to_virt(phys_addr_t address);
void rsi_iosys_map_memcpy_from(void *to, const struct iosys_map *map, size_t offset, size_t len);
void rsi_iosys_map_memcpy_to(struct iosys_map *map, size_t offset, const void *from, size_t len);

/* Fences, locks, events: linux/dma-resv.h, linux/dma-fence.h, linux/completion.h */
int rsi_dma_resv_lock_interruptible(struct dma_resv *resv, struct ww_acquire_ctx *ctx);
bool rsi_dma_resv_trylock(struct dma_resv *resv);
void rsi_dma_fence_put(struct dma_fence *fence);
void rsi_reinit_completion(struct completion *completion);

/* No function of the kernel's that modules can call: see importer.c. */
phys_addr_t rsi_kernel_to_phys(const void *address);

#endif /* UDMABUF_RS_FFI_IMPORTER_H */
