// SPDX-License-Identifier: GPL-2.0

//! Pages pinned for as long as a value lives.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h), `pin_user_pages` and friends.

use super::StableMemory;
use crate::{
    ffi,
    seam::{
        gfp::GFP_CHARGED,
        one_or_many::OneOrMany,
        runs::{
            Run,
            Runs, //
        },
        task, //
    },
};
use kernel::prelude::*;

/// Upper bound on speculative growth, as a multiple of the current number of runs.
const GROWTH_LIMIT: usize = 512;

/// Pages released between two chances for other tasks to run.
const RELEASE_BATCH: usize = 1 << 14;

/// Pages of folios that are pinned (`FOLL_PIN`), as a list of runs.
///
/// The same page may be in it more than once. Dropping it marks every folio dirty, since what was
/// written through other mappings or by devices has left no trace in page tables of the file's
/// mappings, and takes the pins back.
///
/// # Invariants
///
/// - For each of the runs, this value owns one pin on each folio that has pages in it. A folio that
///   is pinned is not split, so which folios these are does not change.
/// - The `struct page`s of one run are contiguous.
/// - `runs` and `pages` uphold the invariants of [`Runs`].
pub(crate) struct PinnedPages {
    runs: OneOrMany<Run>,
    pages: usize,
}

// SAFETY: By the type invariants each page is pinned until drop, so it neither moves nor is freed.
// Nothing takes runs away or changes them while others can see the value: `append` takes `&mut
// self`. Pins are taken on user memory only.
unsafe impl StableMemory for PinnedPages {
    fn runs(&self) -> Runs<'_> {
        // SAFETY: By the type invariants, `runs` and `pages` uphold those of `Runs`.
        unsafe { Runs::new(self.runs.as_slice(), self.pages) }
    }
}

impl PinnedPages {
    /// Creates an empty list.
    pub(crate) fn new() -> Self {
        // INVARIANT: There are no pages.
        Self {
            runs: OneOrMany::new(),
            pages: 0,
        }
    }

    /// Returns the number of runs.
    pub(crate) fn run_count(&self) -> usize {
        self.runs.as_slice().len()
    }

    /// Makes room for `additional` folios of a buffer to which `left` pages, these included, are
    /// still to be added.
    ///
    /// Extrapolates the fragmentation seen so far, within bounds, because later pages may fail to
    /// pin. The memory is charged to the memory cgroup of the current task. Fails with [`ENOMEM`].
    #[inline]
    pub(crate) fn reserve(&mut self, additional: usize, left: usize) -> Result {
        match self.run_count() + additional <= self.runs.capacity() {
            true => Ok(()),
            false => self.grow(additional, left),
        }
    }

    #[cold]
    fn grow(&mut self, additional: usize, left: usize) -> Result {
        let flags = GFP_CHARGED;
        let len = self.run_count();
        let expected = match self.pages {
            0 => 0,
            pages => (len.saturating_mul(left) / pages).min(len.saturating_mul(GROWTH_LIMIT)),
        };
        // Somewhat more than expected, so that the last are not asked for once more; but there are
        // no more runs than pages.
        let room = (expected + additional).min(left);
        if expected > additional && self.runs.reserve(room, flags).is_ok() {
            return Ok(());
        }
        self.runs.reserve(additional, flags)
    }

