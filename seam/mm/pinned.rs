// SPDX-License-Identifier: GPL-2.0

//! Pages pinned for as long as a value lives.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h), `pin_user_pages` and friends.

use super::{
    runs::{
        Run,
        Runs, //
    },
    StableMemory,
};
use crate::{
    ffi,
    seam::{
        one_or_many::OneOrMany,
        task, //
    },
};
use kernel::prelude::*;

/// For how many times as many runs as there are room is made, at the most.
const FORESIGHT: usize = 512;

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
/// - For each of the runs, this value owns one pin on each folio that has pages in it. A folio that is
///   pinned is not split, so which folios these are does not change.
/// - The `struct page`s of one run are contiguous.
pub(crate) struct PinnedPages {
    runs: OneOrMany<Run>,
    pages: usize,
}

// SAFETY: By the type invariants each page is pinned until drop, so it neither moves nor is freed.
// Nothing takes runs away or changes them while others can see the value: `append` takes `&mut
// self`. Pins are taken on user memory only.
unsafe impl StableMemory for PinnedPages {
    fn runs(&self) -> Runs<'_> {
        Runs::new(self.runs.as_slice(), self.pages)
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

    /// Makes room for `additional` folios, of a buffer to which `left` pages are still to be added,
    /// these included.
    ///
    /// Who is fragmented so far is taken to be for the rest, and room made for that if it can be had,
    /// but no more than a multiple of what there is: pages that are asked for may turn out not to be
    /// there. It is charged to the memory cgroup of the current task.
    pub(crate) fn reserve(&mut self, additional: usize, left: usize) -> Result {
        let len = self.runs.as_slice().len();
        if len + additional <= self.runs.capacity() {
            return Ok(());
        }

        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let expected = match self.pages {
            0 => 0,
            pages => (len.saturating_mul(left) / pages).min(len.saturating_mul(FORESIGHT)),
        };
        // Somewhat more than expected, so that the last are not asked for once more; but there are no
        // more runs than pages.
        let room = (expected + additional).min(left);
        if expected > additional && self.runs.reserve(room, flags).is_ok() {
            return Ok(());
        }
        self.runs.reserve(additional, flags)
    }

    /// Gives memory back that was reserved and not used.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.runs.shrink(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
    }

    /// Puts `count` pages of a folio, from frame `frame` on, behind those already there. Tells whether
    /// the pin of the folio was taken over.
    ///
    /// It was not if the pages go on, `inside` the folio, where the last run ends: that has one.
    /// Fails with [`ENOMEM`] when no room is left, see [`reserve`](Self::reserve); the pin stays with
    /// the caller then.
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
        let runs = self.runs.as_slice().len();
        // SAFETY: By the safety requirements.
        let (folios, _) = unsafe { self.append_folios(core::iter::once((frame, count))) };

        match folios {
            0 => Err(ENOMEM),
            _ => Ok(!inside || self.runs.as_slice().len() > runs),
        }
    }

    /// Puts whole folios behind the pages already there, by the number of their first frame and that
    /// of their pages, until room runs out. Returns how many folios and pages that were.
    ///
    /// # Safety
    ///
    /// As for [`append`](Self::append): the caller must own a pin on each folio, and hands over those
    /// of the folios that are appended.
    pub(crate) unsafe fn append_folios(
        &mut self,
        folios: impl Iterator<Item = (usize, usize)>,
    ) -> (usize, usize) {
        let mut end = End {
            page: self.pages,
            // No frame has the number that stands for none.
            frame: self.runs().next_frame().unwrap_or(usize::MAX),
        };
        let count = match &mut self.runs {
            // Without a look at where the runs are for each.
            OneOrMany::Many(runs) => {
                end.extend(folios, |run| runs.push_within_capacity(run).is_ok())
            }
            runs => end.extend(folios, |run| runs.push_within_capacity(run)),
        };
        let pages = end.page - self.pages;

        // INVARIANT: Frames that go on have their `struct page`s go on, as was tested, and a folio has
        // them side by side.
        self.pages = end.page;
        (count, pages)
    }

    /// Leaves out the last `pages` pages; that must be less than the last folio has.
    pub(crate) fn shorten(&mut self, pages: usize) {
        let last = self
            .runs
            .as_slice()
            .last()
            .map_or(0, |run| self.pages - run.page);

        // INVARIANT: The last run, and so the last folio of it, has a page left.
        self.pages -= pages.min(last.saturating_sub(1));
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
    /// Puts folios behind it, by first frame and number of pages, and has each run that begins
    /// pushed, until there is no room. Returns how many folios that were.
    #[inline]
    fn extend(
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
            if (frame != next || !goes_on(frame)) && !push(Run { page, frame }) {
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

/// Tells whether the `struct page` of `frame` is next to that of the frame before, which must have
/// one. Memory models without a virtual memory map have gaps at section ends.
fn goes_on(frame: usize) -> bool {
    if cfg!(CONFIG_SPARSEMEM_VMEMMAP) || cfg!(CONFIG_FLATMEM) {
        return true;
    }
    // SAFETY: Only looks up where they are.
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
            // SAFETY: By the type invariants the pins are ours, and the pages of a run are contiguous.
            // The first time `at` is where a run begins, then where a folio or a run does. May
            // sleep: pinned pages are released in process context only.
            at = unsafe {
                ffi::unpin_runs(
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
