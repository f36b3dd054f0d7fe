// SPDX-License-Identifier: GPL-2.0

//! Memory mapped for a device.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use crate::{
    ffi,
    seam::{
        device::{
            BoundState,
            UnbindWatch, //
        },
        dma::{
            self,
            Translation, //
        },
        mm::StableMemory,
        scatterlist::SgTable,
        task, //
    },
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    error::to_result,
    new_mutex,
    pr_warn_once,
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    },
    time::Delta, //
};

/// Attributes of every mapping.
///
/// The same pages mapped for several devices, or several times for one, are what a dma-buf is for:
/// the DMA debug API is told not to count that as an overlap. `DMA_ATTR_SKIP_CPU_SYNC` is *not*
/// among them: mapping and unmapping are full barriers. See [`Unmap`] for when there is nothing to
/// fetch.
const ATTRS: c_ulong = bindings::DMA_ATTR_DEBUGGING_IGNORE_CACHELINES as c_ulong;

/// What unmapping does with the bytes of the device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unmap {
    /// Nothing: no device has had the mapping.
    Forget,
    /// They become visible to the CPU.
    Fetch,
    /// Nothing until that time: the CPU is writing. Later, they become visible.
    FetchAfter(Delta),
    /// Nothing: what the CPU wrote last has not been passed to the device.
    Keep,
}

impl Unmap {
    fn fetches(self) -> bool {
        match self {
            Self::Fetch => true,
            Self::FetchAfter(time) => task::monotonic() >= time,
            Self::Forget | Self::Keep => false,
        }
    }
}

/// A scatter list as it is mapped for a device, in the terms of the streaming DMA API.
///
/// # Invariants
///
/// - `entries` are the first of `count` entries that are mapped for `device` in `direction` with
///   [`ATTRS`].
/// - The entries outlive the value.
struct Streaming {
    device: ARef<Device>,
    entries: *mut bindings::scatterlist,
    count: c_int,
    direction: DataDirection,
    /// Whether passing ownership does anything.
    needs_sync: bool,
    /// Whether the device reaches copies of the memory instead.
    bounces: bool,
    /// Whether unmapping does anything.
    needs_unmap: bool,
    translation: Translation,
    /// Whether the device is losing its driver: nothing is synced any more.
    leaving: bool,
    unmap: Unmap,
}

// SAFETY: The entries belong to no task.
unsafe impl Send for Streaming {}

impl Streaming {
    /// Maps `table` for `device`.
    ///
    /// A device that only writes is mapped as one that reads as well, wherever passing ownership
    /// does anything: if not, nothing the CPU writes would get into the copy that the next fetch
    /// brings back, not even what lies beside that which the device writes.
    ///
    /// # Safety
    ///
    /// `device` must be ready for DMA, and `table` must not be mapped and outlive the value.
    unsafe fn new(table: &SgTable, device: &Device, direction: DataDirection) -> Result<Self> {
        let widen = direction == DataDirection::FromDevice;

        if !(widen && dma::needs_sync(device)) {
            // SAFETY: By the safety requirements.
            let mapped = unsafe { Self::map(table, device, direction) }?;
            // A coherent device needs to be synced from the first time on that something bounced
            // for it, which may have been now. Else this is dropped again.
            if !(widen && mapped.needs_sync) {
                return Ok(mapped);
            }
        }
        // SAFETY: By the safety requirements; what was mapped has been unmapped.
        unsafe { Self::map(table, device, DataDirection::Bidirectional) }
    }

    /// # Safety
    ///
    /// As for [`Self::new`].
    unsafe fn map(table: &SgTable, device: &Device, direction: DataDirection) -> Result<Self> {
        let raw = dma::raw(device);

        // SAFETY: The device is valid and ready for DMA, the table is complete.
        to_result(unsafe {
            bindings::dma_map_sgtable(raw, table.as_raw(), direction.into(), ATTRS)
        })?;
        // A device without a DMA mask is told so in the log, and not by an error.
        if table.raw().nents == 0 {
            return Err(EIO);
        }

        let needs_sync = dma::needs_sync(device);
        // SAFETY: Just mapped.
        let bounces = needs_sync && unsafe { dma::bounces(device, table) };
        // INVARIANT: Just mapped; it outlives the value by the safety requirements.
        Ok(Self {
            device: device.into(),
            entries: table.raw().sgl,
            // CAST: The C functions want the same number signed.
            count: table.raw().orig_nents as c_int,
            direction,
            needs_sync,
            bounces,
            needs_unmap: dma::needs_unmap(device),
            translation: Translation::of(device),
            leaving: false,
            unmap: Unmap::Forget,
        })
    }

