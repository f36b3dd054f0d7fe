// SPDX-License-Identifier: GPL-2.0

//! A place for a value that is kept for later use.

use core::{
    cell::UnsafeCell,
    mem::replace, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
};

/// Holds at most one value, which any task may take or put without waiting.
///
/// To other tasks, a slot in use reads as empty to [`take`](Self::take) and as full to
/// [`put`](Self::put).
///
/// # Invariants
///
/// `value` is accessed only by the task that has changed `is_busy` from 0 to 1, until it stores 0,
/// or through an exclusive reference.
pub struct Slot<T> {
    is_busy: Atomic<i32>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: By the type invariants, one task at a time accesses the value, which may move between
// tasks.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// Creates an empty slot.
    pub const fn new() -> Self {
        Self {
            is_busy: Atomic::new(0),
            value: UnsafeCell::new(None),
        }
    }

    /// Takes the value out of the slot.
    pub fn take(&self) -> Option<T> {
        self.replace(None).ok().flatten()
    }

    /// Puts a value into the slot. Returns the displaced value, or `value` itself if another task
    /// is using the slot.
    pub fn put(&self, value: T) -> Option<T> {
        self.replace(Some(value)).unwrap_or_else(|value| value)
    }

    fn replace(&self, value: Option<T>) -> Result<Option<T>, Option<T>> {
        if self.is_busy.cmpxchg(0, 1, Acquire).is_err() {
            return Err(value);
        }
        // SAFETY: By the type invariants, no other task accesses the value.
        let old = replace(unsafe { &mut *self.value.get() }, value);

        self.is_busy.store(0, Release);
        Ok(old)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[kunit_tests(udmabuf_rs_slot)]
mod tests {
    use super::*;
    use kernel::sync::atomic::Relaxed;

    #[test]
    fn what_was_put_is_taken_once() {
        let slot = Slot::new();

        assert_eq!(slot.take(), None);
        assert_eq!(slot.put(1), None);
        assert_eq!(slot.take(), Some(1));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn the_newer_value_stays() {
        let slot = Slot::new();

        assert_eq!(slot.put(1), None);
        assert_eq!(slot.put(2), Some(1));
        assert_eq!(slot.take(), Some(2));
    }

    #[test]
    fn nothing_goes_in_or_out_of_a_busy_slot() {
        let slot = Slot::new();

        assert_eq!(slot.put(1), None);
        slot.is_busy.store(1, Relaxed);
        assert_eq!(slot.take(), None);
        assert_eq!(slot.put(2), Some(2));
        slot.is_busy.store(0, Relaxed);
        assert_eq!(slot.take(), Some(1));
    }
}
