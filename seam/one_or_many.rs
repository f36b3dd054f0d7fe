// SPDX-License-Identifier: GPL-2.0

//! A vector that needs no memory of its own for one element.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A vector for where there is mostly one element.
pub(crate) enum OneOrMany<T> {
    /// No room has been made for more.
    One(Option<T>),
    /// There is room for more, or was.
    Many(KVVec<T>),
}

impl<T> OneOrMany<T> {
    /// Creates a vector without elements.
    pub(crate) const fn new() -> Self {
        Self::One(None)
    }

    /// Returns the elements.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => one.as_slice(),
            Self::Many(many) => many,
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
        match self {
            Self::One(one) => {
                let mut many = KVVec::with_capacity(one.iter().len() + additional, flags)?;

                if let Some(one) = one.take() {
                    many.push(one, flags)?;
                }
                *self = Self::Many(many);
            }
            Self::Many(many) => many.reserve(additional, flags)?,
        }
        Ok(())
    }

    /// Returns how many elements there can be before memory is needed.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.capacity(),
        }
    }

    /// Appends an element, if [`reserve`](Self::reserve) has made room for it, and tells whether.
    #[inline]
    pub(crate) fn push_within_capacity(&mut self, element: T) -> bool {
        match self {
            Self::One(one @ None) => {
                *one = Some(element);
                true
            }
            Self::One(Some(_)) => false,
            Self::Many(many) => many.push_within_capacity(element).is_ok(),
        }
    }

    /// Appends an element. Fails with [`ENOMEM`].
    pub(crate) fn push(&mut self, element: T, flags: Flags) -> Result {
        self.reserve(1, flags)?;
        match self.push_within_capacity(element) {
            true => Ok(()),
            false => Err(ENOMEM),
        }
    }
}

impl<T: Copy> OneOrMany<T> {
    /// Gives memory back that is not used, where that is worth it.
    ///
    /// Moves the elements, since a vector in small memory does not give any back otherwise. If
    /// there is no memory for that, everything is left as it is.
    pub(crate) fn shrink(&mut self, flags: Flags) {
        let Self::Many(many) = self else {
            return;
        };

        let (len, capacity) = (many.len(), many.capacity());
        // Little memory comes in powers of two, and much of it in huge pages.
        let halves = capacity.next_power_of_two() > len.next_power_of_two();
        if len <= 1 {
            *self = Self::One(many.pop());
        } else if halves || capacity - len > len / 8 {
            let mut fit = KVVec::new();
            if fit.extend_from_slice(many, flags).is_ok() {
                *many = fit;
            }
        }
    }
}
