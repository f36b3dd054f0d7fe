// SPDX-License-Identifier: GPL-2.0

//! Locks and completions beyond those of `kernel::sync`.
//!
//! C headers: [`include/linux/mutex.h`](srctree/include/linux/mutex.h),
//! [`include/linux/completion.h`](srctree/include/linux/completion.h)

use crate::ffi;
use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::Jiffies,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// A mutex that lives in a `static`: what `DEFINE_MUTEX()` is in C.
///
/// Needs no initialisation before its first use, as those of `kernel::sync::global_lock!` do.
///
/// # Invariants
///
/// - Where `state` is [`READY`](Self::READY), `mutex` is initialised.
/// - `value` is accessed only by who holds `mutex`.
pub struct StaticMutex<T> {
    state: Atomic<u32>,
    mutex: Opaque<bindings::mutex>,
    class: Opaque<bindings::lock_class_key>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is passed from task to task, one at a time, which is what `Send` allows.
unsafe impl<T: Send> Sync for StaticMutex<T> {}

impl<T> StaticMutex<T> {
    const NEW: u32 = 0;
    const BUSY: u32 = 1;
    const READY: u32 = 2;

    /// Defines a mutex that protects `value`.
    pub const fn new(value: T) -> Self {
        Self {
            state: Atomic::new(Self::NEW),
            mutex: Opaque::uninit(),
            class: Opaque::zeroed(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the mutex, whatever it takes.
    pub fn lock(&'static self) -> StaticMutexGuard<T> {
        self.initialise();
        // SAFETY: Initialised, and never moved, as it is borrowed for good.
        unsafe { bindings::mutex_lock(self.mutex.get()) };
        // INVARIANT: Just taken.
        StaticMutexGuard {
            mutex: self,
            _task: NotThreadSafe,
        }
    }

    /// Takes the mutex, unless a signal comes first: fails with [`EINTR`] then.
    pub fn lock_interruptible(&'static self) -> Result<StaticMutexGuard<T>> {
        self.initialise();
        // SAFETY: As in `lock`.
        to_result(unsafe { ffi::rsi_mutex_lock_interruptible(self.mutex.get()) })?;
        // INVARIANT: Just taken.
        Ok(StaticMutexGuard {
            mutex: self,
            _task: NotThreadSafe,
        })
    }

    /// Initialises the C side at the first use.
    fn initialise(&'static self) {
        while self.state.load(Acquire) != Self::READY {
            if self.state.cmpxchg(Self::NEW, Self::BUSY, Relaxed).is_ok() {
                // SAFETY: Only one task gets here, and none uses the mutex before. It is never
                // moved, and neither is the class, as both are borrowed for good.
                unsafe {
                    bindings::__mutex_init(
                        self.mutex.get(),
                        c"StaticMutex".as_char_ptr(),
                        self.class.get(),
                    )
                };
                self.state.store(Self::READY, Release);
            }
            core::hint::spin_loop();
        }
    }
}

/// Holds a [`StaticMutex`] until it is dropped, and gives access to what that protects.
///
/// # Invariants
///
/// The current task holds `mutex`.
#[must_use = "the mutex is released when the guard is dropped"]
pub struct StaticMutexGuard<T: 'static> {
    mutex: &'static StaticMutex<T>,
    _task: NotThreadSafe,
}

impl<T> Deref for StaticMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariants.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for StaticMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants, and the guard is exclusively borrowed.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for StaticMutexGuard<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; whoever took it initialised it.
        unsafe { bindings::mutex_unlock(self.mutex.mutex.get()) };
    }
}

/// An event that can be waited for, again and again, and not for ever.
///
/// In contrast to [`kernel::sync::Completion`], each [`complete`](Self::complete) lets one waiter
/// go on.
#[pin_data]
pub struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: A `struct completion` belongs to no task.
unsafe impl Send for Completion {}
// SAFETY: It is made to be used by many tasks at once.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates a completion that nobody has completed.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot| {
                // SAFETY: The slot may be written, and is pinned.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// Forgets all calls of [`complete`](Self::complete) that nobody has waited for.
    pub fn reinit(&self) {
        // SAFETY: Initialised. Races with others lose or keep a completion, and no more.
        unsafe { ffi::rsi_reinit_completion(self.inner.get()) };
    }

    /// Lets one waiter go on. May be called from an interrupt handler.
    pub fn complete(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Waits until somebody calls [`complete`](Self::complete), whatever signals come.
    ///
    /// Fails with [`ETIMEDOUT`] when that takes longer than `timeout`.
    pub fn wait_timeout(&self, timeout: Jiffies) -> Result {
        // SAFETY: Initialised.
        if unsafe { bindings::wait_for_completion_timeout(self.inner.get(), timeout) } == 0 {
            return Err(ETIMEDOUT);
        }
        Ok(())
    }
}
