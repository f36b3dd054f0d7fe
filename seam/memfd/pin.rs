// SPDX-License-Identifier: GPL-2.0

//! Pinning the pages of a memory file, a window at a time.

use super::LockedMemfd;
use crate::{
    ffi,
    seam::mm::{
        folio::{
            Facts,
            PageMap, //
        },
        pinned::PinnedPages, //
    },
};
use core::{
    mem::MaybeUninit,
    ops::Range, //
};
use kernel::{
    bindings,
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    sync::barrier::{
        self,
        smp_mb, //
    },
    types::ScopeGuard, //
};

/// What one call has pinned.
#[derive(Clone, Copy)]
pub(crate) struct Pinned {
    /// From the start of the range: at least a page.
    pub(crate) bytes: u64,
    /// How many folios these bytes lie in.
    pub(crate) folios: usize,
}

/// Folios that are pinned in one go.
///
/// # Invariants
///
/// The first `count` elements of where they are have been written.
pub(crate) struct FolioBatch {
    /// Where they are, if there is room for no more than these.
    few: [MaybeUninit<*mut bindings::folio>; FEW],
    many: Option<KVec<*mut bindings::folio>>,
    /// How many there are.
    count: usize,
    map: PageMap,
}

/// Folios for which no memory is allocated.
const FEW: usize = 16;

impl FolioBatch {
    /// Makes room for `folios` folios, at least one.
    pub(crate) fn new(folios: usize) -> Result<Self> {
        // INVARIANT: There are none.
        Ok(Self {
            few: [MaybeUninit::uninit(); FEW],
            many: match folios {
                ..=FEW => None,
                folios => Some(KVec::with_capacity(folios, GFP_KERNEL)?),
            },
            count: 0,
            map: PageMap::new(),
        })
    }

    /// Returns the place for them, and for how many.
    fn room(&mut self) -> (*mut *mut bindings::folio, usize) {
        match &mut self.many {
            None => (self.few.as_mut_ptr().cast(), FEW),
            Some(many) => (many.as_mut_ptr(), many.capacity()),
        }
    }

    /// Forgets those that were there.
    fn clear(&mut self) {
        self.count = 0;
        if let Some(many) = &mut self.many {
            many.clear();
        }
    }

    /// Notes that there are `count`.
    ///
    /// # Safety
    ///
    /// There must have been none, and the first `count` in [`room`](Self::room) must be written.
    unsafe fn set(&mut self, count: usize) {
        // INVARIANT: By the safety requirements.
        self.count = count;
        if let Some(many) = &mut self.many {
            // SAFETY: By the safety requirements.
            unsafe { many.inc_len(count) };
        }
    }

    /// Returns them.
    #[inline]
    fn folios(&self) -> &[*mut bindings::folio] {
        match &self.many {
            // SAFETY: So many have been written, by the type invariants.
            None => unsafe { core::slice::from_raw_parts(self.few.as_ptr().cast(), self.count) },
            Some(many) => many,
        }
    }
}

impl LockedMemfd<'_> {
    /// Pins pages of `range`, which is in bytes, multiples of the page size, and not empty.
    ///
    /// Takes as many folios as `batch` has room for, but no more than `most`, and appends their pages
    /// to `pinned`. Pages that the file does not have yet are allocated; what has never been written,
    /// like the pages of a `fallocate()`, is zeroed, for whoever sees it through the pins must not
    /// see what was there before.
    ///
    /// May sleep. Cannot be interrupted except while it waits for the lock of a folio, so the size
    /// of the batch, and that of the range, decide how long a signal waits. Fails with
    ///
    /// - [`EINVAL`] if the range ends past the end of the file;
    /// - [`ENOMEM`], also for a page that is pinned so often that its count might overflow;
    /// - [`EINTR`] on a fatal signal;
    /// - whatever the file system says when it cannot allocate: [`ENOSPC`] where memory is strictly
    ///   accounted.
    ///
    /// `left_pages` is how many pages are still to be pinned for the buffer, these included. After a
    /// failure `pinned` may have become longer: dropping it undoes everything.
    pub(crate) fn pin(
        &self,
        range: Range<u64>,
        most: usize,
        batch: &mut FolioBatch,
        pinned: &mut PinnedPages,
        left_pages: usize,
    ) -> Result<Pinned> {
        let map = batch.map;
        let mut folios = PinnedFolios::new(self, &range, most, batch)?;
        let count = folios.remaining();
        pinned.reserve(count, left_pages)?;

        let pages = ((range.end - range.start) >> PAGE_SHIFT) as usize;
        let mut left = pages;
        while left > 0 {
            if folios.remaining() > 1 {
                left -= folios.append_ready_to(pinned, left);
            }
            if let Some((folio, first)) = folios.next() {
                left -= folio.append_to(pinned, map, first, left)?;
            }
            if folios.remaining() == 0 {
                break;
            }
        }
        // What the pages hold may be read from now on.
        smp_mb(barrier::Read);

        Ok(Pinned {
            bytes: ((pages - left) << PAGE_SHIFT) as u64,
            folios: count,
        })
    }
}

/// Folios that came out of one call of `memfd_pin_folios()` and have not been dealt with.
///
/// # Invariants
///
/// We own a pin on each folio of the batch from `next` on.
struct PinnedFolios<'a> {
    batch: &'a mut FolioBatch,
    next: usize,
    /// At which page of the next folio the range starts.
    first: usize,
}

