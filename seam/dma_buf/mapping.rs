// SPDX-License-Identifier: GPL-2.0

//! Memory mapped for a device.
//!
//! C headers: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h),
//! [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use crate::{
    ffi,
    seam::{
        dma,
        mm::{
            runs::{
                Extent,
                SegmentLimits, //
            },
            StableMemory, //
        },
        task, //
    },
};
use core::{
    cell::Cell,
    marker::PhantomData, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    error::to_result,
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// Scatter list entries filled in between two chances for other tasks to run.
const BATCH: usize = 1 << 14;

/// Attributes of every mapping.
///
/// The same pages mapped for several devices, or several times for one, are what a dma-buf is for:
/// the DMA debug API is told not to count that as an overlap. `DMA_ATTR_SKIP_CPU_SYNC` is *not*
/// among them: mapping and unmapping are full barriers.
const ATTRS: c_ulong = bindings::DMA_ATTR_DEBUGGING_IGNORE_CACHELINES as c_ulong;

/// A scatter list.
///
/// # Invariants
///
/// Is an initialised `struct sg_table` that owns its entries.
struct SgTable(Opaque<bindings::sg_table>);

impl SgTable {
    /// Allocates a table of `count` entries, which point at nothing yet.
    fn new(count: usize) -> Result<Self> {
        let table = Opaque::zeroed();
        let count = c_uint::try_from(count).map_err(|_| ENOMEM)?;

        // SAFETY: `table` may be written to. May sleep.
        to_result(unsafe { bindings::sg_alloc_table(table.get(), count, bindings::GFP_KERNEL) })?;
        // INVARIANT: Just initialised.
        Ok(Self(table))
    }

    /// Describes all of `memory` in segments within `limits`.
    fn from_memory<M: StableMemory>(memory: &M, limits: SegmentLimits) -> Result<Self> {
        let segments = || {
            memory
                .runs()
                .iter()
                .flat_map(move |extent| extent.segments(limits))
        };
        let table = Self::new(segments().count())?;

        for (n, (entry, segment)) in table.entries().zip(segments()).enumerate() {
            // SAFETY: The entry is one of ours and the frames of a `StableMemory` have contiguous
            // `struct page`s along an extent.
            unsafe { set_entry(entry, segment) };
            if n % BATCH == BATCH - 1 {
                task::cond_resched();
            }
        }
        Ok(table)
    }

    /// Takes over the device addresses of `mapped`, a table of the same segments.
    fn copy_addresses(&mut self, mapped: &Self) {
        for (to, from) in self.entries().zip(mapped.entries()) {
            // SAFETY: Both are entries of tables that are alive; `to` is exclusively ours.
            unsafe {
                (*to).dma_address = (*from).dma_address;
                #[cfg(CONFIG_NEED_SG_DMA_LENGTH)]
                {
                    (*to).dma_length = (*from).dma_length;
                }
                #[cfg(CONFIG_NEED_SG_DMA_FLAGS)]
                {
                    (*to).dma_flags = (*from).dma_flags;
                }
            }
        }
        // SAFETY: `self` is exclusively borrowed.
        unsafe { (*self.as_raw()).nents = mapped.raw().nents };
    }

    fn raw(&self) -> &bindings::sg_table {
        // SAFETY: By the type invariants this is an initialised table. Only its entries are written
        // while shared references exist, and `dma_map_sgtable` through `as_raw` before.
        unsafe { &*self.0.get() }
    }

    fn as_raw(&self) -> *mut bindings::sg_table {
        self.0.get()
    }

    /// Returns pointers to the entries, in order.
    fn entries(&self) -> impl Iterator<Item = *mut bindings::scatterlist> {
        let next = |&entry: &*mut bindings::scatterlist| {
            // SAFETY: `entry` is part of a table, so what follows it is an entry, or NULL at the
            // end. This is never called with NULL.
            let next = unsafe { bindings::sg_next(entry) };
            (!next.is_null()).then_some(next)
        };

        // A table that was allocated has at least one entry.
        core::iter::successors(Some(self.raw().sgl), next)
    }
}

/// Makes `entry` point at `segment`.
///
/// # Safety
///
/// `entry` must be valid and not in use, and the frames of `segment` must have `struct page`s, which
/// must be contiguous.
unsafe fn set_entry(entry: *mut bindings::scatterlist, segment: Extent) {
    // CAST: A segment is no longer than `SegmentLimits` allows, which is less than 4 GiB.
    let len = (segment.pages << PAGE_SHIFT) as c_uint;

    // SAFETY: By the safety requirements.
    unsafe { ffi::rs_sg_set_page(entry, ffi::rs_pfn_to_page(segment.frame), len) };
}

impl Drop for SgTable {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the table is initialised and its entries are ours.
        unsafe { bindings::sg_free_table(self.0.get()) };
    }
}

/// Who may touch the memory of a [`Mapping`] now, in the terms of the streaming DMA API.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Device,
    Cpu,
}