    /// Makes visible to the CPU what the device wrote.
    fn fetch(&self) {
        if self.needs_sync && !self.leaving {
            // SAFETY: By the type invariants.
            unsafe {
                ffi::rs_dma_sync_sg_for_cpu(
                    dma::raw(&self.device),
                    self.entries,
                    self.count,
                    self.direction as u32,
                )
            };
        }
    }

    /// Makes visible to the device what the CPU wrote.
    fn push(&mut self) {
        if !self.needs_sync {
            return;
        }
        if self.leaving {
            self.unmap = Unmap::Keep;
            return;
        }
        // SAFETY: By the type invariants.
        unsafe {
            ffi::rs_dma_sync_sg_for_device(
                dma::raw(&self.device),
                self.entries,
                self.count,
                self.direction as u32,
            )
        };
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.needs_unmap {
            return;
        }
        // What is left of the mapping leads to other memory.
        if Translation::of(&self.device) != self.translation {
            pr_warn_once!("a device has gone with a dma-buf mapped, and the mapping with it\n");
            return;
        }

        let attrs = if self.unmap.fetches() {
            ATTRS
        } else {
            ATTRS | bindings::DMA_ATTR_SKIP_CPU_SYNC as c_ulong
        };
        // SAFETY: By the type invariants the entries are mapped in just this way.
        unsafe {
            bindings::dma_unmap_sg_attrs(
                dma::raw(&self.device),
                self.entries,
                self.count,
                self.direction.into(),
                attrs,
            )
        };
    }
}

/// What a [`Mapping`] is made of.
///
/// Stays where it is: the importer knows the address of a table.
#[pin_data]
struct Mapped {
    /// Empty when the device has gone, or if ending the mapping does nothing. Must stay before `table`,
    /// which it borrows.
    #[pin]
    streaming: Mutex<Option<Streaming>>,
    table: SgTable,
    /// What the importer gets if it must not see `table`.
    handed: Option<SgTable>,
}

impl BoundState for Mapped {
    /// Stops to sync: what that needs may go away before the mapping does.
    fn device_leaving(&self) {
        if let Some(streaming) = &mut *self.streaming.lock() {
            streaming.leaving = true;
        }
    }

    /// Ends the mapping, whoever has forgotten to: what it needs of the device goes away as well.
    fn device_gone(&self) {
        let mut streaming = self.streaming.lock();

        // Under the lock: nobody may see that there is no mapping before its bytes are there.
        *streaming = None;
    }
}

/// The memory of a dma-buf, mapped for one device.
///
/// Mapping makes what the CPU wrote visible to the device, dropping makes what the device wrote
/// visible to the CPU; in between, ownership goes back and forth. Each mapping is synced in the
/// direction it was made for, whatever the CPU is about to do: the other directions are not legal
/// for it, and behind a bounce buffer they copy the wrong way.
///
/// A device that loses its driver before the mapping is dropped takes it along: it is not synced
/// from when that begins, and unmapped when it is through.
///
/// # Invariants
///
/// The memory that the tables in `mapped` point at is borrowed for `'a`.
pub(crate) struct Mapping<'a> {
    mapped: Pin<KBox<UnbindWatch<Mapped>>>,
    device_writes: bool,
    needs_sync: bool,
    bounces: bool,
    /// Whether there is anything to do at the end of the mapping, which a device that goes does.
    needs_unmap: bool,
    _memory: PhantomData<&'a ()>,
}

