// SPDX-License-Identifier: GPL-2.0

//! Pages pinned for as long as a value lives.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h), `pin_user_pages` and friends.

use super::{
    runs::{
        Extent,
        Run,
        Runs, //
    },
    StableMemory,
};
use crate::{
    ffi,
    seam::task, //
};
use kernel::prelude::*;

/// Pages released between two chances for other tasks to run.
const RELEASE_BATCH: usize = 1 << 14;

/// Pages that hold a `FOLL_PIN` pin each, as a list of runs.
///
/// The same page may be in it more than once. Dropping it marks every folio dirty, since what was
/// written through other mappings or by devices has left no trace in page tables of the file's
/// mappings, and takes the pins back.
///
/// # Invariants
///
/// - For each page of the buffer that `runs` and `pages` describe, this value owns one pin on the
///   folio of the page.
/// - The `struct page`s of one run are contiguous.
pub(crate) struct PinnedPages {
    runs: KVVec<Run>,
    pages: usize,
}

// SAFETY: By the type invariants each page is pinned until drop, so it neither moves nor is freed.
// Nothing takes runs away or changes them while others can see the value: `append` takes `&mut
// self`. Pins are taken on user memory only.
unsafe impl StableMemory for PinnedPages {
    fn runs(&self) -> Runs<'_> {
        Runs::new(&self.runs, self.pages)
    }
}

impl PinnedPages {
    /// Creates an empty list.
    pub(crate) fn new() -> Self {
        // INVARIANT: There are no pages.
        Self {
            runs: KVVec::new(),
            pages: 0,
        }
    }

    /// Makes room for `additional` calls of [`append`](Self::append).
    ///
    /// The room is charged to the memory cgroup of the current task.
    pub(crate) fn reserve(&mut self, additional: usize) -> Result {
        Ok(self
            .runs
            .reserve(additional, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?)
    }

    /// Gives memory back that was reserved and not used.
    pub(crate) fn shrink_to_fit(&mut self) {
        // Failing, it leaves everything as it is.
        let _ = self
            .runs
            .shrink_to(self.runs.len(), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
    }

    /// Puts `count` pages from frame `frame` on behind those already there and takes over their pins.
    ///
    /// Fails with [`ENOMEM`] when no room is left, see [`reserve`](Self::reserve), and with
    /// [`EOVERFLOW`] when the buffer would have more pages than can be counted. The pins stay with
    /// the caller then.
    ///
    /// # Safety
    ///
    /// `frame` must be the first of `count` contiguous page frames of one folio of user memory. The
    /// caller must own a pin on the folio for each of them, and hands these pins over.
    #[inline]
    pub(crate) unsafe fn append(&mut self, frame: usize, count: usize) -> Result {
        let pages = self.pages.checked_add(count).ok_or(EOVERFLOW)?;

        if !(self.runs().continues(frame) && self.pages_are_contiguous(frame)) {
            self.runs
                .push_within_capacity(Run {
                    page: self.pages,
                    frame,
                })
                .map_err(|_| ENOMEM)?;
        }

        // INVARIANT: The new pages are pinned by the safety requirements, and within a run they
        // are contiguous with those before them as was just tested.
        self.pages = pages;
        Ok(())
    }

    /// Tells whether the `struct page` of `frame`, the next frame after the last run, is the next
    /// one as well. Memory models without a virtual memory map have gaps at section ends.
    fn pages_are_contiguous(&self, frame: usize) -> bool {
        if cfg!(CONFIG_SPARSEMEM_VMEMMAP) || cfg!(CONFIG_FLATMEM) {
            return true;
        }

        self.runs.last().is_some_and(|last| {
            // SAFETY: Frames of a run have a `struct page` by the type invariants, and this one by
            // the safety requirements of `append`.
            let (first, page) =
                unsafe { (ffi::rs_pfn_to_page(last.frame), ffi::rs_pfn_to_page(frame)) };

            // The pages may lie in different allocations: this compares addresses.
            first.wrapping_add(frame - last.frame) == page
        })
    }
}

/// Unpins `extent`, marking its folios dirty.
///
/// # Safety
///
/// The caller must own the pins of the pages of `extent`, which are contiguous, and gives them up.
unsafe fn unpin(extent: Extent) {
    // SAFETY: The pages are contiguous, and pinned by the caller who hands over the pins. May
    // sleep: pinned pages are released in process context only.
    unsafe { ffi::rs_unpin_pages(extent.frame, extent.pages, true) };
}

impl Drop for PinnedPages {
    fn drop(&mut self) {
        let mut at = 0;

        while at < self.pages {
            let end = self.pages.min(at + RELEASE_BATCH);
            for extent in self.runs().extents(at..end) {
                // SAFETY: By the type invariants the pins are ours, and each page is visited once.
                unsafe { unpin(extent) };
            }
            at = end;
            task::cond_resched();
        }
    }
}
