// SPDX-License-Identifier: GPL-2.0

//! Memory in the kernel's address space.
//!
//! C header: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use super::{
    folio::PageMap,
    StableMemory, //
};
use crate::ffi;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// How the address came about, which decides what there is to undo.
enum Kind {
    /// The kernel's own mapping of all memory: nothing to undo.
    Direct,
    /// A mapping of `vmap()`.
    Vmap,
}

/// Memory mapped as one range of kernel addresses, for as long as the value lives.
///
/// # Invariants
///
/// `address` is the start of a mapping of the whole of a [`StableMemory`] that is borrowed for
/// `'a`; it was made in the way that `kind` says.
pub(crate) struct Vmap<'a> {
    address: NonNull<c_void>,
    kind: Kind,
    _memory: PhantomData<&'a ()>,
}

// SAFETY: A kernel mapping belongs to no task.
unsafe impl Send for Vmap<'_> {}

impl<'a> Vmap<'a> {
    /// Maps all of `memory`.
    ///
    /// One run of directly mapped memory needs no new mapping. May sleep; fails with [`ENOMEM`].
    pub(crate) fn new<M: StableMemory>(memory: &'a M) -> Result<Self> {
        let (address, kind) = match Self::direct(memory) {
            Some(address) => (address, Kind::Direct),
            None => (Self::vmap(memory)?, Kind::Vmap),
        };

        // INVARIANT: Just mapped, and `memory` is borrowed for `'a`.
        Ok(Self {
            address,
            kind,
            _memory: PhantomData,
        })
    }

    /// Returns the start of the mapping, and the function that undoes it.
    ///
    /// The mapping stays until that function is called; it must be before the memory goes.
    #[expect(clippy::type_complexity)]
    pub(crate) fn into_raw_parts(
        self,
    ) -> (NonNull<c_void>, Option<unsafe fn(NonNull<c_void>, usize)>) {
        let this = core::mem::ManuallyDrop::new(self);

        match this.kind {
            Kind::Direct => (this.address, None),
            Kind::Vmap => (this.address, Some(vunmap)),
        }
    }

    fn direct<M: StableMemory>(memory: &M) -> Option<NonNull<c_void>> {
        let runs = memory.runs();
        let extent = runs.iter().next()?;
        if extent.pages != runs.pages() {
            return None;
        }

        // SAFETY: Frames of a `StableMemory` have a `struct page`. The memory is one run, so it is
        // contiguous in the direct mapping if its last page is still part of that.
        let (first, last) = unsafe {
            (
                ffi::lowmem_page_address(ffi::pfn_to_page(extent.frame)),
                ffi::lowmem_page_address(ffi::pfn_to_page(extent.frame + extent.pages - 1)),
            )
        };
        NonNull::new(first).filter(|_| !last.is_null())
    }

    fn vmap<M: StableMemory>(memory: &M) -> Result<NonNull<c_void>> {
        let runs = memory.runs();
        let count = c_uint::try_from(runs.pages()).map_err(|_| ENOMEM)?;
        let map = PageMap::new();
        let mut pages =
            KVVec::<*mut bindings::page>::with_capacity(runs.pages(), GFP_KERNEL | __GFP_NOWARN)?;

        // There is room for all.
        let mut slots = pages.spare_capacity_mut().iter_mut();
        runs.for_each(|frame, count| {
            let first = map.page(frame);

            if count == 1 {
                // Without what a loop takes.
                if let Some(slot) = slots.next() {
                    slot.write(first);
                }
            } else {
                for (n, slot) in (0..count).zip(&mut slots) {
                    slot.write(first.wrapping_add(n));
                }
            }
        });
        // SAFETY: All of these were written.
        unsafe { pages.inc_len(runs.pages()) };

        // SAFETY: `pages` holds `count` valid pages: frames of a `StableMemory` have them, side by side
        // in an extent. `vmap()` does not keep the array.
        NonNull::new(unsafe { ffi::vmap(pages.as_mut_ptr(), count) }).ok_or(ENOMEM)
    }
}

/// Undoes a mapping of `vmap()`.
///
/// # Safety
///
/// `address` must come from `vmap()` and not be used any more.
unsafe fn vunmap(address: NonNull<c_void>, _size: usize) {
    // SAFETY: By the safety requirements.
    unsafe { ffi::vunmap(address.as_ptr()) };
}

impl Drop for Vmap<'_> {
    fn drop(&mut self) {
        match self.kind {
            Kind::Direct => {}
            // SAFETY: By the type invariants the address came from `vmap()`, and this is the end of
            // the value that owned it.
            Kind::Vmap => unsafe { vunmap(self.address, 0) },
        }
    }
}
