// SPDX-License-Identifier: GPL-2.0

//! Streaming DMA mappings of scatterlists.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    device::as_raw,
    dma::{
        self,
        Ranges, //
    },
    scatterlist::SgTable,
    task, //
};
use crate::ffi;
use core::mem::ManuallyDrop;
use kernel::{
    bindings,
    device::Device,
    dma::{
        DataDirection,
        DmaAddress, //
    },
    error::to_result,
    pr_warn_once,
    prelude::*,
    sync::aref::ARef, //
};

/// Attributes of every mapping.
///
/// A dma-buf maps the same pages for several devices, or several times for one: the DMA debug API
/// must not count that as an overlap.
const ATTRS: c_ulong = bindings::DMA_ATTR_DEBUGGING_IGNORE_CACHELINES as c_ulong;

/// Most bytes that are cleaned before they are invalidated, see
/// [`DmaMapping::clean_and_invalidate`].
const PIECE: usize = 64 << 10;

/// Pieces between two calls of `cond_resched()`. A power of two.
const PIECES: usize = 32;

/// Memory of the addresses that a table was mapped at, which its user may change.
enum Saved {
    /// None: the table does not change, or its addresses are not needed again.
    Nothing,
    /// The DMA address and length of the only segment.
    Segment(DmaAddress, c_uint),
    /// The same of several segments.
    Segments(KVVec<(DmaAddress, c_uint)>),
}

/// A scatterlist mapped for a device.
///
/// Mapping makes data that the CPU has written visible to the device, and dropping makes data that
/// the device has written visible to the CPU.
///
/// # Invariants
///
/// - `table` was mapped for `device` in `direction` with `attrs`. Where they are in `saved`, the
///   segments are those of the mapping.
/// - The memory of `table` outlives the value, and the device is ready for DMA until it is dropped.
pub struct DmaMapping {
    table: SgTable,
    saved: Saved,
    device: ARef<Device>,
    direction: DataDirection,
    attrs: c_ulong,
    needs_sync: bool,
    needs_unmap: bool,
    /// Where unmapping has an effect: what it depends on.
    ranges: Option<Ranges>,
}

/// Maps `table` for `device`, with `attrs` besides those of every mapping.
///
/// Fails as [`DmaMapping::new`] does.
///
/// # Safety
///
/// The memory of `table` must outlive the mapping, for which `device` must be ready for DMA.
#[inline]
unsafe fn map_table(
    table: &SgTable,
    device: &Device,
    direction: DataDirection,
    attrs: c_ulong,
) -> Result {
    // SAFETY: The device is valid and ready for DMA by the safety requirements, and the table is
    // complete.
    to_result(unsafe {
        bindings::dma_map_sgtable(
            as_raw(device),
            table.as_raw(),
            direction.into(),
            ATTRS | attrs,
        )
    })?;
    // The C function warns about a device without a DMA mask, and maps nothing.
    match table.header().nents {
        0 => Err(EIO),
        _ => Ok(()),
    }
}

/// A table that was mapped for a device.
pub enum MappedTable {
    /// Neither syncing nor unmapping has an effect: there is nothing to end.
    Plain(SgTable),
    /// There is something to end.
    Mapped(DmaMapping),
}

impl From<DmaMapping> for MappedTable {
    fn from(mapping: DmaMapping) -> Self {
        match mapping.needs_unmap || mapping.needs_sync {
            true => Self::Mapped(mapping),
            false => Self::Plain(mapping.into_table()),
        }
    }
}

impl DmaMapping {
    /// Maps `table` for `device`.
    ///
    /// May sleep. Fails with what `dma_map_sgtable()` returns: [`EIO`] if the device cannot reach
    /// the memory and there is no room to bounce it, [`ENOMEM`]; and with [`EIO`] for a device
    /// without a DMA mask.
    ///
    /// # Safety
    ///
    /// The memory of `table` must outlive the value. `device` must be ready for DMA until the value
    /// is dropped.
    pub unsafe fn new(table: SgTable, device: &Device, direction: DataDirection) -> Result<Self> {
        // SAFETY: The caller keeps the memory for as long as the value lives, and the device ready.
        unsafe { Self::with_attrs(table, device, direction, 0) }.map_err(|(error, _table)| error)
    }

