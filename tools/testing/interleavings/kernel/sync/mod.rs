// SPDX-License-Identifier: GPL-2.0

//! Locks and references.

pub mod aref;
pub mod atomic;
mod global;
mod spin;

use crate::PinInit;
use core::ops::Deref;
use loom::sync::MutexGuard;

pub use crate::{global_lock, new_mutex};
pub use global::{is_spin_lock, GlobalGuard, GlobalLock, GlobalLockBackend};
pub(crate) use spin::assert_may_sleep;

/// Creates a mutex.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr) => {
        $crate::sync::Mutex::new($value)
    };
}

/// A mutex with its data.
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> impl PinInit<Self> {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        assert_may_sleep();
        self.0.lock().unwrap()
    }
}

/// A counted reference.
pub struct Arc<T: ?Sized>(loom::sync::Arc<T>);

impl<T: ?Sized> Arc<T> {
    /// Makes the first reference to a value. `Arc<T>` cannot be made an `Arc<dyn Trait>` outside
    /// the standard library, so the reference is converted.
    pub fn from_std(value: std::sync::Arc<T>) -> Self {
        Self(loom::sync::Arc::from_std(value))
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
