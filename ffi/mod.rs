// SPDX-License-Identifier: GPL-2.0

//! The floor: C functions that `bindings` lacks.
//!
//! C headers: `ffi/shim.h`, `ffi/compound.h`, `ffi/trace.h`.
//!
//! Only the seam calls these functions. Those of `shim.h` would be `rust/helpers/*.c` in the kernel
//! tree, and have the names of the C functions and macros that they stand for. Those of
//! `compound.h` stand for no function of the kernel.

use kernel::{
    bindings::{
        device,
        dma_addr_t,
        dma_fence,
        dma_resv,
        file,
        folio,
        gfp_t,
        mutex,
        page,
        phys_addr_t,
        scatterlist,
        user_struct,
        vm_area_struct,
        vm_fault,
        ww_acquire_ctx, //
    },
    ffi::{
        c_char,
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
};

/// Declares functions of a C file beside this by the names that they have in C.
macro_rules! shims {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)?;
    )*) => {
        // Some structs hold empty C structs, which are no C. Only pointers to them are passed.
        #[allow(improper_ctypes)]
        extern "C" {
            $(
                $(#[$attribute])*
                #[doc = concat!("`", stringify!($name), "()` in C.")]
                #[link_name = concat!("rs_", stringify!($name))]
                pub fn $name($($arg: $type),*) $(-> $result)?;
            )*
        }
    };
}

pub mod runs;
pub mod trace;
pub mod version;

shims! {
    fn inode_lock_shared_killable(file: *mut file) -> c_int;
    fn inode_trylock_shared(file: *mut file) -> bool;
    fn inode_unlock_shared(file: *mut file);

    fn current_user() -> *mut user_struct;
    fn get_uid(user: *mut user_struct) -> *mut user_struct;

    fn copy_struct_from_user(
        to: *mut c_void,
        size: usize,
        from: *const c_void,
        user_size: usize,
    ) -> c_int;
    fn copy_struct_to_user(
        to: *mut c_void,
        user_size: usize,
        from: *const c_void,
        size: usize,
    ) -> c_int;

    fn folio_pfn(folio: *mut folio) -> c_ulong;
    fn folio_nr_pages(folio: *mut folio) -> c_ulong;
    fn folio_test_uptodate(folio: *mut folio) -> bool;
    fn folio_lock_killable(folio: *mut folio) -> c_int;
    fn folio_mark_uptodate(folio: *mut folio);
    fn pfn_to_page(pfn: usize) -> *mut page;
    fn page_to_pfn(page: *mut page) -> usize;
    fn page_to_phys(page: *mut page) -> phys_addr_t;
    fn flush_dcache_page(page: *mut page);
    fn memcpy_from_page(to: *mut c_void, page: *mut page, offset: usize, len: usize);
    fn memcpy_to_page(
        page: *mut page,
        offset: usize,
        from: *const c_void,
        len: usize,
    );
    fn kvmalloc_array(count: usize, size: usize, flags: gfp_t) -> *mut c_void;
    fn totalram_pages() -> c_ulong;
    fn vmap(pages: *mut *mut page, count: c_uint) -> *mut c_void;
    fn vunmap(address: *const c_void);
    fn vm_map_ram(pages: *mut *mut page, count: c_uint) -> *mut c_void;
    fn vm_unmap_ram(address: *const c_void, count: c_uint);
    fn vm_flags_set(vma: *mut vm_area_struct, flags: c_ulong);

    #[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
    fn arch_needs_pgtable_deposit() -> bool;

    fn sg_set_page(sg: *mut scatterlist, page: *mut page, len: c_uint, offset: c_uint);
    fn dma_get_max_seg_size(dev: *mut device) -> c_uint;
    fn dma_get_seg_boundary(dev: *mut device) -> c_ulong;
    fn dma_dev_need_sync(dev: *mut device) -> bool;
    fn dma_need_unmap(dev: *mut device) -> bool;
    fn sg_phys(sg: *mut scatterlist) -> phys_addr_t;
    fn dma_sync_single_for_cpu(dev: *mut device, addr: dma_addr_t, size: usize, dir: u32);
    fn dma_sync_single_for_device(dev: *mut device, addr: dma_addr_t, size: usize, dir: u32);
    fn dma_mapping_error(dev: *mut device, addr: dma_addr_t) -> c_int;
    fn get_dma_ops(dev: *mut device) -> *const c_void;
    fn dma_get_mask(dev: *mut device) -> u64;
    fn dev_get_cma_area(dev: *mut device) -> *const c_void;
    fn dma_coerce_mask_and_coherent(dev: *mut device, mask: u64) -> c_int;
    fn dev_is_dma_coherent(dev: *mut device) -> bool;
    fn dma_resv_lock_interruptible(resv: *mut dma_resv, ctx: *mut ww_acquire_ctx) -> c_int;
    fn dma_resv_trylock(resv: *mut dma_resv) -> bool;

    fn dma_fence_put(fence: *mut dma_fence);

    fn mutex_lock_interruptible(lock: *mut mutex) -> c_int;
    fn mutex_lock_killable(lock: *mut mutex) -> c_int;
    fn mutex_trylock(lock: *mut mutex) -> bool;
    fn fatal_signal_pending() -> bool;
    fn cond_resched();

    fn device_lock(dev: *mut device);
    fn device_unlock(dev: *mut device);

    // ffi/compound.h
    fn memfd_file_seals_ptr(file: *mut file) -> *mut c_uint;
    fn folio_zero(folio: *mut folio);
    fn pmd_install(vmf: *mut vm_fault);
    fn dma_never_bounce(dev: *mut device);
    fn misc_name_taken(name: *const c_char) -> bool;
    fn file_size(file: *mut file) -> u64;
    fn lowmem_page_address(page: *mut page) -> *mut c_void;
    fn entries_per_table() -> usize;
    fn vmf_is_empty(vmf: *mut vm_fault) -> bool;
    fn vmf_is_huge(vmf: *mut vm_fault) -> bool;
    fn dma_mask_is_set(dev: *mut device) -> bool;
    fn memory_is_encrypted() -> bool;
    fn dma_coherent_page(address: *mut c_void) -> *mut page;
    fn user_lock_pages(user: *mut user_struct, pages: c_ulong) -> c_int;
    fn user_unlock_pages(user: *mut user_struct, pages: c_ulong);
    fn may_lock_memory() -> bool;
    fn frame_after_folio(frame: usize) -> usize;
    fn wait_until_zero(count: *mut u32);
    fn wake_up_waiters_for_zero(count: *mut u32);
}
