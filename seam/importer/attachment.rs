// SPDX-License-Identifier: GPL-2.0

//! Attachments of devices to dma-bufs.

use super::{
    bound::{
        access,
        as_raw, //
    },
    DmaBuf, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    error::from_err_ptr,
    prelude::*,
    sync::aref::ARef, //
};

/// A device attached to a dma-buf, until the value is dropped or the device unbound.
///
/// Belongs, with a reference to the dma-buf, to the binding of the device to its driver. A
/// `struct dma_buf_attachment` holds no reference to the device, so the dma-buf must not keep one
/// of a device that is gone, even if this value was forgotten.
pub struct Attachment {
    raw: Devres<RawAttachment>,
    size: usize,
}

impl Attachment {
    /// Attaches `device` to `buffer`.
    ///
    /// Fails with [`ENOMEM`] and with the error of an exporter that refuses the device.
    pub fn new(buffer: &DmaBuf, device: &Device<Bound>) -> Result<Self> {
        // SAFETY: `Devres` drops the attachment before the device is unbound, and memory can be
        // mapped until then. `Mapping` ensures that nothing is mapped any more.
        let raw = unsafe { RawAttachment::new(buffer, device)? };

        Ok(Self {
            raw: Devres::new(device, raw)?,
            size: buffer.size(),
        })
    }

    /// Returns the size of the dma-buf in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the dma-buf, which is there as long as `device` is bound.
    ///
    /// Fails with [`ENODEV`] after the device has been unbound, and with [`EINVAL`] for another
    /// device.
    pub fn buffer<'a>(&'a self, device: &'a Device<Bound>) -> Result<&'a DmaBuf> {
        Ok(self.access(device)?.buffer())
    }

    /// Returns the attachment of the C side. Fails as [`buffer`](Self::buffer) does.
    pub(super) fn access<'a>(&'a self, device: &'a Device<Bound>) -> Result<&'a RawAttachment> {
        access(&self.raw, device)
    }
}

/// An attachment that nothing but this value detaches.
///
/// # Invariants
///
/// `attachment` is an attachment to `buffer` that only this value detaches.
pub(super) struct RawAttachment {
    attachment: NonNull<bindings::dma_buf_attachment>,
    buffer: ARef<DmaBuf>,
}

// SAFETY: An attachment belongs to no task.
unsafe impl Send for RawAttachment {}
// SAFETY: A shared reference gives access to the pointer alone, and the core serialises the mapping
// of one attachment.
unsafe impl Sync for RawAttachment {}

impl RawAttachment {
    /// Attaches `device` to `buffer`.
    ///
    /// # Safety
    ///
    /// - Memory can be mapped for the device until the value is dropped.
    /// - The value must be dropped after all that was mapped for it has been unmapped.
    pub(super) unsafe fn new(buffer: &DmaBuf, device: &Device) -> Result<Self> {
        // SAFETY: The references guarantee a valid dma-buf and a valid device.
        let attachment = unsafe { bindings::dma_buf_attach(buffer.as_raw(), as_raw(device)) };
        let attachment = from_err_ptr(attachment)?;

        // INVARIANT: The attachment was just made, and is known to this value alone.
        Ok(Self {
            // SAFETY: `dma_buf_attach()` returns an error pointer or a valid one, never NULL.
            attachment: unsafe { NonNull::new_unchecked(attachment) },
            buffer: buffer.into(),
        })
    }

    pub(super) fn buffer(&self) -> &DmaBuf {
        &self.buffer
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::dma_buf_attachment {
        self.attachment.as_ptr()
    }
}

impl Drop for RawAttachment {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the attachment is to `buffer` and not yet detached.
        // Nothing is mapped any more, by the safety requirements of `new`.
        unsafe { bindings::dma_buf_detach(self.buffer.as_raw(), self.as_ptr()) };
    }
}
