// SPDX-License-Identifier: GPL-2.0

//! Plain types.

use core::cell::UnsafeCell;

/// Flags of an allocation.
#[derive(Clone, Copy)]
pub struct Flags;

/// Ordinary memory of the kernel.
pub const GFP_KERNEL: Flags = Flags;

/// A value of C.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<T>);

impl<T> Opaque<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Returns a pointer to the value.
    pub const fn get(&self) -> *mut T {
        self.0.get()
    }

    /// Converts a pointer to a value to one to the `Opaque` around it.
    pub const fn cast_from(this: *const T) -> *const Self {
        this.cast()
    }
}
