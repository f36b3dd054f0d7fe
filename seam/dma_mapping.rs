// SPDX-License-Identifier: GPL-2.0

//! Streaming DMA mappings of scatterlists.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    device::as_raw,
    dma,
    scatterlist::SgTable, //
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
    prelude::*,
    sync::aref::ARef, //
};

/// Attributes of every mapping.
///
/// A dma-buf maps the same pages for several devices, or several times for one: the DMA debug API
/// must not count that as an overlap.
const ATTRS: c_ulong = bindings::DMA_ATTR_DEBUGGING_IGNORE_CACHELINES as c_ulong;

/// Memory of the addresses that a table was mapped at, which its user may change.
enum Saved {
    /// None: the table does not change, or its addresses are not needed again.
    Nothing,
    /// The DMA address and length of the only segment, for a table that is only unmapped.
    Segment(DmaAddress, c_uint),
    /// The same of several segments.
    Segments(KVVec<(DmaAddress, c_uint)>),
    /// A copy, for a table that is synced while its user has it.
    Table(SgTable),
}

/// A scatterlist mapped for a device.
///
/// Mapping makes data that the CPU has written visible to the device, and dropping makes data that
/// the device has written visible to the CPU.
///
/// # Invariants
///
/// - `table` was mapped for `device` in `direction` with [`ATTRS`], and so is the copy in `saved`,
///   if there is one. Where they are in `saved`, the segments are those of the mapping.
/// - The memory of `table` outlives the value, and the device is ready for DMA until it is dropped.
pub struct DmaMapping {
    table: SgTable,
    saved: Saved,
    device: ARef<Device>,
    direction: DataDirection,
    needs_sync: bool,
    needs_unmap: bool,
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
    /// is dropped or [abandoned](Self::abandon).
    #[inline]
    pub unsafe fn new(table: SgTable, device: &Device, direction: DataDirection) -> Result<Self> {
        // SAFETY: The device is valid and ready for DMA by the safety requirements, and the table
        // is complete.
        to_result(unsafe {
            bindings::dma_map_sgtable(as_raw(device), table.as_raw(), direction.into(), ATTRS)
        })?;
        // The C function warns about a device without a DMA mask, and maps nothing.
        if table.header().nents == 0 {
            return Err(EIO);
        }

        // INVARIANT: The table was just mapped; the rest holds by the safety requirements.
        Ok(Self {
            table,
            saved: Saved::Nothing,
            needs_sync: dma::needs_sync(device),
            needs_unmap: dma::needs_unmap(device),
            device: device.into(),
            direction,
        })
    }

    /// Returns whether [`sync_for_cpu`](Self::sync_for_cpu) or
    /// [`sync_for_device`](Self::sync_for_device) has an effect.
    pub fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Returns whether unmapping has an effect. If not, the addresses are not needed any more.
    pub fn needs_unmap(&self) -> bool {
        self.needs_unmap
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
        self.saved = match (self.needs_unmap, self.needs_sync) {
            (false, _) => Saved::Nothing,
            (true, true) => Saved::Table(self.table.try_clone()?),
            (true, false) if self.table.header().nents == 1 => {
                let (address, length) = self.table.first_segment();
                Saved::Segment(address, length)
            }
            (true, false) => Saved::Segments(self.table.segments()?),
        };
        Ok(())
    }

    /// Returns the table to pass to the DMA API.
    fn mapped(&self) -> &SgTable {
        match &self.saved {
            Saved::Table(copy) => copy,
            _ => &self.table,
        }
    }

    /// Returns the device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns whether the device accesses a bounce buffer instead of any of the memory.
    ///
    /// Returns `true` for an architecture's own DMA operations, which do not tell.
    pub fn bounces(&self) -> bool {
        if !self.needs_sync {
            return false;
        }
        let device = as_raw(&self.device);
        // SAFETY: The reference guarantees a valid device.
        let (iommu, ops) = unsafe {
            (
                ffi::use_dma_iommu(device),
                !ffi::get_dma_ops(device).is_null(),
            )
        };

        if !iommu && ops {
            return true;
        }
        // SAFETY: The first entry of a table is valid.
        if iommu && !unsafe { ffi::sg_dma_is_swiotlb(self.mapped().header().sgl) } {
            return false;
        }
        self.mapped().entries().any(|entry| {
            // SAFETY: By the type invariants, the entry is mapped for the device.
            unsafe {
                let address = (*entry).dma_address;
                let reached = if iommu {
                    ffi::iommu_dma_to_phys(device, address)
                } else {
                    ffi::dma_to_phys(device, address)
                };
                reached != ffi::sg_phys(entry)
            }
        })
    }

    /// Passes ownership to the CPU: data that the device has written becomes visible to the CPU.
    pub fn sync_for_cpu(&self) {
        if !self.needs_sync {
            return;
        }
        // SAFETY: By the type invariants, the table is mapped for the device in this direction, and
        // the device is ready for DMA.
        unsafe {
            ffi::dma_sync_sg_for_cpu(
                as_raw(&self.device),
                self.mapped().header().sgl,
                self.count(),
                self.direction as u32,
            )
        };
    }

    /// Passes ownership to the device: data that the CPU has written becomes visible to the device.
    pub fn sync_for_device(&self) {
        if !self.needs_sync {
            return;
        }
        // SAFETY: By the type invariants, the table is mapped for the device in this direction, and
        // the device is ready for DMA.
        unsafe {
            ffi::dma_sync_sg_for_device(
                as_raw(&self.device),
                self.mapped().header().sgl,
                self.count(),
                self.direction as u32,
            )
        };
    }

    /// Unmaps the table, makes the device's data visible to the CPU, and returns the table.
    pub fn unmap(self) -> SgTable {
        self.unmap_attrs(ATTRS);
        self.into_table()
    }

    /// Unmaps the table without making the device's data visible, and returns it.
    pub fn unmap_without_sync(self) -> SgTable {
        self.unmap_attrs(ATTRS | bindings::DMA_ATTR_SKIP_CPU_SYNC as c_ulong);
        self.into_table()
    }

    /// Gives up the mapping without unmapping it, and returns the table.
    ///
    /// For a device that has taken the mapping with it.
    pub fn abandon(self) -> SgTable {
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

    fn unmap_attrs(&self, attrs: c_ulong) {
        if !self.needs_unmap {
            return;
        }
        // SAFETY: The user of the table is done with it, or the device is gone.
        unsafe {
            match &self.saved {
                Saved::Segment(address, length) => self.table.set_segments(&[(*address, *length)]),
                Saved::Segments(segments) => self.table.set_segments(segments),
                Saved::Nothing | Saved::Table(_) => (),
            }
        }
        // SAFETY: By the type invariants, the table is mapped for the device in this direction, and
        // the device is ready for DMA. The callers do not use the mapping any more.
        unsafe {
            bindings::dma_unmap_sg_attrs(
                as_raw(&self.device),
                self.mapped().header().sgl,
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
        self.unmap_attrs(ATTRS);
    }
}
