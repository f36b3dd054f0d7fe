// SPDX-License-Identifier: GPL-2.0

//! Access to a mapping by a device that is made of software.
//!
//! C headers: [`include/linux/dma-direct.h`](srctree/include/linux/dma-direct.h),
//! [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use super::{
    bound::as_raw,
    version::EOPNOTSUPP,
    ImportedVmap,
    MappedTable, //
};
use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    dma::DmaAddress,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Access to the memory of a mapping in place of the device it was made for.
///
/// A device without hardware cannot use its DMA addresses. Here the CPU accesses the memory that
/// they lead to: the memory itself, or a bounce buffer of the device. As with any device, nothing
/// orders these accesses with other ones.
///
/// The CPU goes through its caches, so it also sees data that a non-coherent device would miss.
impl MappedTable {
    /// Reads bytes from `offset` on, as the device would.
    ///
    /// Fails with [`EINVAL`] for a range that is not in the buffer, with [`EOPNOTSUPP`] if an
    /// IOMMU translates the addresses of the device, and with [`EIO`] for memory that the CPU has
    /// no address of.
    pub fn read_as_device(&self, offset: usize, to: &mut [u8]) -> Result {
        let mut rest = to;

        self.for_each_piece(offset, rest.len(), |memory, length| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(length);

            // SAFETY: `memory` is valid for `length` bytes. So is `now`, which is exclusively
            // borrowed.
            unsafe { bindings::memcpy(now.as_mut_ptr().cast(), memory.as_ptr(), length) };
            rest = later;
        })
    }

    /// Writes bytes from `offset` on, as the device would.
    ///
    /// Fails as [`read_as_device`](Self::read_as_device) does.
    pub fn write_as_device(&self, offset: usize, from: &[u8]) -> Result {
        let mut rest = from;

        self.for_each_piece(offset, rest.len(), |memory, length| {
            let (now, later) = rest.split_at(length);

            // SAFETY: `memory` is valid for `length` bytes, and no Rust reference to them exists.
            // `now` has as many.
            unsafe { bindings::memcpy(memory.as_ptr(), now.as_ptr().cast(), length) };
            rest = later;
        })
    }

    /// Stores `value` in the bytes from `offset` on at whose place `owners` has `owner`, as the
    /// device would: one by one, and no other byte.
    ///
    /// Fails as [`read_as_device`](Self::read_as_device) does.
    pub fn store_as_device(&self, offset: usize, owners: &[u8], owner: u8, value: u8) -> Result {
        let mut rest = owners;

        self.for_each_piece(offset, rest.len(), |memory, length| {
            let (now, later) = rest.split_at(length);
            let memory = memory.cast::<u8>();

            for (at, _) in now.iter().enumerate().filter(|(_, of)| **of == owner) {
                // SAFETY: `memory` is valid for `length` bytes, and no Rust reference to them
                // exists. Volatile: one store, whatever others write.
                unsafe { memory.add(at).write_volatile(value) };
            }
            rest = later;
        })
    }

    /// Returns whether an IOMMU translates the addresses of the device.
    pub fn is_translated(&self) -> bool {
        self.translation().is_some()
    }

    /// Counts the pages of the buffer that the device has a copy of: in a bounce buffer or in
    /// memory of its own.
    ///
    /// Fails as [`ImportedVmap::new`] does.
    pub fn pages_elsewhere(&self) -> Result<usize> {
        let memory = ImportedVmap::new(self.buffer())?;
        let (mut offset, mut elsewhere) = (0, 0);

        for segment in self.segments() {
            for at in (0..segment.length).step_by(PAGE_SIZE) {
                let reached = self.physical(segment.address + at as DmaAddress);

                elsewhere += usize::from(memory.physical(offset)? != reached);
                offset += PAGE_SIZE;
            }
        }
        Ok(elsewhere)
    }

    /// Calls `work` for each piece of a range, with its address for the CPU and its length. The
    /// pieces add up to the range, unless the call fails.
    fn for_each_piece(
        &self,
        offset: usize,
        length: usize,
        mut work: impl FnMut(NonNull<c_void>, usize),
    ) -> Result {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        if end > self.size() {
            return Err(EINVAL);
        }
        if !self.is_direct() {
            return Err(EOPNOTSUPP);
        }

        let (mut at, mut start) = (offset, 0);
        for segment in self.segments() {
            let stop = start + segment.length;
            while at < stop.min(end) {
                // CAST: Never truncates, as `DmaAddress` can hold the end of the segment.
                let address = segment.address + (at - start) as DmaAddress;
                let length = (stop.min(end) - at).min(PAGE_SIZE - at % PAGE_SIZE);

                work(self.memory(address)?, length);
                at += length;
            }
            start = stop;
        }
        if at < end {
            return Err(EIO);
        }
        Ok(())
    }

    /// Returns the address for the CPU of the memory at `address`. It is valid up to the end of the
    /// page, and as long as the mapping lives. Fails with [`EIO`] if there is none.
    fn memory(&self, address: DmaAddress) -> Result<NonNull<c_void>> {
        let physical = self.physical(address);
        // CAST: A PFN fits.
        let pfn = (physical >> PAGE_SHIFT) as c_ulong;

        // SAFETY: Any number may be asked for.
        if !unsafe { ffi::pfn_valid(pfn) } {
            return Err(EIO);
        }
        // SAFETY: `pfn_valid()` has found a `struct page`; one that is not in highmem has a place
        // in the direct mapping.
        let memory = unsafe {
            if ffi::folio_test_highmem(ffi::page_folio(ffi::pfn_to_page(pfn))) {
                return Err(EIO);
            }
            ffi::phys_to_virt(physical)
        };
        NonNull::new(memory).ok_or(EIO)
    }

    /// Returns the physical address of the memory that the device has at `address`.
    fn physical(&self, address: DmaAddress) -> bindings::phys_addr_t {
        match self.translation() {
            // SAFETY: By the type invariants, the device can be mapped for, so its domain, which
            // this is, stays.
            Some(domain) => unsafe { bindings::iommu_iova_to_phys(domain.as_ptr(), address) },
            // SAFETY: By the type invariants, the device can be mapped for, and the address is one
            // of its own.
            None => unsafe { ffi::dma_to_phys(self.raw_device(), address) },
        }
    }

    /// Returns the domain of the addresses that the device uses, if an IOMMU translates them.
    fn translation(&self) -> Option<NonNull<bindings::iommu_domain>> {
        // SAFETY: By the type invariants, the device can be mapped for, so its domain stays.
        let domain = unsafe { bindings::iommu_get_domain_for_dev(self.raw_device()) };
        let domain = NonNull::new(domain)?;

        // SAFETY: By the type invariants, the device can be mapped for, so its domain is valid.
        unsafe { ffi::iommu_is_dma_domain(domain.as_ptr()) }.then_some(domain)
    }

    /// Returns whether the DMA API passes physical addresses to the device, or a bounce buffer's.
    fn is_direct(&self) -> bool {
        let device = self.raw_device();

        // SAFETY: By the type invariants, the device can be mapped for, so its operations are set.
        unsafe { ffi::get_dma_ops(device).is_null() && !ffi::use_dma_iommu(device) }
    }

    fn raw_device(&self) -> *mut bindings::device {
        as_raw(self.device())
    }
}
