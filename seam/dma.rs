// SPDX-License-Identifier: GPL-2.0

//! Properties of devices that do DMA.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    device::as_raw,
    gfp::GFP_CHARGED_RAW,
    scatterlist::SegmentLimits,
    version::dma_max_mapping_size, //
};
use crate::ffi;
use core::ops::Deref;
use kernel::{
    bindings,
    device::Device,
    dma::{
        DataDirection,
        DmaAddress,
        DmaMask, //
    },
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::aref::ARef,
    types::ScopeGuard, //
};

/// Longest segment of a `struct scatterlist`, whose length is an `unsigned int`.
///
/// Where the next segment would cross a boundary of 4 GiB, `iommu_dma_map_sg()` adds less than the
/// length of that one to it.
const MAX_SEGMENT: usize = 1 << 31;

/// Returns the limits of `device` for one segment of a scatterlist that is to be mapped.
///
/// Fails with [`EINVAL`] for a device whose segments are shorter than a page, and for one without a
/// DMA mask.
pub fn segment_limits(device: &Device) -> Result<SegmentLimits> {
    // SAFETY: The reference guarantees a valid device; this only reads its properties.
    let mapping = unsafe { dma_max_mapping_size(as_raw(device)) };

    limits(device, mapping)
}

/// Returns the limits of `device` for one segment of memory that does not bounce.
///
/// Fails with [`EINVAL`] for a device whose segments are shorter than a page.
pub fn segment_limits_unbounced(device: &Device) -> Result<SegmentLimits> {
    limits(device, usize::MAX)
}

fn limits(device: &Device, mapping: usize) -> Result<SegmentLimits> {
    let device = as_raw(device);

    // SAFETY: The reference guarantees a valid device; these only read its limits.
    let (segment, boundary) = unsafe {
        (
            ffi::dma_get_max_seg_size(device) as usize,
            ffi::dma_get_seg_boundary(device),
        )
    };

    let max_pages = segment.min(mapping).min(MAX_SEGMENT) >> PAGE_SHIFT;
    if max_pages == 0 || boundary < PAGE_SIZE - 1 {
        return Err(EINVAL);
    }

    Ok(SegmentLimits {
        max_pages,
        // OVERFLOW: Shifted right, the mask is at most `usize::MAX >> PAGE_SHIFT`.
        boundary_pages: (boundary >> PAGE_SHIFT) + 1,
    })
}

/// Returns whether syncing memory that is mapped for `device` may have an effect.
///
/// Becomes `true` when something bounces for the device for the first time, and stays so until its
/// DMA mask is set again.
pub fn needs_sync(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { ffi::dma_dev_need_sync(as_raw(device)) }
}

/// Returns whether unmapping memory for `device` may have an effect, so that its DMA addresses are
/// needed until then. If not, syncing has none either.
pub fn needs_unmap(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { ffi::dma_need_unmap(as_raw(device)) }
}

/// Returns whether `device` is set up for DMA at all.
pub fn has_mask(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { ffi::dma_mask_is_set(as_raw(device)) }
}

/// Returns whether an IOMMU translates the DMA addresses of `device`: it reaches all memory then.
pub fn is_translated(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { bindings::dma_get_merge_boundary(as_raw(device)) != 0 }
}

/// Returns whether mapping memory for `device` may bounce. The device must not be
/// [translated](is_translated).
pub fn may_bounce(device: &Device) -> bool {
    let device = as_raw(device);

    // SAFETY: The reference guarantees a valid device; these only read its properties.
    unsafe {
        dma_max_mapping_size(device) != usize::MAX || bindings::dma_addressing_limited(device)
    }
}

/// Returns whether it can be tried to map memory for `device` that [may bounce](may_bounce).
///
/// Bounce buffers lie within reach of 32 bits. The kernel warns where one that it wants to use is
/// beyond that of a device.
pub fn may_be_tried(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device; this only reads its properties.
    let has_pool = unsafe { dma_max_mapping_size(as_raw(device)) != usize::MAX };

    !has_pool || max_address(device) >= DmaMask::new::<32>().value()
}

/// Returns whether any mapping for `device` is the memory itself, and needs neither syncing nor
/// unmapping.
///
/// That holds as long as the DMA mask is not changed.
pub fn maps_directly(device: &Device) -> bool {
    !needs_unmap(device) && !may_bounce(device)
}

/// Returns what is added to a physical address to get the DMA address that `device`, which is not
/// [translated](is_translated), has for it.
///
/// Asks for memory that is addressed directly by definition. Fails with [`EIO`] for a device that
/// none can be allocated for, and with [`ENOMEM`].
pub fn offset(device: &Device) -> Result<DmaAddress> {
    let device = as_raw(device);
    // SAFETY: The reference guarantees a valid device.
    if unsafe { (*device).coherent_dma_mask } == 0 {
        return Err(EIO);
    }

    let (size, direction) = (PAGE_SIZE, DataDirection::ToDevice.into());
    let mut address = 0;
    // SAFETY: The reference guarantees a valid device, which has a coherent mask.
    let page = unsafe {
        bindings::dma_alloc_pages(device, size, &mut address, direction, GFP_CHARGED_RAW)
    };
    if page.is_null() {
        return Err(ENOMEM);
    }
    // SAFETY: The page was just allocated with these arguments.
    unsafe {
        let physical = ffi::page_to_phys(page);

        bindings::dma_free_pages(device, size, page, address, direction);
        Ok(address.wrapping_sub(physical as DmaAddress))
    }
}

