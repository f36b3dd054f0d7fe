/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As shim.h, for the importer's half of the seam, which udmabuf_rs.ko is built
 * without. Every prototype here has its Rust twin in ffi/import.rs; import.c
 * includes this header, so the compiler holds the C half of each pair to it.
 */
#ifndef UDMABUF_RS_FFI_IMPORT_H
#define UDMABUF_RS_FFI_IMPORT_H

#include <linux/types.h>

struct completion;
struct device;
struct dma_fence;
struct dma_resv;
struct iosys_map;
struct mutex;

/* DMA: linux/dma-mapping.h, linux/dma-direct.h, linux/iommu.h, linux/swiotlb.h */
int rsi_dma_coerce_mask_and_coherent(struct device *dev, u64 mask);
bool rsi_dma_is_direct(struct device *dev);
bool rsi_dma_is_translated(struct device *dev);
phys_addr_t rsi_dma_to_phys(struct device *dev, dma_addr_t address);
bool rsi_is_swiotlb_buffer(struct device *dev, phys_addr_t address);

/* Memory: linux/mm.h, linux/iosys-map.h */
bool rsi_is_ram(phys_addr_t address);
void *rsi_phys_to_virt(phys_addr_t address);
void rsi_memcpy(void *to, const void *from, size_t len);
void rsi_iosys_map_memcpy_from(void *to, const struct iosys_map *map, size_t offset, size_t len);
void rsi_iosys_map_memcpy_to(struct iosys_map *map, size_t offset, const void *from, size_t len);

/* Fences and locks: linux/dma-resv.h, dma-fence.h, completion.h, mutex.h */
int rsi_dma_resv_lock_interruptible(struct dma_resv *resv);
void rsi_dma_fence_put(struct dma_fence *fence);
void rsi_reinit_completion(struct completion *completion);
int rsi_mutex_lock_interruptible(struct mutex *mutex);

#endif /* UDMABUF_RS_FFI_IMPORT_H */