impl<'a> Mapping<'a> {
    /// Maps `memory` for `device`, in segments that the device can take.
    ///
    /// Until it is handed out, dropping it fetches nothing: no device has had it.
    ///
    /// Fails as [`Attachment::map`](super::Attachment::map) says.
    ///
    /// # Safety
    ///
    /// `device` must be ready for DMA: bound to its driver, if it is one that can be bound.
    pub(super) unsafe fn new<M: StableMemory>(
        memory: &'a M,
        device: &Device,
        direction: DataDirection,
    ) -> Result<Self> {
        let limits = dma::segment_limits(device)?;
        let place = KBox::<UnbindWatch<Mapped>>::new_uninit(GFP_KERNEL)?;
        let table = SgTable::from_memory(memory, limits)?;

        // SAFETY: By the safety requirements. `Mapped` keeps the table until after this is dropped.
        let streaming = unsafe { Streaming::new(&table, device, direction) }?;
        let (needs_sync, bounces) = (streaming.needs_sync, streaming.bounces);
        let needs_unmap = streaming.needs_unmap;
        // Where unmapping does nothing, neither does anything before: none of it need be kept.
        let streaming = needs_unmap.then_some(streaming);

        // Importers may change the addresses in the table they get. Where those are needed again
        // they must stay as they are, so the importer gets a copy.
        let mut handed = None;
        if needs_unmap {
            let mut copy = SgTable::from_memory(memory, limits)?;
            copy.copy_addresses(&table);
            handed = Some(copy);
        }

        // INVARIANT: `memory` is borrowed for `'a`.
        Ok(Self {
            mapped: Mapped::place(place, streaming, table, handed)?,
            device_writes: direction != DataDirection::ToDevice,
            needs_sync,
            bounces,
            needs_unmap,
            _memory: PhantomData,
        })
    }

    /// Tells whether passing ownership does anything for this mapping.
    pub(crate) fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Tells whether this and another mapping may not exist at once: both devices write, and one of
    /// them writes into a copy. Nobody could know whose bytes are the newer ones.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        self.device_writes
            && other.device_writes
            && (self.bounces || other.bounces)
            && self.is_live()
            && other.is_live()
    }

    /// Tells whether the mapping has not gone with its device.
    fn is_live(&self) -> bool {
        !self.needs_unmap || self.mapped.streaming.lock().is_some()
    }

    /// Passes ownership to the CPU: what the device wrote becomes visible.
    pub(super) fn sync_for_cpu(&self) {
        if self.needs_sync {
            if let Some(streaming) = &*self.mapped.streaming.lock() {
                streaming.fetch();
            }
        }
    }

    /// Passes ownership to the device: what the CPU wrote becomes visible.
    pub(super) fn sync_for_device(&self) {
        if self.needs_sync {
            if let Some(streaming) = &mut *self.mapped.streaming.lock() {
                streaming.push();
            }
        }
    }

    /// Notes that the importer has the mapping, and until when the CPU may be writing: whenever the
    /// mapping ends, that decides what becomes of the device's bytes. Asks only where they have to be
    /// fetched.
    pub(super) fn set_written_by_cpu(&self, until: impl FnOnce() -> Option<Delta>) {
        let until = if self.needs_sync { until() } else { None };

        if let Some(streaming) = &mut *self.mapped.streaming.lock() {
            if streaming.unmap != Unmap::Keep {
                streaming.unmap = until.map_or(Unmap::Fetch, Unmap::FetchAfter);
            }
        }
    }

    /// Returns the table that an importer gets.
    pub(super) fn handed(&self) -> *mut bindings::sg_table {
        self.mapped
            .handed
            .as_ref()
            .unwrap_or(&self.mapped.table)
            .as_raw()
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

impl Mapped {
    /// Fills `place` in, and starts to watch a device.
    fn place(
        place: KBox<MaybeUninit<UnbindWatch<Self>>>,
        streaming: Option<Streaming>,
        table: SgTable,
        handed: Option<SgTable>,
    ) -> Result<Pin<KBox<UnbindWatch<Self>>>> {
        let watched = streaming.as_ref().map(|streaming| streaming.device.clone());
        let mapped = try_pin_init!(Self {
            streaming <- new_mutex!(streaming),
            table,
            handed,
        }? Error);

        place.write_pin_init(UnbindWatch::new(watched, mapped))
    }
}
