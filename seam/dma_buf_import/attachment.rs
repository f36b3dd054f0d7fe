// SPDX-License-Identifier: GPL-2.0

//! A device that is going to use a dma-buf.

use super::DmaBuf;
use core::ptr::NonNull;
use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    error::from_err_ptr,
    prelude::*,
    sync::aref::ARef, //
};

/// A device attached to a dma-buf, until the value is dropped.
///
/// Holds a reference to the dma-buf, and borrows from the binding of the device to its driver: a
/// device that is gone cannot be left attached.
///
/// # Invariants
///
/// `attachment` is an attachment of `device` to `buffer`, which is ours to detach.
pub struct Attachment<'a> {
    attachment: NonNull<bindings::dma_buf_attachment>,
    buffer: ARef<DmaBuf>,
    device: &'a Device<Bound>,
}

// SAFETY: An attachment belongs to no task.
unsafe impl Send for Attachment<'_> {}
// SAFETY: Shared, it is only read; the core serialises the mapping of one attachment.
unsafe impl Sync for Attachment<'_> {}

impl<'a> Attachment<'a> {
    /// Attaches `device` to `buffer`.
    ///
    /// Fails with [`ENOMEM`] and with what an exporter says that does not want the device.
    pub fn new(buffer: &DmaBuf, device: &'a Device<Bound>) -> Result<Self> {
        let raw = core::ptr::from_ref(device).cast_mut().cast();

        // SAFETY: The references guarantee a valid dma-buf and a valid device.
        let attachment = from_err_ptr(unsafe { bindings::dma_buf_attach(buffer.as_raw(), raw) })?;

        // INVARIANT: Just attached.
        Ok(Self {
            // SAFETY: No error and so not NULL.
            attachment: unsafe { NonNull::new_unchecked(attachment) },
            buffer: buffer.into(),
            device,
        })
    }

    /// Returns the dma-buf.
    pub fn buffer(&self) -> &DmaBuf {
        &self.buffer
    }

    /// Returns the device.
    pub fn device(&self) -> &'a Device<Bound> {
        self.device
    }

    pub(super) fn as_raw(&self) -> *mut bindings::dma_buf_attachment {
        self.attachment.as_ptr()
    }
}

impl Drop for Attachment<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. Nothing is mapped any more, since a `Mapping` holds its
        // attachment.
        unsafe { bindings::dma_buf_detach(self.buffer.as_raw(), self.as_raw()) };
    }
}
