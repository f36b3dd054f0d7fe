// SPDX-License-Identifier: GPL-2.0

//! State of a folio.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/page-flags.h`](srctree/include/linux/page-flags.h)
//!
//! There are many folios, and a call into C for each question would be most of the cost: flags and
//! reference count are read here.

use crate::{
    ffi,
    seam::version::barrier::{
        self,
        smp_mb, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Upper bound on the references of a folio that is to be pinned once more.
///
/// The count is an `int` that saturates with a kernel warning, and a pin on a page of a small folio
/// adds 1024 to it. Half of the range is left to everyone else, and to callers that look at the
/// same time.
const MAX_PINNED_REFS: c_int = c_int::MAX / 2;

/// Where the `struct page`s are, for memory models that have them in one array.
#[derive(Clone, Copy)]
pub(crate) struct PageMap {
    /// Address of that of frame 0, whether or not there is such a frame.
    start: usize,
}

impl PageMap {
    pub(crate) fn new() -> Self {
        Self {
            start: match cfg!(CONFIG_SPARSEMEM_VMEMMAP) {
                // SAFETY: With this memory model, the function only calculates: there need not be a
                // frame 0.
                true => unsafe { ffi::pfn_to_page(0) as usize },
                false => 0,
            },
        }
    }
}

/// State of a folio of a file when it was read.
pub(crate) struct FolioInfo {
    /// Frame number of the first page.
    pub(crate) frame: usize,
    /// Number of pages.
    pub(crate) pages: usize,
    /// Whether the folio had contents, which may be read, and was not locked.
    pub(crate) is_settled: bool,
    /// Whether the folio belonged to the file, after it was seen to be settled.
    pub(crate) in_file: bool,
    /// Whether the folio has room for another pin.
    pub(crate) may_pin: bool,
}

impl FolioInfo {
    /// Returns whether the folio can be appended to a buffer as it is.
    #[inline(always)]
    pub(crate) fn is_ready(&self) -> bool {
        self.is_settled && self.in_file && self.may_pin
    }

    /// Reads the state of `folio`, which was looked up in `mapping`.
    ///
    /// # Safety
    ///
    /// The caller must hold a reference to `folio`.
    #[inline(always)]
    pub(crate) unsafe fn read(
        folio: *mut bindings::folio,
        mapping: *const bindings::address_space,
        map: PageMap,
    ) -> Self {
        const LARGE: usize = 1 << bindings::pageflags_PG_head;
        const LOCKED: usize = 1 << bindings::pageflags_PG_locked;
        const UPTODATE: usize = 1 << bindings::pageflags_PG_uptodate;

        // SAFETY: The folio is alive by the safety requirements.
        let first = unsafe { &raw const (*folio).__bindgen_anon_1.__bindgen_anon_1 };
        // SAFETY: The folio is alive by the safety requirements. Others may write to the flags
        // meanwhile, as they may to what C reads with READ_ONCE().
        let flags = unsafe { (&raw const (*first).flags.f).read_volatile() };
        // x86 keeps loads in order, and a call for each folio would be dear.
        if !cfg!(CONFIG_X86) {
            smp_mb(barrier::Read);
        }
        // SAFETY: The caller holds a reference, so the folio is alive. C reads both by READ_ONCE().
        let (count, owner) = unsafe {
            (
                (&raw const (*first)._refcount.counter).read_volatile(),
                (&raw const (*first).mapping).read_volatile(),
            )
        };

        Self {
            frame: match cfg!(CONFIG_SPARSEMEM_VMEMMAP) {
                // The `struct page`s are one array.
                true => (folio as usize).wrapping_sub(map.start) / size_of::<bindings::page>(),
                // SAFETY: The caller holds a reference, so the folio is alive.
                false => unsafe { ffi::folio_pfn(folio) },
            },
            pages: match flags & LARGE {
                0 => 1,
                // SAFETY: The caller holds a reference, so the folio is alive.
                _ => unsafe { ffi::folio_nr_pages(folio) },
            },
            is_settled: flags & (LOCKED | UPTODATE) == UPTODATE,
            in_file: core::ptr::eq(owner, mapping),
            may_pin: count <= MAX_PINNED_REFS,
        }
    }
}
