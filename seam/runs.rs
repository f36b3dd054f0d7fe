// SPDX-License-Identifier: GPL-2.0

//! Arithmetic over runs of physically contiguous pages.
//!
//! A buffer is a list of runs. Each says at which page of the buffer it starts and which page frame
//! lies there; it ends where the next one starts. So a run costs 16 bytes, whatever its length, and
//! the run that holds a page is found by binary search.
//!
//! Nothing in this file needs a kernel: it is compiled and tested on the host as well
//! (`rustc --test seam/runs.rs`).

use core::ops::Range;

/// Where a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Run {
    /// Offset in the buffer, in pages.
    pub(crate) page: usize,
    /// Page frame number.
    pub(crate) frame: usize,
}

// `struct rs_run` in ffi/runs.h.
const _: () = assert!(
    size_of::<Run>() == 2 * size_of::<usize>()
        && core::mem::offset_of!(Run, frame) == size_of::<usize>()
);

/// A stretch of contiguous pages: a run, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first page in the buffer, in pages.
    pub(crate) page: usize,
    /// Page frame number of the first page.
    pub(crate) frame: usize,
    /// Length in pages, never 0.
    pub(crate) pages: usize,
}

/// A list of runs and the length of the buffer that they make up.
///
/// # Invariants
///
/// The first run starts at page 0, the starts are strictly ascending and less than `pages`; with
/// `pages` 0 there are no runs.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    runs: &'a [Run],
    pages: usize,
}

impl<'a> Runs<'a> {
    /// Creates the list of a buffer of `pages` pages.
    ///
    /// # Safety
    ///
    /// `runs` and `pages` must uphold the type invariants, on which loops in C rely.
    pub unsafe fn new(runs: &'a [Run], pages: usize) -> Self {
        // INVARIANT: By the safety requirements.
        Self { runs, pages }
    }

    /// Returns the length of the buffer in pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Returns the number of runs.
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// Returns the extents that make up the pages `range` of the buffer, in order.
    ///
    /// What lies past the end of the buffer is left out.
    pub fn extents(&self, range: Range<usize>) -> Extents<'a> {
        Extents {
            runs: self.runs_at(range.start),
            pages: self.pages,
            at: range.start,
            end: range.end.min(self.pages),
        }
    }

    /// Returns the runs from the one that holds page `page` of the buffer on.
    pub fn runs_at(&self, page: usize) -> &'a [Run] {
        let behind = self.runs.partition_point(|run| run.page <= page);

        &self.runs[behind.saturating_sub(1)..]
    }

    /// Returns all extents: one a run.
    pub fn iter(&self) -> Extents<'a> {
        self.extents(0..self.pages)
    }
}

/// Iterator over the [`Extent`]s of a range; see [`Runs::extents`].
pub struct Extents<'a> {
    /// From the run that holds `at` on.
    runs: &'a [Run],
    /// Length of the buffer.
    pages: usize,
    at: usize,
    end: usize,
}

impl Iterator for Extents<'_> {
    type Item = Extent;

    #[inline]
    fn next(&mut self) -> Option<Extent> {
        if self.at >= self.end {
            return None;
        }

        let (run, rest) = self.runs.split_first()?;
        let run_end = rest.first().map_or(self.pages, |next| next.page);
        let extent = Extent {
            page: self.at,
            frame: run.frame + (self.at - run.page),
            pages: run_end.min(self.end) - self.at,
        };

        self.at += extent.pages;
        self.runs = rest;
        Some(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(runs: &[Run], pages: usize) -> Runs<'_> {
        // SAFETY: Only C relies on the invariants, and there is none on the host.
        unsafe { Runs::new(runs, pages) }
    }

    /// Builds a list in the way a caller does who is handed stretches of frames.
    fn collect(stretches: &[(usize, usize)]) -> (Vec<Run>, usize) {
        let (mut runs, mut pages) = (Vec::new(), 0);
        for &(frame, count) in stretches {
            let next = |last: &Run| last.frame + (pages - last.page);
            if runs.last().map(next) != Some(frame) {
                runs.push(Run { page: pages, frame });
            }
            pages += count;
        }
        (runs, pages)
    }

    fn extent(page: usize, frame: usize, pages: usize) -> Extent {
        Extent { page, frame, pages }
    }

    /// The frame of each page, the slow way.
    fn frames(extents: impl Iterator<Item = Extent>) -> Vec<(usize, usize)> {
        extents
            .flat_map(|e| (0..e.pages).map(move |i| (e.page + i, e.frame + i)))
            .collect()
    }

    #[test]
    fn adjacent_stretches_become_one_run() {
        let (runs, pages) = collect(&[(100, 4), (104, 512), (616, 1)]);

        assert_eq!(runs.len(), 1);
        assert_eq!(
            list(&runs, pages).iter().collect::<Vec<_>>(),
            [extent(0, 100, 517)]
        );
    }

    #[test]
    fn a_gap_a_step_back_and_a_repetition_start_runs() {
        let (runs, pages) = collect(&[(100, 4), (105, 1), (104, 1), (104, 1), (105, 2)]);

        assert_eq!(
            list(&runs, pages).iter().collect::<Vec<_>>(),
            [
                extent(0, 100, 4),
                extent(4, 105, 1),
                extent(5, 104, 1),
                extent(6, 104, 3)
            ]
        );
    }

    #[test]
    fn an_empty_list_has_no_extents() {
        let runs = list(&[], 0);

        assert_eq!(runs.iter().next(), None);
        assert_eq!(runs.extents(3..9).next(), None);
    }

    #[test]
    fn every_range_agrees_with_the_page_by_page_view() {
        let (runs, pages) = collect(&[(7, 3), (10, 2), (50, 1), (20, 5), (51, 1), (0, 2)]);
        let runs = list(&runs, pages);
        let all = frames(runs.iter());

        assert_eq!(all.len(), pages);
        for start in 0..pages + 2 {
            for end in start..pages + 3 {
                let expected = &all[start.min(pages)..end.min(pages)];
                assert_eq!(frames(runs.extents(start..end)), expected, "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        let (runs, pages) = collect(&[(7, 3)]);

        #[allow(clippy::reversed_empty_ranges)]
        let range = 2..1;
        assert_eq!(list(&runs, pages).extents(range).next(), None);
    }

    #[test]
    fn the_run_of_a_page_and_all_behind_it() {
        let (runs, pages) = collect(&[(7, 3), (20, 1), (40, 2)]);
        let runs = list(&runs, pages);

        let left: Vec<_> = (0..6).map(|page| runs.runs_at(page).len()).collect();
        assert_eq!(left, [3, 3, 3, 2, 1, 1]);
        assert_eq!(runs.runs_at(4)[0].frame, 40);
    }
}
