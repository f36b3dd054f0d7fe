// SPDX-License-Identifier: GPL-2.0

//! Showing [`StableMemory`] in a mapping of userspace.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! The mapping is a `VM_PFNMAP` one: its page table entries are plain frame numbers, which nothing
//! but the owner of the memory keeps valid.

use super::StableMemory;
use crate::{
    ffi,
    seam::{
        runs::Extent,
        rwsem::RwSemaphore, //
    },
};
use core::{
    mem::MaybeUninit,
    ops::Range, //
};
use kernel::{
    bindings,
    error::to_result,
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
pub enum FaultError {
    /// There is no such page: `SIGBUS`.
    Beyond,
    /// The page is broken: `SIGBUS` with `BUS_MCEERR_AR`.
    Poisoned,
    /// What the memory manager answered, made of `VM_FAULT_*` error bits.
    Failed(bindings::vm_fault_t),
}

impl FaultError {
    /// A smaller entry must do.
    #[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
    pub const FALLBACK: Self = Self::Failed(bindings::vm_fault_reason_VM_FAULT_FALLBACK);

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
    pub fn into_vm_fault(self) -> bindings::vm_fault_t {
        match self {
            Self::Beyond => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
            Self::Poisoned => bindings::vm_fault_reason_VM_FAULT_HWPOISON,
            Self::Failed(bits) => bits,
        }
    }
}

/// What keeps the two sizes of page table entries apart in the mappings of one memory.
///
/// A page table is filled by a C function that takes it for a bug to find a large entry in its
/// place. So large entries are put in with this held for writing, single ones with it held for
/// reading, after a look.
pub type EntrySizes = RwSemaphore;

/// A page fault in a mapping of `memory`.
///
/// # Invariants
///
/// - `vmf` is the argument of a fault handler that is running, so page table entries may be
///   inserted.
/// - `vma` is its area: a `VM_PFNMAP` one which is not private and which shows `memory`; its page
///   offset counts from the start of `memory`.
/// - `memory` lives at least as long as `vma`.
/// - All faults in areas that show `memory` are given the same `sizes`.
pub struct Fault<'a, M> {
    vmf: *mut bindings::vm_fault,
    vma: &'a VmaRef,
    memory: &'a M,
    sizes: &'a EntrySizes,
    address: usize,
}

impl<'a, M: StableMemory> Fault<'a, M> {
    /// Wraps the argument of a fault handler.
    ///
    /// # Safety
    ///
    /// `vmf` must be the argument of a fault handler that is running, for an area which shows
    /// `memory`. `memory` must outlive the area, and all faults in areas that show it must be given
    /// the same `sizes`.
    pub unsafe fn from_raw(
        vmf: *mut bindings::vm_fault,
        memory: &'a M,
        sizes: &'a EntrySizes,
    ) -> Self {
        // SAFETY: The caller guarantees a valid `struct vm_fault`.
        let info = unsafe { &(*vmf).__bindgen_anon_1 };

        // INVARIANT: By the safety requirements.
        Self {
            vmf,
            // SAFETY: A fault is handled under the lock of its area.
            vma: unsafe { VmaRef::from_raw(info.vma) },
            memory,
            sizes,
            address: info.address,
        }
    }

    /// Returns the address of the page that was touched.
    pub fn address(&self) -> usize {
        self.address & !(PAGE_SIZE - 1)
    }

    /// Returns which page of the memory was touched.
    pub fn page(&self) -> usize {
        self.page_at(self.address)
    }

    /// Returns which pages of the memory the area shows.
    pub fn pages(&self) -> Range<usize> {
        shown_pages(self.vma)
    }

