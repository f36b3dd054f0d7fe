// SPDX-License-Identifier: GPL-2.0

//! A vector that needs no memory of its own for one element.

use kernel::{
    alloc::{
        kvec::PushError,
        Flags, //
    },
    prelude::*, //
};

/// A vector for where there is mostly one element.
///
/// # Invariants
///
/// If `one` is there, `many` is empty and has no memory.
pub(crate) struct OneOrMany<T> {
    one: Option<T>,
    many: KVVec<T>,
}

impl<T> OneOrMany<T> {
    /// Creates a vector without elements.
    pub(crate) const fn new() -> Self {
        Self {
            one: None,
            many: KVVec::new(),
        }
    }

    /// Returns the elements.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        match &self.one {
            Some(_) => self.one.as_slice(),
            None => &self.many,
        }
    }

    /// Returns the last element.
    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        match &mut self.one {
            Some(one) => Some(one),
            None => self.many.last_mut(),
        }
    }

    /// Makes room for `additional` elements. Fails with [`ENOMEM`].
    #[inline]
    pub(crate) fn reserve(&mut self, additional: usize, flags: Flags) -> Result {
        match self.capacity() - self.as_slice().len() {
            room if room >= additional => Ok(()),
            _ => self.grow(additional, flags),
        }
    }

    #[cold]
    fn grow(&mut self, additional: usize, flags: Flags) -> Result {
        // What is there moves as well.
        let moved = usize::from(self.one.is_some());

        self.many.reserve(moved + additional, flags)?;
        if let Some(one) = self.one.take() {
            let _ = self.many.push_within_capacity(one);
        }
        Ok(())
    }

    /// Returns the vector that the elements are in if there is room for many.
    #[inline]
    pub(crate) fn as_many(&mut self) -> Option<&mut KVVec<T>> {
        (self.many.capacity() > 0).then_some(&mut self.many)
    }

    /// Returns how many elements there can be before memory is needed.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.many.capacity().max(1)
    }

    /// Appends an element, if [`reserve`](Self::reserve) has made room for it.
    #[inline]
    pub(crate) fn push_within_capacity(&mut self, element: T) -> Result<(), PushError<T>> {
        if self.many.capacity() == 0 && self.one.is_none() {
            // INVARIANT: `many` is empty.
            self.one = Some(element);
            return Ok(());
        }
        self.many.push_within_capacity(element)
    }

    /// Appends an element. Fails with [`ENOMEM`].
    pub(crate) fn push(&mut self, element: T, flags: Flags) -> Result {
        self.reserve(1, flags)?;
        self.push_within_capacity(element).map_err(|_| ENOMEM)
    }

    /// Gives memory back that is not used, where that is worth it.
    pub(crate) fn shrink(&mut self, flags: Flags) {
        if self.many.capacity() - self.many.len() > self.many.len() / 8 {
            // Failing, it leaves everything as it is.
            let _ = self.many.shrink_to(self.many.len(), flags);
        }
    }
}
