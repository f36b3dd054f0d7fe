// SPDX-License-Identifier: GPL-2.0

//! A lockless look at whether CPU access needs any syncing.

use super::settle::Users;
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

/// Number of reasons to sync around CPU access: mappings that are staged or incoherent.
pub(super) struct SyncUsers(Atomic<usize>);

impl SyncUsers {
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
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

    fn any(&self) -> bool {
        // Pairs with the barrier in `get()`.
        smp_mb(barrier::Full);
        self.0.load(Acquire) != 0
    }
}
