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
            pinned::PinnedPagesBuilder, //
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
    prelude::*, //
};

/// Result of one call that pins.
#[derive(Clone, Copy)]
pub(crate) struct Pinned {
    /// Bytes from the start of the range. None if the first folio left the file as it was pinned.
    pub(crate) bytes: u64,
    /// Number of folios that were looked at, at least one.
    pub(crate) folios: usize,
}

impl Pinned {
    /// One page, pinned by [`pin_page`](LockedMemfd::pin_page).
    pub(crate) const PAGE: Self = Self {
        bytes: PAGE_SIZE as u64,
        folios: 1,
    };
}

/// Memory for a [`FolioBatch`].
pub(crate) enum FolioRoom {
    /// In the value itself.
    Few([MaybeUninit<*mut bindings::folio>; FEW]),
    /// The spare capacity.
    Many(KVec<*mut bindings::folio>),
}

/// Folios for which no memory is allocated.
const FEW: usize = 16;

impl FolioRoom {
    /// Makes room for `folios` folios, at least one. Fails with [`ENOMEM`].
    pub(crate) fn new(folios: usize) -> Result<Self> {
        Ok(match folios {
            ..=FEW => Self::Few([MaybeUninit::uninit(); FEW]),
            _ => Self::Many(KVec::with_capacity(folios, GFP_KERNEL)?),
        })
    }

    /// Returns an empty batch.
    pub(crate) fn batch(&mut self) -> FolioBatch<'_> {
        let room = match self {
            Self::Few(few) => few,
            Self::Many(many) => many.spare_capacity_mut(),
        };

        FolioBatch::new(room, PageMap::new())
    }
}

/// Folios pinned by one call of `memfd_pin_folios()`, until something takes them over. Dropping it
/// unpins the rest.
///
/// # Invariants
///
/// The first `count` elements of `room` are written, and this value owns a pin on each of them from
/// `next` on. `next` is at most `count`. A full barrier lies behind the pinning.
pub(crate) struct FolioBatch<'a> {
    room: &'a mut [MaybeUninit<*mut bindings::folio>],
    count: usize,
    next: usize,
    map: PageMap,
}

impl<'a> FolioBatch<'a> {
    /// Creates an empty batch.
    #[inline]
    fn new(room: &'a mut [MaybeUninit<*mut bindings::folio>], map: PageMap) -> Self {
        // INVARIANT: There are no folios.
        Self {
            room,
            count: 0,
            next: 0,
            map,
        }
    }

    /// Returns the folios that are pinned.
    #[inline]
    fn folios(&self) -> &[*mut bindings::folio] {
        let room: *const *mut bindings::folio = self.room.as_ptr().cast();

        // SAFETY: By the type invariants, `next` is at most `count`, and the elements before
        // `count` are written.
        unsafe { core::slice::from_raw_parts(room.add(self.next), self.count - self.next) }
    }

    /// Pins folios of `range`, no more than `most`. Returns the page of the first at which the
    /// range starts.
    #[inline]
    fn pin(&mut self, memfd: &LockedMemfd<'_>, range: &Range<u64>, most: usize) -> Result<usize> {
        self.release();

        // CAST: No range that ends within the sizes of files starts outside.
        let (start, end) = (
            range.start as i64,
            i64::try_from(range.end).map_err(|_| EINVAL)?,
        );
        let most = self.room.len().min(most).min(c_int::MAX as usize);
        let mut offset = 0;
        // SAFETY: The file is a memory file. There is room for `most` pointers.
        let count = unsafe {
            bindings::memfd_pin_folios(
                memfd.0.as_ptr(),
                start,
                end - 1,
                self.room.as_mut_ptr().cast(),
                // CAST: It fits an `int`.
                most as c_uint,
                &mut offset,
            )
        };
        if count <= 0 {
            // CAST: An errno. Nothing pinned and no reason given does not happen.
            to_result(count as c_int)?;
            return Err(EINVAL);
        }

        smp_mb(barrier::Full);
        // INVARIANT: So many have been written, and each was pinned once, before the barrier.
        (self.next, self.count) = (0, count as usize);
        Ok(offset >> PAGE_SHIFT)
    }