    /// Gives memory back that was reserved and not used.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.runs.shrink(GFP_CHARGED);
    }

    /// Puts `count` pages of a folio, from frame `frame` on, behind those already there. Tells
    /// whether the pin of the folio was taken over.
    ///
    /// It was not if the pages go on, `inside` the folio, where the last run ends: that has one.
    /// Fails with [`ENOMEM`] when no room is left, see [`reserve`](Self::reserve); the pin stays
    /// with the caller then.
    ///
    /// # Safety
    ///
    /// `frame` must be the first of `count` page frames of one folio of user memory, on which the
    /// caller must own a pin. It must be the first of the folio, or `inside` be true.
    pub(crate) unsafe fn append(
        &mut self,
        frame: usize,
        count: usize,
        inside: bool,
    ) -> Result<bool> {
        let runs = self.run_count();
        // SAFETY: The pages are in one folio, whose pin the caller hands over.
        let (folios, _) = unsafe { self.append_folios(core::iter::once((frame, count)), count) };

        match folios {
            0 => Err(ENOMEM),
            _ => Ok(!inside || self.run_count() > runs),
        }
    }

    /// Appends folios, given by the number of their first frame and that of their pages, until room
    /// runs out. Of the last of them, pages past `most` in all are left out. Returns the number of
    /// folios and of pages that were appended.
    ///
    /// # Safety
    ///
    /// As for [`append`](Self::append): the caller must own a pin on each folio, and hands over
    /// those of the folios that are appended. Each must have a page among the first `most`.
    pub(crate) unsafe fn append_folios(
        &mut self,
        folios: impl Iterator<Item = (usize, usize)>,
        most: usize,
    ) -> (usize, usize) {
        let mut end = End {
            page: self.pages,
            // No frame has the number that stands for none.
            frame: self.runs().next_frame().unwrap_or(usize::MAX),
        };
        let count = match &mut self.runs {
            // Without a look at where the runs are for each.
            //
            // SAFETY: Frames of folios, and those of the last run, have a `struct page`.
            OneOrMany::Many(runs) => unsafe {
                end.extend(folios, |run| runs.push_within_capacity(run).is_ok())
            },
            // SAFETY: The frames are those of folios, which have a `struct page`.
            runs => unsafe { end.extend(folios, |run| runs.push_within_capacity(run)) },
        };
        let pages = (end.page - self.pages).min(most);

        // INVARIANT: Frames that go on have their `struct page`s go on, as was tested, and a folio
        // has them side by side. Each folio, and so each run, has at least a page.
        self.pages += pages;
        (count, pages)
    }
}

/// Where a buffer ends that is being put together.
struct End {
    /// Length in pages.
    page: usize,
    /// The frame with which the last run would go on.
    frame: usize,
}

impl End {
    /// Appends folios, given by first frame and number of pages, and pushes each run that begins,
    /// until there is no room. Returns the number of folios appended.
    ///
    /// # Safety
    ///
    /// The frames, and the one before that at which the last run would go on, must have a
    /// `struct page`.
    #[inline]
    unsafe fn extend(
        &mut self,
        folios: impl Iterator<Item = (usize, usize)>,
        mut push: impl FnMut(Run) -> bool,
    ) -> usize {
        let Self {
            mut page,
            frame: mut next,
        } = *self;
        let mut count = 0;

        for (frame, pages) in folios {
            // SAFETY: Where `frame` is `next`, the frame before belongs to the last run.
            let goes_on = frame == next && unsafe { goes_on(frame) };
            if !goes_on && !push(Run { page, frame }) {
                break;
            }
            // There are not as many pages as there are numbers.
            page = page.wrapping_add(pages);
            next = frame.wrapping_add(pages);
            count += 1;
        }
        *self = Self { page, frame: next };
        count
    }
}

/// Returns whether the `struct page` of `frame` is next to that of the frame before.
///
/// Memory models without a virtual memory map have gaps at the ends of sections.
///
/// # Safety
///
/// Both frames must have a `struct page`.
#[inline]
unsafe fn goes_on(frame: usize) -> bool {
    if cfg!(CONFIG_SPARSEMEM_VMEMMAP) || cfg!(CONFIG_FLATMEM) {
        return true;
    }
    // SAFETY: The caller guarantees that both frames have a `struct page`.
    let (before, page) = unsafe { (ffi::pfn_to_page(frame - 1), ffi::pfn_to_page(frame)) };

    // They may lie in different allocations: this compares addresses.
    before.wrapping_add(1) == page
}

impl Drop for PinnedPages {
    fn drop(&mut self) {
        let Some(last) = self.runs.as_slice().last() else {
            return;
        };
        let (runs, mut at) = (self.runs(), 0);

        while at < self.pages {
            let until = self.pages.min(at + RELEASE_BATCH);
            // SAFETY: By the type invariants the pins are ours, and the pages of a run are
            // contiguous. The first time `at` is where a run begins, then where a folio or a run
            // does. May sleep: pinned pages are released in process context only.
            at = unsafe {
                ffi::runs::unpin_runs(
                    runs.runs_at(at).as_ptr().cast(),
                    core::ptr::from_ref(last).cast(),
                    self.pages,
                    at,
                    until,
                )
            };
            if at < self.pages {
                task::cond_resched();
            }
        }
    }
}
