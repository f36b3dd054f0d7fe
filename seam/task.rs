// SPDX-License-Identifier: GPL-2.0

//! The task that runs, its time, and the address space it runs in.
//!
//! C headers: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h),
//! [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h),
//! [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use crate::ffi;
use kernel::{
    bindings,
    current,
    mm::Mm,
    sync::aref::ARef,
    time::Delta, //
};

/// Returns the time since some fixed moment, without that of a suspended machine.
pub fn monotonic() -> Delta {
    // SAFETY: Timekeeping runs whenever a module does.
    Delta::from_nanos(unsafe { bindings::ktime_get() })
}

/// Returns the identifier of the current thread.
pub fn thread() -> i32 {
    current!().pid()
}

/// An address space, by which tasks that share one are known as one: the threads of a process.
///
/// Kernel threads have none, and are all known as one. Keeps no memory of the address space alive,
/// only what tells it from others.
pub struct AddressSpace(Option<ARef<Mm>>);

impl AddressSpace {
    /// Returns the one of the current task.
    pub fn current() -> Self {
        Self(current!().mm().map(|mm| ARef::from(&**mm)))
    }

    /// Tells whether it is still in use: by a task, or by the kernel on behalf of one. Once it is
    /// not, it never will be again.
    pub fn is_alive(&self) -> bool {
        self.0.as_ref().is_none_or(|mm| {
            // SAFETY: The reference keeps the `struct mm_struct`.
            unsafe { ffi::mm_has_users(mm.as_raw()) }
        })
    }

    fn as_raw(&self) -> *const bindings::mm_struct {
        self.0
            .as_ref()
            .map_or(core::ptr::null(), |mm| mm.as_raw().cast_const())
    }
}

impl PartialEq for AddressSpace {
    fn eq(&self, other: &Self) -> bool {
        // The references keep the addresses from being used again.
        self.as_raw() == other.as_raw()
    }
}

/// Tells whether the current task is being killed, so that a long operation can give up.
#[inline]
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

#[kernel::macros::kunit_tests(udmabuf_rs_task)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back() {
        let before = monotonic();
        assert!(monotonic() >= before);
    }

    #[test]
    fn the_current_address_space_is_alive_and_itself() {
        let space = AddressSpace::current();
        assert!(space.is_alive());
        assert!(space == AddressSpace::current());
    }

    #[test]
    fn kernel_threads_are_known_as_one() {
        assert!(AddressSpace(None) == AddressSpace(None));
        assert!(AddressSpace(None).is_alive());
    }
}
