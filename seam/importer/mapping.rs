// SPDX-License-Identifier: GPL-2.0

//! The memory of a dma-buf as a device sees it.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use super::{
    attachment::RawAttachment,
    bound::access,
    Attachment,
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
    dma::{
        DataDirection,
        DmaAddress, //
    },
    error::from_err_ptr,
    prelude::*,
    scatterlist::SGTable,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// Memory that is contiguous for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of the first byte, for the device.
    pub address: DmaAddress,
    /// Length in bytes.
    pub length: usize,
}

/// The memory of a dma-buf mapped for a device, until the value is dropped or the device unbound.
///
/// Mapping makes earlier writes of the CPU visible to the device, and unmapping makes the writes of
/// the device visible to the CPU. In between, that takes a
/// [`CpuAccessGuard`](super::CpuAccessGuard).
///
/// Keeps its attachment. One attachment may have several mappings. Dropping one searches the
/// resources of the device, the newest first.
pub struct Mapping {
    // Fields are dropped in this order: a mapping goes before its attachment. At unbind it does so
    // too, since device-managed resources are released in the reverse order of their creation.
    table: Devres<MappedTable>,
    attachment: Arc<Attachment>,
}

impl Mapping {
    /// Maps the dma-buf of `attachment` for `device`, which is going to move data in `direction`.
    ///
    /// Fails with [`ENODEV`] if the attached device has been unbound meanwhile, with [`EINVAL`] if
    /// `device` is another one, with [`EINTR`] or `ERESTARTSYS` if a signal arrives while fences of
    /// the kernel's own are waited for, with [`ENOMEM`], and with the error of the exporter: for
    /// most, [`EIO`] for memory that the device cannot reach.
    pub fn new(
        attachment: Arc<Attachment>,
        device: &Device<Bound>,
        direction: DataDirection,
    ) -> Result<Self> {
        // SAFETY: The attachment is of `device`, as `access` has checked. At unbind, `Devres` drops
        // the table before the attachment, which is the older resource; else `self` drops it first.
        let table = unsafe { MappedTable::new(attachment.access(device)?, device, direction)? };

        Ok(Self {
            table: Devres::new(device, table)?,
            attachment,
        })
    }

    /// Returns the attachment.
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Returns the size in bytes: that of the dma-buf.
    pub fn size(&self) -> usize {
        self.attachment.size()
    }

    /// Returns the mapped memory, which is there as long as `device` is bound.
    ///
    /// Fails with [`ENODEV`] if the device has been unbound since, and with [`EINVAL`] if `device`
    /// is another one.
    pub fn access<'a>(&'a self, device: &'a Device<Bound>) -> Result<&'a MappedTable> {
        access(&self.table, device)
    }

    /// Adds `by` to all addresses in the table that the exporter handed out, until it is unmapped.
    ///
    /// Importers may use that table as their own: RDMA keeps addresses there which suit its
    /// hardware ([`umem_dmabuf.c`]). An exporter must not rely on it. [`MappedTable::segments`]
    /// goes on returning the addresses that the memory is at.
    ///
    /// Fails as [`access`](Self::access) does.
    ///
    /// [`umem_dmabuf.c`]: srctree/drivers/infiniband/core/umem_dmabuf.c
    pub fn shift_addresses(&mut self, device: &Device<Bound>, by: DmaAddress) -> Result {
        let table = access(&self.table, device)?;

        // SAFETY: `self` is exclusively borrowed, so there is no iterator over the segments.
        unsafe { table.shift_addresses(by) };
        Ok(())
    }
}

/// A dma-buf's memory, as it is mapped for a device.
///
/// # Invariants
///
/// - `table` was mapped for `attachment` in `direction`, and only this value unmaps it.
/// - Each DMA address in `table` is the one that the exporter put there, plus `shift`.
/// - `attachment` is an attachment of `device`, for which memory can be mapped while it lasts.
pub struct MappedTable {
    attachment: NonNull<bindings::dma_buf_attachment>,
    table: NonNull<bindings::sg_table>,
    direction: DataDirection,
    shift: Atomic<u64>,
    size: usize,
    device: ARef<Device>,
}

