// SPDX-License-Identifier: GPL-2.0

//! A mutex that can be waited for until a signal arrives.
//!
//! C header: [`include/linux/mutex.h`](srctree/include/linux/mutex.h)
//!
//! [`kernel::sync::Mutex`] can only be waited for uninterruptibly.

use crate::ffi;
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// A `struct mutex` and the data that it protects.
///
/// # Invariants
///
/// `mutex` is initialised.
#[pin_data]
pub struct KillableMutex<T> {
    #[pin]
    mutex: Opaque<bindings::mutex>,
    #[pin]
    _pin: PhantomPinned,
    data: UnsafeCell<T>,
}

// SAFETY: A mutex may be used by any task, and so may the data.
unsafe impl<T: Send> Send for KillableMutex<T> {}
// SAFETY: The mutex hands the data to one task at a time.
unsafe impl<T: Send> Sync for KillableMutex<T> {}

impl<T> KillableMutex<T> {
    /// Creates an unlocked mutex; [`new_killable_mutex!`] fills in the class.
    pub fn new(
        data: T,
        name: &'static CStr,
        class: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` may be written and is pinned; name and class live for ever.
            mutex <- Opaque::ffi_init(|slot| unsafe {
                bindings::__mutex_init(slot, name.as_char_ptr(), class.as_ptr())
            }),
            _pin: PhantomPinned,
            data: UnsafeCell::new(data),
        })
    }

    /// Locks the mutex, uninterruptibly.
    pub fn lock(&self) -> Guard<'_, T> {
        // SAFETY: Initialised by the type invariants.
        unsafe { bindings::mutex_lock(self.mutex.get()) };
        // INVARIANT: Just taken.
        Guard {
            lock: self,
            _task: NotThreadSafe,
        }
    }

    /// Locks the mutex. Fails with [`EINTR`] if a signal arrives first.
    pub fn lock_interruptible(&self) -> Result<Guard<'_, T>> {
        // SAFETY: Initialised by the type invariants.
        to_result(unsafe { ffi::mutex_lock_interruptible(self.mutex.get()) })?;
        // INVARIANT: Just taken.
        Ok(Guard {
            lock: self,
            _task: NotThreadSafe,
        })
    }

    /// Locks the mutex, unless it is locked.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // SAFETY: Initialised by the type invariants.
        let is_locked = unsafe { ffi::mutex_trylock(self.mutex.get()) };

        // INVARIANT: Just taken.
        is_locked.then(|| Guard {
            lock: self,
            _task: NotThreadSafe,
        })
    }

    /// Locks the mutex. Fails with [`EINTR`] if a fatal signal arrives first.
    pub fn lock_killable(&self) -> Result<Guard<'_, T>> {
        // SAFETY: Initialised by the type invariants.
        to_result(unsafe { ffi::mutex_lock_killable(self.mutex.get()) })?;
        // INVARIANT: Just taken.
        Ok(Guard {
            lock: self,
            _task: NotThreadSafe,
        })
    }
}

/// Creates a [`KillableMutex`] of a lock class of its own, with a name for lockdep.
macro_rules! new_killable_mutex {
    ($data:expr, $name:expr) => {
        $crate::seam::mutex::KillableMutex::new($data, $name, ::kernel::static_lock_class!())
    };
}
pub(crate) use new_killable_mutex;

/// Holds a [`KillableMutex`] until dropped.
///
/// # Invariants
///
/// The current task holds `lock`.
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct Guard<'a, T> {
    lock: &'a KillableMutex<T>,
    _task: NotThreadSafe,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariants, no other task accesses the data.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants, no other task accesses the data, and the guard is
        // exclusively borrowed.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds the mutex.
        unsafe { bindings::mutex_unlock(self.lock.mutex.get()) };
    }
}
