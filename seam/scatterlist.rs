// SPDX-License-Identifier: GPL-2.0

//! Scatter lists that own their entries.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use super::{
    mm::{
        runs::{
            Extent,
            SegmentLimits, //
        },
        StableMemory, //
    },
    task, //
};
use crate::ffi;
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    types::Opaque, //
};

/// Scatter list entries filled in between two chances for other tasks to run.
const BATCH: usize = 1 << 14;

/// A scatter list.
///
/// # Invariants
///
/// Is an initialised `struct sg_table` that owns its entries.
pub(crate) struct SgTable(Opaque<bindings::sg_table>);

// SAFETY: A scatter list belongs to no task.
unsafe impl Send for SgTable {}
// SAFETY: What is safe only reads through a shared reference.
unsafe impl Sync for SgTable {}

impl SgTable {
    /// Allocates a table of `count` entries, which point at nothing yet.
    fn new(count: usize) -> Result<Self> {
        let table = Opaque::zeroed();
        let count = c_uint::try_from(count).map_err(|_| ENOMEM)?;

        // SAFETY: `table` may be written to. May sleep.
        to_result(unsafe { bindings::sg_alloc_table(table.get(), count, bindings::GFP_KERNEL) })?;
        // INVARIANT: Just initialised.
        Ok(Self(table))
    }

    /// Describes all of `memory` in segments within `limits`.
    pub(crate) fn from_memory<M: StableMemory>(memory: &M, limits: SegmentLimits) -> Result<Self> {
        let runs = memory.runs();
        let mut count = 0;
        for extent in runs.iter() {
            count += match extent.is_segment(limits) {
                true => 1,
                false => extent.segments(limits).count(),
            };
        }

        let table = Self::new(count)?;
        let mut entries = table.entries();
        let mut filled = 0;
        let mut fill = |segment| {
            if let Some(entry) = entries.next() {
                // SAFETY: The entry is one of ours and the frames of a `StableMemory` have contiguous
                // `struct page`s along an extent.
                unsafe { set_entry(entry, segment) };
            }
            filled += 1;
            if filled % BATCH == 0 {
                task::cond_resched();
            }
        };

        for extent in runs.iter() {
            match extent.is_segment(limits) {
                true => fill(extent),
                false => extent.segments(limits).for_each(&mut fill),
            }
        }
        Ok(table)
    }

    /// Takes over the device addresses of `mapped`, a table of the same segments.
    pub(crate) fn copy_addresses(&mut self, mapped: &Self) {
        for (to, from) in self.entries().zip(mapped.entries()) {
            // SAFETY: Both are entries of tables that are alive; `to` is exclusively ours.
            unsafe {
                (*to).dma_address = (*from).dma_address;
                #[cfg(CONFIG_NEED_SG_DMA_LENGTH)]
                {
                    (*to).dma_length = (*from).dma_length;
                }
                #[cfg(CONFIG_NEED_SG_DMA_FLAGS)]
                {
                    (*to).dma_flags = (*from).dma_flags;
                }
            }
        }
        // SAFETY: `self` is exclusively borrowed.
        unsafe { (*self.as_raw()).nents = mapped.raw().nents };
    }

    pub(crate) fn raw(&self) -> &bindings::sg_table {
        // SAFETY: By the type invariants this is an initialised table. Only its entries are written
        // while shared references exist, and `dma_map_sgtable` through `as_raw` before.
        unsafe { &*self.0.get() }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::sg_table {
        self.0.get()
    }

    /// Returns pointers to the entries, in order.
    pub(crate) fn entries(&self) -> Entries<'_> {
        // INVARIANT: A table that was allocated has at least one entry.
        Entries {
            next: self.raw().sgl,
            _table: PhantomData,
        }
    }
}

/// Iterator over the entries of an [`SgTable`].
///
/// # Invariants
///
/// `next` is an entry of the table, or NULL behind the last one.
pub(crate) struct Entries<'a> {
    next: *mut bindings::scatterlist,
    _table: PhantomData<&'a SgTable>,
}

impl Iterator for Entries<'_> {
    type Item = *mut bindings::scatterlist;

    /// What `sg_next()` does, which is a function that is called.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next;
        if entry.is_null() {
            return None;
        }

        // SAFETY: By the type invariants this is an entry. What follows one that is not marked as the
        // last is another, or a link to where the entries go on.
        self.next = unsafe {
            if is_marked(entry, bindings::SG_END) {
                core::ptr::null_mut()
            } else if is_marked(entry.add(1), bindings::SG_CHAIN) {
                let link = (*entry.add(1)).page_link;
                (link & !(bindings::SG_PAGE_LINK_MASK as usize)) as *mut _
            } else {
                entry.add(1)
            }
        };
        Some(entry)
    }
}

