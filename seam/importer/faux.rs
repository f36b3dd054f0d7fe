// SPDX-License-Identifier: GPL-2.0

//! Faux devices that memory can be mapped for.
//!
//! C headers: [`include/linux/device/faux.h`](srctree/include/linux/device/faux.h),
//! [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::bound::as_raw;
use crate::ffi;
use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    faux,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    types::Opaque, //
};

/// The memory that a device can reach, and how much of it at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaLimits {
    /// The addresses it can reach: all bits that may be set in one.
    pub mask: u64,
    /// Longest segment, in bytes.
    pub max_segment: u32,
    /// No segment crosses a multiple of this plus one.
    pub boundary_mask: usize,
}

impl DmaLimits {
    /// A device without limits.
    pub const NONE: Self = Self {
        mask: u64::MAX,
        max_segment: u32::MAX,
        boundary_mask: usize::MAX,
    };
}

/// A faux device that memory can be mapped for, until the value is dropped.
///
/// There is no bus that would have prepared it for DMA, and no IOMMU before it.
pub struct DmaDevice {
    // Unregistered before `memory` may go.
    registration: faux::Registration,
    memory: Arc<DeviceMemory>,
    /// The DMA mask that was set.
    mask: Option<u64>,
}

/// The limits of a [`DmaDevice`], which the DMA API reads. Does not keep the device registered.
///
/// # Invariants
///
/// `dma_parms` of `device` points to `parameters`.
pub struct DeviceMemory {
    device: ARef<Device>,
    parameters: Opaque<bindings::device_dma_parameters>,
}

// SAFETY: The parameters are plain numbers, which only `DmaDevice::set_limits` changes.
unsafe impl Send for DeviceMemory {}
// SAFETY: A shared reference gives no access to the parameters.
unsafe impl Sync for DeviceMemory {}

impl DmaDevice {
    /// Registers a device called `name`, without limits.
    ///
    /// Fails with [`ENODEV`] where there is a device of that name, and with [`ENOMEM`].
    pub fn new(name: &CStr) -> Result<Self> {
        let registration = faux::Registration::new(name, None)?;
        let bound: &Device<Bound> = registration.as_ref().as_ref();
        let memory = Arc::new(
            DeviceMemory {
                device: bound.into(),
                parameters: Opaque::zeroed(),
            },
            GFP_KERNEL,
        )?;

        // INVARIANT: Set here, and reset when the value is dropped.
        // SAFETY: The device was just registered, and nothing is mapped for it yet. The parameters
        // do not move, as they are in an `Arc`.
        unsafe { (*as_raw(&memory.device)).dma_parms = memory.parameters.get() };
        let mut this = Self {
            registration,
            memory,
            mask: None,
        };
        this.set_limits(DmaLimits::NONE)?;
        Ok(this)
    }

    /// Sets the limits for later mappings.
    ///
    /// Fails with [`EIO`] if the machine has no memory within reach of such a device.
    pub fn set_limits(&mut self, limits: DmaLimits) -> Result {
        // SAFETY: Mapping for the device takes a shared reference to it, which excludes this
        // exclusive one.
        unsafe {
            let parameters = &mut *self.memory.parameters.get();
            parameters.max_segment_size = limits.max_segment;
            parameters.segment_boundary_mask = limits.boundary_mask;
        }

        // Setting a mask has the DMA API forget that something bounces for the device, and it would
        // skip the syncs of live mappings. So the same mask is not set again.
        if self.mask != Some(limits.mask) {
            let device = as_raw(&self.memory.device);
            // SAFETY: The exclusive reference excludes mapping, as for the parameters.
            to_result(unsafe { ffi::dma_coerce_mask_and_coherent(device, limits.mask) })?;
            self.mask = Some(limits.mask);
        }
        Ok(())
    }

    /// Returns the limits, for a user of the device that may outlive its registration.
    pub fn memory(&self) -> Arc<DeviceMemory> {
        self.memory.clone()
    }
}

impl AsRef<Device<Bound>> for DmaDevice {
    fn as_ref(&self) -> &Device<Bound> {
        self.registration.as_ref().as_ref()
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: The `DmaDevice` is gone, and so are all users of the device that may map for it.
        unsafe { (*as_raw(&self.device)).dma_parms = core::ptr::null_mut() };
    }
}
