// SPDX-License-Identifier: GPL-2.0

//! Mappings of userspace.

use super::{
    buffer::DmaBuf,
    exporter::Exporter, //
};
use crate::{
    ffi,
    seam::mm::fault::{
        self,
        Access,
        Fault, //
    },
};
use core::{
    marker::PhantomData,
    slice, //
};
use kernel::{
    bindings,
    mm::virt::{
        flags,
        VmaRef, //
    },
    prelude::*, //
};

/// The `mmap` operation of a dma-buf of `T`.
///
/// The area gets a pointer to the dma-buf. It holds a reference to the file of the dma-buf, so that
/// pointer is good for as long as the area lives, whatever is split off, moved or inherited.
///
/// # Safety
///
/// `dmabuf` must be a dma-buf of `T` and `vma` an area that is being set up for its file, with an
/// offset and a size within the dma-buf.
pub(super) unsafe extern "C" fn mmap<T: Exporter>(
    dmabuf: *mut bindings::dma_buf,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: The area is valid and ours to look at.
    if unsafe { VmaRef::from_raw(vma) }.flags() & (flags::SHARED | flags::MAYSHARE) == 0 {
        return EINVAL.to_errno();
    }

    // SAFETY: The area is being set up, so nobody else looks at it.
    unsafe {
        (*vma).vm_ops = VmaVTable::<T>::build();
        (*vma).vm_private_data = dmabuf.cast();
    }
    // SAFETY: As above. It is not a private area, so it may be a `VM_PFNMAP` one.
    unsafe { ffi::rs_vm_flags_set(vma, flags::PFNMAP | flags::DONTEXPAND | flags::DONTDUMP) };
    0
}

/// The `struct vm_operations_struct` of a mapping of a dma-buf of `T`.
struct VmaVTable<T: Exporter>(PhantomData<T>);

impl<T: Exporter> VmaVTable<T> {
    /// # Safety
    ///
    /// `vmf` must be valid and its area set up by [`mmap`] for the same `T`.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: By the safety requirements.
        let buffer = unsafe { Self::buffer(vmf) };
        // SAFETY: `mmap` made it a shared `VM_PFNMAP` area; its offset is one within the memory,
        // and it keeps the dma-buf, which owns the memory, alive.
        let fault = unsafe { Fault::from_raw(vmf, buffer.memory(), buffer.entry_sizes()) };

        match T::fault(buffer, &fault) {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(error) => error.into_vm_fault(),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::fault`].
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    unsafe extern "C" fn huge_fault(
        vmf: *mut bindings::vm_fault,
        order: c_uint,
    ) -> bindings::vm_fault_t {
        // Splitting an area with entries of the next size up, or moving it, goes wrong in the core:
        // see Documentation/design.md.
        if !fault::is_order_of_large_entry(order) {
            return fault::FaultError::FALLBACK.into_vm_fault();
        }
        // SAFETY: By the safety requirements.
        let buffer = unsafe { Self::buffer(vmf) };
        // SAFETY: As in `fault`.
        let fault = unsafe { Fault::from_raw(vmf, buffer.memory(), buffer.entry_sizes()) };

        match fault.insert_huge() {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(error) => error.into_vm_fault(),
        }
    }

    /// Returns the dma-buf that is mapped where `vmf` is.
    ///
    /// # Safety
    ///
    /// As for [`Self::fault`].
    unsafe fn buffer<'a>(vmf: *mut bindings::vm_fault) -> &'a DmaBuf<T> {
        // SAFETY: By the safety requirements; the area keeps the dma-buf alive.
        unsafe { DmaBuf::from_raw((*(*vmf).__bindgen_anon_1.vma).vm_private_data.cast()) }
    }

    /// # Safety
    ///
    /// `vma` must be an area set up by [`mmap`] for the same `T`, locked, with `address` in it, and
    /// `buf` valid for reading or writing `len` bytes, as `write` says.
    unsafe extern "C" fn access(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        buf: *mut c_void,
        len: c_int,
        write: c_int,
    ) -> c_int {
        // SAFETY: The area keeps the dma-buf alive.
        let buffer = unsafe { DmaBuf::<T>::from_raw((*vma).vm_private_data.cast()) };
        // SAFETY: The area is valid and locked.
        let vma = unsafe { VmaRef::from_raw(vma) };
        let Ok(len) = usize::try_from(len) else {
            return EINVAL.to_errno();
        };

        let access = if write != 0 {
            // SAFETY: By the safety requirements.
            Access::Write(unsafe { slice::from_raw_parts(buf.cast(), len) })
        } else {
            // SAFETY: By the safety requirements.
            Access::Read(unsafe { slice::from_raw_parts_mut(buf.cast(), len) })
        };
        // SAFETY: The area shows the memory of the dma-buf, and `address` lies in it.
        match unsafe { fault::access(vma, buffer.memory(), address, access) } {
            // CAST: No more than `len`, which was an `int`.
            Ok(bytes) => bytes as c_int,
            Err(error) => error.to_errno(),
        }
    }

    const OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(Self::fault),
        #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
        huge_fault: Some(Self::huge_fault),
        access: Some(Self::access),
        ..pin_init::zeroed()
    };

    const fn build() -> &'static bindings::vm_operations_struct {
        &Self::OPS
    }
}
