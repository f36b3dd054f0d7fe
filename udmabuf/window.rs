// SPDX-License-Identifier: GPL-2.0

//! How much of a buffer a page fault maps.
//!
//! Nothing in this file needs a kernel: it is compiled and tested on the host as well
//! (`rustc --test udmabuf/window.rs`).

use core::ops::Range;

/// Pages that one fault maps at the most: those of a page table, where it has 512 entries. The
/// table is there in full, however few are used.
pub(crate) const PAGES: usize = 512;

/// Returns the window around page `page` of a buffer, which lies at page `address` of the address
/// space, in a mapping that shows the pages `shown`.
///
/// The window is aligned in the address space.
pub(crate) fn around(page: usize, address: usize, shown: Range<usize>) -> Range<usize> {
    let before = address % PAGES;
    let start = page.saturating_sub(before).max(shown.start);
    let end = page.saturating_add(PAGES - before).min(shown.end);

    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aligned_mapping_gets_aligned_windows() {
        assert_eq!(around(0, 2 * PAGES, 0..4096), 0..PAGES);
        assert_eq!(around(63, 2 * PAGES + 63, 0..4096), 0..PAGES);
        assert_eq!(around(PAGES, 3 * PAGES, 0..4096), PAGES..2 * PAGES);
    }

    #[test]
    fn the_address_counts_not_the_offset_in_the_buffer() {
        // Page 0 lies three pages before an aligned address.
        assert_eq!(around(0, PAGES - 3, 0..4096), 0..3);
        assert_eq!(around(3, PAGES, 0..4096), 3..PAGES + 3);
    }

    #[test]
    fn a_window_stays_in_the_mapping_and_holds_the_page() {
        for first in [0, 1, 100] {
            for pages in 1..200 {
                for address in PAGES - 65..PAGES + 65 {
                    for page in first..first + pages {
                        let at = address + page - first;
                        let window = around(page, at, first..first + pages);

                        assert!(window.contains(&page));
                        assert!(window.start >= first && window.end <= first + pages);
                        assert!(window.len() <= PAGES);
                        let start = at - (page - window.start);
                        assert_eq!(start / PAGES, (start + window.len() - 1) / PAGES);
                    }
                }
            }
        }
    }

    #[test]
    fn the_end_of_the_range_of_numbers_does_no_harm() {
        let last = usize::MAX - 1;

        assert_eq!(around(last, 0, last..usize::MAX), last..usize::MAX);
    }
}
