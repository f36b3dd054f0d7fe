// SPDX-License-Identifier: GPL-2.0

//! Showing [`StableMemory`] in a mapping of userspace.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! The mapping is a `VM_PFNMAP` one: its page table entries are plain frame numbers, which nothing
//! but the owner of the memory keeps valid.

use super::{
    runs::Extent,
    StableMemory, //
};
use crate::ffi;
use core::{
    mem::MaybeUninit,
    ops::Range, //
};
use kernel::{
    bindings,
    mm::virt::{
        flags,
        VmaRef, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Why a fault could not be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultError {
    /// There is no such page: `SIGBUS`.
    Beyond,
    /// The page is broken: `SIGBUS` with `BUS_MCEERR_AR`.
    Poisoned,
    /// What the memory manager answered, made of `VM_FAULT_*` error bits.
    Failed(bindings::vm_fault_t),
}

impl FaultError {
    /// Bits of a `vm_fault_t` that mean failure: `VM_FAULT_ERROR` in C.
    const BITS: bindings::vm_fault_t = bindings::vm_fault_reason_VM_FAULT_OOM
        | bindings::vm_fault_reason_VM_FAULT_SIGBUS
        | bindings::vm_fault_reason_VM_FAULT_SIGSEGV
        | bindings::vm_fault_reason_VM_FAULT_HWPOISON
        | bindings::vm_fault_reason_VM_FAULT_HWPOISON_LARGE
        | bindings::vm_fault_reason_VM_FAULT_FALLBACK;

    /// Translates the answer of an inserting function.
    fn check(answer: bindings::vm_fault_t) -> Result<(), Self> {
        match answer & Self::BITS {
            0 => Ok(()),
            bits => Err(Self::Failed(bits)),
        }
    }

    /// Returns what a fault handler answers.
    pub(crate) fn into_vm_fault(self) -> bindings::vm_fault_t {
        match self {
            Self::Beyond => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
            Self::Poisoned => bindings::vm_fault_reason_VM_FAULT_HWPOISON,
            Self::Failed(bits) => bits,
        }
    }
}

/// A page fault in a mapping of `memory`.
///
/// # Invariants
///
/// - `vma` is a `VM_PFNMAP` area which is not a private one and which shows `memory`; its page
///   offset counts from the start of `memory`.
/// - `memory` lives at least as long as `vma`.
/// - The fault handler of `vma` is running, so that page table entries may be inserted.
pub(crate) struct Fault<'a, M> {
    vma: &'a VmaRef,
    memory: &'a M,
    address: usize,
}

impl<'a, M: StableMemory> Fault<'a, M> {
    /// Wraps the argument of a fault handler.
    ///
    /// # Safety
    ///
    /// `vmf` must be the argument of a fault handler that is running, for an area which shows
    /// `memory`, and `memory` must outlive the area: the type invariants must hold.
    pub(crate) unsafe fn from_raw(vmf: *mut bindings::vm_fault, memory: &'a M) -> Self {
        // SAFETY: The caller guarantees a valid `struct vm_fault`.
        let info = unsafe { &(*vmf).__bindgen_anon_1 };

        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: A fault is handled under the lock of its area.
            vma: unsafe { VmaRef::from_raw(info.vma) },
            memory,
            address: info.address,
        }
    }

    /// Returns the address of the page that was touched.
    pub(crate) fn address(&self) -> usize {
        self.address & !(PAGE_SIZE - 1)
    }

    /// Returns which page of the memory was touched.
    pub(crate) fn page(&self) -> usize {
        self.pages().start + ((self.address() - self.vma.start()) >> PAGE_SHIFT)
    }

    /// Returns which pages of the memory the area shows.
    pub(crate) fn pages(&self) -> Range<usize> {
        shown_pages(self.vma)
    }

    /// Maps the page that was touched, and those of `window` around it that can be had for nothing.
    ///
    /// Entries that are there already are left alone. `window` is cut to what the area shows. Only a
    /// failure at the page that was touched counts.
    pub(crate) fn insert(&self, window: Range<usize>) -> Result<(), FaultError> {
        let shown = self.pages();
        let touched = self.page();

        self.insert_extent(touched..touched + 1)
            .ok_or(FaultError::Beyond)??;

        let window = window.start.max(shown.start)..window.end.min(shown.end);
        for part in [window.start..touched, touched + 1..window.end] {
            // Whoever touches a page that is left out here gets a fault, and an answer, of his own.
            let _ = self.insert_extent(part);
        }
        Ok(())
    }

    /// Maps the pages `range`, which the area must show, up to the first failure. `None`: there are
    /// no such pages.
    fn insert_extent(&self, range: Range<usize>) -> Option<Result<(), FaultError>> {
        let mut answer = None;

        for extent in self.memory.runs().extents(range) {
            for at in 0..extent.pages {
                let result = self.insert_page(&extent, at);
                answer = Some(result);
                if result.is_err() {
                    return answer;
                }
            }
        }
        answer
    }

    /// Maps page `at` of `extent`.
    fn insert_page(&self, extent: &Extent, at: usize) -> Result<(), FaultError> {
        let frame = extent.frame + at;
        // SAFETY: Frames of a `StableMemory` have a `struct page`.
        if unsafe { ffi::rs_page_is_poisoned(ffi::rs_pfn_to_page(frame)) } {
            return Err(FaultError::Poisoned);
        }

        let offset = (extent.page + at - self.pages().start) << PAGE_SHIFT;
        // SAFETY: By the type invariants this is called from the fault handler of a shared
        // `VM_PFNMAP` area whose memory, which the frame is of, outlives it. C checks the address.
        FaultError::check(unsafe {
            bindings::vmf_insert_pfn(self.vma.as_ptr(), self.vma.start() + offset, frame)
        })
    }
}