    /// Maps the page that was touched, and those of `window` around it that can be had for little.
    ///
    /// `window` is cut to what the area shows, and to one page table. Entries that are there
    /// already are left alone, and so are pages that are poisoned: whoever touches one gets an
    /// answer of his own. Only a failure at the page that was touched counts.
    pub fn insert(&self, window: Range<usize>) -> Result<(), FaultError> {
        let touched = self.page();
        let extent = self
            .extent(touched..touched + 1)
            .ok_or(FaultError::Beyond)?;
        if self.is_poisoned(touched..touched + 1) {
            return Err(FaultError::Poisoned);
        }

        let table = self.table();
        let end = table.end.min(self.memory.runs().pages());
        let start = window.start.max(table.start).min(touched);
        let end = window.end.min(end).max(touched + 1);
        let runs = self.memory.runs().runs_at(start);

        // The page table, which may wait for memory, comes before the lock.
        // SAFETY: By the type invariants, `vmf` belongs to a fault handler that is running.
        if unsafe { ffi::vmf_is_empty(self.vmf) } {
            // SAFETY: By the type invariants, `vmf` is valid, and no other task writes to it.
            if unsafe { (*self.vmf).prealloc_pte.is_null() } {
                // Another task has taken away what was there: the core comes back with a table.
                return Ok(());
            }
            // SAFETY: By the type invariants. The table, which the core allocated for this fault,
            // is there.
            unsafe { ffi::pmd_install(self.vmf) };
        }

        let _single = self.sizes.read();
        // SAFETY: By the type invariants, `vmf` belongs to a fault handler that is running.
        if unsafe { ffi::vmf_is_huge(self.vmf) } {
            // Another task was quicker.
            return Ok(());
        }
        // SAFETY: By the type invariants the area is a shared `VM_PFNMAP` one, which shows
        // `touched` there, and the memory outlives it. No large entry is there, nor comes as long
        // as `_single` lives.
        FaultError::check(unsafe {
            bindings::vmf_insert_pfn(self.vma.as_ptr(), self.address(), extent.frame)
        })?;

        let Some(last) = runs.last() else {
            return Ok(());
        };
        // SAFETY: By the type invariants, as for `vmf_insert_pfn()`. `start` to `end` lie in the
        // page table of `touched`, and are shown by the area. The runs go on to the end of the
        // memory, which has all of these pages.
        let answer = unsafe {
            ffi::runs::fill_entries(
                self.vma.as_ptr(),
                self.address_of(start),
                runs.as_ptr().cast(),
                core::ptr::from_ref(last).cast(),
                start,
                end,
                touched,
            )
        };
        to_result(answer).map_err(|_| FaultError::Failed(bindings::vm_fault_reason_VM_FAULT_OOM))
    }

    /// Maps all that a large entry of the page table covers, with one.
    ///
    /// That is where area and memory both have all of it, in one run that is aligned in physical
    /// memory as the entry is in the address space. Fails with [`FaultError::FALLBACK`] else; the
    /// core asks without looking.
    #[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
    pub fn insert_huge(&self) -> Result<(), FaultError> {
        // SAFETY: Returns a constant, or what the machine's MMU is like.
        if unsafe { ffi::arch_needs_pgtable_deposit() } {
            // A large entry would need a page table in reserve, which is allocated under the lock.
            return Err(FaultError::FALLBACK);
        }

        let pages = entries_per_table();
        let bytes = pages << PAGE_SHIFT;
        let start = self.address & !(bytes - 1);
        if start < self.vma.start() || self.vma.end() - start < bytes {
            return Err(FaultError::FALLBACK);
        }

        let first = self.page_at(start);
        let extent = self
            .extent(first..first + pages)
            .filter(|extent| extent.pages == pages && extent.frame & (pages - 1) == 0)
            .filter(|_| !self.is_poisoned(first..first + pages))
            .ok_or(FaultError::FALLBACK)?;

        let _large = self.sizes.write();
        // An entry that is there is a page table, or one that userspace may not write through: a
        // large entry is of no use in the first case and makes no progress in the second.
        // SAFETY: By the type invariants, `vmf` belongs to a fault handler that is running.
        if !unsafe { ffi::vmf_is_empty(self.vmf) } {
            return Err(FaultError::FALLBACK);
        }
        // SAFETY: By the type invariants this is called from the fault handler of a shared
        // `VM_PFNMAP` area whose memory, which all the frames are of, outlives it. All of the entry
        // lies in the area. Writing is what the protection of the area says, not the fault.
        FaultError::check(unsafe { bindings::vmf_insert_pfn_pmd(self.vmf, extent.frame, false) })
    }

