// SPDX-License-Identifier: GPL-2.0

//! What there is to know about a folio.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/page-flags.h`](srctree/include/linux/page-flags.h)
//!
//! There are many folios, and a call into C for each question would be most of the cost: flags and
//! reference count are read here.

use crate::ffi;
use kernel::{
    bindings,
    prelude::*, //
};

/// Reference count from which on a folio should not be pinned once more.
///
/// The count is an `int` that saturates with a kernel warning, and a pin on a page of a small folio
/// adds 1024 to it. Half of the range is left to everyone else, and to callers that look at the same
/// time.
const CROWDED: c_int = c_int::MAX / 2;

/// The `struct page`s, by frame number.
#[derive(Clone, Copy)]
pub(crate) struct PageMap {
    /// Where that of frame 0 is, or would be.
    start: usize,
}

impl PageMap {
    pub(crate) fn new() -> Self {
        Self {
            start: match cfg!(CONFIG_SPARSEMEM_VMEMMAP) {
                // SAFETY: This is only arithmetic here: there need not be a frame 0.
                true => unsafe { ffi::pfn_to_page(0) as usize },
                false => 0,
            },
        }
    }
}

impl PageMap {
    /// Returns the `struct page` of `frame`, which must have one.
    #[inline]
    pub(crate) fn page(self, frame: usize) -> *mut bindings::page {
        match cfg!(CONFIG_SPARSEMEM_VMEMMAP) {
            true => (self.start as *mut bindings::page).wrapping_add(frame),
            // SAFETY: Only looks up where it is.
            false => unsafe { ffi::pfn_to_page(frame) },
        }
    }
}

/// What a folio is like.
pub(crate) struct Facts {
    /// Frame number of the first page.
    pub(crate) frame: usize,
    /// How many pages.
    pub(crate) pages: usize,
    /// Whether it has contents. A memory barrier is due before they are read.
    pub(crate) uptodate: bool,
    /// Whether its reference count has no room for another pin.
    pub(crate) crowded: bool,
}

impl Facts {
    /// Looks at `folio`.
    ///
    /// # Safety
    ///
    /// The caller must hold a reference to `folio`.
    #[inline]
    pub(crate) unsafe fn of(folio: *mut bindings::folio, map: PageMap) -> Self {
        const LARGE: usize = 1 << bindings::pageflags_PG_head;
        const UPTODATE: usize = 1 << bindings::pageflags_PG_uptodate;

        // SAFETY: The folio is alive by the safety requirements. Others may write to it meanwhile, as
        // they may to what C reads with READ_ONCE().
        let (flags, count) = unsafe {
            let first = &raw const (*folio).__bindgen_anon_1.__bindgen_anon_1;

            (
                (&raw const (*first).flags.f).read_volatile(),
                (&raw const (*first)._refcount.counter).read_volatile(),
            )
        };

        Self {
            frame: match cfg!(CONFIG_SPARSEMEM_VMEMMAP) {
                // The `struct page`s are one array.
                true => (folio as usize).wrapping_sub(map.start) / size_of::<bindings::page>(),
                // SAFETY: By the safety requirements.
                false => unsafe { ffi::folio_pfn(folio) },
            },
            pages: match flags & LARGE {
                0 => 1,
                // SAFETY: By the safety requirements.
                _ => unsafe { ffi::folio_nr_pages(folio) },
            },
            uptodate: flags & UPTODATE != 0,
            crowded: count > CROWDED,
        }
    }
}
