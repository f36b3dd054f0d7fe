/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that the kernel does not have: expressions of several inline functions
 * and macros, private fields, and stand-ins for functions that are not exported.
 * Every prototype has its Rust twin in ffi/mod.rs.
 */
#ifndef UDMABUF_RS_FFI_COMPOUND_H
#define UDMABUF_RS_FFI_COMPOUND_H

#include <linux/types.h>

struct device;
struct file;
struct folio;
struct page;
struct user_struct;
struct vm_fault;

unsigned int *rs_memfd_file_seals_ptr(struct file *file);
void rs_folio_zero(struct folio *folio);
void rs_pmd_install(struct vm_fault *vmf);
void rs_dma_never_bounce(struct device *dev);
bool rs_misc_name_taken(const char *name);
u64 rs_file_size(struct file *file);
void *rs_lowmem_page_address(struct page *page);
size_t rs_entries_per_table(void);
bool rs_vmf_is_empty(struct vm_fault *vmf);
bool rs_vmf_is_huge(struct vm_fault *vmf);
bool rs_dma_mask_is_set(struct device *dev);
bool rs_memory_is_encrypted(void);
struct page *rs_dma_coherent_page(void *address);
int rs_user_lock_pages(struct user_struct *user, unsigned long pages);
void rs_user_unlock_pages(struct user_struct *user, unsigned long pages);
bool rs_may_lock_memory(void);
unsigned long rs_frame_after_folio(unsigned long frame);
void rs_wait_until_zero(u32 *count);
void rs_wake_up_waiters_for_zero(u32 *count);

#endif /* UDMABUF_RS_FFI_COMPOUND_H */
