// SPDX-License-Identifier: GPL-2.0

//! A lock for one writer or many readers, who may sleep.
//!
//! C header: [`include/linux/rwsem.h`](srctree/include/linux/rwsem.h)

use core::marker::PhantomPinned;
use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// A `struct rw_semaphore` that protects something beside it.
///
/// # Invariants
///
/// `sem` is initialised.
#[pin_data]
pub struct RwSemaphore {
    #[pin]
    sem: Opaque<bindings::rw_semaphore>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: A semaphore may be used by any task.
unsafe impl Send for RwSemaphore {}
// SAFETY: A semaphore may be used by many tasks at a time.
unsafe impl Sync for RwSemaphore {}

impl RwSemaphore {
    /// Creates an unlocked semaphore; [`new_rwsem!`] fills in the class.
    pub fn new(name: &'static CStr, class: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` may be written and is pinned; name and class live for ever.
            sem <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_rwsem(slot, name.as_char_ptr(), class.as_ptr())
            }),
            _pin: PhantomPinned,
        })
    }

    /// Locks for reading, uninterruptibly.
    pub fn read(&self) -> ReadGuard<'_> {
        // SAFETY: Initialised by the type invariants.
        unsafe { bindings::down_read(self.sem.get()) };
        // INVARIANT: Just taken.
        ReadGuard {
            lock: self,
            _task: NotThreadSafe,
        }
    }

    /// Locks for writing, uninterruptibly.
    // Only PMD entries are inserted with it.
    pub fn write(&self) -> WriteGuard<'_> {
        // SAFETY: Initialised by the type invariants.
        unsafe { bindings::down_write(self.sem.get()) };
        // INVARIANT: Just taken.
        WriteGuard {
            lock: self,
            _task: NotThreadSafe,
        }
    }
}

/// Creates a [`RwSemaphore`] of a lock class of its own, with a name for lockdep.
macro_rules! new_rwsem {
    ($name:expr) => {
        $crate::seam::rwsem::RwSemaphore::new($name, ::kernel::static_lock_class!())
    };
}
pub(crate) use new_rwsem;

/// Holds a [`RwSemaphore`] as one of many until it is dropped.
///
/// # Invariants
///
/// The current task holds `lock` for reading.
pub struct ReadGuard<'a> {
    lock: &'a RwSemaphore,
    _task: NotThreadSafe,
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds the lock for reading.
        unsafe { bindings::up_read(self.lock.sem.get()) };
    }
}

/// Holds a [`RwSemaphore`] for one alone until it is dropped.
///
/// # Invariants
///
/// The current task holds `lock` for writing.
pub struct WriteGuard<'a> {
    lock: &'a RwSemaphore,
    _task: NotThreadSafe,
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds the lock for writing.
        unsafe { bindings::up_write(self.lock.sem.get()) };
    }
}
