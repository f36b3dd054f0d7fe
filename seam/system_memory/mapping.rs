// SPDX-License-Identifier: GPL-2.0

//! The memory of a dma-buf mapped for an attached device.

use super::{
    coherence::Coherence,
    streaming::{
        self,
        Streaming, //
    },
    sync_users::SyncUsers,
    writer::Writer, //
};
use crate::seam::{
    dma,
    dma_buf::DeviceTable,
    mm::StableMemory,
    scatterlist::SgTable, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// The memory of a dma-buf, mapped for one device.
///
/// A device that loses its driver takes the mapping along: it is not synced any more from the
/// beginning of the unbinding, and unmapped at its end.
pub struct SystemMapping<'a> {
    coherence: &'a Mutex<Coherence>,
    sync_users: &'a SyncUsers,
    /// The importer's table.
    header: bindings::sg_table,
    owner: TableOwner,
    size: usize,
}

// SAFETY: `header` points to a table that `owner` owns, and that belongs to no task.
unsafe impl Send for SystemMapping<'_> {}

/// Owner of the table of a mapping.
enum TableOwner {
    /// Neither syncing nor unmapping has an effect, so nothing else is left of the mapping.
    Itself {
        _table: SgTable,
        writer: Writer,
    },
    Stream(Arc<Streaming>),
}

impl<'a> SystemMapping<'a> {
    /// Maps `memory` for `device`, in segments that the device can take.
    ///
    /// Fails with [`EINVAL`] for a device that cannot take a page as a segment, with [`EBUSY`] if
    /// the device and another one write and one of them does so through a bounce buffer, with
    /// [`ENOMEM`], and as `dma_map_sgtable()` does: with [`EIO`] if the device cannot reach the
    /// memory and there is no room to bounce it.
    ///
    /// # Safety
    ///
    /// `device` must be ready for DMA until the value is dropped, or be watched by
    /// [`WatchedDevice`](super::attachment::WatchedDevice) for the same `coherence`. `memory` must
    /// outlive `coherence`.
    pub(super) unsafe fn new<M: StableMemory>(
        memory: &'a M,
        coherence: &'a Mutex<Coherence>,
        sync_users: &'a SyncUsers,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self> {
        let table = SgTable::new(memory, dma::segment_limits(device)?)?;
        let size = memory.runs().pages() << kernel::page::PAGE_SHIFT;
        let user = sync_users.get();

        let mut guard = coherence.lock();
        // Data that other devices have written becomes visible to this one as well.
        guard.fetch();
        // SAFETY: By the safety requirements. The list in `coherence` and the value itself, which
        // borrows from the memory, are the owners of the mapping.
        let mapping = unsafe { streaming::map(table, device, direction)? };
        let needs_sync = mapping.needs_sync();
        let writer = Writer::new(&mapping, direction);
        if let Err(error) = guard.add_writer(writer) {
            drop(mapping.unmap_without_sync());
            return Err(error);
        }

        let header = mapping.table().header();
        let owner = if mapping.needs_unmap() {
            match Streaming::new(mapping, writer) {
                Ok(stream) => TableOwner::Stream(guard.add(stream)),
                Err(error) => {
                    guard.remove_writer(writer);
                    return Err(error);
                }
            }
        } else {
            TableOwner::Itself {
                _table: mapping.abandon(),
                writer,
            }
        };
        drop(guard);

        if needs_sync {
            user.keep();
        }
        Ok(Self {
            coherence,
            sync_users,
            header,
            owner,
            size,
        })
    }
}

// SAFETY: The table describes all of the memory, mapped for the device, and `owner` keeps it. The
// importer may change the addresses: a stream has saved them.
unsafe impl DeviceTable for SystemMapping<'_> {
    fn table(&self) -> bindings::sg_table {
        self.header
    }

    fn size(&self) -> usize {
        self.size
    }
}

impl Drop for SystemMapping<'_> {
    fn drop(&mut self) {
        let mut coherence = self.coherence.lock();

        match &self.owner {
            TableOwner::Itself { writer, .. } => coherence.remove_writer(*writer),
            TableOwner::Stream(stream) => {
                // SAFETY: `add()` of this `coherence` has returned it.
                unsafe { coherence.remove(stream) };
                // Unmapping is a barrier: until here, an end of CPU access waits for the lock.
                if stream.needs_sync() {
                    self.sync_users.put();
                }
            }
        }
    }
}
