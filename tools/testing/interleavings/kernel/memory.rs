// SPDX-License-Identifier: GPL-2.0

//! Memory that cannot be accessed once it was freed.

use crate::{model, PinInit};
use core::{
    mem::{align_of, size_of},
    ops::Deref,
    ptr::{drop_in_place, null_mut, NonNull},
};
use std::cell::RefCell;

const PAGE_SIZE: usize = 4096;

/// Enough for an execution.
const PAGES: usize = 64;

/// Pages of an execution, used once each.
struct Pool {
    start: *mut u8,
    used: usize,
    allocated: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { start: null_mut(), used: 0, allocated: 0 })
    };
}

fn protect(page: *mut u8, bytes: usize, protection: libc::c_int) {
    // SAFETY: The pages are of `Pool::start`, and nothing else is in them.
    let status = unsafe { libc::mprotect(page.cast(), bytes, protection) };
    assert_eq!(status, 0, "mprotect failed");
}

impl Pool {
    fn allocate(&mut self) -> *mut u8 {
        if self.start.is_null() {
            // SAFETY: No address is asked for, so that no other memory is replaced.
            let pages = unsafe {
                libc::mmap(
                    null_mut(),
                    PAGES * PAGE_SIZE,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            assert_ne!(pages, libc::MAP_FAILED, "mmap failed");
            self.start = pages.cast();
        }
        assert!(self.used < PAGES, "an execution has too few pages");
        let page = self.start.wrapping_add(self.used * PAGE_SIZE);

        self.used += 1;
        self.allocated += 1;
        page
    }

    fn free(&mut self, page: *mut u8) {
        self.allocated -= 1;
        protect(page, PAGE_SIZE, libc::PROT_NONE);
    }
}

/// Makes the pages usable that an execution has freed. It must have freed all.
pub(crate) fn end_execution() {
    POOL.with_borrow_mut(|pool| {
        assert_eq!(pool.allocated, 0, "memory was not freed");
        if pool.used > 0 {
            let bytes = pool.used * PAGE_SIZE;
            protect(pool.start, bytes, libc::PROT_READ | libc::PROT_WRITE);
            pool.used = 0;
        }
    });
}

/// A value in a page of its own, pinned. After it was dropped, and until the execution ends, an
/// access to it ends the program.
pub struct Pages<T>(NonNull<T>);

// SAFETY: It is owned like a box.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: It shows its value like a box.
unsafe impl<T: Sync> Sync for Pages<T> {}

impl<T> Pages<T> {
    /// Allocates and initialises a value.
    pub fn pin_init<E>(init: impl PinInit<T, E>) -> Result<Self, E> {
        const { assert!(size_of::<T>() <= PAGE_SIZE && align_of::<T>() <= PAGE_SIZE) };
        let page = POOL.with_borrow_mut(Pool::allocate);

        // SAFETY: The page is large enough, and stays where it is until the value is dropped.
        if let Err(error) = unsafe { init.__pinned_init(page.cast()) } {
            POOL.with_borrow_mut(|pool| pool.free(page));
            return Err(error);
        }
        Ok(Self(NonNull::new(page.cast()).expect("no page is at 0")))
    }
}

impl<T> Deref for Pages<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The value was initialised, and is dropped with `self`.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        // SAFETY: The value was initialised, and is not used afterwards.
        unsafe { drop_in_place(self.0.as_ptr()) };
        POOL.with_borrow_mut(|pool| pool.free(self.0.as_ptr().cast()));
    }
}

extern "C" fn report_access(_signal: libc::c_int) {
    model::lose_quietly("freed memory was accessed");
}

/// Has accesses to freed memory reported. To be called after loom has its own handler.
pub(crate) fn watch_accesses() {
    // SAFETY: The handler only writes and exits, on the stack that std has set up for it.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();

        action.sa_sigaction = report_access as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &action, null_mut());
    }
}
