// SPDX-License-Identifier: GPL-2.0

//! Stands for the kernel crate: vectors with counted allocations, which fail on demand.

/// `kernel::alloc`.
pub mod alloc {
    use crate::error::Error;
    use std::{
        cell::Cell,
        ops::Deref, //
    };

    /// Allocation flags, of which there are none here.
    #[derive(Clone, Copy)]
    pub struct Flags;

    thread_local! {
        static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
        static FAIL: Cell<bool> = const { Cell::new(false) };
    }

    /// Returns how often memory was allocated by this thread.
    pub fn allocations() -> usize {
        ALLOCATIONS.get()
    }

    /// Has all allocations of this thread fail from now on, or none.
    pub fn fail(all: bool) {
        FAIL.set(all);
    }

    fn allocate() -> Result<(), Error> {
        if FAIL.get() {
            return Err(Error);
        }
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        Ok(())
    }

    /// A vector with as much room as the kernel's has. It is never made smaller in place.
    pub struct KVVec<T> {
        elements: Vec<T>,
        capacity: usize,
    }

    impl<T> KVVec<T> {
        /// `Vec::new()`.
        pub const fn new() -> Self {
            Self {
                elements: Vec::new(),
                capacity: 0,
            }
        }

        /// `Vec::with_capacity()`.
        pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, Error> {
            let mut new = Self::new();

            new.reserve(capacity, flags)?;
            Ok(new)
        }

        /// `Vec::reserve()`.
        pub fn reserve(&mut self, additional: usize, _: Flags) -> Result<(), Error> {
            let needed = self.elements.len() + additional;

            if needed > self.capacity {
                allocate()?;
                self.capacity = needed.max(2 * self.capacity);
            }
            Ok(())
        }

        /// `Vec::capacity()`.
        pub fn capacity(&self) -> usize {
            self.capacity
        }

        /// `Vec::push()`.
        pub fn push(&mut self, element: T, flags: Flags) -> Result<(), Error> {
            self.reserve(1, flags)?;
            self.elements.push(element);
            Ok(())
        }

        /// `Vec::push_within_capacity()`.
        pub fn push_within_capacity(&mut self, element: T) -> Result<(), T> {
            if self.elements.len() == self.capacity {
                return Err(element);
            }
            self.elements.push(element);
            Ok(())
        }

        /// `Vec::pop()`.
        pub fn pop(&mut self) -> Option<T> {
            self.elements.pop()
        }
    }

    impl<T: Clone> KVVec<T> {
        /// `Vec::extend_from_slice()`.
        pub fn extend_from_slice(&mut self, slice: &[T], flags: Flags) -> Result<(), Error> {
            self.reserve(slice.len(), flags)?;
            self.elements.extend_from_slice(slice);
            Ok(())
        }
    }

    impl<T> Deref for KVVec<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.elements
        }
    }
}

/// `kernel::error`.
pub mod error {
    /// An errno; here, there is no memory.
    #[derive(Debug, PartialEq, Eq)]
    pub struct Error;

    /// A result of the kernel.
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
}

/// `kernel::prelude`.
pub mod prelude {
    pub use crate::{
        alloc::KVVec,
        error::{
            Error,
            Result, //
        }, //
    };

    /// Out of memory.
    pub const ENOMEM: Error = Error;
}
