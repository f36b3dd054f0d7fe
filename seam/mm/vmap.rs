// SPDX-License-Identifier: GPL-2.0

//! Memory in the kernel's address space.
//!
//! C header: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)

use super::StableMemory;
use crate::{
    ffi,
    seam::{
        gfp::GFP_CHARGED_RAW,
        task, //
    },
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    page::PAGE_SHIFT,
    prelude::*, //
};

/// Upper bound on the pages of a mapping, as a multiple of the pages of the machine.
///
/// A buffer can have more pages than the machine, since it may name one many times. Each takes
/// eight bytes of page tables, and as many while the mapping is being made.
const SIZE_LIMIT: usize = 8;

/// Entries of a page array written between two chances for other tasks to run.
const FILL_BATCH: usize = 1 << 14;

/// How the address came about, which decides what there is to undo.
enum Kind {
    /// The kernel's own mapping of all memory: nothing to undo.
    Direct,
    /// A mapping of `vmap()`.
    Vmap,
    /// A mapping of `vm_map_ram()`.
    MapRam,
}

/// Memory mapped as one range of kernel addresses, for as long as the value lives.
///
/// # Invariants
///
/// `address` is the start of a mapping of the whole of a [`StableMemory`] that is borrowed for
/// `'a`; it was made in the way that `kind` says.
pub(crate) struct Vmap<'a> {
    address: NonNull<c_void>,
    /// In bytes.
    size: usize,
    kind: Kind,
    _memory: PhantomData<&'a ()>,
}

// SAFETY: A kernel mapping belongs to no task.
unsafe impl Send for Vmap<'_> {}

impl<'a> Vmap<'a> {
    /// Maps all of `memory`.
    ///
    /// One run of directly mapped memory needs no new mapping. May sleep; fails with [`ENOMEM`],
    /// for a buffer of more than [`SIZE_LIMIT`] times the pages of the machine before anything is
    /// allocated.
    pub(crate) fn new<M: StableMemory>(memory: &'a M) -> Result<Self> {
        let (address, kind) = match Self::direct(memory) {
            Some(address) => (address, Kind::Direct),
            None => Self::map(memory)?,
        };

        // INVARIANT: Just mapped, and `memory` is borrowed for `'a`.
        Ok(Self {
            address,
            // OVERFLOW: The mapping is there, so its size is a `usize`.
            size: memory.runs().pages() << PAGE_SHIFT,
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
            Kind::MapRam => (this.address, Some(vm_unmap_ram)),
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

    fn map<M: StableMemory>(memory: &M) -> Result<(NonNull<c_void>, Kind)> {
        let runs = memory.runs();
        let count = c_uint::try_from(runs.pages()).map_err(|_| ENOMEM)?;
        // SAFETY: Reads a counter.
        let machine = unsafe { ffi::totalram_pages() };
        if runs.pages() / SIZE_LIMIT > machine {
            return Err(ENOMEM);
        }

        let pages = PageArray::new(memory)?;
        // `vmap()` refuses more pages than the machine has, `vm_map_ram()` is meant for short-lived
        // mappings and knows no owner.
        let (address, kind) = if runs.pages() > machine {
            // SAFETY: The array holds `count` valid pages, and is not kept.
            let address = unsafe { ffi::vm_map_ram(pages.as_ptr(), count) };
            (address, Kind::MapRam)
        } else {
            // SAFETY: The array holds `count` valid pages, and is not kept.
            (unsafe { ffi::vmap(pages.as_ptr(), count) }, Kind::Vmap)
        };

        Ok((NonNull::new(address).ok_or(ENOMEM)?, kind))
    }
}

impl Drop for Vmap<'_> {
    fn drop(&mut self) {
        match self.kind {
            Kind::Direct => {}
            // SAFETY: By the type invariants, the address came from `vmap()`. The value that owned
            // the mapping ends here.
            Kind::Vmap => unsafe { vunmap(self.address, self.size) },
            // SAFETY: By the type invariants, the address came from `vm_map_ram()` for this size.
            // The value that owned the mapping ends here.
            Kind::MapRam => unsafe { vm_unmap_ram(self.address, self.size) },
        }
    }
}

/// Undoes a mapping of `vmap()`.
///
/// # Safety
///
/// `address` must come from `vmap()` and not be used any more.
unsafe fn vunmap(address: NonNull<c_void>, _size: usize) {
    // SAFETY: The address comes from `vmap()` and is not used any more.
    unsafe { ffi::vunmap(address.as_ptr()) };
}

/// Undoes a mapping of `vm_map_ram()`.
///
/// # Safety
///
/// `address` must come from `vm_map_ram()` for `size` bytes and not be used any more.
unsafe fn vm_unmap_ram(address: NonNull<c_void>, size: usize) {
    // CAST: The number of pages was a `c_uint`.
    let count = (size >> PAGE_SHIFT) as c_uint;

    // SAFETY: The address comes from `vm_map_ram()` for `count` pages and is not used any more.
    unsafe { ffi::vm_unmap_ram(address.as_ptr(), count) };
}

/// The `struct page` of each page of a buffer.
///
/// # Invariants
///
/// `pages` came from `kvmalloc()` and holds one pointer for each page.
struct PageArray {
    pages: NonNull<*mut bindings::page>,
}

impl PageArray {
    /// Allocates and fills the array of `memory`.
    ///
    /// The array is charged to the memory cgroup of the current task. Fails with [`ENOMEM`] rather
    /// than to have a task killed for it.
    fn new<M: StableMemory>(memory: &M) -> Result<Self> {
        let runs = memory.runs();
        let count = runs.pages();
        // SAFETY: Allocating has no requirements.
        let pages = unsafe {
            ffi::kvmalloc_array(count, size_of::<*mut bindings::page>(), GFP_CHARGED_RAW)
        };
        // INVARIANT: Just allocated, and filled below.
        let array = Self {
            pages: NonNull::new(pages.cast()).ok_or(ENOMEM)?,
        };

        for start in (0..count).step_by(FILL_BATCH) {
            let rest = runs.runs_at(start);

            if let Some(last) = rest.last() {
                // SAFETY: There is room for all pages. The runs go on to the end of the buffer, and
                // their frames have a `struct page`, side by side in a run, as those of a
                // `StableMemory` do.
                unsafe {
                    ffi::runs::fill_pages(
                        array.as_ptr().add(start),
                        rest.as_ptr().cast(),
                        core::ptr::from_ref(last).cast(),
                        start,
                        count.min(start + FILL_BATCH),
                    )
                };
            }
            task::cond_resched();
        }
        Ok(array)
    }

    fn as_ptr(&self) -> *mut *mut bindings::page {
        self.pages.as_ptr()
    }
}

impl Drop for PageArray {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the array came from `kvmalloc()`.
        unsafe { bindings::kvfree(self.pages.as_ptr().cast()) };
    }
}
