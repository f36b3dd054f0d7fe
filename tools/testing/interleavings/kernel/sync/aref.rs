// SPDX-License-Identifier: GPL-2.0

//! References to objects that C counts.

use core::{marker::PhantomData, ops::Deref, ptr::NonNull};

/// A value with a count of its references.
///
/// # Safety
///
/// The value must be valid while a reference is counted.
pub unsafe trait AlwaysRefCounted {
    /// Counts one more.
    fn inc_ref(&self);

    /// Counts one less.
    fn dec_ref(&self);
}

/// A counted reference.
pub struct ARef<T: AlwaysRefCounted>(NonNull<T>, PhantomData<T>);

// SAFETY: It gives out shared references alone, which `Sync` allows on any task, and may drop the
// value on any, which `Send` allows.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Send for ARef<T> {}
// SAFETY: A reference to it gives out and clones shared references to the value, which `Sync` and
// `Send` allow on any task.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Sync for ARef<T> {}

impl<T: AlwaysRefCounted> From<&T> for ARef<T> {
    fn from(value: &T) -> Self {
        value.inc_ref();
        Self(NonNull::from(value), PhantomData)
    }
}

impl<T: AlwaysRefCounted> Deref for ARef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The reference is counted, so that the value is valid.
        unsafe { self.0.as_ref() }
    }
}

impl<T: AlwaysRefCounted> Drop for ARef<T> {
    fn drop(&mut self) {
        self.dec_ref();
    }
}
