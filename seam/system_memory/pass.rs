// SPDX-License-Identifier: GPL-2.0

//! A pass over the memory of a buffer, whose words the CPU and devices may write at any time.

use super::{
    settle::Bytes,
    trace, //
};
use crate::{
    ffi,
    seam::{
        mm::StableMemory,
        runs::Runs,
        task, //
    },
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::AtomicUsize, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Words of a page.
pub(super) const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// Pages between two checks for a signal: 2 MiB of pages of 4 KiB.
pub(super) const BATCH: usize = 512;

/// The words of a page that others may write at any time.
///
/// # Invariants
///
/// The pointer is valid for reading and writing [`WORDS`] words for `'a`.
#[derive(Clone, Copy)]
pub(super) struct Words<'a>(NonNull<usize>, PhantomData<&'a [AtomicUsize; WORDS]>);

impl Words<'_> {
    /// # Safety
    ///
    /// `page` must be valid for reading and writing [`WORDS`] words as long as the lifetime lasts.
    pub(super) unsafe fn new(page: NonNull<usize>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(page, PhantomData)
    }

    #[inline(always)]
    fn at(&self, at: usize) -> NonNull<usize> {
        // SAFETY: By the type invariants, there are `WORDS` words, a power of two.
        unsafe { self.0.add(at & (WORDS - 1)) }
    }
}

impl Bytes for Words<'_> {
    #[inline(always)]
    fn load(&self, at: usize) -> usize {
        // SAFETY: `at()` points to a word of the page. Volatile: one access, whatever others write.
        unsafe { self.at(at).read_volatile() }
    }

    #[inline(always)]
    fn store(&self, at: usize, word: usize) {
        delay();
        // SAFETY: `at()` points to a word of the page. Volatile: one access, whatever others read.
        unsafe { self.at(at).write_volatile(word) };
    }

    #[inline(always)]
    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        let byte = byte & (size_of::<usize>() - 1);

        delay();
        // SAFETY: `at()` points to a word of the page, and `byte` is less than its size. Volatile:
        // one access, whatever others read.
        unsafe { self.at(at).cast::<u8>().add(byte).write_volatile(value) };
    }
}

/// Waits now and then for up to a millisecond, in a build for tests: what others write in the
/// meantime must not be lost.
#[inline(always)]
fn delay() {
    #[cfg(CONFIG_UDMABUF_RS_SETTLE_DELAY)]
    // SAFETY: The functions take any numbers. Settling may sleep.
    unsafe {
        if bindings::get_random_u32() % 64 == 0 {
            // CAST: A small number.
            let most = (bindings::get_random_u32() % 1000 + 1) as c_ulong;

            bindings::usleep_range_state(1, most, bindings::TASK_UNINTERRUPTIBLE);
        }
    }
}

/// A page of the buffer, mapped into the address space of the kernel.
///
/// # Invariants
///
/// `address` is where `kmap_local_page()` has mapped `page`, a valid page.
pub(super) struct MemoryPage {
    page: *mut bindings::page,
    address: NonNull<usize>,
}

impl MemoryPage {
    /// # Safety
    ///
    /// `frame` must be that of a page that stays until the value is dropped. Of several values, the
    /// task must drop the last first.
    unsafe fn new(frame: usize) -> Self {
        // SAFETY: The page exists by the safety requirements. The address of a mapping is not NULL.
        // INVARIANT: The page was just mapped.
        unsafe {
            let page = ffi::pfn_to_page(frame);
            let address = NonNull::new_unchecked(bindings::kmap_local_page(page).cast());

            Self { page, address }
        }
    }

    /// Returns the words of the page.
    #[inline(always)]
    pub(super) fn words(&self) -> Words<'_> {
        // SAFETY: By the type invariants, a page is mapped there as long as the value lives.
        unsafe { Words::new(self.address) }
    }

    /// Makes what was written to the page visible to userspace, where caches alias.
    fn flush(&self) {
        // SAFETY: The page is valid by the type invariants.
        unsafe { ffi::flush_dcache_page(self.page) };
    }
}

impl Drop for MemoryPage {
    fn drop(&mut self) {
        // SAFETY: `new()` has mapped the page, and its caller unmaps the last one first.
        unsafe { bindings::kunmap_local(self.address.as_ptr().cast()) };
    }
}

/// When to give a pass up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// When a signal arrives.
    Signal,
    /// When a signal arrives that kills.
    Fatal,
    /// Not before the end.
    Never,
}

impl Until {
    /// Lets other tasks run, and fails with `ERESTARTSYS` if it is time to give up.
    pub(super) fn check(self) -> Result {
        task::cond_resched();
        let stop = match self {
            Self::Signal => task::signal_pending(),
            Self::Fatal => task::fatal_signal_pending(),
            Self::Never => false,
        };

        match stop {
            true => Err(ERESTARTSYS),
            false => Ok(()),
        }
    }
}

/// A pass over the memory of a buffer.
pub(super) struct Pass<'a> {
    runs: Runs<'a>,
    until: Until,
    poisoned: Cell<bool>,
    /// Counts bytes that change, while settles are recorded.
    pub(super) traced: Option<&'a trace::Settle>,
}

impl<'a> Pass<'a> {
    pub(super) fn new<M: StableMemory>(
        memory: &'a M,
        until: Until,
        traced: Option<&'a trace::Settle>,
    ) -> Self {
        Self {
            runs: StableMemory::runs(memory),
            until,
            poisoned: Cell::new(false),
            traced,
        }
    }

    /// Calls `f` for each page of the buffer in turn, or with [`None`] for a poisoned one, until a
    /// signal arrives. `f` returns whether it has written to the page. Returns whether it did once.
    #[inline(always)]
    pub(super) fn for_each_page(
        &self,
        mut f: impl FnMut(Option<&MemoryPage>) -> bool,
    ) -> Result<bool> {
        let mut count = 0;
        let mut any = false;

        for run in self.runs.iter() {
            for frame in run.frame..run.frame + run.pages {
                if count & (BATCH - 1) == 0 {
                    self.until.check()?;
                }
                count += 1;
                // SAFETY: `new()` takes the runs of a `StableMemory`, whose frames have a `struct
                // page`.
                if unsafe { ffi::runs::pages_are_poisoned(frame, 1) } {
                    self.poisoned.set(true);
                    f(None);
                    continue;
                }
                // SAFETY: The buffer keeps its pages. The value is dropped before the next is made.
                let page = unsafe { MemoryPage::new(frame) };
                if f(Some(&page)) {
                    page.flush();
                    any = true;
                }
            }
        }
        Ok(any)
    }

    /// Returns whether a page was left out since it is poisoned.
    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.get()
    }
}
