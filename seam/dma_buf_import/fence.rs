// SPDX-License-Identifier: GPL-2.0

//! Telling others that a device is not done with a dma-buf yet.
//!
//! C headers: [`include/linux/dma-fence.h`](srctree/include/linux/dma-fence.h),
//! [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use super::DmaBuf;
use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// What the operation behind a fence does to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceUsage {
    /// A device reads: those who want to write must wait.
    Read,
    /// A device writes: those who want to read or write must wait.
    Write,
}

impl From<FenceUsage> for bindings::dma_resv_usage {
    fn from(usage: FenceUsage) -> Self {
        match usage {
            FenceUsage::Read => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
            FenceUsage::Write => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
        }
    }
}

/// The memory of a fence. The C side frees it when the last reference is gone.
#[repr(C)]
struct Inner {
    // First: who frees the fence frees what it is the beginning of.
    fence: bindings::dma_fence,
    name: &'static CStr,
}

/// An operation that has not ended yet.
///
/// Dropping the value is the end of the operation: an operation that nobody ends would block others
/// for good.
///
/// # Invariants
///
/// Is a reference to the `fence` of an [`Inner`], which has not been signalled.
pub struct Fence(NonNull<Inner>);

// SAFETY: A `struct dma_fence` belongs to no task.
unsafe impl Send for Fence {}
// SAFETY: As above; what can be done to it through a shared reference is serialised by the C side.
unsafe impl Sync for Fence {}

impl Fence {
    /// Begins an operation of a driver, or a timeline of it, called `name`.
    ///
    /// Fails with [`ENOMEM`].
    pub fn new(name: &'static CStr) -> Result<Self> {
        let inner = KBox::new(
            Inner {
                fence: pin_init::zeroed(),
                name,
            },
            GFP_KERNEL,
        )?;
        let inner = KBox::into_raw(inner);

        // SAFETY: The fence may be written. Without a lock it has one of its own; the operations
        // are good for it, as it is part of an `Inner`, and each fence gets a context of its own.
        unsafe {
            bindings::dma_fence_init(
                &raw mut (*inner).fence,
                &OPS,
                core::ptr::null_mut(),
                bindings::dma_fence_context_alloc(1),
                1,
            )
        };
        // INVARIANT: A new fence has one reference, which is ours. From here on its memory is freed
        // by `dma_fence_put()`, to which memory of a `KBox` is as good as any of `kmalloc()`.
        // SAFETY: A box is never NULL.
        Ok(Self(unsafe { NonNull::new_unchecked(inner) }))
    }

    /// Adds the fence to those of `buffer`.
    ///
    /// Fails with [`ENOMEM`], and with [`EINTR`] when a signal comes while the reservation lock is
    /// waited for.
    pub fn add_to(&self, buffer: &DmaBuf, usage: FenceUsage) -> Result {
        let resv = buffer.resv();

        // SAFETY: The dma-buf keeps its reservation object.
        to_result(unsafe { ffi::rsi_dma_resv_lock_interruptible(resv) })?;
        // SAFETY: The lock is held.
        let reserved = to_result(unsafe { bindings::dma_resv_reserve_fences(resv, 1) });
        if reserved.is_ok() {
            // SAFETY: The lock is held and there is room. The reservation object takes a reference
            // to the fence, which is valid by the type invariants.
            unsafe { bindings::dma_resv_add_fence(resv, self.as_raw(), usage.into()) };
        }
        // SAFETY: Taken above.
        unsafe { bindings::dma_resv_unlock(resv) };
        reserved
    }

    /// Ends the operation: those who wait for it go on.
    pub fn signal(self) {
        drop(self);
    }

    fn as_raw(&self) -> *mut bindings::dma_fence {
        self.0.as_ptr().cast()
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. The reference is given up with the value.
        unsafe {
            bindings::dma_fence_signal(self.as_raw());
            ffi::rsi_dma_fence_put(self.as_raw());
        }
    }
}

/// Without `wait` and `release` the C side forgets these once the fence is signalled, so that a
/// fence may outlive the module.
static OPS: bindings::dma_fence_ops = bindings::dma_fence_ops {
    get_driver_name: Some(name),
    get_timeline_name: Some(name),
    enable_signaling: None,
    signaled: None,
    wait: None,
    release: None,
    set_deadline: None,
};

/// # Safety
///
/// `fence` must be the beginning of an [`Inner`].
unsafe extern "C" fn name(fence: *mut bindings::dma_fence) -> *const c_char {
    // SAFETY: By the safety requirements.
    unsafe { (*fence.cast::<Inner>()).name.as_char_ptr() }
}
