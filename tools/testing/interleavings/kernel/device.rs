// SPDX-License-Identifier: GPL-2.0

//! Devices.

use crate::{bindings, sync::aref::AlwaysRefCounted};

/// A device.
#[repr(transparent)]
pub struct Device(bindings::device);

// SAFETY: The bus is constant, and all tasks of an execution are in one thread.
unsafe impl Send for Device {}
// SAFETY: The bus is constant, and the count is changed in the one thread of all tasks.
unsafe impl Sync for Device {}

// SAFETY: Scenarios keep their devices to the end, and look at the count then.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        self.0.references.set(self.0.references.get() + 1);
    }

    fn dec_ref(&self) {
        self.0.references.set(self.0.references.get() - 1);
    }
}

impl Device {
    /// Creates a device on `bus`, which must outlive it, or on none.
    pub fn new(bus: *const bindings::bus_type) -> Self {
        Self(bindings::device::new(bus))
    }

    /// Returns a device by its C side.
    ///
    /// # Safety
    ///
    /// It must be valid for `'a`.
    pub unsafe fn from_raw<'a>(device: *mut bindings::device) -> &'a Self {
        // SAFETY: By the safety requirements, the device is valid for `'a`. The type is
        // transparent.
        unsafe { &*device.cast() }
    }

    /// Tells the bus of an event, with the lock of the device held.
    pub fn notify(&self, event: bindings::bus_notifier_event) {
        self.0.notify(event);
    }

    /// Returns the number of references that are counted.
    pub fn references(&self) -> usize {
        self.0.references.get()
    }
}
