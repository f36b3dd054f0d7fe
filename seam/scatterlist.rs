// SPDX-License-Identifier: GPL-2.0

//! Scatterlists that own their entries.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)
//!
//! [`kernel::scatterlist::SGTable`] either borrows a table or owns one of vmalloc memory that is
//! mapped for a bound device with no attributes. [`SgTable`] describes any memory that stays in
//! place, within the segment limits of the device, and leaves mapping it to
//! [`DmaMapping`](super::dma_mapping::DmaMapping).

use super::{
    gfp::{
        GFP_CHARGED,
        GFP_CHARGED_RAW, //
    },
    runs::Runs,
    task, //
};
use crate::ffi;
use core::marker::PhantomData;
use kernel::{
    bindings,
    dma::DmaAddress,
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    types::Opaque, //
};

// Other crates have this file by its path, too.
#[path = "scatterlist/tests.rs"]
mod tests;

/// Entries handled between two calls of `cond_resched()`. A power of two.
const BATCH: usize = 1 << 14;

/// Limits of a device for one segment of a scatterlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentLimits {
    /// Maximum length in pages, not 0. A segment is shorter than 4 GiB.
    pub max_pages: usize,
    /// Boundary in pages, a power of two. No segment crosses a page frame number that is a
    /// multiple of it.
    pub boundary_pages: usize,
}

impl SegmentLimits {
    /// Returns whether `pages` pages from frame `frame` on, at least one, can be a segment.
    #[inline]
    fn allow(&self, frame: usize, pages: usize) -> bool {
        pages <= self.max_pages && (frame ^ (frame + (pages - 1))) < self.boundary_pages
    }
}

/// Memory that a scatterlist can describe.
///
/// # Safety
///
/// Until the value is dropped, [`runs`](Self::runs) returns the same runs. Their pages are neither
/// freed nor moved, may be accessed by devices, and have `struct page`s that are contiguous within
/// a run.
pub unsafe trait Scattered {
    /// Returns the memory as runs of physically contiguous pages, in order.
    fn runs(&self) -> Runs<'_>;
}

/// A scatterlist.
///
/// # Invariants
///
/// The value is an initialised `struct sg_table` that owns its entries.
pub struct SgTable(Opaque<bindings::sg_table>);

// SAFETY: A scatterlist belongs to no task.
unsafe impl Send for SgTable {}
// SAFETY: The safe methods only read through a shared reference.
unsafe impl Sync for SgTable {}

// A header does not point to itself, so it may be moved.
impl Unpin for SgTable {}

impl SgTable {
    /// Describes `memory` in segments within `limits`.
    ///
    /// May sleep. Fails with [`EINVAL`] for empty memory and with [`ENOMEM`].
    pub fn new<M: Scattered>(memory: &M, limits: SegmentLimits) -> Result<Self> {
        Self::reusing(None, memory, limits)
    }

    /// Describes `memory` as [`new`](Self::new) does, in the entries of `table` if it has exactly
    /// as many. Pages, lengths, addresses and marks that a user of the table has written to them
    /// are overwritten; the links between chunks of entries must be intact, as for
    /// `sg_free_table()`.
    pub fn reusing<M: Scattered>(
        table: Option<Self>,
        memory: &M,
        limits: SegmentLimits,
    ) -> Result<Self> {
        let runs = memory.runs();
        let pages = runs.pages();
        let runs = runs.runs_at(0);
        if let [run] = runs {
            if limits.allow(run.frame, pages) {
                let table = Self::with_entries(table, 1)?;
                // SAFETY: The table, which is not in use, has an entry. A run of `Runs` has a
                // `struct page`, and more of them behind it.
                unsafe { set_page(table.header().sgl, ffi::pfn_to_page(run.frame), pages) };
                return Ok(table);
            }
        }
        let last = runs.last().ok_or(EINVAL)?;
        let (first, last) = (runs.as_ptr().cast(), core::ptr::from_ref(last).cast());
        let (max, boundary) = (limits.max_pages, limits.boundary_pages);

        // SAFETY: By the type invariants of `Runs`, these are the runs of `pages` pages.
        let count = unsafe { ffi::runs::count_segments(first, last, pages, max, boundary) };
        let table = Self::with_entries(table, count)?;
        // SAFETY: By the type invariants of `Runs`, these are the runs of `pages` pages. The table,
        // which is not in use, has as many entries as there are segments; `Scattered` guarantees
        // that the `struct page`s of a run are contiguous.
        unsafe { ffi::runs::fill_segments(table.header().sgl, first, last, pages, max, boundary) };
        Ok(table)
    }

