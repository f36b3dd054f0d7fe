// SPDX-License-Identifier: GPL-2.0

//! Reservation objects.
//!
//! C header: [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use crate::ffi;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// Longest timeout of a wait: `MAX_SCHEDULE_TIMEOUT` in C.
const MAX_SCHEDULE_TIMEOUT: c_long = c_long::MAX;

/// Use of a buffer that a fence stands for.
///
/// Mirrors `enum dma_resv_usage`. Asking for a usage includes the fences of all usages before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A device writes. Readers and writers wait for the fence.
    Write,
    /// A device reads. Writers wait for the fence.
    Read,
}

impl From<Usage> for bindings::dma_resv_usage {
    fn from(usage: Usage) -> Self {
        match usage {
            Usage::Write => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
            Usage::Read => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
        }
    }
}

/// The reservation object of a dma-buf: a lock, and the fences of pending device accesses.
///
/// Wraps the kernel's [`struct dma_resv`].
///
/// # Invariants
///
/// The object is initialised.
///
/// [`struct dma_resv`]: srctree/include/linux/dma-resv.h
#[repr(transparent)]
pub struct Resv(Opaque<bindings::dma_resv>);

// SAFETY: A `struct dma_resv` belongs to no task.
unsafe impl Send for Resv {}
// SAFETY: The C functions called on a `struct dma_resv` serialise their accesses.
unsafe impl Sync for Resv {}

impl Resv {
    /// Creates a reference from a raw pointer.
    ///
    /// # Safety
    ///
    /// `resv` must point to an initialised reservation object that lives for `'a`.
    pub(super) unsafe fn from_raw<'a>(resv: *mut bindings::dma_resv) -> &'a Self {
        // SAFETY: The object lives for `'a`, and `Resv` is a transparent wrapper.
        unsafe { &*resv.cast() }
    }

    /// Locks the reservation object, uninterruptibly.
    pub fn lock(&self) -> ResvGuard<'_> {
        // SAFETY: By the type invariants, the object is initialised. Without an acquire context,
        // the function always succeeds.
        unsafe { bindings::dma_resv_lock(self.as_raw(), core::ptr::null_mut()) };
        // INVARIANT: The lock was just taken.
        ResvGuard {
            resv: self,
            _task: NotThreadSafe,
        }
    }

    /// Locks the reservation object. Fails with [`EINTR`] if a signal arrives first.
    pub fn lock_interruptible(&self) -> Result<ResvGuard<'_>> {
        // SAFETY: By the type invariants, the object is initialised.
        to_result(unsafe {
            ffi::dma_resv_lock_interruptible(self.as_raw(), core::ptr::null_mut())
        })?;
        // INVARIANT: The lock was just taken.
        Ok(ResvGuard {
            resv: self,
            _task: NotThreadSafe,
        })
    }

    /// Locks the reservation object, unless it is locked.
    pub fn try_lock(&self) -> Option<ResvGuard<'_>> {
        // SAFETY: By the type invariants, the object is initialised.
        let is_locked = unsafe { ffi::dma_resv_trylock(self.as_raw()) };

        // INVARIANT: The lock was just taken.
        is_locked.then(|| ResvGuard {
            resv: self,
            _task: NotThreadSafe,
        })
    }

    /// Waits until the fences of `usage` that are there now have signalled.
    ///
    /// Fences that are added meanwhile are not waited for: they could be added for ever. Needs no
    /// lock. Fails with `ERESTARTSYS` if a signal arrives first, and with [`ENOMEM`].
    pub fn wait(&self, usage: Usage) -> Result {
        let mut fence = core::ptr::null_mut();
        // SAFETY: By the type invariants, the object is initialised.
        to_result(unsafe {
            bindings::dma_resv_get_singleton(self.as_raw(), usage.into(), &mut fence)
        })?;
        if fence.is_null() {
            return Ok(());
        }

        // SAFETY: The call above has returned a reference to a valid fence.
        let left = unsafe { bindings::dma_fence_wait_timeout(fence, true, MAX_SCHEDULE_TIMEOUT) };
        // SAFETY: `dma_resv_get_singleton()` has returned a reference, which is given back once.
        unsafe { ffi::dma_fence_put(fence) };
        if left < 0 {
            // CAST: A negative result is an errno.
            return Err(Error::from_errno(left as c_int));
        }
        Ok(())
    }

    pub(super) fn as_raw(&self) -> *mut bindings::dma_resv {
        self.0.get()
    }
}

/// Holds the lock of a [`Resv`] until dropped.
///
/// # Invariants
///
/// The current task holds the lock of `resv`.
#[must_use = "the lock is released when the guard is dropped"]
pub struct ResvGuard<'a> {
    resv: &'a Resv,
    _task: NotThreadSafe,
}

impl ResvGuard<'_> {
    /// Adds `fence` for `usage`. Fails with [`ENOMEM`].
    ///
    /// # Safety
    ///
    /// `fence` must point to a valid fence. The object takes a reference of its own.
    pub unsafe fn add_fence(&self, fence: *mut bindings::dma_fence, usage: Usage) -> Result {
        // SAFETY: By the type invariants, the lock is held.
        to_result(unsafe { bindings::dma_resv_reserve_fences(self.resv.as_raw(), 1) })?;
        // SAFETY: The lock is held, a slot was just reserved, and the fence is valid by the
        // safety requirements.
        unsafe { bindings::dma_resv_add_fence(self.resv.as_raw(), fence, usage.into()) };
        Ok(())
    }
}

impl Drop for ResvGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds the lock.
        unsafe { bindings::dma_resv_unlock(self.resv.as_raw()) };
    }
}
