// SPDX-License-Identifier: GPL-2.0

//! Pinning the pages of a memory file, a window at a time.

use super::LockedMemfd;
use crate::{
    ffi,
    seam::{
        mm::{
            folio::{
                FolioInfo,
                PageMap, //
            },
            pinned::PinnedPages, //
        },
        version::barrier::{
            self,
            smp_mb, //
        },
    },
};
use core::{
    mem::MaybeUninit,
    ops::Range, //
};
use kernel::{
    bindings,
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    types::ScopeGuard, //
};

/// What one call has pinned.
#[derive(Clone, Copy)]
pub(crate) struct Pinned {
    /// Bytes from the start of the range. None if the first folio left the file as it was pinned.
    pub(crate) bytes: u64,
    /// Number of folios that were looked at, at least one.
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
            // SAFETY: `count` elements are written by the safety requirements, and there were none.
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
    /// Pins pages of `range`, which is in bytes.
    ///
    /// Takes as many folios as `batch` has room for, but no more than `most`, and appends their
    /// pages to `pinned`. Pages that the file does not have yet are allocated. Pages that were
    /// never written, like those of a `fallocate()`, are zeroed: they have the contents of earlier
    /// users.
    ///
    /// Every page that is appended is the one that the file has at that offset, and stays it: see
    /// [`PinnedFolio::settle`].
    ///
    /// May sleep. Cannot be interrupted except while it waits for the lock of a folio, so the size
    /// of the batch, and that of the range, decide how long a signal waits. Fails with
    ///
    /// - [`EINVAL`] if the range is empty, ends past the end of the file or is not one of whole
    ///   pages;
    /// - [`ENOMEM`], also for a page that is pinned so often that its count might overflow;
    /// - [`EINTR`] on a fatal signal;
    /// - whatever the file system says when it cannot allocate: [`ENOSPC`] where memory is strictly
    ///   accounted.
    ///
    /// `left_pages` is the number of pages still to be pinned for the buffer, these included, and
    /// is passed to [`PinnedPages::reserve`]. After a failure `pinned` may have become longer:
    /// dropping it undoes everything.
    pub(crate) fn pin(
        &self,
        range: Range<u64>,
        most: usize,
        batch: &mut FolioBatch,
        pinned: &mut PinnedPages,
        left_pages: usize,
    ) -> Result<Pinned> {
        if (range.start | range.end) & (PAGE_SIZE as u64 - 1) != 0 {
            return Err(EINVAL);
        }

        let mut folios = PinnedFolios::new(self, &range, most, batch)?;
        let count = folios.remaining();
        pinned.reserve(count, left_pages)?;

        // CAST: More pages than a `usize` holds are not found in one batch.
        let pages = ((range.end - range.start) >> PAGE_SHIFT) as usize;
        let mut left = pages;
        while left > 0 {
            if folios.remaining() > 1 {
                left -= folios.append_ready_to(pinned, left);
            }
            match folios.append_next_to(pinned, left)? {
                Some(pages) => left -= pages,
                None => break,
            }
        }

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
/// We own a pin on each folio of the batch from `next` on. A full barrier lies behind the pinning.
struct PinnedFolios<'a> {
    batch: &'a mut FolioBatch,
    next: usize,
    /// At which page of the next folio the range starts.
    first: usize,
    /// The pages of the file. Only compared.
    mapping: *const bindings::address_space,
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

        // SAFETY: So many have been written, and there were none.
        unsafe { batch.set(count as usize) };
        smp_mb(barrier::Full);
        // INVARIANT: Each of them was pinned once, before the barrier.
        Ok(Self {
            batch,
            next: 0,
            first: offset >> PAGE_SHIFT,
            // SAFETY: We hold a reference to the file, whose mapping never changes.
            mapping: unsafe { (*memfd.0.as_ptr()).f_mapping },
        })
    }

    fn remaining(&self) -> usize {
        self.batch.count - self.next
    }

