// SPDX-License-Identifier: GPL-2.0

//! Which tasks hold spin locks, with which they must not sleep.

use loom::thread::{self, ThreadId};
use std::cell::RefCell;

thread_local! {
    static HOLDERS: RefCell<Vec<ThreadId>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn lock() {
    let me = thread::current().id();
    HOLDERS.with_borrow_mut(|holders| holders.push(me));
}

pub(super) fn unlock() {
    let me = thread::current().id();
    HOLDERS.with_borrow_mut(|holders| {
        let at = holders.iter().rposition(|holder| *holder == me);
        holders.remove(at.expect("the lock is held by its task"));
    });
}

/// Panics if the current task holds a spin lock.
pub(crate) fn assert_may_sleep() {
    let me = thread::current().id();
    let may_sleep = HOLDERS.with_borrow(|holders| !holders.contains(&me));
    assert!(may_sleep, "a task sleeps with a spin lock held");
}
