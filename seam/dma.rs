// SPDX-License-Identifier: GPL-2.0

//! Properties of devices that do DMA.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    device::as_raw,
    scatterlist::SegmentLimits, //
};
use crate::ffi;
use core::ops::Deref;
use kernel::{
    bindings,
    device::Device,
    dma::DmaMask,
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
const MAX_SEGMENT: usize = u32::MAX as usize;

/// Returns the limits of `device` for one segment of a scatterlist.
///
/// Fails with [`EINVAL`] for a device whose segments are shorter than a page.
pub fn segment_limits(device: &Device) -> Result<SegmentLimits> {
    let device = as_raw(device);

    // SAFETY: The reference guarantees a valid device; these only read its limits.
    let (segment, mapping, boundary) = unsafe {
        (
            ffi::dma_get_max_seg_size(device) as usize,
            bindings::dma_max_mapping_size(device),
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

/// Returns whether a mapping for `device` is the memory itself: it neither needs to be synced nor to
/// be unmapped, whatever memory it is of.
///
/// That holds as long as the DMA mask is not changed. May take longer than the other functions.
pub fn maps_directly(device: &Device) -> bool {
    if needs_unmap(device) {
        return false;
    }
    let device = as_raw(device);
    // SAFETY: The reference guarantees a valid device; these only read its properties.
    unsafe {
        bindings::dma_max_mapping_size(device) == usize::MAX
            && !bindings::dma_addressing_limited(device)
    }
}

/// Translation from DMA addresses of a device to physical ones, for comparison only.
///
/// The driver core removes it when the device loses its driver; mappings made with it cannot be
/// unmapped afterwards. Mappings of an IOMMU do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Translation(usize, usize);

impl Translation {
    /// Returns the current translation of `device`.
    pub fn of(device: &Device) -> Self {
        let raw = as_raw(device);

        // SAFETY: The reference guarantees a valid device. One that is losing its driver may have
        // this changed meanwhile; either answer is right then.
        unsafe {
            if ffi::use_dma_iommu(raw) {
                return Self(0, 0);
            }
            Self(
                core::ptr::read_volatile(&raw const (*raw).dma_range_map).addr(),
                ffi::get_dma_ops(raw).addr(),
            )
        }
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
