// SPDX-License-Identifier: GPL-2.0

//! The memory of a dma-buf mapped for an attached device.

use super::{
    direct::{
        Direct,
        Unlisted, //
    },
    memory::{
        Policy,
        SystemMemory, //
    },
    staging::StagingId,
};
use crate::seam::{
    dma,
    dma_buf::{
        Attached,
        DeviceTable, //
    },
    dma_mapping::{
        DmaMapping,
        MappedTable, //
    },
    mm::StableMemory,
    scatterlist::SgTable,
    slot::Slot,
    task,
    version::EOPNOTSUPP, //
};
use core::mem::replace;
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::Arc, //
};

/// The memory of a dma-buf, or its staging, mapped for one device.
///
/// A device that loses its driver takes the mapping along: nothing is passed to it from the
/// beginning of the unbinding, and the mapping or the staging ends with the binding.
pub struct SystemMapping<'a, P: Policy> {
    system: &'a SystemMemory<P>,
    /// Where the table is kept for the next mapping of the attachment.
    kept: &'a Slot<SgTable>,
    /// The importer's table.
    header: bindings::sg_table,
    device: &'a Device,
    direction: DataDirection,
    kind: Kind,
}

// SAFETY: `header` points to a table that `kind` owns, and that belongs to no task.
unsafe impl<P: Policy> Send for SystemMapping<'_, P> {}

/// How a device is mapped.
enum Kind {
    /// To the memory itself. Neither syncing nor unmapping has an effect, so nothing else is left.
    Plain(SgTable),
    /// To the memory itself, with something to sync or to unmap.
    Direct(Arc<Direct>),
    /// To a staging.
    Staged(SgTable, StagingId),
    /// Taken by `drop()`.
    Ended,
}

impl<'a, P: Policy> SystemMapping<'a, P> {
    /// Maps the memory for the device of `attachment`, in segments that the device can take.
    ///
    /// A device that does not reach all of the memory gets a staging. Fails with [`EINVAL`] for a
    /// device without a DMA mask or one that cannot take a page as a segment, with [`EOPNOTSUPP`]
    /// if it needs a staging and the policy is against it, with [`EIO`] if a page is poisoned, with
    /// [`ENOMEM`], with [`EINTR`] or `ERESTARTSYS` if a signal arrives first, and as
    /// `dma_map_sgtable()` does.
    ///
    /// The table is built once for an attachment, and filled again for each mapping, since
    /// importers may change it. A second mapping at the same time has one of its own.
    pub(super) fn new(
        system: &'a SystemMemory<P>,
        attachment: &Attached<'a, SystemMemory<P>>,
        direction: DataDirection,
    ) -> Result<Self> {
        let device = attachment.device();
        let writes = writes(direction);
        if !dma::has_mask(device) {
            return Err(EINVAL);
        }

        let pending = system.coherence.prepare(&system.memory, writes)?;
        let kept = &attachment.data().table;
        let known = attachment.data().direct_up_to;
        let is_direct = known.is_some() && known == Some(dma::max_address(device));
        let is_translated = !is_direct && dma::is_translated(device);
        let mapping = if is_direct || is_translated || !dma::may_bounce(device) {
            // SAFETY: An attached device is ready for DMA until it is detached or loses its driver,
            // and the seam drops the mapping before that. `coherence` is dropped before `memory`.
            Some(unsafe { map_memory(&system.memory, device, direction, kept, is_direct)? })
        } else {
            // SAFETY: The device is attached: it is ready for DMA until it is detached or loses its
            // driver. The memory outlives `coherence`, and so the mapping.
            unsafe { try_map_memory(&system.memory, device, direction, kept)? }
        };
        let Some(mapping) = mapping else {
            drop(pending);
            return Self::staged(system, attachment, direction);
        };

        let (header, kind) = match mapping {
            MappedTable::Plain(table) => {
                pending.plain();
                (table.header(), Kind::Plain(table))
            }
            MappedTable::Mapped(mapping) => {
                let (direct, header) = Unlisted::new(mapping, is_translated)?;
                (header, Kind::Direct(pending.direct(direct)))
            }
        };
        let buffer = &system.coherence.buffer;

        buffer.mapped(system.bytes(), device, direction, false);
        Ok(Self {
            system,
            kept,
            header,
            device,
            direction,
            kind,
        })
    }

    /// Returns the device, the direction, and whether the device has a staging.
    pub(super) fn facts(&self) -> (&Device, DataDirection, bool) {
        let is_staged = matches!(self.kind, Kind::Staged(..));

        (self.device, self.direction, is_staged)
    }

    fn staged(
        system: &'a SystemMemory<P>,
        attachment: &Attached<'a, SystemMemory<P>>,
        direction: DataDirection,
    ) -> Result<Self> {
        if !P::may_stage() {
            return Err(EOPNOTSUPP);
        }
        let device = attachment.device();
        let kept = &attachment.data().table;
        let limits = dma::segment_limits_unbounced(device)?;
        let (id, table) = system.coherence.map_staged(
            &system.memory,
            device,
            writes(direction),
            &attachment.data().staging,
            &|nr_pages| system.policy.charge_staging(nr_pages),
            |staging| staging.table(kept.take(), limits),
        )?;

        let buffer = &system.coherence.buffer;

        buffer.mapped(system.bytes(), device, direction, true);
        Ok(Self {
            system,
            kept,
            header: table.header(),
            device,
            direction,
            kind: Kind::Staged(table, id),
        })
    }
}

