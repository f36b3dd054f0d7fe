// SPDX-License-Identifier: GPL-2.0

//! The floor below the importer's half of the seam: C functions that `bindings` lacks.
//!
//! C header: `ffi/importer.h`. A file of its own, so that udmabuf_rs.ko does not carry shims for
//! test and sample modules.

use kernel::{
    bindings::{
        completion,
        device,
        dma_addr_t,
        dma_fence,
        dma_resv,
        folio,
        iommu_domain,
        iosys_map,
        page,
        phys_addr_t,
        ww_acquire_ctx, //
    },
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
};

pub(crate) mod version;

/// Declares shims under the names of the C functions that they call.
macro_rules! shims {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        // Empty C structs, which some of these hold, are no C. Only pointers to them are passed.
        #[allow(improper_ctypes)]
        extern "C" {
            $(
                #[link_name = concat!("rsi_", stringify!($name))]
                pub(crate) fn $name($($argument: $type),*) $(-> $result)?;
            )*
        }
    };
}

shims! {
    fn get_dma_ops(dev: *mut device) -> *const c_void;
    fn use_dma_iommu(dev: *mut device) -> bool;
    fn iommu_is_dma_domain(domain: *mut iommu_domain) -> bool;
    fn dma_to_phys(dev: *mut device, address: dma_addr_t) -> phys_addr_t;

    fn pfn_valid(pfn: c_ulong) -> bool;
    fn pfn_to_page(pfn: c_ulong) -> *mut page;
    fn page_folio(page: *mut page) -> *mut folio;
    fn folio_test_highmem(folio: *const folio) -> bool;
    fn phys_to_virt(address: phys_addr_t) -> *mut c_void;
    fn iosys_map_memcpy_from(to: *mut c_void, map: *const iosys_map, offset: usize, len: usize);
    fn iosys_map_memcpy_to(map: *mut iosys_map, offset: usize, from: *const c_void, len: usize);

    fn dma_resv_lock_interruptible(resv: *mut dma_resv, ctx: *mut ww_acquire_ctx) -> c_int;
    fn dma_resv_trylock(resv: *mut dma_resv) -> bool;
    fn dma_fence_put(fence: *mut dma_fence);
    fn reinit_completion(completion: *mut completion);

    // Stands for no single function of the kernel.
    fn kernel_to_phys(address: *const c_void) -> phys_addr_t;
}
