// SPDX-License-Identifier: GPL-2.0

//! Static locks.

use super::spin;
use crate::model::{self, PerExecution};
use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
};
use loom::sync::{Mutex, MutexGuard};

/// A static lock's data.
pub trait GlobalLockBackend: 'static {
    /// Its type.
    type Item: 'static;
    /// Whether tasks spin for the lock, and must not sleep with it held.
    const IS_SPIN_LOCK: bool;

    /// Creates it.
    fn item() -> Self::Item;
}

/// Returns whether the name is that of a spin lock.
pub const fn is_spin_lock(name: &str) -> bool {
    matches!(name.as_bytes(), b"SpinLock")
}

/// Declares a static lock.
#[macro_export]
macro_rules! global_lock {
    (unsafe(uninit) static $name:ident: $kind:ident<$item:ty> = $value:expr;) => {
        enum $name {}

        impl $crate::sync::GlobalLockBackend for $name {
            type Item = $item;
            const IS_SPIN_LOCK: bool = $crate::sync::is_spin_lock(stringify!($kind));

            fn item() -> $item {
                $value
            }
        }

        static $name: $crate::sync::GlobalLock<$name> = $crate::sync::GlobalLock::new();
    };
}

/// The lock in one execution.
struct Inner<T> {
    is_initialised: loom::cell::UnsafeCell<bool>,
    lock: Mutex<T>,
}

/// A static lock.
pub struct GlobalLock<B: GlobalLockBackend>(UnsafeCell<Option<Box<Inner<B::Item>>>>);

// SAFETY: All tasks of an execution are in one thread, and what is in the cell is not replaced
// while one of them uses it.
unsafe impl<B: GlobalLockBackend> Sync for GlobalLock<B> {}

impl<B: GlobalLockBackend> PerExecution for GlobalLock<B> {
    fn begin(&self) {
        let inner = Box::new(Inner {
            is_initialised: loom::cell::UnsafeCell::new(false),
            lock: Mutex::new(B::item()),
        });
        // SAFETY: There is none that could be in use.
        unsafe { *self.0.get() = Some(inner) };
    }

    fn end(&self) {
        // SAFETY: No task uses it any more.
        unsafe { *self.0.get() = None };
    }
}

impl<B: GlobalLockBackend> GlobalLock<B> {
    /// Declares a lock.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    fn inner(&'static self) -> &'static Inner<B::Item> {
        // SAFETY: There is one until the execution ends.
        let get = || unsafe { (*self.0.get()).as_deref() };

        get().unwrap_or_else(|| {
            self.begin();
            model::add(self);
            get().expect("just made")
        })
    }

    /// Initialises it.
    ///
    /// # Safety
    ///
    /// To be called once, before anything else.
    pub unsafe fn init(&'static self) {
        // SAFETY: loom looks whether others access it.
        self.inner()
            .is_initialised
            .with_mut(|is_initialised| unsafe { *is_initialised = true });
    }

    /// Locks it.
    pub fn lock(&'static self) -> GlobalGuard<B> {
        let inner = self.inner();
        // SAFETY: loom looks whether others write it.
        let is_initialised = inner
            .is_initialised
            .with(|is_initialised| unsafe { *is_initialised });

        assert!(is_initialised, "a lock is taken that was not initialised");
        match B::IS_SPIN_LOCK {
            true => spin::lock(),
            false => spin::assert_may_sleep(),
        }
        GlobalGuard(inner.lock.lock().unwrap())
    }
}

/// A static lock that is held.
pub struct GlobalGuard<B: GlobalLockBackend>(MutexGuard<'static, B::Item>);

impl<B: GlobalLockBackend> Deref for GlobalGuard<B> {
    type Target = B::Item;

    fn deref(&self) -> &B::Item {
        &self.0
    }
}

impl<B: GlobalLockBackend> DerefMut for GlobalGuard<B> {
    fn deref_mut(&mut self) -> &mut B::Item {
        &mut self.0
    }
}

impl<B: GlobalLockBackend> Drop for GlobalGuard<B> {
    fn drop(&mut self) {
        if B::IS_SPIN_LOCK {
            spin::unlock();
        }
    }
}
