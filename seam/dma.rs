// SPDX-License-Identifier: GPL-2.0

//! Properties of devices that do DMA.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    device::as_raw,
    segments::SegmentLimits, //
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

/// Longest segment that a `struct scatterlist` can describe: its length is an `unsigned int`.
const MAX_SEGMENT: usize = u32::MAX as usize;

/// Returns what `device` can take as one segment of a scatter list.
///
/// Fails with [`EINVAL`] for a device that cannot take as much as a page at a time.
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

/// Tells whether passing ownership of memory that is mapped for `device` may do anything.
///
/// The answer changes to yes when something bounces for it for the first time, and never back.
pub fn needs_sync(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { ffi::dma_dev_need_sync(as_raw(device)) }
}

/// Tells whether unmapping memory for `device` may do anything, so that the addresses it was mapped
/// at must be known until then. If not, neither does passing ownership.
pub fn needs_unmap(device: &Device) -> bool {
    // SAFETY: The reference guarantees a valid device.
    unsafe { ffi::dma_need_unmap(as_raw(device)) }
}

/// How addresses of a device become physical ones; only good for comparing.
///
/// The core takes that away when the device loses its driver, and what was mapped by it can then
/// not be unmapped any more. What an IOMMU translates does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Translation(usize, usize);

impl Translation {
    /// Returns that of `device` as it is now.
    pub fn of(device: &Device) -> Self {
        let raw = as_raw(device);

        // SAFETY: The reference guarantees a valid device. One that is losing its driver may have
        // this changed meanwhile; then either answer will do.
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

/// Tells whether this machine encrypts its memory against devices, so that all DMA bounces.
pub fn memory_is_encrypted() -> bool {
    // SAFETY: No requirements.
    unsafe { ffi::memory_is_encrypted() }
}

/// A device without hardware behind it, made to be mapped for: it can reach all memory and never
/// bounces.
///
/// # Invariants
///
/// The device has no driver that could be unbound and no IOMMU, and is set up for DMA.
pub struct VirtualDevice(ARef<Device>);

impl VirtualDevice {
    /// Sets `device` up for DMA, unless that has been done. May be called by several tasks at once.
    ///
    /// # Safety
    ///
    /// The caller must be the one who registered `device`, on no bus, and the device must not have
    /// been used for DMA before the first call.
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
            // SAFETY: As above.
            to_result(unsafe { ffi::dma_coerce_mask_and_coherent(raw, mask) })?;
        }
        // INVARIANT: By the safety requirements, and set up just now or before.
        Ok(Self(device.into()))
    }

    /// Tells whether CPU and the device see each other's bytes without cache maintenance.
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
