// SPDX-License-Identifier: GPL-2.0

//! The device without hardware. The CPU does its work.

use crate::{
    edu,
    seam::{
        faux::{
            DeviceMemory,
            DmaDevice,
            DmaLimits, //
        },
        pci as seam_pci,
        DmaBuf,
        MappedTable,
        UnmanagedMapping, //
    },
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::{
        DataDirection,
        DmaAddress, //
    },
    prelude::*,
    sync::{
        global_lock,
        Arc, //
    },
};

global_lock! {
    /// The device, while it is there. Initialised when the module is loaded.
    pub(crate) unsafe(uninit) static DEVICE: Mutex<Option<DmaDevice>> = None;
}

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

/// Adds another device to the bus, and removes it.
pub(crate) fn add_and_remove() -> Result {
    DmaDevice::new(c"udmabuf_importer_other").map(drop)
}

/// A mapping for the device, which may be gone.
///
/// # Invariants
///
/// `mapping` was made for the device that `device` is of, if that is there.
pub(crate) struct FauxMapping {
    mapping: UnmanagedMapping,
    // None for a device without a driver, which does not go.
    device: Option<Arc<DeviceMemory>>,
    boundary_mask: usize,
}

impl FauxMapping {
    /// Maps `buffer` for the device as one with such `limits`, `count` times.
    ///
    /// Fails with [`ENODEV`] if there is none, with [`EIO`] if the machine cannot serve the mask,
    /// and as [`UnmanagedMapping::with_count`] does.
    pub(crate) fn new(
        buffer: &DmaBuf,
        direction: DataDirection,
        limits: DmaLimits,
        count: usize,
    ) -> Result<Self> {
        let mut guard = DEVICE.lock();
        let device = guard.as_mut().ok_or(ENODEV)?;
        device.set_limits(limits)?;

        let bound: &Device<Bound> = (*device).as_ref();
        // SAFETY: `unplug` takes the device away under its mappings, to test what exporters make of
        // that. The mapping holds a reference to the device, and `device` keeps its limits in
        // memory. `with_device` uses the mapping only while the device is there.
        let mapping = unsafe { UnmanagedMapping::with_count(buffer, bound, direction, count)? };
        // INVARIANT: `device` is the one that the mapping was just made for.
        Ok(Self {
            mapping,
            device: Some(device.memory()),
            boundary_mask: limits.boundary_mask,
        })
    }

    /// Maps `buffer` for the edu device, which has no driver.
    ///
    /// Fails with [`ENODEV`] if there is none, and as [`UnmanagedMapping::new`] does.
    pub(crate) fn without_driver(buffer: &DmaBuf, direction: DataDirection) -> Result<Self> {
        let device = seam_pci::find(edu::VENDOR, edu::DEVICE_ID).ok_or(ENODEV)?;

        // SAFETY: A PCI device can be mapped for from its discovery on. The mapping holds a
        // reference to it; no test removes it from its bus while it is mapped.
        let mapping = unsafe { UnmanagedMapping::new(buffer, &device, direction)? };
        // INVARIANT: There is no `device`.
        Ok(Self {
            mapping,
            device: None,
            boundary_mask: usize::MAX,
        })
    }

    /// Runs `work`, during which the device stays. Fails with [`ENODEV`] if it is gone.
    fn with_device(&self, work: impl FnOnce(&MappedTable) -> Result) -> Result {
        let Some(memory) = &self.device else {
            return work(&self.mapping);
        };

        match &*DEVICE.lock() {
            Some(device) if Arc::ptr_eq(&device.memory(), memory) => work(&self.mapping),
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

    /// Returns the mapped memory. Its segments can be looked at without the device.
    pub(crate) fn table(&self) -> &MappedTable {
        &self.mapping
    }

    pub(crate) fn shift_addresses(&mut self, by: DmaAddress) {
        self.mapping.shift_addresses(by);
    }

    /// Returns the boundary that the device had when the buffer was mapped.
    pub(crate) fn boundary_mask(&self) -> usize {
        self.boundary_mask
    }
}
