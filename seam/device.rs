// SPDX-License-Identifier: GPL-2.0

//! The C side of [`Device`].
//!
//! `Device::as_raw()` is private to the kernel crate.

use kernel::{
    bindings,
    device::Device, //
};

/// Returns the C side of `device`.
pub fn as_raw(device: &Device) -> *mut bindings::device {
    // `Device` is a transparent wrapper of the C struct, which may change behind references.
    core::ptr::from_ref(device).cast_mut().cast()
}
