// SPDX-License-Identifier: GPL-2.0

//! Additions to `kernel::pci`, for PCI drivers without unsafe code.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

pub use super::version::request_irq;
use core::{
    mem::transmute,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device::{
        self,
        Bound,
        Core, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    pci::{
        Device,
        DeviceId, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// Describes a device of a vendor that [`kernel::pci::Vendor`] has no name for.
pub const fn device_id(vendor: u16, device: u16) -> DeviceId {
    let id = bindings::pci_device_id {
        vendor: vendor as u32,
        device: device as u32,
        subvendor: !0,
        subdevice: !0,
        class: 0,
        class_mask: 0,
        driver_data: 0,
        override_only: 0,
    };

    // SAFETY: `DeviceId` is a transparent wrapper of the C struct, and this one is complete.
    unsafe { transmute::<bindings::pci_device_id, DeviceId>(id) }
}

/// Finds a device, whether it has a driver or not.
pub fn find(vendor: u16, device: u16) -> Option<ARef<device::Device>> {
    // SAFETY: Any numbers may be asked for, and the search starts at the first device.
    let found =
        unsafe { bindings::pci_get_device(vendor.into(), device.into(), core::ptr::null_mut()) };
    let found = NonNull::new(found)?;

    // SAFETY: The function returns a valid device with a reference for the caller. That counts for
    // the `struct device` in it, which `device::Device` is a transparent wrapper of.
    Some(unsafe {
        ARef::from_raw(NonNull::new_unchecked(
            (&raw mut (*found.as_ptr()).dev).cast(),
        ))
    })
}

/// Makes a device a bus master that reaches the addresses in `mask`.
///
/// To be called from `probe`. Fails with [`EBUSY`] for a device that is one already, and with
/// [`EIO`] for a mask that the machine cannot serve.
pub fn enable_dma(device: &Device<Core<'_>>, mask: DmaMask) -> Result {
    // SAFETY: The reference guarantees a valid device. `Core` means that its lock is held.
    if unsafe { (*as_raw(device)).is_busmaster() } != 0 {
        return Err(EBUSY);
    }

    // SAFETY: A device that is no bus master, as just read, is one that its driver has not put to
    // use yet, so nothing is mapped for it.
    unsafe { device.dma_set_mask_and_coherent(mask)? };
    device.set_master();
    Ok(())
}

/// Takes from a device the right to access memory: whatever it is up to, no more byte is moved.
pub fn disable_dma(device: &Device<Bound>) {
    // SAFETY: The reference guarantees a valid device.
    unsafe { bindings::pci_clear_master(as_raw(device)) };
}

/// Returns the raw pointer of a PCI device.
fn as_raw(device: &Device<Bound>) -> *mut bindings::pci_dev {
    // `Device` is a transparent wrapper of the C struct, which may change behind references.
    core::ptr::from_ref(device).cast_mut().cast()
}
