// SPDX-License-Identifier: GPL-2.0

//! Pinning the pages of a memory file, a window at a time.

use super::LockedMemfd;
use crate::{
    ffi,
    seam::mm::pinned::PinnedPages, //
};
use core::ops::Range;
use kernel::{
    bindings,
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    types::ScopeGuard, //
};

/// Reference count above which a folio is not pinned once more.
///
/// The count is an `int` that saturates with a kernel warning, and a pin on a page of a small folio
/// adds 1024 to it. Half of the range is left to everyone else, and to callers that pass the test
/// at the same time.
const MAX_REF_COUNT: c_int = c_int::MAX / 2;

/// Room for the folios that are pinned in one go.
pub(crate) struct FolioBatch(KVec<*mut bindings::folio>);

impl FolioBatch {
    /// Makes room for `folios` folios, at least one.
    pub(crate) fn new(folios: usize) -> Result<Self> {
        Ok(Self(KVec::with_capacity(folios.max(1), GFP_KERNEL)?))
    }
}

impl LockedMemfd<'_> {
    /// Pins pages of `range`, which is in bytes, multiples of the page size, and not empty.
    ///
    /// Takes as many folios as `batch` has room for and appends their pages to `pinned`. Returns how
    /// many bytes were pinned, from the start of `range`: at least a page. Pages that the file does
    /// not have yet are allocated; what has never been written, like the pages of a `fallocate()`,
    /// is zeroed, for whoever sees it through the pins must not see what was there before.
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
    /// After a failure `pinned` may have become longer: dropping it undoes everything.
    pub(crate) fn pin(
        &self,
        range: Range<u64>,
        batch: &mut FolioBatch,
        pinned: &mut PinnedPages,
    ) -> Result<u64> {
        let folios = PinnedFolios::new(self, &range, batch)?;
        pinned.reserve(folios.remaining())?;

        let mut at = range.start;
        for (folio, offset) in folios {
            // SAFETY: The folio is pinned by us.
            let size = unsafe { ffi::rs_folio_size(folio.0) } - offset;
            let bytes = (range.end - at).min(size as u64);

            // CAST: No more than the size of a folio.
            folio.append_to(pinned, offset >> PAGE_SHIFT, (bytes >> PAGE_SHIFT) as usize)?;
            at += bytes;
        }
        Ok(at - range.start)
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
    /// Where the range starts in the next folio, in bytes.
    offset: usize,
}

impl<'a> PinnedFolios<'a> {
    fn new(memfd: &LockedMemfd<'_>, range: &Range<u64>, batch: &'a mut FolioBatch) -> Result<Self> {
        let room = c_uint::try_from(batch.0.capacity()).unwrap_or(c_uint::MAX);
        let start = i64::try_from(range.start).map_err(|_| EINVAL)?;
        let last = i64::try_from(range.end).map_err(|_| EINVAL)? - 1;
        let mut offset = 0;

        batch.0.clear();
        // SAFETY: The file is a memory file. There is room for `room` pointers, which have no
        // destructor, so what is there may be overwritten.
        let count = unsafe {
            bindings::memfd_pin_folios(
                memfd.0.as_ptr(),
                start,
                last,
                batch.0.as_mut_ptr(),
                room,
                &mut offset,
            )
        };
        if count <= 0 {
            // CAST: An errno. Nothing pinned and no reason given does not happen.
            to_result(count as c_int)?;
            return Err(EINVAL);
        }

        // SAFETY: The first `count` pointers have been written; there was room for them.
        unsafe { batch.0.inc_len(count as usize) };
        // INVARIANT: Each of them was pinned once.
        Ok(Self {
            batch,
            next: 0,
            offset,
        })
    }

    fn remaining(&self) -> usize {
        self.batch.0.len() - self.next
    }
}

impl Iterator for PinnedFolios<'_> {
    type Item = (PinnedFolio, usize);

    /// Returns the next folio and the offset, in bytes, at which the range goes on in it.
    fn next(&mut self) -> Option<Self::Item> {
        let folio = *self.batch.0.get(self.next)?;

        self.next += 1;
        // INVARIANT: The pin goes over to the `PinnedFolio`.
        Some((PinnedFolio(folio), core::mem::take(&mut self.offset)))
    }
}

impl Drop for PinnedFolios<'_> {
    fn drop(&mut self) {
        let rest = &mut self.batch.0[self.next..];

        if !rest.is_empty() {
            // SAFETY: By the type invariants these pins are ours.
            unsafe { bindings::unpin_folios(rest.as_mut_ptr(), rest.len()) };
        }
    }
}

/// A folio that we own one pin on.
struct PinnedFolio(*mut bindings::folio);

impl PinnedFolio {
    /// Appends `count` pages from page `first` of the folio on to `pinned`, with a pin for each.
    fn append_to(self, pinned: &mut PinnedPages, first: usize, count: usize) -> Result {
        // SAFETY: The folio is pinned.
        if unsafe { ffi::rs_folio_ref_count(self.0) } > MAX_REF_COUNT {
            return Err(ENOMEM);
        }
        self.make_uptodate()?;
        self.add_pins(count - 1)?;

        // SAFETY: The range lies within the folio, which has its pages side by side.
        let page = unsafe { ffi::rs_folio_page(self.0, first) };
        // SAFETY: These pages hold `count` pins now, all of them ours.
        let appended = unsafe { pinned.append(page, count) };
        if appended.is_err() {
            self.drop_pins(page, count - 1);
            return appended;
        }

        // The pin that came with `self` is among those that were handed over.
        let _ = core::mem::ManuallyDrop::new(self);
        Ok(())
    }

    /// Zeroes the folio if nothing has been put there yet, and marks it as having contents.
    fn make_uptodate(&self) -> Result {
        // SAFETY: The folio is pinned. The flag is never taken away from memory files.
        if unsafe { ffi::rs_folio_test_uptodate(self.0) } {
            return Ok(());
        }

        // SAFETY: The folio is pinned, and we hold no folio lock.
        to_result(unsafe { ffi::rs_folio_lock_killable(self.0) })?;
        let _unlock = ScopeGuard::new(|| {
            // SAFETY: Locked above.
            unsafe { bindings::folio_unlock(self.0) }
        });

        // Someone else may have filled it before we got the lock.
        // SAFETY: As above.
        if !unsafe { ffi::rs_folio_test_uptodate(self.0) } {
            // SAFETY: The folio is locked and nobody has been shown its contents.
            unsafe { ffi::rs_folio_zero(self.0) };
            // SAFETY: As above, and it has contents now.
            unsafe { ffi::rs_folio_mark_uptodate(self.0) };
        }
        Ok(())
    }

    /// Adds `count` pins of our own.
    fn add_pins(&self, count: usize) -> Result {
        let count = c_uint::try_from(count).map_err(|_| ENOMEM)?;

        if count > 0 {
            // SAFETY: The folio is pinned already.
            to_result(unsafe { bindings::folio_add_pins(self.0, count) })?;
        }
        Ok(())
    }

    /// Takes `count` pins back that `add_pins` has added.
    fn drop_pins(&self, page: *mut bindings::page, count: usize) {
        if count > 0 {
            // SAFETY: The pins are ours, and `page` and those behind it lie within the folio.
            unsafe { bindings::unpin_user_page_range_dirty_lock(page, count, false) };
        }
    }
}

impl Drop for PinnedFolio {
    fn drop(&mut self) {
        // SAFETY: The pin is ours.
        unsafe { bindings::unpin_folio(self.0) };
    }
}
