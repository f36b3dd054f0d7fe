// SPDX-License-Identifier: GPL-2.0

//! Users, and the memory that each has locked.
//!
//! C header: [`include/linux/sched/user.h`](srctree/include/linux/sched/user.h)

use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    task::Kuid,
    types::Opaque, //
};

/// A user of the system, whatever user namespaces its processes are in.
///
/// Wraps the kernel's `struct user_struct`.
///
/// # Invariants
///
/// Always reference counted.
#[repr(transparent)]
pub(crate) struct User(Opaque<bindings::user_struct>);

// SAFETY: A `struct user_struct` belongs to no task.
unsafe impl Send for User {}
// SAFETY: The fields accessed here are constant or atomic.
unsafe impl Sync for User {}

// SAFETY: These functions count references to the user.
unsafe impl AlwaysRefCounted for User {
    fn inc_ref(&self) {
        // SAFETY: By the type invariants, there is a reference.
        unsafe { ffi::get_uid(self.as_ptr()) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::free_uid(this.cast().as_ptr()) };
    }
}

impl User {
    /// Returns the user of the current task: that of its real user ID.
    pub(crate) fn current() -> ARef<Self> {
        // SAFETY: The credentials of the current task, which do not change under it, hold a
        // reference to the user.
        let user: &Self = unsafe { &*ffi::current_user().cast() };

        user.into()
    }

    /// Returns its user ID.
    pub(crate) fn id(&self) -> Kuid {
        // SAFETY: By the type invariants, the user is valid. Its ID does not change.
        Kuid::from_raw(unsafe { (*self.as_ptr()).uid })
    }

    /// Returns whether this is the user of the current task.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: Looks at the credentials of the current task.
        self.as_ptr() == unsafe { ffi::current_user() }
    }

    /// Charges `pages` to the locked memory of the user, as `io_uring` does for its buffers.
    ///
    /// Fails with [`ENOMEM`] if that would be more than `RLIMIT_MEMLOCK` of the current task
    /// allows.
    pub(crate) fn lock_pages(&self, pages: u64) -> Result {
        // SAFETY: By the type invariants, the user is valid.
        // CAST: No more pages are pinned than a `usize` counts.
        to_result(unsafe { ffi::user_lock_pages(self.as_ptr(), pages as usize) })
    }

    /// Undoes [`lock_pages`](Self::lock_pages).
    ///
    /// # Safety
    ///
    /// So many pages must have been charged by it, and not have been given back.
    pub(crate) unsafe fn unlock_pages(&self, pages: u64) {
        // SAFETY: By the type invariants, the user is valid. The pages were added by the safety
        // requirements.
        // CAST: As above.
        unsafe { ffi::user_unlock_pages(self.as_ptr(), pages as usize) };
    }

    fn as_ptr(&self) -> *mut bindings::user_struct {
        self.0.get()
    }
}

/// Returns whether the current task may lock any amount of memory: `CAP_IPC_LOCK`.
pub(crate) fn may_lock_memory() -> bool {
    // SAFETY: Looks at the credentials of the current task.
    unsafe { ffi::may_lock_memory() }
}
