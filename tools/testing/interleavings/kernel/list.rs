// SPDX-License-Identifier: GPL-2.0

//! A list that owns its items.

use crate::{
    error::{code::ENOMEM, Error, Result},
    memory::Pages,
    model,
    types::Flags,
    PinInit,
};
use core::ops::Deref;
use std::collections::VecDeque;

/// Has no tracking.
#[macro_export]
#[doc(hidden)]
macro_rules! impl_list_arc_safe {
    ($($tokens:tt)*) => {};
}
/// Links are not used.
#[macro_export]
#[doc(hidden)]
macro_rules! impl_list_item {
    ($($tokens:tt)*) => {};
}
pub use crate::{impl_list_arc_safe, impl_list_item};

/// The place of the links of an item.
pub struct ListLinks(());

impl ListLinks {
    /// Creates unused links.
    pub fn new() -> impl PinInit<Self> {
        Self(())
    }
}

/// The one reference to an item.
pub struct ListArc<T>(Pages<T>);

impl<T> ListArc<T> {
    /// Allocates an item.
    pub fn pin_init<E>(init: impl PinInit<T, E>, _flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        match model::fails(model::Fault::Item) {
            true => Err(ENOMEM),
            false => Ok(Self(Pages::pin_init(init)?)),
        }
    }

    /// Returns the memory, which is freed with it: there are no other references.
    pub fn into_arc(self) -> Pages<T> {
        self.0
    }
}

impl<T> Deref for ListArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A list.
pub struct List<T>(VecDeque<ListArc<T>>);

impl<T> List<T> {
    /// Creates an empty list.
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Returns whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends an item.
    pub fn push_back(&mut self, item: ListArc<T>) {
        self.0.push_back(item);
    }

    /// Returns all items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|item| &**item)
    }

    /// Returns a cursor before the first item.
    pub fn cursor_front(&mut self) -> Cursor<'_, T> {
        Cursor { list: self, at: 0 }
    }
}

/// A place between two items of a list.
pub struct Cursor<'a, T> {
    list: &'a mut List<T>,
    at: usize,
}

impl<'a, T> Cursor<'a, T> {
    /// Returns the item behind the cursor.
    pub fn peek_next(&mut self) -> Option<CursorPeek<'_, 'a, T>> {
        (self.at < self.list.0.len()).then_some(CursorPeek(self))
    }

    /// Moves over an item.
    pub fn move_next(&mut self) {
        self.at += 1;
    }
}

/// The item behind a cursor.
pub struct CursorPeek<'b, 'a, T>(&'b mut Cursor<'a, T>);

impl<T> CursorPeek<'_, '_, T> {
    /// Removes the item.
    pub fn remove(self) -> ListArc<T> {
        self.0.list.0.remove(self.0.at).expect("there is an item")
    }
}

impl<T> Deref for CursorPeek<'_, '_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.list.0[self.0.at]
    }
}
