// SPDX-License-Identifier: GPL-2.0

//! Userspace mappings.

use super::memory::{
    Policy,
    SystemMemory, //
};
use crate::{
    ffi,
    seam::{
        dma_buf::Exported,
        mm::{
            fault::{
                self,
                Access,
                Fault, //
            },
            StableMemory, //
        },
        version::MAYSHARE, //
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
        VmaNew,
        VmaRef, //
    },
    prelude::*, //
};

/// Shows the memory of `buffer` in the area `vma`.
///
/// The area gets a pointer to the dma-buf. It holds a reference to the file of the dma-buf, so the
/// pointer is valid as long as the area lives, after a split, a move or a fork as well.
///
/// Fails with [`EINVAL`] for a private mapping.
pub(super) fn mmap<P: Policy>(buffer: &Exported<SystemMemory<P>>, vma: &VmaNew) -> Result {
    if vma.flags() & (flags::SHARED | MAYSHARE) == 0 {
        return Err(EINVAL);
    }
    // An area that cannot be written now may be made writable by mprotect().
    if vma.flags() & (flags::WRITE | flags::MAYWRITE) != 0 {
        buffer.data().memory.expect_writes();
    }

    let vma = vma.as_ptr();
    // SAFETY: The area is being set up, so no other task accesses it.
    unsafe {
        (*vma).vm_ops = AreaVTable::<P>::build();
        (*vma).vm_private_data = buffer.as_raw().cast();
    }
    // SAFETY: The area is being set up. It is not private, so it may be a `VM_PFNMAP` one.
    unsafe { ffi::vm_flags_set(vma, flags::PFNMAP | flags::DONTEXPAND | flags::DONTDUMP) };
    Ok(())
}

/// The `struct vm_operations_struct` of a mapping of a buffer with the policy `P`.
struct AreaVTable<P: Policy>(PhantomData<P>);

impl<P: Policy> AreaVTable<P> {
    /// # Safety
    ///
    /// `vmf` must be valid and its area set up by [`mmap`] for the same `P`.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: `mmap()` has set up the area of `vmf` for this `P`.
        let memory = unsafe { Self::memory(vmf) };
        // SAFETY: `mmap` made it a shared `VM_PFNMAP` area; its offset is one within the memory,
        // and it keeps the dma-buf, which owns the memory, alive.
        let fault = unsafe { Fault::from_raw(vmf, &memory.memory, &memory.entry_sizes) };

        match memory.policy.fault(&fault) {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(error) => error.into_vm_fault(),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::fault`].
    #[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
    unsafe extern "C" fn huge_fault(
        vmf: *mut bindings::vm_fault,
        order: c_uint,
    ) -> bindings::vm_fault_t {
        // Splitting an area with entries of the next size up, or moving it, goes wrong in the core:
        // see Documentation/design.md.
        if !fault::is_order_of_large_entry(order) {
            return fault::FaultError::FALLBACK.into_vm_fault();
        }
        // SAFETY: `mmap()` has set up the area of `vmf` for this `P`.
        let memory = unsafe { Self::memory(vmf) };
        // SAFETY: `mmap()` made it a shared `VM_PFNMAP` area, which keeps the memory alive.
        let fault = unsafe { Fault::from_raw(vmf, &memory.memory, &memory.entry_sizes) };

        match fault.insert_huge() {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(error) => error.into_vm_fault(),
        }
    }

    /// Returns the memory that the area of `vmf` shows.
    ///
    /// # Safety
    ///
    /// As for [`Self::fault`].
    unsafe fn memory<'a>(vmf: *mut bindings::vm_fault) -> &'a SystemMemory<P> {
        // SAFETY: By the safety requirements, the fault and its area are valid.
        unsafe { Self::memory_of((*vmf).__bindgen_anon_1.vma) }
    }

    /// Returns the memory that `vma` shows.
    ///
    /// # Safety
    ///
    /// `vma` must be an area set up by [`mmap`] for the same `P`, which must outlive `'a`.
    unsafe fn memory_of<'a>(vma: *mut bindings::vm_area_struct) -> &'a SystemMemory<P> {
        // SAFETY: `mmap()` has stored a pointer to a dma-buf of this type, which the area keeps
        // alive by its file.
        let buffer: &Exported<SystemMemory<P>> =
            unsafe { Exported::from_raw((*vma).vm_private_data.cast()) };

        buffer.data()
    }

    /// # Safety
    ///
    /// `vma` must be an area set up by [`mmap`] for the same `P`, locked, with `address` in it, and
    /// `buf` valid for reading or writing `len` bytes, as `write` says.
    unsafe extern "C" fn access(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        buf: *mut c_void,
        len: c_int,
        write: c_int,
    ) -> c_int {
        // SAFETY: By the safety requirements, `mmap()` has set up the area for this `P`.
        let memory = unsafe { Self::memory_of(vma) };
        // SAFETY: The area is valid and locked.
        let vma = unsafe { VmaRef::from_raw(vma) };
        let Ok(len) = usize::try_from(len) else {
            return EINVAL.to_errno();
        };

        let access = if write != 0 {
            // SAFETY: The core passes a buffer of `len` bytes that may be read.
            Access::Write(unsafe { slice::from_raw_parts(buf.cast(), len) })
        } else {
            // SAFETY: The core passes a buffer of `len` bytes that may be written.
            Access::Read(unsafe { slice::from_raw_parts_mut(buf.cast(), len) })
        };
        // SAFETY: By the safety requirements, `mmap()` has set up the area to show this memory, and
        // `address` lies in it.
        match unsafe { fault::access(vma, &memory.memory, address, access) } {
            // CAST: No more than `len`, which was an `int`.
            Ok(bytes) => bytes as c_int,
            Err(error) => error.to_errno(),
        }
    }

    const OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(Self::fault),
        #[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
        huge_fault: Some(Self::huge_fault),
        access: Some(Self::access),
        ..pin_init::zeroed()
    };

    const fn build() -> &'static bindings::vm_operations_struct {
        &Self::OPS
    }
}
