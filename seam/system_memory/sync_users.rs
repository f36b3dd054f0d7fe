// SPDX-License-Identifier: GPL-2.0

//! A lockless look at whether CPU access needs any syncing.

use super::settle::Users;
use crate::seam::version::barrier::{
    self,
    smp_mb, //
};
use kernel::sync::atomic::{
    Atomic,
    Full,
    Release, //
};

/// Number of reasons to sync around CPU access: mappings that are staged or incoherent.
pub(super) struct SyncUsers(Atomic<usize>);

impl SyncUsers {
    /// Starts with `count` reasons that never go away.
    pub(super) const fn new(count: usize) -> Self {
        Self(Atomic::new(count))
    }

    /// Returns whether there are any, for a CPU access that starts: it only asks for reasons that
    /// it knows of, as the device has written what the access is going to read.
    #[inline(always)]
    pub(super) fn any_known(&self) -> bool {
        // SAFETY: The pointer is valid, and this is all that `atomic_read()` does in C. A function
        // call, which `load()` is, would be a third of what a SYNC with nothing to do takes here.
        unsafe { self.0.as_ptr().read_volatile() != 0 }
    }
}

impl Users for SyncUsers {
    fn get(&self) {
        // Pairs with the barrier in `any()`.
        self.0.fetch_add(1, Full);
    }

    fn put(&self) {
        self.0.fetch_sub(1, Release);
    }

    #[inline(always)]
    fn any(&self) -> bool {
        // Pairs with the barrier in `get()`. The mutex, which is taken if there are any, orders the
        // rest.
        smp_mb(barrier::Full);
        self.any_known()
    }
}
