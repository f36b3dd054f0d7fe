// SPDX-License-Identifier: GPL-2.0

//! Memory of a [`VVec`] that the CPU and devices share.
//!
//! C header: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use crate::{
    ffi,
    seam::{
        gfp::GFP_CHARGED,
        runs::{
            Run,
            Runs, //
        },
        scatterlist::Scattered, //
    },
};
use core::{
    ptr::NonNull,
    sync::atomic::AtomicU8, //
};
use kernel::{
    mm::virt::VmaNew,
    page::{
        AsPageIter,
        BorrowedPage,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
};

/// Pages of a [`VVec`]. They stay where they are until the value is dropped.
///
/// # Invariants
///
/// `runs` are the pages of `bytes`, one a run, of which all are written.
pub struct SharedVVec {
    bytes: VVec<AtomicU8>,
    runs: KVVec<Run>,
}

impl SharedVVec {
    /// Allocates `nr_pages` pages of zeroes. Fails with [`ENOMEM`].
    pub fn zeroed(nr_pages: usize) -> Result<Self> {
        let size = nr_pages.checked_mul(PAGE_SIZE).ok_or(ENOMEM)?;
        let mut bytes = VVec::with_capacity(size, GFP_CHARGED | __GFP_ZERO)?;
        // SAFETY: The memory is zeroed, which is a value of `AtomicU8`.
        unsafe { bytes.inc_len(size) };

        let mut runs = KVVec::with_capacity(nr_pages, GFP_CHARGED)?;
        for (at, page) in bytes.page_iter().enumerate() {
            // SAFETY: The page is one of the vector, which is borrowed.
            let frame = unsafe { ffi::page_to_pfn(page.as_ptr()) };
            runs.push(Run { page: at, frame }, GFP_CHARGED)?;
        }
        // INVARIANT: The vector is not changed from here on.
        Ok(Self { bytes, runs })
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[AtomicU8] {
        &self.bytes
    }

    /// Shows the pages in the area `vma`, from its offset on.
    ///
    /// The area gets references of its own to the pages. Fails with [`EINVAL`] for an area that
    /// reaches past the end, and with [`ENOMEM`].
    pub fn insert_into(&self, vma: &VmaNew) -> Result {
        // SAFETY: The area is being set up, so its offset does not change.
        let first = unsafe { (*vma.as_ptr()).vm_pgoff };
        let nr_pages = (vma.end() - vma.start()) >> PAGE_SHIFT;
        let end = first.checked_add(nr_pages).ok_or(EINVAL)?;
        let runs = self.runs.get(first..end).ok_or(EINVAL)?;

        let area = vma.set_mixedmap();
        for (at, run) in runs.iter().enumerate() {
            // SAFETY: By the type invariants, this is the frame of a page of the vector.
            let page = NonNull::new(unsafe { ffi::pfn_to_page(run.frame) }).ok_or(EINVAL)?;
            // SAFETY: By the type invariants, this is a page of the vector, which is borrowed.
            let page = unsafe { BorrowedPage::from_raw(page) };

            area.vm_insert_page(vma.start() + (at << PAGE_SHIFT), &page)?;
        }
        Ok(())
    }
}

// SAFETY: By the type invariants, `runs` are the pages of the vector, each with a `struct page`.
// They are neither freed nor moved, since no method changes the vector.
unsafe impl Scattered for SharedVVec {
    fn runs(&self) -> Runs<'_> {
        // SAFETY: By the type invariants, each page is a run, so the starts count up from 0 to
        // their number.
        unsafe { Runs::new(&self.runs, self.runs.len()) }
    }
}
