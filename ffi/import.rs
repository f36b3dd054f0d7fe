// SPDX-License-Identifier: GPL-2.0

//! The floor below the importer's half of the seam: C functions that `bindings` lacks.
//!
//! C header: `ffi/import.h`. A file of its own, so that udmabuf_rs.ko does not carry what only test
//! and sample modules need.

use kernel::{
    bindings::{
        completion,
        device,
        dma_addr_t,
        dma_fence,
        dma_resv,
        iosys_map,
        mutex,
        phys_addr_t, //
    },
    ffi::{
        c_int,
        c_void, //
    },
};

// Empty C structs, which some of these hold, are no C. Only pointers to them are passed.
#[expect(improper_ctypes)]
extern "C" {
    pub(crate) fn rsi_dma_coerce_mask_and_coherent(dev: *mut device, mask: u64) -> c_int;
    pub(crate) fn rsi_dma_is_direct(dev: *mut device) -> bool;
    pub(crate) fn rsi_dma_is_translated(dev: *mut device) -> bool;
    pub(crate) fn rsi_dma_to_phys(dev: *mut device, address: dma_addr_t) -> phys_addr_t;
    pub(crate) fn rsi_is_swiotlb_buffer(dev: *mut device, address: phys_addr_t) -> bool;

    pub(crate) fn rsi_is_ram(address: phys_addr_t) -> bool;
    pub(crate) fn rsi_phys_to_virt(address: phys_addr_t) -> *mut c_void;
    pub(crate) fn rsi_memcpy(to: *mut c_void, from: *const c_void, len: usize);
    pub(crate) fn rsi_iosys_map_memcpy_from(
        to: *mut c_void,
        map: *const iosys_map,
        offset: usize,
        len: usize,
    );
    pub(crate) fn rsi_iosys_map_memcpy_to(
        map: *mut iosys_map,
        offset: usize,
        from: *const c_void,
        len: usize,
    );

    pub(crate) fn rsi_dma_resv_lock_interruptible(resv: *mut dma_resv) -> c_int;
    pub(crate) fn rsi_dma_fence_put(fence: *mut dma_fence);
    pub(crate) fn rsi_reinit_completion(completion: *mut completion);
    pub(crate) fn rsi_mutex_lock_interruptible(mutex: *mut mutex) -> c_int;
}
