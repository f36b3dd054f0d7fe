// SPDX-License-Identifier: GPL-2.0

//! The device without hardware: what it would do, the CPU does.

use crate::seam::{
    dma_buf_import::{
        Attachment,
        DmaBuf,
        Mapping, //
    },
    faux::{
        DeviceMemory,
        DmaDevice,
        DmaLimits, //
    },
    sync::StaticMutex, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::DataDirection,
    prelude::*,
    sync::Arc, //
};

/// The device, while it is there.
static DEVICE: StaticMutex<Option<DmaDevice>> = StaticMutex::new(None);

/// Brings a device. Fails with [`EBUSY`] where there is one.
pub(crate) fn plug() -> Result {
    let mut device = DEVICE.lock();

    if device.is_some() {
        return Err(EBUSY);
    }
    *device = Some(DmaDevice::new(c"udmabuf_importer")?);
    Ok(())
}

/// Takes the device away, whatever is mapped for it. Fails with [`ENODEV`] where there is none.
pub(crate) fn unplug() -> Result {
    let device = DEVICE.lock().take().ok_or(ENODEV)?;

    drop(device);
    Ok(())
}

/// The device from when the module is loaded until it is unloaded, whatever comes in between.
pub(crate) struct Plugged(());

impl Plugged {
    pub(crate) fn new() -> Result<Self> {
        plug()?;
        Ok(Self(()))
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        let _ = unplug();
    }
}

/// A mapping for the device, which may be gone.
pub(crate) struct FauxMapping {
    // Borrows from the binding of a device that may be gone, see `new`.
    mapping: Mapping<'static>,
    device: Arc<DeviceMemory>,
    boundary_mask: usize,
}

impl FauxMapping {
    /// Maps `buffer` for the device as one with such `limits`.
    ///
    /// Fails with [`ENODEV`] where there is none, [`EIO`] where the machine cannot serve the mask,
    /// [`EINTR`], and as [`Attachment::new`] and [`Mapping::new`] do.
    pub(crate) fn new(
        buffer: &DmaBuf,
        direction: DataDirection,
        limits: DmaLimits,
    ) -> Result<Self> {
        let mut guard = DEVICE.lock_interruptible()?;
        let device = guard.as_mut().ok_or(ENODEV)?;
        device.set_limits(limits)?;

        let bound: &Device<Bound> = (*device).as_ref();
        // SAFETY: This is *not* safe, and what it is for: `unplug` takes the device away under its
        // mappings, which no importer may do, to see what exporters make of that. `device` keeps
        // at least its memory until the mapping is gone.
        let bound: &'static Device<Bound> = unsafe { &*core::ptr::from_ref(bound) };

        let attachment = Arc::new(Attachment::new(buffer, bound)?, GFP_KERNEL)?;
        Ok(Self {
            mapping: Mapping::new(attachment, direction)?,
            device: device.memory(),
            boundary_mask: limits.boundary_mask,
        })
    }

    /// Does `work`, until when the device stays. Fails with [`ENODEV`] where it is gone.
    fn with_device(&self, work: impl FnOnce(&Mapping<'_>) -> Result) -> Result {
        let guard = DEVICE.lock_interruptible()?;

        match &*guard {
            Some(device) if Arc::ptr_eq(&device.memory(), &self.device) => work(&self.mapping),
            _ => Err(ENODEV),
        }
    }

    /// Has the device read bytes from `offset` on. Returns how many: all.
    ///
    /// Fails with [`ENODEV`] where it is gone.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Result<usize> {
        self.with_device(|mapping| mapping.read_as_device(offset, to))?;
        Ok(to.len())
    }

    /// Has the device write bytes, as [`read`](Self::read).
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Result<usize> {
        self.with_device(|mapping| mapping.write_as_device(offset, from))?;
        Ok(from.len())
    }

    /// Returns the mapping, for what needs no device.
    pub(crate) fn mapping(&mut self) -> &mut Mapping<'static> {
        &mut self.mapping
    }

    /// Returns the boundary that the device had when this was mapped.
    pub(crate) fn boundary_mask(&self) -> usize {
        self.boundary_mask
    }
}