    /// Maps `table` for `device` as [`new`](Self::new) does, if the device is coherent: CPU and
    /// device see each other's writes without being synced.
    ///
    /// Fails with [`EOPNOTSUPP`] if it is not. An error comes with the table.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new).
    #[inline]
    pub unsafe fn coherent(
        table: SgTable,
        device: &Device,
        direction: DataDirection,
    ) -> Result<MappedTable, (Error, SgTable)> {
        let attrs = bindings::DMA_ATTR_REQUIRE_COHERENT as c_ulong;

        // SAFETY: The caller keeps the memory for as long as the value lives, and the device ready.
        if let Err(error) = unsafe { map_table(&table, device, direction, attrs) } {
            return Err((error, table));
        }
        if !dma::needs_unmap(device) {
            return Ok(MappedTable::Plain(table));
        }
        // SAFETY: The table was just mapped; the rest holds by the safety requirements.
        let mut mapping = unsafe { Self::of_mapped(table, device, direction, attrs) };
        mapping.needs_sync = false;
        Ok(MappedTable::Mapped(mapping))
    }

    /// Maps `table` for `device` as [`new`](Self::new) does, without a warning in the log if there
    /// is no room to bounce. An error comes with the table.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub unsafe fn quiet(
        table: SgTable,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self, (Error, SgTable)> {
        let attrs = bindings::DMA_ATTR_NO_WARN as c_ulong;

        // SAFETY: The caller keeps the memory for as long as the value lives, and the device ready.
        unsafe { Self::with_attrs(table, device, direction, attrs) }
    }

    /// Maps `table` for `device` as [`new`](Self::new) does, but neither mapping nor unmapping
    /// makes any data visible.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub unsafe fn unsynced(
        table: SgTable,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self> {
        let attrs = bindings::DMA_ATTR_SKIP_CPU_SYNC as c_ulong;

        // SAFETY: The caller keeps the memory for as long as the value lives, and the device ready.
        unsafe { Self::with_attrs(table, device, direction, attrs) }
            .map_err(|(error, _table)| error)
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new).
    #[inline]
    unsafe fn with_attrs(
        table: SgTable,
        device: &Device,
        direction: DataDirection,
        attrs: c_ulong,
    ) -> Result<Self, (Error, SgTable)> {
        // SAFETY: The caller keeps the memory for as long as the value lives, and the device ready.
        match unsafe { map_table(&table, device, direction, attrs) } {
            // SAFETY: The table was just mapped; the rest holds by the safety requirements.
            Ok(()) => Ok(unsafe { Self::of_mapped(table, device, direction, attrs) }),
            Err(error) => Err((error, table)),
        }
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new). `table` must have been [mapped](map_table) for `device`, in
    /// `direction` and with `attrs`.
    #[inline]
    unsafe fn of_mapped(
        table: SgTable,
        device: &Device,
        direction: DataDirection,
        attrs: c_ulong,
    ) -> Self {
        let needs_unmap = dma::needs_unmap(device);

        // INVARIANT: By the safety requirements.
        Self {
            table,
            saved: Saved::Nothing,
            needs_sync: dma::needs_sync(device),
            needs_unmap,
            ranges: needs_unmap.then(|| Ranges::of(device)),
            device: device.into(),
            direction,
            attrs: ATTRS | attrs,
        }
    }

    /// Returns whether [`sync_for_cpu`](Self::sync_for_cpu) or
    /// [`sync_for_device`](Self::sync_for_device) may have an effect.
    pub fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Returns the table. Its addresses may be changed after [`share`](Self::share).
    pub fn table(&self) -> &SgTable {
        &self.table
    }

    /// Prepares for a user of the table who may change the addresses in it: RDMA importers do.
    ///
    /// Fails with [`ENOMEM`].
    #[inline]
    pub fn share(&mut self) -> Result {
        self.saved = if !self.needs_unmap && !self.needs_sync {
            Saved::Nothing
        } else if self.table.header().nents == 1 {
            let (address, length) = self.table.first_segment();
            Saved::Segment(address, length)
        } else {
            Saved::Segments(self.table.segments()?)
        };
        Ok(())
    }

    /// Returns the device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the direction.
    pub fn direction(&self) -> DataDirection {
        self.direction
    }

    /// Returns whether the device, for whose DMA addresses [`dma::offset`] was asked, accesses the
    /// memory itself, and not a copy of any of it.
    ///
    /// Must be asked before the table is [shared](Self::share).
    pub fn is_at_offset(&self, offset: DmaAddress) -> bool {
        self.table.is_at_offset(offset)
    }

