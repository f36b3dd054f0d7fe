// SPDX-License-Identifier: GPL-2.0

//! The floor: C functions that `bindings` lacks, and the layouts of the ioctls.
//!
//! C headers: `ffi/shim.h`, `uapi/linux/udmabuf.h`.
//!
//! Only the seam calls what is declared here; in the kernel tree these would be
//! `rust/helpers/*.c`. Each function is the inline function of the same name without `rs_`.

pub(crate) mod uapi;

use crate::seam::mm::runs::Run;
use kernel::{
    bindings::{
        device,
        dma_addr_t,
        dma_resv,
        file,
        folio,
        mm_struct,
        page,
        phys_addr_t,
        pte_t,
        scatterlist,
        vm_area_struct,
        vm_fault, //
    },
    ffi::{
        c_char,
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
};

// Empty C structs, which some of these hold, are no C. Only pointers to them are passed.
#[expect(improper_ctypes)]
extern "C" {
    pub(crate) fn rs_shmem_file(file: *mut file) -> bool;
    pub(crate) fn rs_is_file_hugepages(file: *mut file) -> bool;
    pub(crate) fn rs_file_readable(file: *mut file) -> bool;
    pub(crate) fn rs_file_writable(file: *mut file) -> bool;
    pub(crate) fn rs_file_size(file: *mut file) -> u64;
    pub(crate) fn rs_memfd_get_seals(file: *mut file) -> c_int;
    pub(crate) fn rs_inode_lock_shared_killable(file: *mut file) -> c_int;
    pub(crate) fn rs_inode_unlock_shared(file: *mut file);

    pub(crate) fn rs_folio_pfn(folio: *mut folio) -> c_ulong;
    pub(crate) fn rs_folio_nr_pages(folio: *mut folio) -> c_ulong;
    pub(crate) fn rs_folio_test_uptodate(folio: *mut folio) -> bool;
    pub(crate) fn rs_folio_lock_killable(folio: *mut folio) -> c_int;
    pub(crate) fn rs_folio_zero(folio: *mut folio);
    pub(crate) fn rs_folio_mark_uptodate(folio: *mut folio);
    pub(crate) fn rs_pfn_to_page(pfn: c_ulong) -> *mut page;
    pub(crate) fn rs_unpin_runs(
        run: *const Run,
        last: *const Run,
        pages: usize,
        at: usize,
        until: usize,
    ) -> usize;
    pub(crate) fn rs_pages_are_poisoned(pfn: c_ulong, count: c_ulong) -> bool;
    pub(crate) fn rs_lowmem_page_address(page: *mut page) -> *mut c_void;
    pub(crate) fn rs_memcpy_from_page(to: *mut c_void, page: *mut page, offset: usize, len: usize);
    pub(crate) fn rs_memcpy_to_page(
        page: *mut page,
        offset: usize,
        from: *const c_void,
        len: usize,
    );
    pub(crate) fn rs_vmap(pages: *mut *mut page, count: c_uint) -> *mut c_void;
    pub(crate) fn rs_vunmap(address: *const c_void);
    pub(crate) fn rs_vm_flags_set(vma: *mut vm_area_struct, flags: c_ulong);

    pub(crate) fn rs_entries_per_table() -> usize;
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    pub(crate) fn rs_vmf_is_empty(vmf: *mut vm_fault) -> bool;
    pub(crate) fn rs_vmf_is_huge(vmf: *mut vm_fault) -> bool;
    pub(crate) fn rs_fill_entries(
        vma: *mut vm_area_struct,
        address: c_ulong,
        entry: *mut pte_t,
        run: *const Run,
        last: *const Run,
        at: usize,
        end: usize,
    );

    pub(crate) fn rs_sg_set_pages(sg: *mut scatterlist, pfn: c_ulong, len: c_uint);
    pub(crate) fn rs_dma_get_max_seg_size(dev: *mut device) -> c_uint;
    pub(crate) fn rs_dma_get_seg_boundary(dev: *mut device) -> c_ulong;
    pub(crate) fn rs_dma_dev_need_sync(dev: *mut device) -> bool;
    pub(crate) fn rs_dma_need_unmap(dev: *mut device) -> bool;
    pub(crate) fn rs_get_dma_ops(dev: *mut device) -> *const c_void;
    pub(crate) fn rs_use_dma_iommu(dev: *mut device) -> bool;
    pub(crate) fn rs_dma_to_phys(dev: *mut device, address: dma_addr_t) -> phys_addr_t;
    pub(crate) fn rs_iommu_dma_to_phys(dev: *mut device, address: dma_addr_t) -> phys_addr_t;
    pub(crate) fn rs_sg_phys(sg: *mut scatterlist) -> phys_addr_t;
    pub(crate) fn rs_sg_dma_is_swiotlb(sg: *mut scatterlist) -> bool;
    pub(crate) fn rs_dma_sync_sg_for_cpu(
        dev: *mut device,
        sg: *mut scatterlist,
        nents: c_int,
        dir: u32,
    );
    pub(crate) fn rs_dma_sync_sg_for_device(
        dev: *mut device,
        sg: *mut scatterlist,
        nents: c_int,
        dir: u32,
    );
    pub(crate) fn rs_dma_coerce_mask_and_coherent(dev: *mut device, mask: u64) -> c_int;
    pub(crate) fn rs_dma_mask_is_set(dev: *mut device) -> bool;
    pub(crate) fn rs_dma_never_bounce(dev: *mut device);
    pub(crate) fn rs_dev_is_dma_coherent(dev: *mut device) -> bool;
    pub(crate) fn rs_memory_is_encrypted() -> bool;
    pub(crate) fn rs_dma_resv_lock_interruptible(resv: *mut dma_resv) -> c_int;

    pub(crate) fn rs_mm_has_users(mm: *mut mm_struct) -> bool;
    pub(crate) fn rs_fatal_signal_pending() -> bool;
    pub(crate) fn rs_cond_resched();

    pub(crate) fn rs_misc_name_taken(name: *const c_char) -> bool;
    pub(crate) fn rs_device_lock(dev: *mut device);
    pub(crate) fn rs_device_unlock(dev: *mut device);
}
