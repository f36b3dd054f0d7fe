// SPDX-License-Identifier: GPL-2.0

//! What a long loop owes the task that runs it.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use crate::ffi;

/// Tells whether the current task is being killed, so that a long operation can give up.
#[inline]
pub(crate) fn fatal_signal_pending() -> bool {
    // SAFETY: Looks at `current` alone, which exists in every context this module runs in.
    unsafe { ffi::rs_fatal_signal_pending() }
}

/// Lets other tasks run if they should. May sleep.
#[inline]
pub(crate) fn cond_resched() {
    // SAFETY: No requirements; the debug kernel complains by itself in atomic context.
    unsafe { ffi::rs_cond_resched() }
}