/// Returns whether mapping the page at `pfn` for `device` gives the address of the page itself, at
/// [`offset`], and not that of a bounce buffer.
///
/// # Safety
///
/// The page must have a `struct page` and be one that devices may access.
pub unsafe fn reaches(device: &Device, pfn: usize, offset: DmaAddress) -> bool {
    let device = as_raw(device);
    let (size, direction) = (PAGE_SIZE, DataDirection::ToDevice.into());
    let attrs = (bindings::DMA_ATTR_DEBUGGING_IGNORE_CACHELINES
        | bindings::DMA_ATTR_SKIP_CPU_SYNC
        | bindings::DMA_ATTR_NO_WARN) as c_ulong;

    // SAFETY: The device is valid, and the page by the safety requirements. Nothing is done with
    // the address.
    unsafe {
        let page = ffi::pfn_to_page(pfn);
        let address = bindings::dma_map_page_attrs(device, page, 0, size, direction, attrs);

        if ffi::dma_mapping_error(device, address) != 0 {
            return false;
        }
        bindings::dma_unmap_page_attrs(device, address, size, direction, attrs);
        address == (ffi::page_to_phys(page) as DmaAddress).wrapping_add(offset)
    }
}

/// Returns `address` as a number that does not depend on how wide DMA addresses are.
pub fn number(address: DmaAddress) -> u64 {
    // CAST: At most as wide.
    #[allow(clippy::unnecessary_cast)]
    {
        address as u64
    }
}

/// Returns the highest DMA address that `device` can access.
pub fn max_address(device: &Device) -> u64 {
    let device = as_raw(device);

    // SAFETY: The reference guarantees a valid device, whose bus limit is set before it is used.
    match unsafe { (ffi::dma_get_mask(device), (*device).bus_dma_limit) } {
        (mask, 0) => mask,
        (mask, limit) => mask.min(limit),
    }
}

/// Which bus addresses `device` has for memory, for comparison only.
///
/// The driver core forgets it when a driver is unbound or fails to probe the device. Undoing what
/// was set up before would go to other memory then. An IOMMU does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ranges(usize);

impl Ranges {
    /// Returns the current ones of `device`.
    pub fn of(device: &Device) -> Self {
        if is_translated(device) {
            return Self(0);
        }
        let raw = as_raw(device);
        // SAFETY: The reference guarantees a valid device. A device that is losing its driver may
        // have the field changed meanwhile; either answer is right then.
        Self(unsafe { core::ptr::read_volatile(&raw const (*raw).dma_range_map) }.addr())
    }
}

/// Returns whether the machine encrypts its memory, so that all DMA bounces.
pub fn memory_is_encrypted() -> bool {
    // SAFETY: No requirements.
    unsafe { ffi::memory_is_encrypted() }
}

/// A device without hardware, for mappings of the exporter's own. It reaches all memory and never
/// bounces.
///
/// # Invariants
///
/// The device has no driver that could be unbound and no IOMMU, and is set up for DMA.
pub struct VirtualDevice(ARef<Device>);

impl VirtualDevice {
    /// Sets `device` up for DMA, unless that has been done. Several tasks may call it at once.
    ///
    /// # Safety
    ///
    /// The caller must have registered `device`, on no bus, and the device must not have been used
    /// for DMA before the first call.
    pub unsafe fn new(device: &Device) -> Result<Self> {
        let raw = as_raw(device);

        // SAFETY: The reference guarantees a valid device, and this task does not hold its lock:
        // only the driver core and this function take it.
        unsafe { ffi::device_lock(raw) };
        let _unlock = ScopeGuard::new(|| {
            // SAFETY: Taken above.
            unsafe { ffi::device_unlock(raw) }
        });

        // SAFETY: The reference guarantees a valid device.
        if !unsafe { ffi::dma_mask_is_set(raw) } {
            // SAFETY: By the safety requirements nothing uses the DMA fields of the device yet, and
            // the lock keeps other calls of this function out.
            unsafe { ffi::dma_never_bounce(raw) };
            let mask = DmaMask::new::<64>().value();
            // SAFETY: The device lock is held, and nothing uses the DMA fields of the device yet.
            to_result(unsafe { ffi::dma_coerce_mask_and_coherent(raw, mask) })?;
        }
        // INVARIANT: By the safety requirements, and set up just now or before.
        Ok(Self(device.into()))
    }

    /// Returns whether CPU and device see each other's writes without cache maintenance.
    pub fn is_coherent(&self) -> bool {
        // SAFETY: The reference guarantees a valid device.
        unsafe { ffi::dev_is_dma_coherent(as_raw(&self.0)) }
    }
}

impl Clone for VirtualDevice {
    fn clone(&self) -> Self {
        // INVARIANT: The same device.
        Self(self.0.clone())
    }
}

impl Deref for VirtualDevice {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}