impl<'a> PinnedFolios<'a> {
    fn new(
        memfd: &LockedMemfd<'_>,
        range: &Range<u64>,
        most: usize,
        batch: &'a mut FolioBatch,
    ) -> Result<Self> {
        let (place, room) = batch.room();
        let start = i64::try_from(range.start).map_err(|_| EINVAL)?;
        let last = i64::try_from(range.end).map_err(|_| EINVAL)? - 1;
        let mut offset = 0;

        batch.clear();
        // SAFETY: The file is a memory file. There is room for `room` pointers.
        let count = unsafe {
            bindings::memfd_pin_folios(
                memfd.0.as_ptr(),
                start,
                last,
                place,
                c_uint::try_from(room.min(most)).unwrap_or(c_uint::MAX),
                &mut offset,
            )
        };
        if count <= 0 {
            // CAST: An errno. Nothing pinned and no reason given does not happen.
            to_result(count as c_int)?;
            return Err(EINVAL);
        }

        // INVARIANT: Each of them was pinned once.
        // SAFETY: So many have been written, and there were none.
        unsafe { batch.set(count as usize) };
        Ok(Self {
            batch,
            next: 0,
            first: offset >> PAGE_SHIFT,
        })
    }

    fn remaining(&self) -> usize {
        self.batch.count - self.next
    }

    /// Appends the next folios to `pinned`, as long as there is nothing to do about them, and no more
    /// than `most` pages. Returns how many pages.
    ///
    /// This is [`PinnedFolio::append_to`] for many.
    #[inline(never)]
    fn append_ready_to(&mut self, pinned: &mut PinnedPages, most: usize) -> usize {
        if self.first != 0 {
            return 0;
        }

        let map = self.batch.map;
        let ready = self.batch.folios()[self.next..].iter().map_while(|&folio| {
            // SAFETY: By the type invariants we own a pin on each of these.
            let facts = unsafe { Facts::of(folio, map) };

            (facts.uptodate && !facts.crowded).then_some((facts.frame, facts.pages))
        });
        // SAFETY: As above. The pins of those that are appended are no longer ours after this.
        let (folios, pages) = unsafe { pinned.append_folios(ready) };
        // INVARIANT: As was just said.
        self.next += folios;

        // The range may end inside the last folio.
        pinned.shorten(pages.saturating_sub(most));
        pages.min(most)
    }
}

impl Iterator for PinnedFolios<'_> {
    type Item = (PinnedFolio, usize);

    /// Returns the next folio and at which page of it the range goes on.
    fn next(&mut self) -> Option<Self::Item> {
        let folio = *self.batch.folios().get(self.next)?;

        self.next += 1;
        // INVARIANT: The pin goes over to the `PinnedFolio`.
        Some((PinnedFolio(folio), core::mem::take(&mut self.first)))
    }
}

impl Drop for PinnedFolios<'_> {
    fn drop(&mut self) {
        let rest = &self.batch.folios()[self.next..];

        if !rest.is_empty() {
            // SAFETY: By the type invariants these pins are ours. The array is only read.
            unsafe { bindings::unpin_folios(rest.as_ptr().cast_mut(), rest.len()) };
        }
    }
}

/// A folio that we own one pin on.
struct PinnedFolio(*mut bindings::folio);

impl PinnedFolio {
    /// Appends the pages of the folio from page `first` on, but no more than `most`, to `pinned`.
    /// Returns how many.
    fn append_to(
        self,
        pinned: &mut PinnedPages,
        map: PageMap,
        first: usize,
        most: usize,
    ) -> Result<usize> {
        // SAFETY: The folio is pinned.
        let facts = unsafe { Facts::of(self.0, map) };
        let pages = (facts.pages - first).min(most);

        if facts.crowded {
            return Err(ENOMEM);
        }
        if !facts.uptodate {
            self.make_uptodate()?;
        }
        // SAFETY: These are pages of the folio, whose pin is ours.
        if unsafe { pinned.append(facts.frame + first, pages, first > 0) }? {
            // The pin that came with `self` was handed over.
            let _ = core::mem::ManuallyDrop::new(self);
        }
        Ok(pages)
    }

    /// Zeroes the folio if nothing has been put there yet, and marks it as having contents.
    #[cold]
    fn make_uptodate(&self) -> Result {
        // SAFETY: The folio is pinned, and we hold no folio lock.
        to_result(unsafe { ffi::folio_lock_killable(self.0) })?;
        let _unlock = ScopeGuard::new(|| {
            // SAFETY: Locked above.
            unsafe { bindings::folio_unlock(self.0) }
        });

        // Someone else may have filled it before we got the lock. The flag is never taken away from
        // memory files.
        // SAFETY: As above.
        if !unsafe { ffi::folio_test_uptodate(self.0) } {
            // SAFETY: The folio is locked and nobody has been shown its contents.
            unsafe { ffi::folio_zero(self.0) };
            // SAFETY: As above, and it has contents now.
            unsafe { ffi::folio_mark_uptodate(self.0) };
        }
        Ok(())
    }
}

impl Drop for PinnedFolio {
    fn drop(&mut self) {
        // SAFETY: The pin is ours.
        unsafe { bindings::unpin_folio(self.0) };
    }
}
