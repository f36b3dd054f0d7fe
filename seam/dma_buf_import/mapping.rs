// SPDX-License-Identifier: GPL-2.0

//! The memory of a dma-buf as a device sees it.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use super::Attachment;
use core::ptr::NonNull;
use kernel::{
    bindings,
    dma::{
        DataDirection,
        DmaAddress, //
    },
    error::from_err_ptr,
    prelude::*,
    scatterlist::SGTable,
    sync::Arc, //
};

/// Memory that is contiguous for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the device finds it.
    pub address: DmaAddress,
    /// Its length in bytes.
    pub length: usize,
}

/// The memory of a dma-buf mapped for the device of an attachment, until the value is dropped.
///
/// Mapping makes what the CPU wrote before visible to the device, unmapping makes what the device
/// wrote visible to the CPU; in between, that takes a [`CpuAccess`](super::CpuAccess).
///
/// Keeps its attachment. One attachment may have several mappings.
///
/// # Invariants
///
/// - `table` was mapped for `attachment` in `direction`, and is ours to unmap.
/// - Each DMA address in `table` is what the exporter put there, plus `shift`.
pub struct Mapping<'a> {
    attachment: Arc<Attachment<'a>>,
    table: NonNull<bindings::sg_table>,
    direction: DataDirection,
    shift: DmaAddress,
}

// SAFETY: A mapping belongs to no task.
unsafe impl Send for Mapping<'_> {}
// SAFETY: Shared, it is only read.
unsafe impl Sync for Mapping<'_> {}

impl<'a> Mapping<'a> {
    /// Maps the dma-buf of `attachment` for its device, which is going to move data in `direction`.
    ///
    /// Fails with [`EINTR`] or `ERESTARTSYS` when a signal comes while fences of the kernel's own
    /// are waited for, with [`ENOMEM`], and with what the exporter answers: for most, [`EIO`] where
    /// the device cannot reach the memory.
    pub fn new(attachment: Arc<Attachment<'a>>, direction: DataDirection) -> Result<Self> {
        // SAFETY: The attachment is valid, and so the device is bound and its dma-buf alive.
        let table = from_err_ptr(unsafe {
            bindings::dma_buf_map_attachment_unlocked(attachment.as_raw(), direction.into())
        })?;

        // INVARIANT: Just mapped, and not changed.
        Ok(Self {
            attachment,
            // SAFETY: No error and so not NULL.
            table: unsafe { NonNull::new_unchecked(table) },
            direction,
            shift: 0,
        })
    }

    /// Returns the attachment.
    pub fn attachment(&self) -> &Attachment<'a> {
        &self.attachment
    }

    /// Returns the size in bytes: that of the dma-buf.
    pub fn size(&self) -> usize {
        self.attachment.buffer().size()
    }

    /// Returns the direction it was made for.
    pub fn direction(&self) -> DataDirection {
        self.direction
    }

    /// Returns the segments in the order of the buffer, of which they are the whole.
    ///
    /// They are good for as long as the mapping lives.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        // SAFETY: By the type invariants the table is valid; only `shift_addresses` changes it, and
        // that takes an exclusive reference.
        let table = unsafe { SGTable::from_raw(self.table.as_ptr()) };

        table.iter().map(|entry| Segment {
            address: entry.dma_address().wrapping_sub(self.shift),
            // CAST: The length of an entry is an `unsigned int`.
            length: entry.dma_len() as usize,
        })
    }

    /// Returns what is left of the segment with byte `offset` of the buffer in it, from there on.
    pub fn segment_at(&self, offset: usize) -> Option<Segment> {
        let mut skip = offset;

        for segment in self.segments() {
            if skip < segment.length {
                return Some(Segment {
                    // CAST: Never truncates, as `DmaAddress` can hold where the segment ends.
                    address: segment.address + skip as DmaAddress,
                    length: segment.length - skip,
                });
            }
            skip -= segment.length;
        }
        None
    }

    /// Adds `by` to all addresses in the table that the exporter handed out, until it is unmapped.
    ///
    /// Importers may use that table as their own: RDMA keeps addresses there which suit its
    /// hardware ([`umem_dmabuf.c`]). An exporter must not rely on it. [`segments`](Self::segments)
    /// goes on returning the addresses that the memory is at.
    ///
    /// [`umem_dmabuf.c`]: srctree/drivers/infiniband/core/umem_dmabuf.c
    pub fn shift_addresses(&mut self, by: DmaAddress) {
        // SAFETY: By the type invariants the table is valid.
        let (mut entry, count) = unsafe { ((*self.table.as_ptr()).sgl, self.table.as_ref().nents) };

        for _ in 0..count {
            // SAFETY: A table has `nents` entries that are mapped. Nobody else uses their
            // addresses, since we are exclusively borrowed.
            unsafe {
                (*entry).dma_address = (*entry).dma_address.wrapping_add(by);
                entry = bindings::sg_next(entry);
            }
        }
        // INVARIANT: Each address was changed by as much.
        self.shift = self.shift.wrapping_add(by);
    }
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        if self.shift != 0 {
            self.shift_addresses(self.shift.wrapping_neg());
        }

        // SAFETY: By the type invariants the table was mapped in just this way, and it says again
        // what the exporter put there.
        unsafe {
            bindings::dma_buf_unmap_attachment_unlocked(
                self.attachment.as_raw(),
                self.table.as_ptr(),
                self.direction.into(),
            )
        };
    }
}