    /// Returns `table` if it has `count` entries, or else a new one.
    fn with_entries(table: Option<Self>, count: usize) -> Result<Self> {
        // CAST: A `usize` holds any `unsigned int`.
        let table = table.filter(|table| table.header().orig_nents as usize == count);
        let Some(table) = table else {
            return Self::with_capacity(count);
        };

        // SAFETY: By the type invariants, the table has `count` entries. The value is ours alone.
        unsafe {
            // Mapping may have merged segments.
            (*table.0.get()).nents = (*table.0.get()).orig_nents;
            unmark((*table.0.get()).sgl, count);
        }
        Ok(table)
    }

    /// Allocates a table of `count` entries that describe nothing yet.
    fn with_capacity(count: usize) -> Result<Self> {
        let table = Opaque::zeroed();
        let count = c_uint::try_from(count).map_err(|_| ENOMEM)?;
        if count == 0 {
            return Err(EINVAL);
        }

        // SAFETY: `table` may be written to.
        to_result(unsafe { bindings::sg_alloc_table(table.get(), count, GFP_CHARGED_RAW) })?;
        // INVARIANT: The table was just initialised and owns its entries.
        Ok(Self(table))
    }

    /// Makes a table of `count` segments that are mapped already: by whoever owns their memory.
    ///
    /// May sleep. Fails with [`EINVAL`] for no segments and with [`ENOMEM`].
    pub fn of_segments(
        count: usize,
        segments: impl Iterator<Item = MappedSegment>,
    ) -> Result<Self> {
        Self::of_segments_reusing(None, count, segments)
    }

    /// Makes a table as [`of_segments`](Self::of_segments) does, of the entries of `table` if it
    /// has exactly as many.
    pub fn of_segments_reusing(
        table: Option<Self>,
        count: usize,
        segments: impl Iterator<Item = MappedSegment>,
    ) -> Result<Self> {
        let table = Self::with_entries(table, count)?;

        for (at, (entry, segment)) in table.entries().zip(segments).enumerate() {
            // SAFETY: The entry belongs to `table`, which is not in use.
            unsafe {
                ffi::sg_set_page(entry, segment.page, segment.length, 0);
                set_segment(entry, segment.address, segment.length);
            }
            task::resched_every(at, BATCH);
        }
        Ok(table)
    }

    /// Returns whether all DMA addresses are physical addresses plus `offset`.
    pub fn is_at_offset(&self, offset: DmaAddress) -> bool {
        self.entries().enumerate().all(|(at, entry)| {
            task::resched_every(at, BATCH);
            // SAFETY: The entry belongs to a live table.
            unsafe {
                (*entry).dma_address == (ffi::sg_phys(entry) as DmaAddress).wrapping_add(offset)
            }
        })
    }

    /// Passes the DMA address and length of each segment of a mapped table to `f`.
    pub fn for_each_segment(&self, mut f: impl FnMut((DmaAddress, c_uint))) {
        // CAST: A `usize` holds any `unsigned int`.
        for (at, entry) in self
            .entries()
            .take(self.header().nents as usize)
            .enumerate()
        {
            // SAFETY: The entry belongs to a live table.
            f(unsafe { segment(entry) });
            task::resched_every(at, BATCH);
        }
    }

    /// Returns the DMA address and length of the first segment of a mapped table.
    pub fn first_segment(&self) -> (DmaAddress, c_uint) {
        // SAFETY: By the type invariants, the table has an entry.
        unsafe { segment(self.header().sgl) }
    }

    /// Returns the DMA address and length of each segment of a mapped table. Fails with [`ENOMEM`].
    pub fn segments(&self) -> Result<KVVec<(DmaAddress, c_uint)>> {
        // CAST: A `usize` holds any `unsigned int`.
        let count = self.header().nents as usize;
        let mut segments = KVVec::with_capacity(count, GFP_CHARGED)?;

        for (at, entry) in self.entries().take(count).enumerate() {
            // SAFETY: The entry belongs to a live table.
            segments.push(unsafe { segment(entry) }, GFP_CHARGED)?;
            task::resched_every(at, BATCH);
        }
        Ok(segments)
    }

    /// Sets the DMA address and length of each segment to those that [`segments`](Self::segments)
    /// has returned.
    ///
    /// # Safety
    ///
    /// The entries must not be in use.
    pub unsafe fn set_segments(&self, segments: &[(DmaAddress, c_uint)]) {
        for (at, (entry, &(address, length))) in self.entries().zip(segments).enumerate() {
            // SAFETY: The entry belongs to a live table, and is not in use by the safety
            // requirements.
            unsafe { set_segment(entry, address, length) };
            task::resched_every(at, BATCH);
        }
    }

    /// Returns the header.
    pub fn header(&self) -> bindings::sg_table {
        // SAFETY: By the type invariants, the table is initialised. Its header is written only
        // before the table is shared: by `dma_map_sgtable()` and `with_entries()`.
        unsafe { *self.0.get() }
    }

    /// Returns the raw pointer.
    pub fn as_raw(&self) -> *mut bindings::sg_table {
        self.0.get()
    }