/// Tells whether `entry` has `mark`.
///
/// # Safety
///
/// It must be part of a table.
unsafe fn is_marked(entry: *const bindings::scatterlist, mark: u32) -> bool {
    // SAFETY: By the safety requirements.
    unsafe { (*entry).page_link & mark as usize != 0 }
}

/// Makes `entry` point at `segment`.
///
/// # Safety
///
/// `entry` must be valid and not in use, and the frames of `segment` must have `struct page`s, which
/// must be contiguous.
unsafe fn set_entry(entry: *mut bindings::scatterlist, segment: Extent) {
    // CAST: A segment is no longer than `SegmentLimits` allows, which is less than 4 GiB.
    let len = (segment.pages << PAGE_SHIFT) as c_uint;

    // SAFETY: By the safety requirements.
    unsafe { ffi::rs_sg_set_pages(entry, segment.frame, len) };
}

impl Drop for SgTable {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the table is initialised and its entries are ours.
        unsafe { bindings::sg_free_table(self.0.get()) };
    }
}

#[kunit_tests(udmabuf_rs_scatterlist)]
mod tests {
    use super::*;
    use crate::seam::mm::runs::{
        Run,
        Runs, //
    };
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

    // SAFETY: The tests look at entries alone; the first frame exists, so all near it have a
    // `struct page`.
    unsafe impl StableMemory for Described {
        fn runs(&self) -> Runs<'_> {
            Runs::new(&self.runs, self.pages)
        }
    }

    impl Described {
        /// Makes a buffer of runs of these lengths, each a gap apart from the next.
        fn new(lengths: &[usize]) -> Result<Self> {
            let first = Page::alloc_page(GFP_KERNEL)?;
            // SAFETY: The page is valid, and a folio of its own.
            let mut frame = unsafe { ffi::rs_folio_pfn(first.as_ptr().cast()) } & !0xff;
            let mut runs = KVec::new();
            let mut pages = 0;

            for length in lengths {
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
    }

    const ANY: SegmentLimits = SegmentLimits {
        max_pages: 1 << 19,
        boundary_pages: 1 << 50,
    };

    fn lengths(table: &SgTable) -> Result<KVec<usize>> {
        let mut found = KVec::new();
        for entry in table.entries() {
            // SAFETY: An entry of a table that is alive.
            found.push(unsafe { (*entry).length } as usize / PAGE_SIZE, GFP_KERNEL)?;
        }
        Ok(found)
    }

    #[test]
    fn an_entry_for_each_run() -> Result {
        let memory = Described::new(&[3, 1, 7])?;
        let table = SgTable::from_memory(&memory, ANY)?;
        assert_eq!(&*lengths(&table)?, &[3, 1, 7]);
        assert_eq!(table.raw().orig_nents, 3);
        Ok(())
    }

    #[test]
    fn entries_point_at_their_frames() -> Result {
        let memory = Described::new(&[2, 2, 5])?;
        let table = SgTable::from_memory(&memory, ANY)?;
        for (entry, run) in table.entries().zip(&memory.runs) {
            // SAFETY: An entry of a table that is alive.
            let address = unsafe { ffi::rs_sg_phys(entry) };
            assert_eq!(address, (run.frame << PAGE_SHIFT) as u64);
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
        let table = SgTable::from_memory(&memory, limits)?;
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
        let table = SgTable::from_memory(&memory, limits)?;
        assert_eq!(&*lengths(&table)?, &[4, 1, 2, 4]);
        Ok(())
    }

    #[test]
    fn more_entries_than_a_page_holds() -> Result {
        let memory = Described::new(&[1; 200])?;
        let table = SgTable::from_memory(&memory, ANY)?;
        assert_eq!(table.entries().count(), 200);
        Ok(())
    }

    #[test]
    fn a_copy_has_the_addresses_of_the_other() -> Result {
        let memory = Described::new(&[1, 2])?;
        let mapped = SgTable::from_memory(&memory, ANY)?;
        for (n, entry) in mapped.entries().enumerate() {
            // SAFETY: An entry of a table that is alive, and that nobody else knows.
            unsafe { (*entry).dma_address = 0x1000 * (n as u64 + 1) };
        }

        let mut copy = SgTable::from_memory(&memory, ANY)?;
        copy.copy_addresses(&mapped);
        for (n, entry) in copy.entries().enumerate() {
            // SAFETY: As above.
            assert_eq!(unsafe { (*entry).dma_address }, 0x1000 * (n as u64 + 1));
        }
        Ok(())
    }
}
