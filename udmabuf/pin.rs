// SPDX-License-Identifier: GPL-2.0

//! Pinning what a request names.

use super::request::{
    check_seals,
    CreateError,
    Item, //
};
use crate::seam::{
    memfd::FolioBatch,
    mm::pinned::PinnedPages,
    task, //
};
use kernel::prelude::*;

/// Most folios of a window. The window bounds how long a fatal signal and writers of the inode wait.
const WINDOW_FOLIOS: usize = 512;

/// Most bytes of a window: a folio can be as large as 1 GiB.
const WINDOW_BYTES: u64 = 64 << 20;

/// Pins the pages of all `items`, in order.
///
/// The inode of each memfd is locked for a window at a time only. The seals hold all the same: they
/// are checked in each window under the lock that adding one takes; once a page is pinned
/// `F_SEAL_WRITE` cannot be added, and `F_SEAL_SHRINK` is never taken away.
///
/// After a failure nothing is left pinned.
pub(super) fn pin(items: &[Item]) -> Result<PinnedPages, CreateError> {
    let pages = items.iter().map(Item::pages).max().unwrap_or(0);
    // CAST: Not more than `WINDOW_FOLIOS`.
    let mut batch = FolioBatch::new(pages.min(WINDOW_FOLIOS as u64) as usize)?;
    let mut pinned = PinnedPages::new();

    for item in items {
        let mut at = item.start;
        while at < item.end {
            if task::fatal_signal_pending() {
                return Err(CreateError::Kernel(EINTR));
            }

            let window = at..item.end.min(at + WINDOW_BYTES);
            let memfd = item.memfd.lock_shared()?;
            check_seals(memfd.seals())?;
            at += memfd.pin(window, &mut batch, &mut pinned)?;
            drop(memfd);
            task::cond_resched();
        }
    }

    pinned.shrink_to_fit();
    Ok(pinned)
}
