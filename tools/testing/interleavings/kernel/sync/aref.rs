// SPDX-License-Identifier: GPL-2.0

//! References to what C counts.

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

// SAFETY: As for a shared reference.
unsafe impl<T: AlwaysRefCounted + Sync> Send for ARef<T> {}
// SAFETY: As for a shared reference.
unsafe impl<T: AlwaysRefCounted + Sync> Sync for ARef<T> {}

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
