// SPDX-License-Identifier: GPL-2.0

//! Pinning what a request names.

use super::request::{
    CreateError,
    Piece,
    Request, //
};
use crate::seam::{
    memfd::{
        FolioBatch,
        FolioRoom,
        LockedMemfd,
        Pinned, //
    },
    mm::pinned::{
        PinnedPages,
        PinnedPagesBuilder, //
    },
    task,
    workqueue::drop_later, //
};
use core::{
    mem::swap,
    ops::Range, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
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
/// are checked each time under the lock that adding one takes; once a page is pinned `F_SEAL_WRITE`
/// cannot be added, and `F_SEAL_SHRINK` is never taken away.
///
/// After a failure nothing stays pinned. The pages of a killed task are unpinned later, on a
/// workqueue: unpinning millions of pages takes a quarter of the time that pinning them took. They
/// take the charge of the request with them.
pub(super) fn pin(request: &mut Request) -> Result<PinnedPages, CreateError> {
    // CAST: A size is no more than a `usize` holds; see `Limits`.
    let mut pinned = PinnedPagesBuilder::new((request.size >> PAGE_SHIFT) as usize);

    match pin_pieces(request, &mut pinned) {
        Ok(()) => Ok(pinned.finish()),
        Err(error) => {
            if task::fatal_signal_pending() {
                drop_later((pinned, request.charge.take()));
            }
            Err(error)
        }
    }
}

/// Appends the pages that make up the buffer to `pinned`, until one cannot be pinned.
fn pin_pieces(request: &Request, pinned: &mut PinnedPagesBuilder) -> Result<(), CreateError> {
    let mut room = FolioRoom::new(pinned.missing().min(WINDOW_FOLIOS))?;
    let mut batch = room.batch();
    let mut rest = Rest {
        pieces: request.pieces(),
        done: 0,
    };

    while !rest.pieces.is_empty() {
        if task::fatal_signal_pending() {
            return Err(CreateError::Kernel(EINTR));
        }

        // A long list is not made longer under the lock, since writers of the inode would wait for
        // that memory. What a first window adds to a list of one run takes four pages.
        if pinned.run_count() > 1 {
            pinned.reserve(WINDOW_FOLIOS)?;
        }
        pin_window(request, &mut rest, &mut batch, pinned)?;
        if !rest.pieces.is_empty() {
            task::cond_resched();
        }
    }

    Ok(())
}

/// Pins a window of `rest`, which may take in many small pieces.
#[inline(never)]
fn pin_window(
    request: &Request,
    rest: &mut Rest<'_>,
    batch: &mut FolioBatch<'_>,
    pinned: &mut PinnedPagesBuilder,
) -> Result<(), CreateError> {
    let (mut folios, mut bytes) = (WINDOW_FOLIOS, WINDOW_BYTES);
    let mut locks = Locks::new(request);

    while let Some(piece) = rest.pieces.first() {
        let memfd = locks.of(piece)?;
        let range = rest.range(piece, bytes);
        let is_page = range.end - range.start == PAGE_SIZE as u64;
        let done = match is_page && memfd.pin_page(range.start, batch, pinned)? {
            true => Pinned::PAGE,
            false => memfd.pin(range, folios, batch, pinned)?,
        };

        rest.advance(done.bytes);
        folios -= done.folios;
        bytes -= done.bytes;
        if folios == 0 || bytes == 0 {
            break;
        }
    }
    Ok(())
}

/// Inode locks of up to two files.
///
/// Pieces of two files in turn do not lock either of them each time. The second lock is not waited
/// for, so there is no order in which locks must be taken.
struct Locks<'a> {
    request: &'a Request,
    /// The file asked for last.
    last: Option<Locked<'a>>,
    other: Option<Locked<'a>>,
}

struct Locked<'a> {
    memfd: LockedMemfd<'a>,
    source: u32,
}

impl<'a> Locks<'a> {
    fn new(request: &'a Request) -> Self {
        Self {
            request,
            last: None,
            other: None,
        }
    }

    /// Returns the file of `piece`, locked and with the seals it must have.
    ///
    /// Fails with [`EINTR`] on a fatal signal.
    #[inline]
    fn of(&mut self, piece: &Piece) -> Result<&LockedMemfd<'a>, CreateError> {
        let is_of_piece = |locked: &mut Locked<'_>| locked.source == piece.source;

        if !self.last.as_mut().is_some_and(is_of_piece) {
            swap(&mut self.last, &mut self.other);
            if !self.last.as_mut().is_some_and(is_of_piece) {
                self.lock(piece)?;
            }
        }
        match &self.last {
            Some(locked) => Ok(&locked.memfd),
            None => Err(CreateError::Kernel(EINVAL)),
        }
    }

    #[inline(never)]
    fn lock(&mut self, piece: &Piece) -> Result<(), CreateError> {
        let memfd = self.request.memfd(piece).ok_or(EINVAL)?;

        self.last = None;
        let locked = match self.other.is_some().then(|| memfd.try_lock_shared()) {
            Some(Some(locked)) => locked,
            _ => {
                self.other = None;
                memfd.lock_shared()?
            }
        };
        self.request.options.check_seals(locked.seals())?;
        self.last = Some(Locked {
            memfd: locked,
            source: piece.source,
        });
        Ok(())
    }
}

/// Rest of a request that is still to be pinned.
struct Rest<'a> {
    pieces: &'a [Piece],
    /// Bytes of the first piece that are pinned; less than its length.
    done: u64,
}

impl Rest<'_> {
    /// Returns the next range, which is of `piece`, up to `most` bytes of it.
    #[inline]
    fn range(&self, piece: &Piece, most: u64) -> Range<u64> {
        let start = piece.range.start + self.done;

        start..piece.range.end.min(start + most)
    }

    /// Notes that `bytes` more of the first piece are pinned.
    #[inline]
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if let [first, rest @ ..] = self.pieces {
            if first.range.start + self.done == first.range.end {
                (self.pieces, self.done) = (rest, 0);
            }
        }
    }
}
