// SPDX-License-Identifier: GPL-2.0

//! Pinned pages, and mapping them for the kernel and for userspace.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

pub mod fault;
pub mod folio;
pub mod pinned;
pub mod vmap;

use super::{
    runs::Runs,
    scatterlist::Scattered,
    task, //
};
use crate::ffi;

/// Memory that stays where it is.
///
/// # Safety
///
/// Every frame that [`runs`](Self::runs) names is backed by a `struct page`, belongs to memory that
/// may be shown to userspace and to devices, and is neither freed nor moved for as long as the
/// implementing value lives; the answer never changes in that time. The `struct page`s of one run
/// are contiguous.
pub unsafe trait StableMemory: Send + Sync {
    /// The memory as runs of physically contiguous pages, in order.
    fn runs(&self) -> Runs<'_>;

    /// Notes that the memory may be written from now on. Called before a mapping through which it
    /// can be written is set up: for a device, for the kernel or for userspace.
    fn expect_writes(&self);
}

// SAFETY: The runs of a `StableMemory` are contiguous, have `struct page`s that are too, and never
// change. Their pages are neither freed nor moved.
unsafe impl<M: StableMemory> Scattered for M {
    fn runs(&self) -> Runs<'_> {
        StableMemory::runs(self)
    }
}

/// Returns the number of folios that `memory` has pages of, one that is left and come back to
/// counted again.
pub fn folio_count<M: StableMemory>(memory: &M) -> usize {
    let mut count = 0;

    for run in StableMemory::runs(memory).iter() {
        let mut frame = run.frame;

        while frame < run.frame + run.pages {
            // SAFETY: A frame of a `StableMemory` has a `struct page`.
            frame = unsafe { ffi::frame_after_folio(frame) };
            task::resched_every(count, 1 << 10);
            count += 1;
        }
    }
    count
}
