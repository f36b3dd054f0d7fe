// SPDX-License-Identifier: GPL-2.0

//! Faux devices that memory can be mapped for.
//!
//! C headers: [`include/linux/device/faux.h`](srctree/include/linux/device/faux.h),
//! [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    bound::as_raw,
    version::bound, //
};
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
    /// The addresses it can reach: all bits that may be set in one. None if no mask is set.
    pub mask: Option<u64>,
    /// The same for memory that is allocated for it.
    pub coherent_mask: Option<u64>,
    /// Longest segment, in bytes.
    pub max_segment: u32,
    /// No segment crosses a multiple of this plus one.
    pub boundary_mask: usize,
}

impl DmaLimits {
    /// A device without limits.
    pub const NONE: Self = Self {
        mask: Some(u64::MAX),
        coherent_mask: Some(u64::MAX),
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
    /// The DMA mask and the coherent one that were set last.
    masks: Option<(Option<u64>, Option<u64>)>,
}

/// The limits of a [`DmaDevice`], which the DMA API reads. Does not keep the device registered.
///
/// # Invariants
///
/// `dma_parms` of `device` points to `parameters`, and `dma_mask` to `mask` or nowhere.
pub struct DeviceMemory {
    device: ARef<Device>,
    parameters: Opaque<bindings::device_dma_parameters>,
    mask: Opaque<u64>,
}

// SAFETY: The parameters are plain numbers, which belong to no task. Only `DmaDevice::set_limits`
// changes them.
unsafe impl Send for DeviceMemory {}
// SAFETY: A shared reference gives no access to the parameters.
unsafe impl Sync for DeviceMemory {}

impl DmaDevice {
    /// Registers a device called `name`, without limits.
    ///
    /// Fails with [`ENODEV`] where there is a device of that name, and with [`ENOMEM`].
    pub fn new(name: &CStr) -> Result<Self> {
        let registration = faux::Registration::new(name, None)?;
        let device = bound(&registration);
        let memory = Arc::new(
            DeviceMemory {
                device: device.into(),
                parameters: Opaque::zeroed(),
                mask: Opaque::zeroed(),
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
            masks: None,
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
        // skip the syncs of live mappings. So the same masks are not set again.
        let masks = Some((limits.mask, limits.coherent_mask));
        if self.masks != masks {
            self.masks = None;
            self.set_masks(limits)?;
            self.masks = masks;
        }
        Ok(())
    }

    fn set_masks(&mut self, limits: DmaLimits) -> Result {
        let device = as_raw(&self.memory.device);

        // SAFETY: The exclusive reference excludes mapping, as for the parameters. `mask` does not
        // move, as it is in an `Arc`.
        unsafe {
            (*device).dma_mask = core::ptr::null_mut();
            if let Some(mask) = limits.mask {
                (*device).dma_mask = self.memory.mask.get();
                to_result(bindings::dma_set_mask(device, mask))?;
            }
            (*device).coherent_dma_mask = 0;
            if let Some(mask) = limits.coherent_mask {
                to_result(bindings::dma_set_coherent_mask(device, mask))?;
            }
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
        bound(&self.registration)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        let device = as_raw(&self.device);

        // SAFETY: The last reference is dropped, so the `DmaDevice` is gone, and so are all users
        // of the device that may map for it.
        unsafe {
            (*device).dma_parms = core::ptr::null_mut();
            (*device).dma_mask = core::ptr::null_mut();
        }
    }
}
