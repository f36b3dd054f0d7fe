// SPDX-License-Identifier: GPL-2.0

//! Segments of a scatterlist.
//!
//! Nothing in this file needs a kernel: it is compiled and tested on the host as well
//! (`rustc --test seam/segments.rs`).

/// Physically contiguous pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// First page frame number.
    pub pfn: usize,
    /// Length in pages, never 0.
    pub nr_pages: usize,
}

/// Limits of a device for one segment of a scatterlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentLimits {
    /// Maximum length in pages, not 0.
    pub max_pages: usize,
    /// Boundary in pages, a power of two. No segment crosses a page frame number that is a
    /// multiple of it.
    pub boundary_pages: usize,
}

impl PageRange {
    /// Returns whether the range is within `limits`.
    #[inline]
    pub fn is_segment(self, limits: SegmentLimits) -> bool {
        let last = self.pfn + (self.nr_pages - 1);

        self.nr_pages <= limits.max_pages && (self.pfn ^ last) < limits.boundary_pages
    }

    /// Splits the range into segments within `limits`.
    pub fn segments(self, limits: SegmentLimits) -> Segments {
        Segments { rest: self, limits }
    }
}

/// Iterator over the segments of a [`PageRange`]; see [`PageRange::segments`].
pub struct Segments {
    rest: PageRange,
    limits: SegmentLimits,
}

impl Iterator for Segments {
    type Item = PageRange;

    fn next(&mut self) -> Option<PageRange> {
        let rest = &mut self.rest;
        if rest.nr_pages == 0 {
            return None;
        }

        let boundary = self.limits.boundary_pages;
        let to_boundary = boundary - (rest.pfn & (boundary - 1));
        let segment = PageRange {
            pfn: rest.pfn,
            nr_pages: rest.nr_pages.min(self.limits.max_pages).min(to_boundary),
        };

        rest.pfn += segment.nr_pages;
        rest.nr_pages -= segment.nr_pages;
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(pfn: usize, nr_pages: usize) -> PageRange {
        PageRange { pfn, nr_pages }
    }

    #[test]
    fn segments_keep_to_the_largest_size() {
        let limits = SegmentLimits {
            max_pages: 16,
            boundary_pages: 1 << 40,
        };

        let segments: Vec<_> = range(100, 40).segments(limits).collect();
        assert_eq!(segments, [range(100, 16), range(116, 16), range(132, 8)]);
    }

    #[test]
    fn segments_never_cross_a_boundary() {
        let limits = SegmentLimits {
            max_pages: 6,
            boundary_pages: 8,
        };

        for pfn in 0..20 {
            let mut next = pfn;
            for segment in range(pfn, 50).segments(limits) {
                let last = segment.pfn + segment.nr_pages - 1;

                assert_eq!(segment.pfn, next);
                assert!((1..=6).contains(&segment.nr_pages));
                assert!(segment.is_segment(limits));
                assert_eq!(segment.pfn / 8, last / 8, "{segment:?}");
                next = last + 1;
            }
            assert_eq!(next, pfn + 50);
            for nr_pages in 1..12 {
                let range = range(pfn, nr_pages);
                assert_eq!(
                    range.is_segment(limits),
                    range.segments(limits).count() == 1
                );
            }
        }
    }
}
