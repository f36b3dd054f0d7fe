// SPDX-License-Identifier: GPL-2.0

//! Pinning what a request names.

use super::request::{
    check_seals,
    CreateError,
    Request, //
};
use crate::seam::{
    memfd::{
        FolioBatch,
        LockedMemfd, //
    },
    mm::{
        pinned::PinnedPages,
        StableMemory, //
    },
    task,
    workqueue::drop_later, //
};
use core::ops::Range;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};

/// Folios that `memfd_pin_folios()` looks up at a time: `FOLIO_BATCH_SIZE` in C. Windows are
/// multiples of it, so that it need not look more often.
const LOOKUP_FOLIOS: usize = 31;

/// Most folios of a window. The window bounds how long a fatal signal and writers of the inode
/// wait.
const WINDOW_FOLIOS: usize = 16 * LOOKUP_FOLIOS;

/// Most bytes of a window, with huge pages of 2 MiB in mind: a folio can be as large as 1 GiB.
const WINDOW_BYTES: u64 = (2 * LOOKUP_FOLIOS as u64) << 21;

/// Pins the pages that make up the buffer, in order.
///
/// The inode of each memfd is locked for a window at a time only. The seals hold all the same: they
/// are checked in each window under the lock that adding one takes; once a page is pinned
/// `F_SEAL_WRITE` cannot be added, and `F_SEAL_SHRINK` is never taken away.
///
/// After a failure nothing stays pinned. The pages of a killed task are unpinned later, on a
/// workqueue: unpinning millions of pages takes a quarter of the time that pinning them took.
pub(super) fn pin(request: &Request) -> Result<PinnedPages, CreateError> {
    let mut pinned = PinnedPages::new();

    match pin_sources(request, &mut pinned) {
        Ok(()) => {
            pinned.shrink_to_fit();
            Ok(pinned)
        }
        Err(error) => {
            if task::fatal_signal_pending() {
                drop_later(pinned);
            }
            Err(error)
        }
    }
}

/// Appends the pages that make up the buffer to `pinned`, as far as it gets.
fn pin_sources(request: &Request, pinned: &mut PinnedPages) -> Result<(), CreateError> {
    // CAST: A size is no more than a `usize` holds; see `Limits`.
    let pages = (request.size >> PAGE_SHIFT) as usize;
    let mut batch = FolioBatch::new(pages.min(WINDOW_FOLIOS))?;

    for (memfd, ranges) in request.sources() {
        let mut rest = Rest { ranges, done: 0 };

        while !rest.ranges.is_empty() {
            if task::fatal_signal_pending() {
                return Err(CreateError::Kernel(EINTR));
            }

            // A long list is not made longer under the lock, since writers of the inode would wait
            // for that memory. What a first window adds to a list of one run takes two pages.
            if pinned.run_count() > 1 {
                let left = pages - pinned.runs().pages();
                pinned.reserve(left.min(WINDOW_FOLIOS), left)?;
            }
            let memfd = memfd.lock_shared()?;
            check_seals(memfd.seals())?;
            pin_window(&memfd, &mut rest, &mut batch, pinned, pages)?;
            drop(memfd);
            if !rest.ranges.is_empty() {
                task::cond_resched();
            }
        }
    }

    Ok(())
}

/// Pins a window of `rest`, which may take in many small ranges, of a buffer of `pages` pages.
fn pin_window(
    memfd: &LockedMemfd<'_>,
    rest: &mut Rest<'_>,
    batch: &mut FolioBatch,
    pinned: &mut PinnedPages,
    pages: usize,
) -> Result {
    let (mut folios, mut bytes) = (WINDOW_FOLIOS, WINDOW_BYTES);

    while folios > 0 && bytes > 0 {
        let Some(range) = rest.first(bytes) else {
            break;
        };
        let left = pages - pinned.runs().pages();
        let done = memfd.pin(range, folios, batch, pinned, left)?;
        rest.advance(done.bytes);
        folios -= done.folios;
        bytes -= done.bytes;
    }
    Ok(())
}

/// What is left to be pinned of the ranges of a file.
struct Rest<'a> {
    ranges: &'a [Range<u64>],
    /// Bytes of the first range that are pinned; less than its length.
    done: u64,
}

impl Rest<'_> {
    /// Returns the next range, up to `most` bytes of it.
    fn first(&self, most: u64) -> Option<Range<u64>> {
        let range = self.ranges.first()?;
        let start = range.start + self.done;

        Some(start..range.end.min(start + most))
    }

    /// Notes that `bytes` more of the first range are pinned.
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if let [first, rest @ ..] = self.ranges {
            if first.start + self.done == first.end {
                (self.ranges, self.done) = (rest, 0);
            }
        }
    }
}
