// SPDX-License-Identifier: GPL-2.0

//! Completions beyond those of `kernel::sync`.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)

use crate::ffi;
use kernel::{
    bindings,
    prelude::*,
    time::Jiffies,
    types::Opaque, //
};

/// An event that can be waited for, more than once and with a timeout.
///
/// [`kernel::sync::Completion`] has neither a timeout nor `reinit_completion()`, and its one way to
/// complete lets all waiters go on.
#[pin_data]
pub struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: A `struct completion` belongs to no task.
unsafe impl Send for Completion {}
// SAFETY: The C functions on a `struct completion` serialise their accesses.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates a completion without pending calls of [`complete`](Self::complete).
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot| {
                // SAFETY: The slot is valid for writes, and pinned.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// Forgets all pending calls of [`complete`](Self::complete).
    pub fn reinit(&self) {
        // SAFETY: `new()` has initialised the completion. A race with `complete()` loses or keeps
        // that call, and has no other effect.
        unsafe { ffi::reinit_completion(self.inner.get()) };
    }

    /// Lets one waiter go on. May be called from an interrupt handler.
    pub fn complete(&self) {
        // SAFETY: `new()` has initialised the completion.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Waits for a call of [`complete`](Self::complete), uninterruptibly.
    ///
    /// Fails with [`ETIMEDOUT`] if that takes longer than `timeout`.
    pub fn wait_timeout(&self, timeout: Jiffies) -> Result {
        // SAFETY: `new()` has initialised the completion.
        if unsafe { bindings::wait_for_completion_timeout(self.inner.get(), timeout) } == 0 {
            return Err(ETIMEDOUT);
        }
        Ok(())
    }
}