/// Maps `memory` for a device that reaches all of it.
///
/// A device that only writes is mapped bidirectionally where it is not coherent: else what the CPU
/// has written would be dropped from its caches. `is_direct` tells whether the device is known to
/// [map directly](dma::maps_directly).
///
/// # Safety
///
/// As for [`DmaMapping::new`].
unsafe fn map_memory<M: StableMemory>(
    memory: &M,
    device: &Device,
    direction: DataDirection,
    kept: &Slot<SgTable>,
    is_direct: bool,
) -> Result<MappedTable> {
    let limits = match is_direct {
        true => dma::segment_limits_unbounced(device)?,
        false => dma::segment_limits(device)?,
    };
    let table = SgTable::reusing(kept.take(), memory, limits)?;

    // SAFETY: The caller keeps the memory for as long as the mapping lives, and the device ready.
    match unsafe { DmaMapping::coherent(table, device, direction) } {
        Ok(mapping) => Ok(mapping),
        Err((EOPNOTSUPP, table)) => {
            // SAFETY: The caller keeps the memory for as long as the mapping lives, and the device
            // ready.
            let mapping = unsafe { DmaMapping::new(table, device, both_ways(direction))? };
            Ok(mapping.into())
        }
        Err((error, _table)) => Err(error),
    }
}

/// Maps `memory` for a device that may not reach all of it, unless that would bounce.
///
/// # Safety
///
/// As for [`DmaMapping::new`].
unsafe fn try_map_memory<M: StableMemory>(
    memory: &M,
    device: &Device,
    direction: DataDirection,
    kept: &Slot<SgTable>,
) -> Result<Option<MappedTable>> {
    if !dma::may_be_tried(device) {
        return Ok(None);
    }
    let Ok(offset) = dma::offset(device) else {
        return Ok(None);
    };
    let runs = StableMemory::runs(memory);
    let highest = dma::max_address(device);
    let in_reach = |pfn: usize| {
        let address = ((pfn as u64) << PAGE_SHIFT).wrapping_add(dma::number(offset));
        address <= highest && highest - address >= (PAGE_SIZE - 1) as u64
    };
    for (at, run) in runs.iter().enumerate() {
        if !in_reach(run.frame) || !in_reach(run.frame + (run.pages - 1)) {
            return Ok(None);
        }
        task::resched_every(at, 1 << 14);
    }
    let first = runs.iter().next().ok_or(EINVAL)?.frame;
    // SAFETY: By the safety requirements, the memory stays, and this is a page of it.
    if !unsafe { dma::reaches(device, first, offset) } {
        return Ok(None);
    }

    let limits = dma::segment_limits_unbounced(device)?;
    let table = SgTable::reusing(kept.take(), memory, limits)?;
    let direction = match dma::needs_sync(device) {
        true => both_ways(direction),
        false => direction,
    };
    // SAFETY: The caller keeps the memory for as long as the mapping lives, and the device ready.
    match unsafe { DmaMapping::quiet(table, device, direction) } {
        Ok(mapping) if mapping.is_at_offset(offset) => Ok(Some(mapping.into())),
        Ok(mapping) => {
            drop(kept.put(mapping.unmap_without_sync()));
            Ok(None)
        }
        Err((EIO, _table)) => Ok(None),
        Err((error, _table)) => Err(error),
    }
}

/// Returns whether a device that is mapped in `direction` may write.
fn writes(direction: DataDirection) -> bool {
    direction != DataDirection::ToDevice
}

fn both_ways(direction: DataDirection) -> DataDirection {
    match direction {
        DataDirection::FromDevice => DataDirection::Bidirectional,
        direction => direction,
    }
}

// SAFETY: The table describes all of the memory, or of its staging, mapped for the device, and
// `kind` keeps it. The importer may change the addresses: a `Direct` has saved them, and those of
// the others are not used again.
unsafe impl<P: Policy> DeviceTable for SystemMapping<'_, P> {
    fn table(&self) -> bindings::sg_table {
        self.header
    }

    fn size(&self) -> usize {
        self.system.bytes()
    }
}

impl<P: Policy> Drop for SystemMapping<'_, P> {
    fn drop(&mut self) {
        let SystemMemory {
            coherence, memory, ..
        } = self.system;
        let writes = writes(self.direction);
        let staged = matches!(self.kind, Kind::Staged(..));

        let table = match replace(&mut self.kind, Kind::Ended) {
            Kind::Plain(table) => {
                coherence.unmap_plain(memory, writes);
                Some(table)
            }
            // SAFETY: It was added to this value, and the importer is done with the table.
            Kind::Direct(direct) => unsafe { coherence.unmap_direct(memory, &direct, writes) },
            Kind::Staged(table, id) => {
                coherence.unmap_staged(memory, id, writes);
                Some(table)
            }
            Kind::Ended => None,
        };
        let buffer = &coherence.buffer;

        buffer.unmapped(self.system.bytes(), self.device, self.direction, staged);
        drop(table.and_then(|table| self.kept.put(table)));
    }
}
