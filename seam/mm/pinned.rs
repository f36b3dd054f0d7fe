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
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Upper bound on speculative growth, as a multiple of the current number of runs.
const GROWTH_LIMIT: usize = 1024;

/// Runs from which on a list takes long to grow.
const LONG: usize = 1 << 12;

/// Pages released between two chances for other tasks to run.
const RELEASE_BATCH: usize = 1 << 14;

/// Pages of folios that are pinned (`FOLL_PIN`), as a list of runs.
///
/// The same page may be in it more than once. Dropping it takes the pins back. If writes were to be
/// [expected](StableMemory::expect_writes), it marks every folio dirty before: such writes leave no
/// trace in the page tables of the file's own mappings, and a clean folio may be dropped from the
/// file. Without them nothing has changed through this value: writes through the file's own
/// mappings are tracked there.
///
/// # Invariants
///
/// - For each of the runs, this value owns one pin on each folio that has pages in it. A folio that
///   is pinned is not split, so which folios these are does not change.
/// - The `struct page`s of one run are contiguous.
/// - Each run begins with the first page of a folio, unless `tails` is set.
/// - `runs` and `pages` uphold the invariants of [`Runs`].
pub(crate) struct PinnedPages {
    runs: OneOrMany<Run>,
    pages: usize,
    /// Whether a run may begin inside a folio.
    tails: bool,
    /// Whether a device, the kernel or userspace may have written the pages through this value.
    may_be_written: Atomic<bool>,
}

// SAFETY: By the type invariants each page is pinned until drop, so it neither moves nor is freed.
// Nothing takes runs away or changes them while others can see the value: `append` takes `&mut
// self`. Pins are taken on user memory only.
unsafe impl StableMemory for PinnedPages {
    fn runs(&self) -> Runs<'_> {
        // SAFETY: By the type invariants, `runs` and `pages` uphold those of `Runs`.
        unsafe { Runs::new(self.runs.as_slice(), self.pages) }
    }

    fn expect_writes(&self) {
        // Dropping the value, which reads it, is ordered after all other uses of it.
        self.may_be_written.store(true, Relaxed);
    }
}

/// Builder of [`PinnedPages`]. Dropping it unpins the pages appended so far.
pub(crate) struct PinnedPagesBuilder {
    pinned: PinnedPages,
    /// PFN that would extend the last run; without a run, one that no page has.
    next_frame: usize,
    /// Number of pages that there will be in the end.
    nr_pages: usize,
}

impl PinnedPagesBuilder {
    /// Creates an empty list, to which `nr_pages` pages are to be added.
    pub(crate) fn new(nr_pages: usize) -> Self {
        // INVARIANT: There are no pages.
        let pinned = PinnedPages {
            runs: OneOrMany::new(),
            pages: 0,
            tails: false,
            may_be_written: Atomic::new(false),
        };

        Self {
            pinned,
            next_frame: usize::MAX,
            nr_pages,
        }
    }

    /// Returns the number of runs.
    #[inline]
    pub(crate) fn run_count(&self) -> usize {
        self.pinned.runs.as_slice().len()
    }

    /// Returns how many pages are still to be added.
    pub(crate) fn missing(&self) -> usize {
        self.nr_pages - self.pinned.pages
    }

    /// Makes room for the runs that the next `most` folios are expected to add. A long list gets
    /// room for as many as they can add.
    ///
    /// The memory is charged to the memory cgroup of the current task. Fails with [`ENOMEM`].
    pub(crate) fn reserve(&mut self, most: usize) -> Result {
        let additional = match self.run_count() {
            ..LONG => self.expected().min(most),
            _ => self.missing().min(most),
        };

        match self.run_count() + additional <= self.pinned.runs.capacity() {
            true => Ok(()),
            false => self.grow(additional),
        }
    }

    /// Returns how many runs the missing pages will add. Extrapolates the fragmentation seen so
    /// far.
    fn expected(&self) -> usize {
        let missing = self.missing();

        match self.pinned.pages {
            0 => 0,
            pages => (self.run_count().saturating_mul(missing) / pages + 1).min(missing),
        }
    }

    /// Makes room for at least `additional` runs, and for all that are expected, within bounds,
    /// because later pages may fail to pin.
    #[cold]
    fn grow(&mut self, additional: usize) -> Result {
        let expected = self.expected();
        let limit = self.run_count().saturating_mul(GROWTH_LIMIT);
        // Somewhat more, so that the last are not asked for once more.
        let room = (expected + expected / 8).min(limit).min(self.missing());
        let runs = &mut self.pinned.runs;

        if room > additional && runs.reserve(room, GFP_CHARGED).is_ok() {
            return Ok(());
        }
        runs.reserve(additional, GFP_CHARGED)
    }

