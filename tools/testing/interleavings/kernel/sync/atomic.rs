// SPDX-License-Identifier: GPL-2.0

//! Atomic numbers with the orders of the kernel.

use crate::model::{self, PerExecution};
use core::{cell::UnsafeCell, marker::PhantomData};
use loom::sync::atomic::{fence, AtomicU32, Ordering};

/// The order of an access.
pub trait Order {
    /// The one of loom.
    const ORDER: Ordering;
    /// Whether full barriers are around the access.
    const IS_FULL: bool = false;
}

/// As `memory_order_acquire`.
pub struct Acquire;
/// As `memory_order_release`.
pub struct Release;
/// As `memory_order_relaxed`.
pub struct Relaxed;
/// Full barriers before and behind.
pub struct Full;

impl Order for Acquire {
    const ORDER: Ordering = Ordering::Acquire;
}
impl Order for Release {
    const ORDER: Ordering = Ordering::Release;
}
impl Order for Relaxed {
    const ORDER: Ordering = Ordering::Relaxed;
}
impl Order for Full {
    const ORDER: Ordering = Ordering::AcqRel;
    const IS_FULL: bool = true;
}

/// An atomic number. loom's is made in each execution, as this one may be static.
pub struct Atomic<T> {
    first: u32,
    inner: UnsafeCell<Option<Box<AtomicU32>>>,
    _number: PhantomData<T>,
}

// SAFETY: All tasks of an execution are in one thread, and what is in the cell is not replaced
// while one of them uses it.
unsafe impl<T> Send for Atomic<T> {}
// SAFETY: All tasks of an execution are in one thread, so that no two of them are in a function
// of this type at a time.
unsafe impl<T> Sync for Atomic<T> {}

impl PerExecution for Atomic<u32> {
    fn begin(&self) {
        let inner = Box::new(AtomicU32::new(self.first));
        // SAFETY: There is none that could be in use.
        unsafe { *self.inner.get() = Some(inner) };
    }

    fn end(&self) {
        // SAFETY: No task uses it any more.
        unsafe { *self.inner.get() = None };
    }
}

impl Atomic<u32> {
    /// Creates one.
    pub const fn new(first: u32) -> Self {
        Self {
            first,
            inner: UnsafeCell::new(None),
            _number: PhantomData,
        }
    }

    /// Returns loom's.
    pub(crate) fn inner(&self) -> &AtomicU32 {
        // SAFETY: There is one until `self` is dropped or the execution ends.
        let get = || unsafe { (*self.inner.get()).as_deref() };

        get().unwrap_or_else(|| {
            self.begin();
            model::add(self);
            get().expect("just made")
        })
    }

    /// Returns the address, which only stands for `self`.
    pub fn as_ptr(&self) -> *mut u32 {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Loads the number.
    pub fn load<O: Order>(&self, _order: O) -> u32 {
        self.inner().load(O::ORDER)
    }

    /// Stores a number.
    pub fn store<O: Order>(&self, value: u32, _order: O) {
        self.inner().store(value, O::ORDER);
    }

    /// Adds to the number, and returns it from before.
    pub fn fetch_add<O: Order>(&self, value: u32, _order: O) -> u32 {
        ordered::<O, _>(|| self.inner().fetch_add(value, O::ORDER))
    }

    /// Subtracts from the number, and returns it from before.
    pub fn fetch_sub<O: Order>(&self, value: u32, _order: O) -> u32 {
        ordered::<O, _>(|| self.inner().fetch_sub(value, O::ORDER))
    }

    /// Replaces `old` by `new`. If it is not there, others have a turn: such a loop waits for them.
    pub fn cmpxchg<O: Order>(&self, old: u32, new: u32, _order: O) -> Result<u32, u32> {
        let result = ordered::<O, _>(|| {
            self.inner()
                .compare_exchange(old, new, O::ORDER, Ordering::Relaxed)
        });

        if result.is_err() {
            loom::thread::yield_now();
        }
        result
    }
}

fn ordered<O: Order, R>(access: impl FnOnce() -> R) -> R {
    let barrier = || {
        if O::IS_FULL {
            fence(Ordering::SeqCst);
        }
    };

    barrier();
    let result = access();
    barrier();
    result
}

impl<T> Drop for Atomic<T> {
    fn drop(&mut self) {
        if self.inner.get_mut().is_some() {
            model::remove(core::ptr::from_ref(self).cast());
        }
    }
}