/// Returns which pages of the memory behind it `vma` shows.
fn shown_pages(vma: &VmaRef) -> Range<usize> {
    // SAFETY: The area is valid and locked; its offset changes only under the write lock.
    let first = unsafe { (*vma.as_ptr()).vm_pgoff };

    first..first + ((vma.end() - vma.start()) >> PAGE_SHIFT)
}

/// The two directions of [`access`].
pub(crate) enum Access<'a> {
    /// Bytes of the memory are copied here.
    Read(&'a mut [MaybeUninit<u8>]),
    /// These bytes are copied into the memory.
    Write(&'a [u8]),
}

impl Access<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Read(bytes) => bytes.len(),
            Self::Write(bytes) => bytes.len(),
        }
    }
}

/// Reads or writes `memory` through a mapping of it, for a debugger.
///
/// Starts at `address` of `vma` and ends with the request, with the area or at a page that is
/// poisoned. Returns how many bytes were copied; writing to an area that is not writable is refused
/// with [`EACCES`], however privileged the caller.
///
/// # Safety
///
/// `vma` must be an area that shows `memory` and in which `address` lies.
pub(crate) unsafe fn access<M: StableMemory>(
    vma: &VmaRef,
    memory: &M,
    address: usize,
    mut access: Access<'_>,
) -> Result<usize> {
    if matches!(access, Access::Write(_)) && vma.flags() & flags::WRITE == 0 {
        return Err(EACCES);
    }

    let len = access.len().min(vma.end() - address);
    let mut done = 0;
    while done < len {
        let at = address + done;
        let page = shown_pages(vma).start + ((at - vma.start()) >> PAGE_SHIFT);
        let offset = at & (PAGE_SIZE - 1);
        let bytes = (PAGE_SIZE - offset).min(len - done);

        if !copy(memory, page, offset, &mut access, done..done + bytes) {
            break;
        }
        done += bytes;
    }
    Ok(done)
}

/// Copies `range` of `access` from or to `offset` of page `page` of `memory`, if that is there.
fn copy<M: StableMemory>(
    memory: &M,
    page: usize,
    offset: usize,
    access: &mut Access<'_>,
    range: Range<usize>,
) -> bool {
    let Some(extent) = memory.runs().extents(page..page + 1).next() else {
        return false;
    };

    // SAFETY: Frames of a `StableMemory` have a `struct page`.
    let page = unsafe { ffi::rs_pfn_to_page(extent.frame) };
    // SAFETY: As above.
    if unsafe { ffi::rs_page_is_poisoned(page) } {
        return false;
    }

    match access {
        Access::Read(bytes) => {
            let bytes = &mut bytes[range];
            // SAFETY: The caller keeps `offset` plus the length within the page, which is stable.
            unsafe {
                ffi::rs_memcpy_from_page(bytes.as_mut_ptr().cast(), page, offset, bytes.len())
            };
        }
        Access::Write(bytes) => {
            let bytes = &bytes[range];
            // SAFETY: As above. Userspace can write this page at any time as well.
            unsafe { ffi::rs_memcpy_to_page(page, offset, bytes.as_ptr().cast(), bytes.len()) };
        }
    }
    true
}
