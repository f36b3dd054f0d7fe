// SPDX-License-Identifier: GPL-2.0

//! A lockless look at whether CPU access needs any syncing.

use core::mem::ManuallyDrop;
use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Full,
        Release, //
    },
    barrier::{
        self,
        smp_mb, //
    },
};

/// Number of reasons to sync around CPU access: mappings, and open brackets.
pub(super) struct SyncUsers(Atomic<usize>);

impl SyncUsers {
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Takes a reference. Call before `dma_map_sgtable()`: later CPU writes are either seen by the
    /// mapping or passed on by an end of CPU access that waits for the lock.
    pub(super) fn get(&self) -> SyncUser<'_> {
        // Pairs with the barrier in `any()`.
        self.0.fetch_add(1, Full);
        SyncUser(self)
    }

    /// Gives back a reference that was [kept](SyncUser::keep), after its reason is gone.
    pub(super) fn put(&self) {
        self.0.fetch_sub(1, Release);
    }

    /// Returns whether there are any. Lockless.
    ///
    /// CPU writes before the call are seen by mappings that are not counted yet.
    pub(super) fn any(&self) -> bool {
        // Pairs with the barrier in `get()`.
        smp_mb(barrier::Full);
        self.0.load(Acquire) != 0
    }
}

/// A reference of [`SyncUsers`], given back when dropped.
pub(super) struct SyncUser<'a>(&'a SyncUsers);

impl SyncUser<'_> {
    /// Leaves it to a later [`SyncUsers::put`] to give the reference back.
    pub(super) fn keep(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for SyncUser<'_> {
    fn drop(&mut self) {
        self.0.put();
    }
}