/// The memory of a dma-buf, mapped for one device.
///
/// Mapping makes what the CPU wrote visible to the device, dropping makes what the device wrote
/// visible to the CPU; in between, ownership goes back and forth. Each mapping is synced in the
/// direction it was made for, whatever the CPU is about to do: the other directions are not legal
/// for it, and behind a bounce buffer they copy the wrong way.
///
/// # Invariants
///
/// - `table` is mapped for `device` in `direction` with [`ATTRS`].
/// - The memory that `table` points at is borrowed for `'a`.
pub(crate) struct Mapping<'a> {
    // Dropped after `Mapping::drop` has unmapped it.
    table: SgTable,
    /// What the importer gets if it must not see `table`.
    handed: Option<SgTable>,
    device: ARef<Device>,
    direction: DataDirection,
    /// Whether passing ownership does anything for this mapping.
    needs_sync: bool,
    owner: Cell<Owner>,
    _memory: PhantomData<&'a ()>,
}

// SAFETY: A mapping belongs to no task, and its memory is `Sync`.
unsafe impl Send for Mapping<'_> {}

impl<'a> Mapping<'a> {
    /// Maps `memory` for `device`, in segments that the device can take.
    ///
    /// Fails as [`Attachment::map`](super::Attachment::map) says.
    ///
    /// # Safety
    ///
    /// `device` must be ready for DMA, and stay so until the mapping is dropped: its driver must
    /// not be unbound before.
    pub(super) unsafe fn new<M: StableMemory>(
        memory: &'a M,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self> {
        let limits = dma::segment_limits(device)?;
        let table = SgTable::from_memory(memory, limits)?;

        // SAFETY: The device is valid and ready for DMA, the table is complete.
        to_result(unsafe {
            bindings::dma_map_sgtable(dma::raw(device), table.as_raw(), direction.into(), ATTRS)
        })?;
        // A device without a DMA mask is told so in the log, and not by an error.
        if table.raw().nents == 0 {
            return Err(EIO);
        }

        // INVARIANT: Just mapped; `memory` is borrowed for `'a`.
        let mut mapping = Self {
            table,
            handed: None,
            device: device.into(),
            direction,
            // Asked after mapping: a device that is coherent says yes from the first time on that
            // something bounced for it.
            // SAFETY: The device is valid.
            needs_sync: unsafe { ffi::rs_dma_dev_need_sync(dma::raw(device)) },
            owner: Cell::new(Owner::Device),
            _memory: PhantomData,
        };

        // Importers may change the addresses in the table they get. One that is to be synced must
        // stay as it is, so they get a copy.
        if mapping.needs_sync {
            let mut copy = SgTable::from_memory(memory, limits)?;
            copy.copy_addresses(&mapping.table);
            mapping.handed = Some(copy);
        }
        Ok(mapping)
    }

    /// Tells whether passing ownership does anything for this mapping.
    pub(crate) fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Passes ownership to the CPU: what the device wrote becomes visible.
    ///
    /// Does nothing if the CPU owns the memory already, so that bytes written since are not
    /// overwritten.
    pub(crate) fn sync_for_cpu(&self) {
        if self.owner.replace(Owner::Cpu) == Owner::Device && self.needs_sync {
            // SAFETY: By the type invariants the table is mapped for the device in this direction.
            unsafe {
                ffi::rs_dma_sync_sgtable_for_cpu(
                    dma::raw(&self.device),
                    self.table.as_raw(),
                    self.direction as c_uint,
                )
            };
        }
    }

    /// Passes ownership to the device: what the CPU wrote becomes visible.
    pub(crate) fn sync_for_device(&self) {
        self.owner.set(Owner::Device);
        if self.needs_sync {
            // SAFETY: By the type invariants the table is mapped for the device in this direction.
            unsafe {
                ffi::rs_dma_sync_sgtable_for_device(
                    dma::raw(&self.device),
                    self.table.as_raw(),
                    self.direction as c_uint,
                )
            };
        }
    }

    /// Passes ownership to the device after the CPU has only read: nothing is copied.
    pub(crate) fn return_to_device(&self) {
        self.owner.set(Owner::Device);
    }

    /// Returns the table that an importer gets.
    pub(super) fn handed(&self) -> *mut bindings::sg_table {
        self.handed.as_ref().unwrap_or(&self.table).as_raw()
    }

    /// Forgets how long the memory is borrowed.
    ///
    /// # Safety
    ///
    /// The result must be dropped before the memory is.
    pub(super) unsafe fn erase(self) -> Mapping<'static> {
        // SAFETY: The types differ in nothing but a lifetime.
        unsafe { core::mem::transmute::<Mapping<'a>, Mapping<'static>>(self) }
    }
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the table is mapped in just this way.
        unsafe {
            bindings::dma_unmap_sgtable(
                dma::raw(&self.device),
                self.table.as_raw(),
                self.direction.into(),
                ATTRS,
            )
        };
    }
}