    /// Appends folios to `pinned`, as long as there is nothing to do about them, and no more than
    /// `most` pages. Returns the number of pages.
    ///
    /// This is [`append_next_to`](Self::append_next_to) for many.
    #[inline(never)]
    fn append_ready_to(
        &mut self,
        mapping: *const bindings::address_space,
        pinned: &mut PinnedPagesBuilder,
        most: usize,
    ) -> usize {
        let map = self.map;
        let ready = self.folios().iter().map_while(|&folio| {
            // SAFETY: By the type invariants, the batch owns a pin on the folio, which keeps it
            // alive.
            let info = unsafe { FolioInfo::read(folio, mapping, map) };

            info.is_ready().then_some((info.frame, info.pages))
        });
        // SAFETY: By the type invariants, the batch owns a pin on each folio. It gives up those of
        // the folios that are appended: `next` moves past them. Each has a page in the range, of
        // which `most` pages are left, and the range starts with the first page of the first one.
        let (folios, pages) = unsafe { pinned.append_folios(ready, most) };
        // INVARIANT: The pins of these folios belong to `pinned` now.
        self.next += folios;

        pages
    }

    /// Appends the pages of the next folio from page `first` on, but no more than `most`, to
    /// `pinned`. Returns the number of pages: 0 if there is no next folio or it has left the file.
    #[inline(always)]
    fn append_next_to(
        &mut self,
        mapping: *const bindings::address_space,
        pinned: &mut PinnedPagesBuilder,
        first: usize,
        most: usize,
    ) -> Result<usize> {
        let Some(&folio) = self.folios().first() else {
            return Ok(0);
        };

        // SAFETY: By the type invariants, the batch owns a pin on the folio, which keeps it alive.
        let mut info = unsafe { FolioInfo::read(folio, mapping, self.map) };
        if !info.is_ready() {
            // SAFETY: The batch keeps its pin on the folio until `next` has moved on, and this task
            // has locked no folio.
            info = match unsafe { settled(folio, mapping, self.map) }? {
                Some(info) => info,
                None => return Ok(0),
            };
        }

        let pages = (info.pages - first).min(most);
        // SAFETY: These are pages of the folio, whose pin is ours.
        if !unsafe { pinned.append(info.frame + first, pages, first > 0) }? {
            // SAFETY: The pin is ours still, and is not used any more.
            unsafe { bindings::unpin_folio(folio) };
        }
        // INVARIANT: The pin was given up.
        self.next += 1;
        Ok(pages)
    }

    /// Unpins the folios that are left.
    #[inline]
    fn release(&mut self) {
        if self.next < self.count {
            self.release_rest();
        }
    }

    #[cold]
    fn release_rest(&mut self) {
        let rest = self.folios();

        // SAFETY: By the type invariants, the batch owns one pin on each folio from `next` on, and
        // `next` moves past them below. The C function only reads the array.
        unsafe { bindings::unpin_folios(rest.as_ptr().cast_mut(), rest.len()) };
        // INVARIANT: There are none left.
        self.next = self.count;
    }
}

