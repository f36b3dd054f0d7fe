// SPDX-License-Identifier: GPL-2.0

//! The devices without hardware. The CPU does their work.

use crate::{
    abi, edu,
    file::measure,
    seam::{
        faux::{
            DeviceMemory,
            DmaDevice,
            DmaLimits, //
        },
        pci as seam_pci,
        DmaBuf,
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
    new_mutex,
    prelude::*,
    sync::{
        global_lock,
        Arc,
        Mutex, //
    },
};

/// The names of the devices.
const NAMES: [&CStr; 3] = [
    c"udmabuf_importer",
    c"udmabuf_importer_2",
    c"udmabuf_importer_3",
];

global_lock! {
    /// The devices that are there. Initialised when the module is loaded.
    // SAFETY: The module initialises the lock before it registers what uses it.
    pub(crate) unsafe(uninit) static DEVICES: Mutex<[Option<Arc<Plugged>>; NAMES.len()]> =
        [const { None }; NAMES.len()];
}

/// A device that is there, until it is taken out.
#[pin_data]
pub(crate) struct Plugged {
    // A lock of its own: one device can be mapped for while another is.
    #[pin]
    device: Mutex<Option<DmaDevice>>,
    presence: Arc<Presence>,
}

/// A device that may be gone. It stays while `is_there` is locked.
#[pin_data]
struct Presence {
    // Keeps the limits of the device in memory.
    _memory: Arc<DeviceMemory>,
    #[pin]
    is_there: Mutex<bool>,
}

impl Plugged {
    fn new(name: &CStr) -> Result<Arc<Self>> {
        let device = DmaDevice::new(name)?;
        let memory = device.memory();
        let presence = Arc::pin_init(
            pin_init!(Presence {
                _memory: memory,
                is_there <- new_mutex!(true),
            }),
            GFP_KERNEL,
        )?;

        Arc::pin_init(
            pin_init!(Self {
                device <- new_mutex!(Some(device)),
                presence,
            }),
            GFP_KERNEL,
        )
    }
}

/// Brings device `nr`. Fails with [`EBUSY`] where there is one.
pub(crate) fn plug(nr: usize) -> Result {
    let device = &mut DEVICES.lock()[nr];

    if device.is_some() {
        return Err(EBUSY);
    }
    *device = Some(Plugged::new(NAMES[nr])?);
    Ok(())
}

/// Takes device `nr` away, whatever is mapped for it. Fails with [`ENODEV`] where there is none.
pub(crate) fn unplug(nr: usize) -> Result {
    let plugged = DEVICES.lock()[nr].take().ok_or(ENODEV)?;

    *plugged.presence.is_there.lock() = false;
    // Waits for a mapping that is being made.
    let device = plugged.device.lock().take();
    drop(device);
    Ok(())
}

/// The devices from when the module is loaded until it is unloaded, whatever comes in between.
pub(crate) struct AllPlugged(());

impl AllPlugged {
    pub(crate) fn new() -> Result<Self> {
        // Dropped on failure.
        let this = Self(());

        (0..NAMES.len()).try_for_each(plug)?;
        Ok(this)
    }
}

impl Drop for AllPlugged {
    fn drop(&mut self) {
        for nr in 0..NAMES.len() {
            let _ = unplug(nr);
        }
    }
}

/// Adds another device to the bus, and removes it.
pub(crate) fn add_and_remove() -> Result {
    DmaDevice::new(c"udmabuf_importer_other").map(drop)
}

/// A mapping for a device, which may be gone.
///
/// # Invariants
///
/// `mapping` was made for the device that `device` is of, if that is there.
#[pin_data]
pub(crate) struct FauxMapping {
    #[pin]
    mapping: Mutex<UnmanagedMapping>,
    // None for a device without a driver, which does not go.
    device: Option<Arc<Presence>>,
    boundary_mask: usize,
}

impl FauxMapping {
    /// Maps `buffer` for device `nr` as one with such `limits`, `count` times, and all of these
    /// `again`, if that is true.
    ///
    /// Fails with [`ENODEV`] if there is none, with [`EIO`] if the machine cannot serve the mask,
    /// and as [`UnmanagedMapping::with_count`] does.
    pub(crate) fn new(
        buffer: &DmaBuf,
        nr: usize,
        direction: DataDirection,
        limits: DmaLimits,
        count: usize,
        again: bool,
    ) -> Result<Arc<Self>> {
        let plugged = DEVICES.lock()[nr].clone().ok_or(ENODEV)?;
        let mut guard = plugged.device.lock();
        let device = (*guard).as_mut().ok_or(ENODEV)?;
        device.set_limits(limits)?;

        let bound: &Device<Bound> = (*device).as_ref();
        // SAFETY: `unplug` takes the device away under its mappings, to test what exporters make of
        // that. The mapping holds a reference to the device, and `presence` keeps its limits in
        // memory. `with_device` uses the mapping only while the device is there.
        let mut mapping = unsafe { UnmanagedMapping::with_count(buffer, bound, direction, count)? };
        if again {
            mapping = mapping.map_again()?;
        }
        Self::pinned(
            mapping,
            Some(plugged.presence.clone()),
            limits.boundary_mask,
        )
    }

    /// Maps `buffer` for the edu device, which has no driver.
    ///
    /// Fails with [`ENODEV`] if there is none, and as [`UnmanagedMapping::new`] does.
    pub(crate) fn without_driver(buffer: &DmaBuf, direction: DataDirection) -> Result<Arc<Self>> {
        let device = seam_pci::find(edu::VENDOR, edu::DEVICE_ID).ok_or(ENODEV)?;

        // SAFETY: A PCI device can be mapped for from its discovery on. The mapping holds a
        // reference to it; no test removes it from its bus while it is mapped.
        let mapping = unsafe { UnmanagedMapping::new(buffer, &device, direction)? };
        Self::pinned(mapping, None, usize::MAX)
    }

    /// `mapping` must have been made for the device that `device` is of, if that is there.
    fn pinned(
        mapping: UnmanagedMapping,
        device: Option<Arc<Presence>>,
        boundary_mask: usize,
    ) -> Result<Arc<Self>> {
        // INVARIANT: By the requirement.
        Arc::pin_init(
            pin_init!(Self {
                mapping <- new_mutex!(mapping),
                device,
                boundary_mask,
            }),
            GFP_KERNEL,
        )
    }

    /// Runs `work`, during which the device stays. Fails with [`ENODEV`] if it is gone.
    ///
    /// One device does one thing at a time.
    fn with_device(&self, work: impl FnOnce(&UnmanagedMapping) -> Result) -> Result {
        let Some(presence) = &self.device else {
            return work(&self.mapping.lock());
        };
        let is_there = presence.is_there.lock();

        if !*is_there {
            return Err(ENODEV);
        }
        work(&self.mapping.lock())
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.mapping.lock().size()
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

    /// Has the device store `value` in the bytes from `offset` on at whose place `owners` has
    /// `owner`. Returns how many it has looked at: all. Fails as [`read`](Self::read) does.
    pub(crate) fn store(
        &self,
        offset: usize,
        owners: &[u8],
        owner: u8,
        value: u8,
    ) -> Result<usize> {
        self.with_device(|mapping| mapping.store_as_device(offset, owners, owner, value))?;
        Ok(owners.len())
    }

    /// Describes the segments, which can be looked at without the device.
    pub(crate) fn measure(&self) -> Result<abi::SegmentsArgs> {
        measure(&self.mapping.lock(), self.boundary_mask)
    }

    pub(crate) fn shift_addresses(&self, by: DmaAddress) {
        self.mapping.lock().shift_addresses(by);
    }
}