    /// Appends `count` pages of a folio, from frame `frame` on. Returns whether the pin of the
    /// folio was taken over.
    ///
    /// It was not if the pages, `inside` the folio, extend the last run, which has a pin. Fails
    /// with [`ENOMEM`]; the pin stays with the caller then.
    ///
    /// # Safety
    ///
    /// `frame` must be the first of `count` page frames, at least one, of one folio of user memory,
    /// on which the caller must own a pin. It must be the first of the folio, or `inside` be true.
    #[inline(always)]
    pub(crate) unsafe fn append(
        &mut self,
        frame: usize,
        count: usize,
        inside: bool,
    ) -> Result<bool> {
        let page = self.pinned.pages;
        // SAFETY: By the safety requirements, `frame` has a `struct page`. Where it is
        // `next_frame`, so does the frame before, which belongs to the last run: without one,
        // `next_frame` is a number that no frame has.
        let extends = frame == self.next_frame && unsafe { is_next_page(frame) };

        if !extends && !self.pinned.runs.push_within_capacity(Run { page, frame }) {
            self.grow(1)?;
            if !self.pinned.runs.push_within_capacity(Run { page, frame }) {
                return Err(ENOMEM);
            }
        }
        // INVARIANT: The frames of a folio are contiguous, and so are their `struct page`s; those
        // of frames that extend a run were tested. A run does not begin inside the folio unnoticed.
        self.pinned.pages += count;
        self.pinned.tails |= inside;
        self.next_frame = frame + count;
        Ok(!(extends && inside))
    }

    /// Appends folios, given by the number of their first frame and that of their pages, until room
    /// runs out. Of the last of them, pages past `most` in all are left out. Returns the number of
    /// folios and of pages that were appended.
    ///
    /// # Safety
    ///
    /// As for [`append`](Self::append): the caller must own a pin on each folio, and hands over
    /// those of the folios that are appended. Each must have a page among the first `most`, and the
    /// frames must be the first of the folios.
    pub(crate) unsafe fn append_folios(
        &mut self,
        folios: impl Iterator<Item = (usize, usize)>,
        most: usize,
    ) -> (usize, usize) {
        let mut end = End {
            page: self.pinned.pages,
            frame: self.next_frame,
        };
        let count = match &mut self.pinned.runs {
            // Without testing for each where the runs are.
            //
            // SAFETY: By the safety requirements, the frames are those of folios, which have a
            // `struct page`, as do those of the last run.
            OneOrMany::Many(runs) => unsafe {
                end.extend(folios, |run| runs.push_within_capacity(run).is_ok())
            },
            // SAFETY: By the safety requirements, the frames are those of folios, which have a
            // `struct page`.
            runs => unsafe { end.extend(folios, |run| runs.push_within_capacity(run)) },
        };
        let excess = (end.page - self.pinned.pages).saturating_sub(most);
        let pages = end.page - self.pinned.pages - excess;

        // INVARIANT: Frames that extend a run were tested, and those of a folio are contiguous, as
        // are their `struct page`s. Each folio, and so each run, has at least a page.
        self.pinned.pages += pages;
        self.next_frame = end.frame - excess;
        (count, pages)
    }

    /// Returns the finished list, in no more memory than it needs.
    pub(crate) fn finish(mut self) -> PinnedPages {
        self.pinned.runs.shrink(GFP_CHARGED);
        self.pinned
    }
}

/// End of a buffer that is being put together.
struct End {
    /// Length in pages.
    page: usize,
    /// PFN that would extend the last run.
    frame: usize,
}

impl End {
    /// Appends folios, given by first frame and number of pages, and pushes each run that begins,
    /// until there is no room. Returns the number of folios appended.
    ///
    /// # Safety
    ///
    /// The frames, and that before the one that would extend the last run, must have a
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
            // SAFETY: By the safety requirements, `frame` has a `struct page`. Where it is `next`,
            // so does the frame before, which belongs to the last run.
            let extends = frame == next && unsafe { is_next_page(frame) };
            if !extends && !push(Run { page, frame }) {
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
unsafe fn is_next_page(frame: usize) -> bool {
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
        let make_dirty = self.may_be_written.load(Relaxed);

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
                    self.tails,
                    make_dirty,
                )
            };
            if at < self.pages {
                task::cond_resched();
            }
        }
    }
}
