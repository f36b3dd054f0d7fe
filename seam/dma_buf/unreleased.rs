// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs that may have no references any more.

use super::{
    buffer::NAME_LEN,
    exporter::{
        for_each_mapping,
        Exporter,
        Inner, //
    },
    resv::{
        Resv,
        ResvGuard, //
    },
};
use core::{
    ffi::CStr as CoreCStr,
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::bindings;

/// A dma-buf of a `T` that has not been released, though its last reference may be gone.
///
/// Cannot be used as a dma-buf: it has no file any more, or will have none soon.
///
/// # Invariants
///
/// - [`DmaBuf::export`](super::DmaBuf::export) made `dmabuf` for this `T`.
/// - [`Exporter::release`] has not returned for it, and does not for `'a`.
pub struct Unreleased<'a, T> {
    dmabuf: NonNull<bindings::dma_buf>,
    _data: PhantomData<&'a Inner<T>>,
}

impl<'a, T: Exporter> Unreleased<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold.
    pub unsafe fn from_raw(dmabuf: NonNull<bindings::dma_buf>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            dmabuf,
            _data: PhantomData,
        }
    }

    /// Returns the exporter's data.
    pub fn data(&self) -> &'a T {
        // SAFETY: By the type invariants, `priv` is an `Inner<T>`, which is dropped after
        // `release()` has returned.
        unsafe { &(*(*self.dmabuf.as_ptr()).priv_.cast::<Inner<T>>()).data }
    }

    /// Copies the name to `buffer`, and returns it; it is empty if there is none.
    pub fn name<'b>(&self, buffer: &'b mut [u8; NAME_LEN]) -> &'b [u8] {
        let dmabuf = self.dmabuf.as_ptr();

        // SAFETY: By the type invariants, the dma-buf has not been freed: the core does so after
        // `release()`. `name_lock` protects the name, a string of C.
        let len = unsafe {
            bindings::spin_lock(&raw mut (*dmabuf).name_lock);
            let name = NonNull::new((*dmabuf).name.cast_mut());
            let len = name.map_or(0, |name| {
                let name = CoreCStr::from_ptr(name.as_ptr().cast()).to_bytes();
                let len = name.len().min(NAME_LEN);

                buffer[..len].copy_from_slice(&name[..len]);
                len
            });
            bindings::spin_unlock(&raw mut (*dmabuf).name_lock);
            len
        };
        &buffer[..len]
    }

    /// Locks the reservation object, unless it is locked.
    pub fn try_lock(&self) -> Option<LockedUnreleased<'_, T>> {
        // SAFETY: By the type invariants, the dma-buf has not been freed. Neither has its
        // reservation object, which the core initialises before, and finalises after, any call of
        // the exporter's operations.
        let resv = unsafe { Resv::from_raw((*self.dmabuf.as_ptr()).resv) };

        // INVARIANT: The lock was just taken.
        Some(LockedUnreleased {
            _guard: resv.try_lock()?,
            buffer: self,
        })
    }
}

/// An [`Unreleased`] dma-buf whose resv lock is held until the value is dropped.
///
/// # Invariants
///
/// The current task holds the resv lock of `buffer`.
pub struct LockedUnreleased<'a, T> {
    _guard: ResvGuard<'a>,
    buffer: &'a Unreleased<'a, T>,
}

impl<T: Exporter> LockedUnreleased<'_, T> {
    /// Calls `f` for each mapping that importers hold.
    pub fn for_each_mapping(&self, f: impl FnMut(&T::Mapping<'_>)) {
        // SAFETY: By the type invariants, the dma-buf has not been freed, and the lock is held,
        // with which no callback of this task is under way.
        unsafe { for_each_mapping::<T>(self.buffer.dmabuf.as_ptr(), f) };
    }

    /// Returns the number of users of the kernel mapping.
    pub fn vmap_count(&self) -> u32 {
        // SAFETY: By the type invariants, the dma-buf has not been freed, and the lock is held,
        // which protects the counter.
        unsafe { (*self.buffer.dmabuf.as_ptr()).vmapping_counter }
    }
}