    /// Returns pointers to the entries, in order.
    pub fn entries(&self) -> Entries<'_> {
        // INVARIANT: An allocated table has at least one entry.
        Entries {
            next: self.header().sgl,
            _table: PhantomData,
        }
    }
}

impl Drop for SgTable {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the table is initialised and owns its entries.
        unsafe { bindings::sg_free_table(self.0.get()) };
    }
}

/// Iterator over the entries of an [`SgTable`].
///
/// # Invariants
///
/// `next` is an entry of the table, or NULL behind the last one.
pub struct Entries<'a> {
    next: *mut bindings::scatterlist,
    _table: PhantomData<&'a SgTable>,
}

impl Iterator for Entries<'_> {
    type Item = *mut bindings::scatterlist;

    /// Open-coded `sg_next()`, to avoid an out-of-line call per entry.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next;
        if entry.is_null() {
            return None;
        }

        // SAFETY: By the type invariants, this is an entry, and the last one is marked.
        self.next = unsafe {
            match is_marked(entry, bindings::SG_END) {
                true => core::ptr::null_mut(),
                false => behind(entry),
            }
        };
        Some(entry)
    }
}

/// Returns whether `entry` has `mark`.
///
/// # Safety
///
/// `entry` must be part of a table.
unsafe fn is_marked(entry: *const bindings::scatterlist, mark: u32) -> bool {
    // SAFETY: By the safety requirements, the entry is valid.
    unsafe { (*entry).page_link & mark as usize != 0 }
}

/// Memory with the address that a device has for it.
pub struct MappedSegment {
    /// First page.
    pub page: *mut bindings::page,
    /// DMA address.
    pub address: DmaAddress,
    /// In bytes.
    pub length: c_uint,
}

/// Points `entry` at `pages` pages from `page` on, less than 4 GiB.
///
/// # Safety
///
/// It must be part of a table and not in use.
#[inline]
unsafe fn set_page(entry: *mut bindings::scatterlist, page: *mut bindings::page, pages: usize) {
    // SAFETY: The caller passes an entry of a table that is not in use, so it may be written.
    unsafe {
        // CAST: Less than 4 GiB.
        ffi::sg_set_page(entry, page, (pages << PAGE_SHIFT) as c_uint, 0);
    }
}

/// Clears what an earlier mapping has left in the flags of the `count` entries from `entry` on, and
/// marks the last one as such, and no other.
///
/// # Safety
///
/// They must be the entries of a table that is not in use, with intact links between its chunks.
unsafe fn unmark(mut entry: *mut bindings::scatterlist, count: usize) {
    for left in (0..count).rev() {
        // SAFETY: By the safety requirements, this is an entry, and may be written. If it is not
        // the last one, another follows it, or a link to the next chunk of entries.
        unsafe {
            #[cfg(CONFIG_NEED_SG_DMA_FLAGS)]
            {
                (*entry).dma_flags = 0;
            }
            if left == 0 {
                (*entry).page_link |= bindings::SG_END as usize;
            } else {
                (*entry).page_link &= !(bindings::SG_END as usize);
                entry = behind(entry);
            }
        }
        task::resched_every(left, BATCH);
    }
}

/// Returns the entry behind `entry`.
///
/// # Safety
///
/// `entry` must be part of a table, and not the last one.
#[inline]
unsafe fn behind(entry: *mut bindings::scatterlist) -> *mut bindings::scatterlist {
    // SAFETY: By the safety requirements, another entry follows, or a link to the next chunk of
    // entries.
    unsafe {
        let next = entry.add(1);

        match is_marked(next, bindings::SG_CHAIN) {
            true => ((*next).page_link & !(bindings::SG_PAGE_LINK_MASK as usize)) as *mut _,
            false => next,
        }
    }
}

/// Sets the DMA address and length of `entry`.
///
/// # Safety
///
/// It must be part of a table and not in use.
unsafe fn set_segment(entry: *mut bindings::scatterlist, address: DmaAddress, length: c_uint) {
    // SAFETY: The caller passes an entry of a table that is not in use, so it may be written.
    unsafe {
        (*entry).dma_address = address;
        #[cfg(CONFIG_NEED_SG_DMA_LENGTH)]
        {
            (*entry).dma_length = length;
        }
        #[cfg(not(CONFIG_NEED_SG_DMA_LENGTH))]
        {
            (*entry).length = length;
        }
    }
}

/// Returns the DMA address and length of `entry`.
///
/// # Safety
///
/// It must be part of a table.
unsafe fn segment(entry: *const bindings::scatterlist) -> (DmaAddress, c_uint) {
    // SAFETY: By the safety requirements, the entry is valid.
    unsafe {
        #[cfg(CONFIG_NEED_SG_DMA_LENGTH)]
        let length = (*entry).dma_length;
        #[cfg(not(CONFIG_NEED_SG_DMA_LENGTH))]
        let length = (*entry).length;

        ((*entry).dma_address, length)
    }
}
