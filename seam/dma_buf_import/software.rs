// SPDX-License-Identifier: GPL-2.0

//! What a device that is made of software does to a mapping.
//!
//! C headers: [`include/linux/dma-direct.h`](srctree/include/linux/dma-direct.h),
//! [`include/linux/iommu.h`](srctree/include/linux/iommu.h),
//! [`include/linux/swiotlb.h`](srctree/include/linux/swiotlb.h)

use super::{
    Mapping,
    Segment, //
};
use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    dma::DmaAddress,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Access to the memory of a mapping in place of the device it was made for.
///
/// A device without hardware can do nothing with its DMA addresses; here the CPU goes where they
/// lead: to the memory itself or, where the device was given one, to a bounce buffer. As with any
/// device, nothing orders these accesses with those of others.
///
/// The CPU goes through its caches, so what a device that is not coherent would miss is not missed.
impl Mapping<'_> {
    /// Reads bytes from `offset` on, as the device would.
    ///
    /// Fails with [`EINVAL`] for a range that is not in the buffer, with [`EOPNOTSUPP`] for a device
    /// whose addresses are translated, and with [`EIO`] for memory that the CPU has no address of.
    pub fn read_as_device(&self, offset: usize, to: &mut [u8]) -> Result {
        let mut rest = to;

        self.for_each_piece(offset, rest.len(), |memory, length| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(length);

            // SAFETY: `memory` is valid for `length` bytes, which is how long `now` is, and that is
            // memory of our caller's alone.
            unsafe {
                ffi::rsi_memcpy(now.as_mut_ptr().cast(), memory.as_ptr(), length);
            }
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

            // SAFETY: As above, the other way round.
            unsafe { ffi::rsi_memcpy(memory.as_ptr(), now.as_ptr().cast(), length) };
            rest = later;
        })
    }

    /// Tells whether an IOMMU translates the addresses of the device.
    pub fn is_translated(&self) -> bool {
        // SAFETY: The attachment guarantees a valid device.
        unsafe { ffi::rsi_dma_is_translated(self.raw_device()) }
    }

    /// Counts the pages of the mapping that are not where the memory is: for them the device was
    /// given a bounce buffer.
    pub fn bounced_pages(&self) -> usize {
        let bounced = |address: DmaAddress| {
            let device = self.raw_device();
            // SAFETY: The attachment guarantees a valid device, and it was given the address.
            unsafe {
                let physical = ffi::rsi_dma_to_phys(device, address);
                ffi::rsi_is_swiotlb_buffer(device, physical)
            }
        };
        let pages = |segment: Segment| {
            (0..segment.length)
                .step_by(PAGE_SIZE)
                .map(move |at| segment.address + at as DmaAddress)
        };

        self.segments()
            .flat_map(pages)
            .filter(|&page| bounced(page))
            .count()
    }

    /// Calls `work` with where the CPU finds each piece of a range, and with its length. The pieces
    /// add up to the range, if this does not fail.
    fn for_each_piece(
        &self,
        offset: usize,
        length: usize,
        mut work: impl FnMut(NonNull<c_void>, usize),
    ) -> Result {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        if end > self.attachment().buffer().size() {
            return Err(EINVAL);
        }
        // SAFETY: The attachment guarantees a valid device.
        if !unsafe { ffi::rsi_dma_is_direct(self.raw_device()) } {
            return Err(EOPNOTSUPP);
        }

        let (mut at, mut start) = (offset, 0);
        for segment in self.segments() {
            let stop = start + segment.length;
            while at < stop.min(end) {
                // CAST: Never truncates, as `DmaAddress` can hold where the segment ends.
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

    /// Returns where the CPU finds what the device finds at `address`: good up to the end of that
    /// page, and as long as the mapping lives.
    fn memory(&self, address: DmaAddress) -> Result<NonNull<c_void>> {
        // SAFETY: The attachment guarantees a valid device, and it was given the address.
        let physical = unsafe { ffi::rsi_dma_to_phys(self.raw_device(), address) };

        // SAFETY: Any address may be asked for, and one of RAM has a place in the direct mapping.
        let memory = unsafe { ffi::rsi_is_ram(physical).then(|| ffi::rsi_phys_to_virt(physical)) };
        memory.and_then(NonNull::new).ok_or(EIO)
    }

    fn raw_device(&self) -> *mut bindings::device {
        // `Device` is a transparent wrapper of the C struct, which may change behind references.
        core::ptr::from_ref(self.attachment().device())
            .cast_mut()
            .cast()
    }
}
