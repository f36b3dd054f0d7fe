// SPDX-License-Identifier: GPL-2.0

//! The task that runs.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use crate::ffi;
use kernel::current;

/// Returns whether a signal is waiting for the current task.
pub fn signal_pending() -> bool {
    current!().signal_pending()
}

/// Returns whether the current task is going to die.
pub fn fatal_signal_pending() -> bool {
    // SAFETY: Looks at `current` alone, which exists in every context this module runs in.
    unsafe { ffi::fatal_signal_pending() }
}

/// Lets other tasks run if they should. May sleep.
#[inline]
pub fn cond_resched() {
    // SAFETY: No requirements; the debug kernel complains by itself in atomic context.
    unsafe { ffi::cond_resched() }
}

/// Calls [`cond_resched`] if `at`, which a loop counts up, is a multiple of `step`, a power of two.
#[inline]
pub fn resched_every(at: usize, step: usize) {
    if at & (step - 1) == 0 {
        cond_resched();
    }
}
