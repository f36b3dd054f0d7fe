// SPDX-License-Identifier: GPL-2.0

//! A number of holders, and the pages that they hold, in one word.
//!
//! Nothing in this file needs a kernel: tools/testing/properties tests it on the host.

/// One holder. The lower bits count pages: 4 PiB of 4 KiB.
pub(crate) const HOLDER: u64 = 1 << 40;

/// The most holders.
pub(crate) const MAX_HOLDERS: u64 = u64::MAX / HOLDER;

/// The most pages, of one holder and of all together.
pub(crate) const MAX_PAGES: u64 = HOLDER - 1;

/// Returns the number of holders, and the pages.
#[inline(always)]
pub(crate) const fn split(word: u64) -> (u64, u64) {
    (word / HOLDER, word % HOLDER)
}

/// Returns the share of a holder of `pages`, at most [`MAX_PAGES`], in a word.
#[inline(always)]
pub(crate) const fn share(pages: u64) -> u64 {
    HOLDER + pages
}

/// Returns `word` with one more holder, of `pages`; or [`None`] if there would be more than `limit`
/// pages, or too many holders. Pages and limit are at most [`MAX_PAGES`].
#[inline(always)]
pub(crate) const fn with_holder(word: u64, pages: u64, limit: u64) -> Option<u64> {
    let (holders, held) = split(word);

    // OVERFLOW: Both are less than `HOLDER`.
    if held + pages > limit || holders == MAX_HOLDERS {
        return None;
    }
    // OVERFLOW: The pages are at most `MAX_PAGES` together, and there is room for a holder.
    Some(word + share(pages))
}

/// Returns `word`, of several holders, with one holder of `pages` less; or [`None`] if there is no
/// other.
#[inline(always)]
pub(crate) const fn without_holder(word: u64, pages: u64) -> Option<u64> {
    match split(word) {
        (0 | 1, _) => None,
        _ => Some(word - share(pages)),
    }
}