    /// Calls `f` for each segment, in pieces of at most `max` bytes.
    fn for_each_piece(&self, max: usize, mut f: impl FnMut(DmaAddress, usize)) {
        let mut pieces_of = |(address, length): (DmaAddress, c_uint)| {
            // CAST: A `usize` holds any `unsigned int`.
            let length = length as usize;

            for (n, at) in (0..length).step_by(max).enumerate() {
                // CAST: An offset into a segment, which is an address type at least as wide.
                f(address + at as DmaAddress, max.min(length - at));
                task::resched_every(n, PIECES);
            }
        };

        match &self.saved {
            Saved::Segment(address, length) => pieces_of((*address, *length)),
            Saved::Segments(segments) => segments.iter().copied().for_each(pieces_of),
            Saved::Nothing => self.table.for_each_segment(pieces_of),
        }
    }

    /// Passes ownership to the CPU: data that the device has written becomes visible to the CPU.
    pub fn sync_for_cpu(&self) {
        if self.needs_sync {
            self.for_each_piece(usize::MAX, |address, length| {
                self.sync_piece_for_cpu(address, length);
            });
        }
    }

    /// Passes ownership to the device: data that the CPU has written becomes visible to the device.
    pub fn sync_for_device(&self) {
        if self.needs_sync {
            self.for_each_piece(usize::MAX, |address, length| {
                self.sync_piece_for_device(address, length);
            });
        }
    }

    /// Makes data that the CPU has written visible to the device, and then data that the device has
    /// written visible to the CPU, a piece at a time.
    ///
    /// What the CPU writes in between is lost where caches are invalidated, so that the pieces are
    /// short.
    pub fn clean_and_invalidate(&self) {
        if self.needs_sync {
            self.for_each_piece(PIECE, |address, length| {
                self.sync_piece_for_device(address, length);
                if self.direction != DataDirection::ToDevice {
                    self.sync_piece_for_cpu(address, length);
                }
            });
        }
    }

    fn sync_piece_for_cpu(&self, address: DmaAddress, length: usize) {
        // SAFETY: By the type invariants, the piece is mapped for the device in this direction, and
        // the device is ready for DMA.
        unsafe {
            ffi::dma_sync_single_for_cpu(
                as_raw(&self.device),
                address,
                length,
                self.direction as u32,
            )
        };
    }

    fn sync_piece_for_device(&self, address: DmaAddress, length: usize) {
        // SAFETY: By the type invariants, the piece is mapped for the device in this direction, and
        // the device is ready for DMA.
        unsafe {
            ffi::dma_sync_single_for_device(
                as_raw(&self.device),
                address,
                length,
                self.direction as u32,
            )
        };
    }

    /// Unmaps the table without making the device's data visible, and returns it.
    pub fn unmap_without_sync(self) -> SgTable {
        // SAFETY: `into_table()` takes the mapping apart without dropping it.
        unsafe { self.unmap_attrs(self.attrs | bindings::DMA_ATTR_SKIP_CPU_SYNC as c_ulong) };
        self.into_table()
    }

    fn into_table(self) -> SgTable {
        let this = ManuallyDrop::new(self);

        // SAFETY: `this` is not dropped, so each field is read once.
        unsafe {
            drop(core::ptr::read(&this.device));
            drop(core::ptr::read(&this.saved));
            core::ptr::read(&this.table)
        }
    }

    /// Unmaps the table, unless the device has gone and the mapping with it.
    ///
    /// # Safety
    ///
    /// The mapping must end with this call: it is not unmapped, synced or looked at any more.
    unsafe fn unmap_attrs(&self, attrs: c_ulong) {
        if !self.needs_unmap {
            return;
        }
        if self.ranges != Some(Ranges::of(&self.device)) {
            pr_warn_once!("a device has gone with a dma-buf mapped, and the mapping with it\n");
            return;
        }
        // SAFETY: The mapping ends here by the safety requirements, so nothing else reads the
        // segments of the table.
        unsafe {
            match &self.saved {
                Saved::Segment(address, length) => self.table.set_segments(&[(*address, *length)]),
                Saved::Segments(segments) => self.table.set_segments(segments),
                Saved::Nothing => (),
            }
        }
        // SAFETY: By the type invariants, the table is mapped for the device in this direction, and
        // the device is ready for DMA. It is unmapped once, as nothing uses the mapping any more by
        // the safety requirements.
        unsafe {
            bindings::dma_unmap_sg_attrs(
                as_raw(&self.device),
                self.table.header().sgl,
                self.count(),
                self.direction.into(),
                attrs,
            )
        };
    }

    /// Returns the number of entries of the table.
    fn count(&self) -> c_int {
        // CAST: The C functions take the `unsigned int` as an `int`.
        self.table.header().orig_nents as c_int
    }
}

impl Drop for DmaMapping {
    fn drop(&mut self) {
        // SAFETY: The mapping is dropped: nothing is left that uses it.
        unsafe { self.unmap_attrs(self.attrs) };
    }
}
