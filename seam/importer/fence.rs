// SPDX-License-Identifier: GPL-2.0

//! Fences: pending accesses of devices to a dma-buf.
//!
//! C headers: [`include/linux/dma-fence.h`](srctree/include/linux/dma-fence.h),
//! [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use super::{
    DmaBuf,
    Usage, //
};
use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

/// The memory of a fence. The C side frees it when the last reference is gone.
#[repr(C)]
struct Inner {
    // First, as the C side frees the allocation by the address of the fence.
    fence: bindings::dma_fence,
    name: &'static CStr,
}

/// An operation that has not ended yet.
///
/// Dropping the value ends the operation, since one that never ends blocks others for good. A
/// forgotten fence keeps the module loaded, because the core may ask it for its name.
///
/// # Invariants
///
/// - `inner` is a reference to an [`Inner`] with a fence that has not been signalled.
/// - The value holds a reference to `module`, which has the code and data of [`OPS`].
pub struct Fence {
    inner: NonNull<Inner>,
    module: &'static ThisModule,
}

// SAFETY: A `struct dma_fence` belongs to no task.
unsafe impl Send for Fence {}
// SAFETY: The C side serialises the operations that a shared reference gives access to.
unsafe impl Sync for Fence {}

impl Fence {
    /// Begins an operation of a driver, or of a timeline, called `name`. `module` is the caller's.
    ///
    /// Fails with [`ENOMEM`], and with [`ENODEV`] while the module is being unloaded.
    pub fn new(name: &'static CStr, module: &'static ThisModule) -> Result<Self> {
        let inner = KBox::new(
            Inner {
                fence: pin_init::zeroed(),
                name,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: A module is valid while its own code runs.
        if !unsafe { bindings::try_module_get(module.as_ptr()) } {
            return Err(ENODEV);
        }
        let inner = KBox::into_raw(inner);

        // SAFETY: `inner` is valid and not shared yet. Without a lock, the fence has one of its
        // own. `OPS` fits, as the fence is part of an `Inner`, and each fence gets a new context.
        unsafe {
            bindings::dma_fence_init(
                &raw mut (*inner).fence,
                &OPS,
                core::ptr::null_mut(),
                bindings::dma_fence_context_alloc(1),
                1,
            )
        };
        // INVARIANT: A new fence has one reference, which the value takes over. The last
        // `dma_fence_put()` frees the memory by `kfree_rcu()`, which a `KBox` allows. The reference
        // to the module was just taken.
        Ok(Self {
            // SAFETY: A box is never NULL.
            inner: unsafe { NonNull::new_unchecked(inner) },
            module,
        })
    }

    /// Adds the fence to the reservation object of `buffer`, for `usage`.
    ///
    /// Fails with [`ENOMEM`], and with [`EINTR`] if a signal arrives while the reservation lock is
    /// waited for.
    pub fn add_to(&self, buffer: &DmaBuf, usage: Usage) -> Result {
        let resv = buffer.resv().lock_interruptible()?;

        // SAFETY: The fence is valid by the type invariants.
        unsafe { resv.add_fence(self.as_raw(), usage) }
    }

    /// Ends the operation, and wakes up the tasks that wait for it.
    pub fn signal(self) {
        drop(self);
    }

    fn as_raw(&self) -> *mut bindings::dma_fence {
        self.inner.as_ptr().cast()
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the value holds a reference to a fence that has not been
        // signalled, and gives it up here.
        unsafe {
            bindings::dma_fence_signal(self.as_raw());
            ffi::dma_fence_put(self.as_raw());
        }
        // SAFETY: By the type invariants, the value holds a reference. The C side has dropped
        // `OPS`, as the fence is signalled.
        unsafe { bindings::module_put(self.module.as_ptr()) };
    }
}

/// Without `wait` and `release`, the C side drops its pointer to these when the fence is signalled.
/// References to a signalled fence may outlive the module.
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
