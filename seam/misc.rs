// SPDX-License-Identifier: GPL-2.0

//! What a misc driver asks beyond `kernel::miscdevice`.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use super::dma::VirtualDevice;
use crate::ffi;
use kernel::{
    miscdevice::MiscDeviceRegistration,
    prelude::*, //
};

/// Tells whether a misc device called `name` is registered.
///
/// `misc_register()` fails on such a name too, but only after sysfs has dumped the kernel stack.
/// The answer can be out of date as soon as it is given.
pub(crate) fn name_is_taken(name: &CStr) -> bool {
    // SAFETY: `name` is a valid C string for the duration of the call, which only reads it.
    unsafe { ffi::misc_name_taken(name.as_char_ptr()) }
}

/// Returns the device of `misc`, set up for DMA.
///
/// To be called from `open`, whose first call comes before anything else can use the device.
pub(crate) fn dma_device<T>(misc: &MiscDeviceRegistration<T>) -> Result<VirtualDevice>
where
    T: kernel::miscdevice::MiscDevice,
{
    // SAFETY: The device belongs to the registration that we were shown, and misc devices are on no
    // bus. Nobody maps for one but its driver, and drivers learn of it here or, as a device that
    // refuses DMA for want of a mask, from `misc`.
    unsafe { VirtualDevice::new(misc.device()) }
}
