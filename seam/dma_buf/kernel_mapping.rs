// SPDX-License-Identifier: GPL-2.0

//! Kernel mappings of a dma-buf.
//!
//! C header: [`include/linux/iosys-map.h`](srctree/include/linux/iosys-map.h)

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::AtomicU8, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// The memory of a dma-buf as one range of kernel addresses.
///
/// Dropping it undoes the mapping. The bytes may change at any time: userspace and devices share
/// them.
///
/// # Invariants
///
/// - `size` bytes at `address` may be read and written for `'a`, or until the value is dropped.
/// - `unmap`, if any, undoes the mapping and has not been called.
pub struct KernelMapping<'a> {
    address: NonNull<c_void>,
    size: usize,
    unmap: Option<unsafe fn(NonNull<c_void>, usize)>,
    _memory: PhantomData<&'a ()>,
}

// SAFETY: A kernel mapping belongs to no task.
unsafe impl Send for KernelMapping<'_> {}

impl<'a> KernelMapping<'a> {
    /// Wraps a mapping that `unmap` undoes; it gets the address and the size.
    ///
    /// # Safety
    ///
    /// `size` bytes at `address` must be valid for reads and writes, by other tasks as well, for
    /// `'a` or until `unmap` is called. Calling `unmap` once must be sound until `'a` ends.
    pub unsafe fn from_raw_parts(
        address: NonNull<c_void>,
        size: usize,
        unmap: Option<unsafe fn(NonNull<c_void>, usize)>,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            address,
            size,
            unmap,
            _memory: PhantomData,
        }
    }

    /// Uses memory that has a kernel address already.
    pub fn from_bytes(bytes: &'a [AtomicU8]) -> Self {
        // INVARIANT: The bytes are borrowed for `'a`, and their type allows writes through shared
        // references.
        Self {
            address: NonNull::from(bytes).cast(),
            size: bytes.len(),
            unmap: None,
            _memory: PhantomData,
        }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Forgets the lifetime.
    ///
    /// # Safety
    ///
    /// The result must be dropped before `'a` ends.
    pub(super) unsafe fn erase(self) -> KernelMapping<'static> {
        // SAFETY: The types differ in a lifetime only.
        unsafe { core::mem::transmute::<KernelMapping<'a>, KernelMapping<'static>>(self) }
    }

    /// Returns the C form.
    pub(super) fn as_iosys_map(&self) -> bindings::iosys_map {
        bindings::iosys_map {
            __bindgen_anon_1: bindings::iosys_map__bindgen_ty_1 {
                vaddr: self.address.as_ptr(),
            },
            is_iomem: false,
        }
    }
}

impl Drop for KernelMapping<'_> {
    fn drop(&mut self) {
        if let Some(unmap) = self.unmap {
            // SAFETY: By the type invariants, the mapping is there and is undone only here.
            unsafe { unmap(self.address, self.size) };
        }
    }
}