// SAFETY: A mapping belongs to no task.
unsafe impl Send for MappedTable {}
// SAFETY: A shared reference gives access to the table for reading only.
unsafe impl Sync for MappedTable {}

impl MappedTable {
    /// Maps the dma-buf of `attachment` for `device`.
    ///
    /// # Safety
    ///
    /// - `attachment` must be an attachment of `device`.
    /// - The value must be dropped before the attachment is.
    pub(super) unsafe fn new(
        attachment: &RawAttachment,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self> {
        // SAFETY: The attachment is valid, and memory can be mapped for its device.
        let table = from_err_ptr(unsafe {
            bindings::dma_buf_map_attachment_unlocked(attachment.as_ptr(), direction.into())
        })?;

        // INVARIANT: The table was just mapped, and has not been changed. By the safety
        // requirements, the device stays attached.
        Ok(Self {
            // SAFETY: The pointer of a `RawAttachment` is never NULL.
            attachment: unsafe { NonNull::new_unchecked(attachment.as_ptr()) },
            // SAFETY: The function returns an error pointer or a valid one, never NULL.
            table: unsafe { NonNull::new_unchecked(table) },
            direction,
            shift: Atomic::new(0),
            size: attachment.buffer().size(),
            device: device.into(),
        })
    }

    /// Returns the size in bytes: that of the dma-buf.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the dma-buf.
    pub(super) fn buffer(&self) -> &DmaBuf {
        // SAFETY: By the type invariants, the attachment is valid, and so is its dma-buf.
        unsafe { &*(*self.attachment.as_ptr()).dmabuf.cast() }
    }

    /// Returns the direction that it was mapped for.
    pub fn direction(&self) -> DataDirection {
        self.direction
    }

    /// Returns the device, for which memory can be mapped.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the segments in the order of the buffer. They cover all of it.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        // SAFETY: By the type invariants, the table is valid. Only `shift_addresses` changes it,
        // and its callers ensure that there is no iterator.
        let table = unsafe { SGTable::from_raw(self.table.as_ptr()) };
        let shift = self.shift.load(Relaxed);

        table.iter().map(move |entry| Segment {
            address: entry.dma_address().wrapping_sub(shift),
            // CAST: The length of an entry is an `unsigned int`.
            length: entry.dma_len() as usize,
        })
    }

    /// Returns the rest of the segment that byte `offset` of the buffer is in, from that byte on.
    pub fn segment_at(&self, offset: usize) -> Option<Segment> {
        let mut skip = offset;

        for segment in self.segments() {
            if skip < segment.length {
                return Some(Segment {
                    // CAST: Never truncates, as `DmaAddress` can hold the end of the segment.
                    address: segment.address + skip as DmaAddress,
                    length: segment.length - skip,
                });
            }
            skip -= segment.length;
        }
        None
    }

    /// Adds `by` to all addresses in the table, as [`Mapping::shift_addresses`] does.
    ///
    /// # Safety
    ///
    /// The segments must not be in use, and no other task may call this at the same time.
    pub(super) unsafe fn shift_addresses(&self, by: DmaAddress) {
        // SAFETY: By the type invariants, the table is valid.
        let (mut entry, count) = unsafe { ((*self.table.as_ptr()).sgl, self.table.as_ref().nents) };

        for _ in 0..count {
            // SAFETY: A table has `nents` mapped entries. By the safety requirements, nothing else
            // accesses their addresses.
            unsafe {
                (*entry).dma_address = (*entry).dma_address.wrapping_add(by);
                entry = bindings::sg_next(entry);
            }
        }
        // INVARIANT: `by` was added to each address.
        self.shift
            .store(self.shift.load(Relaxed).wrapping_add(by), Relaxed);
    }
}

impl Drop for MappedTable {
    fn drop(&mut self) {
        let shift = self.shift.load(Relaxed);
        if shift != 0 {
            // SAFETY: The value is exclusively borrowed.
            unsafe { self.shift_addresses(shift.wrapping_neg()) };
        }

        // SAFETY: By the type invariants, the table was mapped for this attachment in this
        // direction. Its addresses are the exporter's again.
        unsafe {
            bindings::dma_buf_unmap_attachment_unlocked(
                self.attachment.as_ptr(),
                self.table.as_ptr(),
                self.direction.into(),
            )
        };
    }
}