    /// Returns the first stretch of `pages`.
    fn extent(&self, pages: Range<usize>) -> Option<Extent> {
        self.memory.runs().extents(pages).next()
    }

    /// Returns whether any of `pages` is poisoned.
    fn is_poisoned(&self, pages: Range<usize>) -> bool {
        is_poisoned(self.memory, pages)
    }

    /// Returns which pages lie in the page table of the page that was touched.
    fn table(&self) -> Range<usize> {
        let shown = self.pages();
        let touched = self.page();
        let entries = entries_per_table();
        let before = (self.address >> PAGE_SHIFT) & (entries - 1);

        shown.start.max(touched.saturating_sub(before))
            ..shown.end.min(touched.saturating_add(entries - before))
    }

    /// Returns which page of the memory is shown at `address`, which must lie in the area.
    fn page_at(&self, address: usize) -> usize {
        self.pages().start + ((address - self.vma.start()) >> PAGE_SHIFT)
    }

    /// Returns where `page`, which the area must show, is mapped.
    fn address_of(&self, page: usize) -> usize {
        self.vma.start() + ((page - self.pages().start) << PAGE_SHIFT)
    }
}

/// Tells whether a large entry maps `1 << order` pages.
#[cfg(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)]
pub fn is_order_of_large_entry(order: c_uint) -> bool {
    1usize.checked_shl(order) == Some(entries_per_table())
}

/// Returns how many pages a page table maps, and one large entry in its place.
fn entries_per_table() -> usize {
    // SAFETY: Returns a constant.
    unsafe { ffi::entries_per_table() }
}

/// Returns whether any page of `pages` of `memory` is poisoned.
fn is_poisoned<M: StableMemory>(memory: &M, pages: Range<usize>) -> bool {
    memory.runs().extents(pages).any(|extent| {
        // SAFETY: Frames of a `StableMemory` have a `struct page`, and an extent has them side by
        // side.
        unsafe { ffi::runs::pages_are_poisoned(extent.frame, extent.pages) }
    })
}

/// Returns which pages of the memory behind it `vma` shows.
fn shown_pages(vma: &VmaRef) -> Range<usize> {
    // SAFETY: The area is valid and locked; its offset changes only under the write lock.
    let first = unsafe { (*vma.as_ptr()).vm_pgoff };

    first..first + ((vma.end() - vma.start()) >> PAGE_SHIFT)
}

/// The two directions of [`access`].
pub enum Access<'a> {
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
pub unsafe fn access<M: StableMemory>(
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

        // SAFETY: `bytes` was just bounded by what the page has from `offset` on.
        if !unsafe { copy(memory, page, offset, &mut access, done..done + bytes) } {
            break;
        }
        done += bytes;
    }
    Ok(done)
}

/// Copies `range` of `access` from or to `offset` of page `page` of `memory`, if that is there.
///
/// # Safety
///
/// `offset` plus the length of `range` must not be more than [`PAGE_SIZE`].
unsafe fn copy<M: StableMemory>(
    memory: &M,
    page: usize,
    offset: usize,
    access: &mut Access<'_>,
    range: Range<usize>,
) -> bool {
    let Some(extent) = memory.runs().extents(page..page + 1).next() else {
        return false;
    };

    if is_poisoned(memory, page..page + 1) {
        return false;
    }
    // SAFETY: Frames of a `StableMemory` have a `struct page`.
    let page = unsafe { ffi::pfn_to_page(extent.frame) };

    match access {
        Access::Read(bytes) => {
            let bytes = &mut bytes[range];
            // SAFETY: The page is one of a `StableMemory`, and `range` ends within it by the safety
            // requirements.
            unsafe { ffi::memcpy_from_page(bytes.as_mut_ptr().cast(), page, offset, bytes.len()) };
        }
        Access::Write(bytes) => {
            let bytes = &bytes[range];
            // SAFETY: The page is one of a `StableMemory`, which userspace can write at any time as
            // well, and `range` ends within it by the safety requirements.
            unsafe { ffi::memcpy_to_page(page, offset, bytes.as_ptr().cast(), bytes.len()) };
        }
    }
    true
}
