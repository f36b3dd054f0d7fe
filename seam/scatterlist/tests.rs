// SPDX-License-Identifier: GPL-2.0

//! Unit tests: what scatterlists describe, and tables that are used again.

use kernel::prelude::*;

#[kunit_tests(udmabuf_rs_scatterlist)]
mod tests {
    use super::super::*;
    use crate::seam::runs::Run;
    use kernel::page::{
        Page,
        PAGE_SIZE, //
    };

    /// Memory that is described, and never touched.
    struct Described {
        runs: KVec<Run>,
        pages: usize,
        _first: Page,
    }

    // SAFETY: The tests look at entries only; the first page exists, so all near it have a
    // `struct page`.
    unsafe impl Scattered for Described {
        fn runs(&self) -> Runs<'_> {
            // SAFETY: `new()` has counted the pages up from 0.
            unsafe { Runs::new(&self.runs, self.pages) }
        }
    }

    impl Described {
        /// Makes runs of these lengths, none of which is 0, each a gap apart from the next. The
        /// first begins at frame `offset` of a multiple of 256.
        fn at(offset: usize, lengths: &[usize]) -> Result<Self> {
            let first = Page::alloc_page(GFP_KERNEL)?;
            // SAFETY: The page is valid.
            let mut frame = (unsafe { ffi::page_to_pfn(first.as_ptr()) } & !0xff) + offset;
            let (mut runs, mut pages) = (KVec::new(), 0);

            for &length in lengths {
                runs.push(Run { page: pages, frame }, GFP_KERNEL)?;
                pages += length;
                frame += length + 1;
            }
            Ok(Self {
                runs,
                pages,
                _first: first,
            })
        }

        fn new(lengths: &[usize]) -> Result<Self> {
            Self::at(0, lengths)
        }
    }

    const ANY: SegmentLimits = SegmentLimits {
        max_pages: 1 << 19,
        boundary_pages: 1 << 50,
    };

    fn lengths(table: &SgTable) -> Result<KVec<usize>> {
        let mut found = KVec::new();
        for entry in table.entries() {
            // SAFETY: The entry belongs to a live table.
            found.push(unsafe { (*entry).length } as usize / PAGE_SIZE, GFP_KERNEL)?;
        }
        Ok(found)
    }

    #[test]
    fn an_entry_for_each_run() -> Result {
        let memory = Described::new(&[3, 1, 7])?;
        let table = SgTable::new(&memory, ANY)?;
        assert_eq!(&*lengths(&table)?, &[3, 1, 7]);
        assert_eq!(table.header().orig_nents, 3);
        Ok(())
    }

    #[test]
    fn entries_point_at_their_frames() -> Result {
        let memory = Described::new(&[2, 2, 5])?;
        let table = SgTable::new(&memory, ANY)?;
        for (entry, run) in table.entries().zip(&memory.runs) {
            // SAFETY: The entry belongs to a live table.
            let address = unsafe { ffi::sg_phys(entry) };
            assert_eq!(address >> PAGE_SHIFT, run.frame as bindings::phys_addr_t);
        }
        Ok(())
    }

    #[test]
    fn no_entry_exceeds_what_a_device_takes() -> Result {
        let memory = Described::new(&[9, 1])?;
        let limits = SegmentLimits {
            max_pages: 4,
            ..ANY
        };
        let table = SgTable::new(&memory, limits)?;
        assert_eq!(&*lengths(&table)?, &[4, 4, 1, 1]);
        Ok(())
    }

    #[test]
    fn no_entry_crosses_a_boundary() -> Result {
        // The frames begin at a multiple of 256.
        let memory = Described::new(&[5, 6])?;
        let limits = SegmentLimits {
            boundary_pages: 4,
            ..ANY
        };
        let table = SgTable::new(&memory, limits)?;
        assert_eq!(&*lengths(&table)?, &[4, 1, 2, 4]);
        Ok(())
    }

    #[test]
    fn segments_cover_all_within_the_limits() -> Result {
        let limits = SegmentLimits {
            max_pages: 6,
            boundary_pages: 8,
        };

        for offset in 0..9 {
            let memory = Described::at(offset, &[50])?;
            let table = SgTable::new(&memory, limits)?;
            let mut next = memory.runs[0].frame;
            for entry in table.entries() {
                // SAFETY: The entry belongs to a live table.
                let (address, length) = unsafe { (ffi::sg_phys(entry), (*entry).length as usize) };
                let last = next + length / PAGE_SIZE - 1;

                assert_eq!(address >> PAGE_SHIFT, next as bindings::phys_addr_t);
                assert!((1..=6).contains(&(last - next + 1)));
                assert_eq!(next / 8, last / 8);
                next = last + 1;
            }
            assert_eq!(next, memory.runs[0].frame + 50);
        }
        Ok(())
    }

    #[test]
    fn more_entries_than_a_page_holds() -> Result {
        let memory = Described::new(&[1; 200])?;
        let table = SgTable::new(&memory, ANY)?;
        assert_eq!(table.entries().count(), 200);
        Ok(())
    }

    #[test]
    fn a_table_is_used_again_whatever_was_written_to_it() -> Result {
        let memory = Described::new(&[3, 1, 7])?;
        let table = SgTable::new(&memory, ANY)?;
        let entries = table.header().sgl;
        for entry in table.entries() {
            // SAFETY: The entry belongs to a live table that is not shared.
            unsafe { ffi::sg_set_page(entry, memory._first.as_ptr(), 1, 1) };
        }
        // SAFETY: The table is not shared.
        unsafe { (*table.as_raw()).nents = 1 };

        let table = SgTable::reusing(Some(table), &memory, ANY)?;
        assert_eq!(table.header().sgl, entries);
        assert_eq!(table.header().nents, 3);
        assert_eq!(&*lengths(&table)?, &[3, 1, 7]);
        for (entry, run) in table.entries().zip(&memory.runs) {
            // SAFETY: The entry belongs to a live table.
            let address = unsafe { ffi::sg_phys(entry) };
            assert_eq!(address, (run.frame as bindings::phys_addr_t) << PAGE_SHIFT);
        }
        Ok(())
    }

    #[test]
    fn marks_that_were_written_to_a_table_are_undone() -> Result {
        const ENTRIES: usize = 200;
        let memory = Described::new(&[1; ENTRIES])?;
        let table = SgTable::new(&memory, ANY)?;
        // At the end, and before the link to the second chunk.
        for (at, mark) in [(ENTRIES - 1, false), (126, true)] {
            let entry = table.entries().nth(at).ok_or(EINVAL)?;
            // SAFETY: The entry belongs to a live table that is not shared.
            let link = unsafe { &mut (*entry).page_link };
            match mark {
                true => *link |= bindings::SG_END as usize,
                false => *link &= !(bindings::SG_END as usize),
            }
        }
        #[cfg(CONFIG_NEED_SG_DMA_FLAGS)]
        // SAFETY: The entry belongs to a live table that is not shared.
        unsafe {
            (*table.header().sgl).dma_flags = bindings::SG_DMA_SWIOTLB;
        }

        let table = SgTable::reusing(Some(table), &memory, ANY)?;
        assert_eq!(&*lengths(&table)?, &[1; ENTRIES]);
        #[cfg(CONFIG_NEED_SG_DMA_FLAGS)]
        // SAFETY: The entry belongs to a live table.
        assert_eq!(unsafe { (*table.header().sgl).dma_flags }, 0);
        Ok(())
    }

    #[test]
    fn one_run_keeps_within_the_limits() -> Result {
        let limits = SegmentLimits {
            max_pages: 6,
            boundary_pages: 8,
        };

        for (offset, pages, expected) in [
            (0, 6, &[6][..]),
            (0, 7, &[6, 1]),
            (2, 6, &[6]),
            (4, 6, &[4, 2]),
        ] {
            let table = SgTable::new(&Described::at(offset, &[pages])?, limits)?;
            assert_eq!(&*lengths(&table)?, expected);
        }
        Ok(())
    }

    #[test]
    fn a_table_with_another_number_of_entries_is_not_used_again() -> Result {
        let memory = Described::new(&[3, 1, 7])?;
        let limits = SegmentLimits {
            max_pages: 3,
            ..ANY
        };

        let table = SgTable::reusing(Some(SgTable::new(&memory, ANY)?), &memory, limits)?;
        assert_eq!(&*lengths(&table)?, &[3, 1, 3, 3, 1]);
        let table = SgTable::reusing(Some(table), &memory, ANY)?;
        assert_eq!(&*lengths(&table)?, &[3, 1, 7]);
        Ok(())
    }

    #[test]
    fn nothing_cannot_be_described() -> Result {
        let memory = Described::new(&[])?;
        assert_eq!(SgTable::new(&memory, ANY).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn addresses_at_an_offset() -> Result {
        let memory = Described::new(&[3, 1, 7])?;
        let table = SgTable::new(&memory, ANY)?;
        for entry in table.entries() {
            // SAFETY: The entry belongs to a live table that is not shared.
            unsafe { (*entry).dma_address = ffi::sg_phys(entry) as DmaAddress + 0x1000 };
        }
        assert!(table.is_at_offset(0x1000));
        assert!(!table.is_at_offset(0));

        let last = table.entries().last().ok_or(EINVAL)?;
        // SAFETY: The entry belongs to `table`, which is live and not shared.
        unsafe { (*last).dma_address += 1 };
        assert!(!table.is_at_offset(0x1000));
        Ok(())
    }

    #[test]
    fn segments_that_are_mapped_already() -> Result {
        let page = Page::alloc_page(GFP_KERNEL)?;
        let segments = (1..=200).map(|n| MappedSegment {
            page: page.as_ptr(),
            address: 0x1000 * n,
            length: PAGE_SIZE as c_uint,
        });

        let table = SgTable::of_segments(200, segments)?;
        assert_eq!(table.header().nents, 200);
        assert_eq!(table.first_segment(), (0x1000, PAGE_SIZE as c_uint));
        assert_eq!(table.segments()?[199].0, 0x1000 * 200);
        Ok(())
    }
}