impl Drop for FolioBatch<'_> {
    fn drop(&mut self) {
        self.release();
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
    /// [`settled`].
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
    /// After a failure `pinned` may have become longer: dropping it undoes everything.
    #[inline(never)]
    pub(crate) fn pin(
        &self,
        range: Range<u64>,
        most: usize,
        batch: &mut FolioBatch<'_>,
        pinned: &mut PinnedPagesBuilder,
    ) -> Result<Pinned> {
        if (range.start | range.end) & (PAGE_SIZE as u64 - 1) != 0 {
            return Err(EINVAL);
        }

        let mut first = batch.pin(self, &range, most)?;
        let count = batch.folios().len();

        let mapping = self.mapping();
        // CAST: More pages than a `usize` holds are not found in one batch.
        let pages = ((range.end - range.start) >> PAGE_SHIFT) as usize;
        let mut left = pages;
        while left > 0 {
            if first == 0 && batch.folios().len() > 1 {
                left -= batch.append_ready_to(mapping, pinned, left);
            }
            match batch.append_next_to(mapping, pinned, first, left)? {
                0 => break,
                pages => left -= pages,
            }
            first = 0;
        }
        batch.release();

        Ok(Pinned {
            bytes: ((pages - left) << PAGE_SHIFT) as u64,
            folios: count,
        })
    }

    /// Pins the page at `offset`, in bytes, and appends it to `pinned`, as [`pin`](Self::pin) does.
    /// Returns whether it did. If not, there is more to be done about its folio, and
    /// [`pin`](Self::pin) does it.
    ///
    /// Lists of single pages are common, and would spend on the batch as much as on the page.
    #[inline]
    pub(crate) fn pin_page(
        &self,
        offset: u64,
        batch: &FolioBatch<'_>,
        pinned: &mut PinnedPagesBuilder,
    ) -> Result<bool> {
        let (mut folio, mut start) = (core::ptr::null_mut(), 0);

        // SAFETY: The file is a memory file. There is room for one pointer.
        let count = unsafe {
            bindings::memfd_pin_folios(
                self.0.as_ptr(),
                // CAST: What becomes negative is refused.
                offset as i64,
                (offset | (PAGE_SIZE as u64 - 1)) as i64,
                &mut folio,
                1,
                &mut start,
            )
        };
        if count != 1 {
            // `pin()` meets the same error, and returns it.
            return Ok(false);
        }

        smp_mb(barrier::Full);
        // SAFETY: The folio was pinned for us.
        let info = unsafe { FolioInfo::read(folio, self.mapping(), batch.map) };
        let (first, is_ready) = (start >> PAGE_SHIFT, info.is_ready());
        let taken_over = match is_ready {
            // SAFETY: This is a page of the folio, whose pin is ours.
            true => unsafe { pinned.append(info.frame + first, 1, first > 0) },
            false => Ok(false),
        };
        if !matches!(taken_over, Ok(true)) {
            // SAFETY: The pin is ours, and is not used any more.
            unsafe { bindings::unpin_folio(folio) };
        }
        taken_over.map(|_| is_ready)
    }

    /// Returns the page cache of the file. Only compared.
    #[inline]
    fn mapping(&self) -> *const bindings::address_space {
        // SAFETY: We hold a reference to the file, whose mapping never changes.
        unsafe { (*self.0.as_ptr()).f_mapping }
    }
}

/// Waits until `folio` has contents and is not locked. A folio that has no contents gets zeroes.
/// Returns its state then, or [`None`] if it has left the file.
///
/// A folio that belongs to the file of `mapping` after it was settled stays in it as long as it is
/// pinned. `collapse_file()` locks folios, expects no references but its own, copies them into a
/// large folio and takes them out of the file before it unlocks them; unlike all others that remove
/// folios, it does not freeze the references. It either sees the pin, or it locked the folio before
/// the pin was taken, so that this finds the folio locked or removed.
///
/// Fails with [`EINTR`] on a fatal signal, and with [`ENOMEM`] if the folio is pinned so often that
/// its count might overflow.
///
/// # Safety
///
/// The caller must own a pin on `folio` and hold no folio lock.
#[cold]
unsafe fn settled(
    folio: *mut bindings::folio,
    mapping: *const bindings::address_space,
    map: PageMap,
) -> Result<Option<FolioInfo>> {
    // SAFETY: The folio is pinned, by the safety requirements.
    let info = || unsafe { FolioInfo::read(folio, mapping, map) };

    // SAFETY: The folio is pinned, and the caller holds no folio lock.
    to_result(unsafe { ffi::folio_lock_killable(folio) })?;
    // A folio that is not in the file is not shown: what it lacks may be on its way from swap.
    // Someone else may have filled it before we got the lock. The flag is never taken away from
    // memory files.
    //
    // SAFETY: The folio is pinned.
    if info().in_file && !unsafe { ffi::folio_test_uptodate(folio) } {
        // SAFETY: The folio is locked and its contents have not been shown to anyone.
        unsafe { ffi::folio_zero(folio) };
        // SAFETY: The folio is locked, and it has contents now.
        unsafe { ffi::folio_mark_uptodate(folio) };
    }
    // SAFETY: Locked above.
    unsafe { bindings::folio_unlock(folio) };

    let info = info();
    if info.in_file && !info.may_pin {
        return Err(ENOMEM);
    }
    Ok(Some(info).filter(|info| info.in_file))
}
