// SPDX-License-Identifier: GPL-2.0

//! Mappings of memory that is shared by reference count.

use crate::seam::{
    dma,
    dma_buf::{
        Attached,
        DeviceTable,
        Exporter, //
    },
    dma_mapping::DmaMapping,
    scatterlist::{
        Scattered,
        SgTable, //
    },
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    dma::DataDirection,
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc, //
};

/// An `M` mapped for an attached device.
///
/// Keeps the memory, so that forgetting the value leaks memory and no more. It cannot be kept
/// beyond the attachment, since it borrows from it.
pub struct SharedMapping<'a, M> {
    // Dropped before the memory.
    mapping: DmaMapping,
    memory: Arc<M>,
    _attachment: PhantomData<&'a ()>,
}

impl<'a, M: Scattered> SharedMapping<'a, M> {
    /// Maps `memory` for the device of `attachment`, in segments that the device can take.
    ///
    /// Fails with [`EINVAL`] for a device that cannot take a page as a segment, with [`ENOMEM`],
    /// and as [`DmaMapping::new`] does.
    pub fn new<T: Exporter>(
        memory: Arc<M>,
        attachment: &Attached<'a, T>,
        direction: DataDirection,
    ) -> Result<Self> {
        let device = attachment.device();
        let table = SgTable::new(&*memory, dma::segment_limits(device)?)?;

        // SAFETY: The value holds `memory`. An attached device is ready for DMA until it is
        // detached, which `'a` does not exceed.
        let mut mapping = unsafe { DmaMapping::new(table, device, direction)? };
        if let Err(error) = mapping.share() {
            drop(mapping.unmap_without_sync());
            return Err(error);
        }
        Ok(Self {
            mapping,
            memory,
            _attachment: PhantomData,
        })
    }

    /// Makes data that the device has written visible to the CPU.
    pub fn sync_for_cpu(&self) {
        self.mapping.sync_for_cpu();
    }

    /// Makes data that the CPU has written visible to the device.
    pub fn sync_for_device(&self) {
        self.mapping.sync_for_device();
    }
}

// SAFETY: The table describes all of the memory, mapped for the device. `share()` has saved the
// addresses that the importer may change.
unsafe impl<M: Scattered + Send + Sync> DeviceTable for SharedMapping<'_, M> {
    fn table(&self) -> bindings::sg_table {
        self.mapping.table().header()
    }

    fn size(&self) -> usize {
        self.memory.runs().pages() << PAGE_SHIFT
    }
}