    /// Appends the next folios to `pinned`, as long as there is nothing to do about them, and no
    /// more than `most` pages. Returns the number of pages.
    ///
    /// This is [`append_next_to`](Self::append_next_to) for many.
    #[inline(never)]
    fn append_ready_to(&mut self, pinned: &mut PinnedPages, most: usize) -> usize {
        if self.first != 0 {
            return 0;
        }

        let (mapping, map) = (self.mapping, self.batch.map);
        let rest = &self.batch.folios()[self.next..];
        let ready = rest.iter().map_while(|&folio| {
            // SAFETY: By the type invariants we own a pin on each of these.
            let info = unsafe { FolioInfo::read(folio, mapping, map) };

            (info.is_settled && info.in_file && info.may_pin).then_some((info.frame, info.pages))
        });
        // SAFETY: By the type invariants we own a pin on each of these, and give up those of the
        // folios that are appended. Each has a page in the range, of which `most` pages are left.
        let (folios, pages) = unsafe { pinned.append_folios(ready, most) };
        // INVARIANT: The pins of these folios belong to `pinned` now.
        self.next += folios;

        pages
    }

    /// Appends the pages of the next folio, from where the range goes on, but no more than `most`,
    /// to `pinned`. Returns the number of pages, or [`None`] if there is no next folio or it has
    /// left the file.
    #[inline]
    fn append_next_to(&mut self, pinned: &mut PinnedPages, most: usize) -> Result<Option<usize>> {
        let Some(&folio) = self.batch.folios().get(self.next) else {
            return Ok(None);
        };

        self.next += 1;
        // INVARIANT: The pin goes over to the `PinnedFolio`.
        let folio = PinnedFolio(folio);
        let first = core::mem::take(&mut self.first);
        // SAFETY: The folio is pinned.
        let mut info = unsafe { FolioInfo::read(folio.0, self.mapping, self.batch.map) };
        if !info.is_settled {
            folio.settle(self.mapping, self.batch.map)?;
            // SAFETY: The folio is pinned.
            info = unsafe { FolioInfo::read(folio.0, self.mapping, self.batch.map) };
        }
        if !info.in_file {
            return Ok(None);
        }
        if !info.may_pin {
            return Err(ENOMEM);
        }

        let pages = (info.pages - first).min(most);
        // SAFETY: These are pages of the folio, whose pin is ours.
        if unsafe { pinned.append(info.frame + first, pages, first > 0) }? {
            // The pin that came with `folio` was handed over.
            let _ = core::mem::ManuallyDrop::new(folio);
        }
        Ok(Some(pages))
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
    /// Waits until the folio has contents and is not locked. A folio that has no contents gets
    /// zeroes.
    ///
    /// A folio that belongs to the file of `mapping` after it was settled stays in it as long as it
    /// is pinned. `collapse_file()` locks folios, expects no references but its own, copies them
    /// into a large folio and takes them out of the file before it unlocks them; unlike all others
    /// that remove folios, it does not freeze the references. It either sees the pin, or it locked
    /// the folio before the pin was taken, so that this finds the folio locked or removed.
    #[cold]
    fn settle(&self, mapping: *const bindings::address_space, map: PageMap) -> Result {
        // SAFETY: The folio is pinned, and we hold no folio lock.
        to_result(unsafe { ffi::folio_lock_killable(self.0) })?;
        let _unlock = ScopeGuard::new(|| {
            // SAFETY: Locked above.
            unsafe { bindings::folio_unlock(self.0) }
        });

        // A folio that is not in the file is not shown: what it lacks may be on its way from swap.
        // SAFETY: The folio is pinned.
        let is_shown = unsafe { FolioInfo::read(self.0, mapping, map) }.in_file;
        // Someone else may have filled it before we got the lock. The flag is never taken away from
        // memory files.
        // SAFETY: The folio is pinned.
        if is_shown && !unsafe { ffi::folio_test_uptodate(self.0) } {
            // SAFETY: The folio is locked and its contents have not been shown to anyone.
            unsafe { ffi::folio_zero(self.0) };
            // SAFETY: The folio is locked, and it has contents now.
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
