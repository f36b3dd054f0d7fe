// SPDX-License-Identifier: GPL-2.0

//! The functions of C that the records use: ffi/compound.c.

use kernel::{sync::atomic::Atomic, wait};

/// Waits until `count` is 0.
///
/// # Safety
///
/// `count` must be `Atomic::as_ptr()` of one that stays valid.
pub unsafe fn wait_until_zero(count: *mut u32) {
    // SAFETY: By the safety requirements, the pointer is that of an `Atomic`, which stays valid.
    wait::wait_until_zero(unsafe { &*count.cast::<Atomic<u32>>() });
}

/// Wakes up the tasks that wait for `count`, of which only the address is used.
///
/// # Safety
///
/// No requirements.
pub unsafe fn wake_up_waiters_for_zero(count: *mut u32) {
    wait::wake_up_waiters_for_zero(count);
}
