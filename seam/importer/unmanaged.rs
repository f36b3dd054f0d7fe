// SPDX-License-Identifier: GPL-2.0

//! Mappings that do not end with the binding of their device.

use super::{
    attachment::RawAttachment,
    DmaBuf,
    MappedTable, //
};
use core::ops::Deref;
use kernel::{
    device::Device,
    dma::{
        DataDirection,
        DmaAddress, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// A dma-buf attached to and mapped for a device, until the value is dropped and no earlier.
///
/// For tests of exporters, which misbehave on purpose: one that forgets the value leaves the buffer
/// mapped, and one that unplugs the device first leaves it mapped for a device that is gone.
/// Drivers use [`Mapping`](super::Mapping).
pub struct UnmanagedMapping {
    // Fields are dropped in this order: mappings go before their attachment.
    tables: KVVec<MappedTable>,
    attachment: RawAttachment,
}

impl UnmanagedMapping {
    /// Attaches `device` to `buffer`, and maps it once.
    ///
    /// Fails as [`Attachment::new`](super::Attachment::new) and
    /// [`Mapping::new`](super::Mapping::new) do.
    ///
    /// # Safety
    ///
    /// The device must be one that memory can be mapped for, and stay in memory with all that its
    /// DMA operations read until the value is dropped. After it has been unbound, the value may
    /// only be dropped or forgotten.
    pub unsafe fn new(buffer: &DmaBuf, device: &Device, direction: DataDirection) -> Result<Self> {
        // SAFETY: By the safety requirements.
        unsafe { Self::with_count(buffer, device, direction, 1) }
    }

    /// Attaches `device` to `buffer`, and maps it `count` times for the one attachment.
    ///
    /// Fails as [`new`](Self::new) does, and with [`EINVAL`] for a `count` of 0.
    ///
    /// # Safety
    ///
    /// As of [`new`](Self::new).
    pub unsafe fn with_count(
        buffer: &DmaBuf,
        device: &Device,
        direction: DataDirection,
        count: usize,
    ) -> Result<Self> {
        if count == 0 {
            return Err(EINVAL);
        }

        let mut this = Self {
            tables: KVVec::with_capacity(count, GFP_KERNEL)?,
            // SAFETY: `tables` is dropped before the attachment. The device stays in memory by the
            // safety requirements; an exporter that is under test copes with one that was unbound.
            attachment: unsafe { RawAttachment::new(buffer, device)? },
        };
        for _ in 0..count {
            // SAFETY: The attachment is of `device`, and is dropped after the table.
            let table = unsafe { MappedTable::new(&this.attachment, device, direction)? };
            this.tables.push(table, GFP_KERNEL)?;
        }
        Ok(this)
    }

    /// Ends all mappings, and maps the buffer as many times again for the same attachment.
    ///
    /// Fails as [`Mapping::new`](super::Mapping::new) does.
    pub fn map_again(mut self) -> Result<Self> {
        let device: ARef<Device> = self.device().into();
        let (direction, count) = (self.direction(), self.tables.len());

        while self.tables.pop().is_some() {}
        for _ in 0..count {
            // SAFETY: The attachment is of `device`, and is dropped after the table.
            let table = unsafe { MappedTable::new(&self.attachment, &device, direction)? };
            self.tables.push(table, GFP_KERNEL)?;
        }
        Ok(self)
    }

    /// Adds `by` to all addresses in the table, as
    /// [`Mapping::shift_addresses`](super::Mapping::shift_addresses) does.
    pub fn shift_addresses(&mut self, by: DmaAddress) {
        // SAFETY: The value is exclusively borrowed, so there is no iterator over the segments.
        unsafe { self.tables[0].shift_addresses(by) };
    }
}

impl Deref for UnmanagedMapping {
    type Target = MappedTable;

    /// Returns the first mapping.
    fn deref(&self) -> &MappedTable {
        &self.tables[0]
    }
}
