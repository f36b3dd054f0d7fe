// SPDX-License-Identifier: GPL-2.0

//! The reservation lock of a dma-buf, and what it protects.
//!
//! C header: [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use super::{
    brackets::Brackets,
    buffer::Making,
    mapping::Mapping,
    CpuAccess,
    DmaBuf,
    Exporter, //
};
use crate::seam::{
    dma::VirtualDevice,
    mm::vmap::KernelMapping,
    task::{
        self,
        AddressSpace, //
    },
};
use core::ops::Deref;
use kernel::{
    bindings,
    dma::DataDirection,
    prelude::*,
    types::NotThreadSafe, //
};

/// What the reservation lock of a dma-buf protects.
///
/// Borrows from the memory of the dma-buf, whatever the `'static` says, and is dropped before it.
pub(super) struct Protected {
    /// One for each mapping that an importer holds.
    imported: KVec<Mapping<'static>>,
    /// The exporter's own.
    own: Option<Mapping<'static>>,
    /// The core counts its users: one serves all.
    vmap: Option<KernelMapping<'static>>,
    /// In which the CPU writes.
    brackets: Brackets<AddressSpace>,
}

impl Protected {
    pub(super) const fn new() -> Self {
        Self {
            imported: KVec::new(),
            own: None,
            vmap: None,
            brackets: Brackets::new(),
        }
    }
}

/// A dma-buf whose reservation lock is held.
///
/// Passed around by shared reference, so that one cannot be put in the place of another. What the
/// lock protects never leaves the methods.
///
/// # Invariants
///
/// The reservation lock of `buffer` is held by the current task for as long as the value lives, and
/// no other value of this type exists for it in that time.
pub(crate) struct Reserved<'a, T: Exporter> {
    buffer: &'a DmaBuf<T>,
    _task: NotThreadSafe,
}

impl<'a, T: Exporter> Reserved<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold until the value is dropped.
    pub(super) unsafe fn new(buffer: &'a DmaBuf<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            buffer,
            _task: NotThreadSafe,
        }
    }

    /// Starts a bracket: what devices wrote becomes visible to the CPU.
    ///
    /// Every mapping is passed to the CPU, in its own direction, whatever the CPU is about to do.
    /// Unless a bracket counts in which the CPU writes already: its bytes would be overwritten, see
    /// [`brackets`](super::brackets). Fails with [`ENOMEM`], and has done nothing then.
    pub(crate) fn begin_cpu_access(&self, access: CpuAccess) -> Result {
        let now = task::monotonic();
        let writing = self.brackets(|brackets| {
            brackets.prune();
            let before = brackets.counting(now);
            if access.writes() {
                brackets.open(AddressSpace::current(), task::thread(), now)?;
            }
            Ok::<_, Error>((before, brackets.counting(now)))
        });
        let (before, writing) = writing?;

        self.for_each(|mapping| {
            if before.is_none() {
                mapping.sync_for_cpu();
            }
            mapping.set_written_by_cpu(|| writing);
        });
        Ok(())
    }

    /// Ends a bracket: what the CPU wrote becomes visible to devices, whatever else is open.
    pub(crate) fn end_cpu_access(&self, access: CpuAccess) {
        if !access.writes() {
            return;
        }

        let now = task::monotonic();
        let writing = self.brackets(|brackets| {
            brackets.close(&AddressSpace::current(), task::thread(), now);
            brackets.counting(now)
        });
        self.for_each(|mapping| {
            mapping.sync_for_device();
            mapping.set_written_by_cpu(|| writing);
        });
    }

    /// Makes visible to the CPU what devices wrote, and so to a device that is mapped for next.
    ///
    /// Not while a bracket counts in which the CPU writes.
    pub(crate) fn fetch(&self) {
        let writing = self.with(|protected| protected.brackets.counting(task::monotonic()));
        if writing.is_none() {
            self.for_each(Mapping::sync_for_cpu);
        }
    }

    fn for_each(&self, pass: impl Fn(&Mapping<'static>)) {
        self.with(|Protected { imported, own, .. }| {
            imported.iter().for_each(&pass);
            own.iter().for_each(&pass);
        });
    }

    /// Gives `work` the open brackets, and sees to it that one who looks without the lock knows
    /// whether there are any: their END must not be missed.
    fn brackets<R>(&self, work: impl FnOnce(&mut Brackets<AddressSpace>) -> R) -> R {
        self.with(|Protected { brackets, .. }| {
            let was_idle = brackets.is_empty();
            let result = work(brackets);

            match (was_idle, brackets.is_empty()) {
                (true, false) => self.buffer.exported().note_busy(),
                (false, true) => self.buffer.exported().note_idle(),
                _ => (),
            }
            result
        })
    }

    /// Gives `work` what the lock protects. `work` must not get here again: none of the closures
    /// in this file, which are all there are, calls anything but the DMA API, the allocator and the
    /// bus of a device.
    fn with<R>(&self, work: impl FnOnce(&mut Protected) -> R) -> R {
        // SAFETY: By the type invariants nobody else gets here for this buffer, and the reference
        // does not outlive this call, which is not entered twice.
        work(unsafe { &mut *self.buffer.exported().protected.get() })
    }

    /// Replaces the kernel mapping.
    pub(super) fn set_vmap(&self, vmap: Option<KernelMapping<'a>>) {
        // SAFETY: `Exported` drops what the lock protects before the memory.
        let vmap = vmap.map(|vmap| unsafe { vmap.erase() });

        self.with(|protected| protected.vmap = vmap);
    }

    /// Maps the memory for a device of the exporter's own, unless that has been done.
    ///
    /// The mapping lives as long as the dma-buf. Fails as [`Mapping::new`] does.
    pub(crate) fn map_own(&self, device: &VirtualDevice, direction: DataDirection) -> Result {
        if self.with(|protected| protected.own.is_some()) {
            return Ok(());
        }

        let making = Making::new(self.buffer.exported());
        // SAFETY: A virtual device is there for whoever holds it, without a driver to unbind.
        let mapping = unsafe { Mapping::new(self.buffer.memory(), device, direction)? };
        let needs_sync = mapping.needs_sync();
        // SAFETY: `Exported` drops what the lock protects before the memory.
        let mapping = unsafe { mapping.erase() };

        self.with(|protected| protected.own = Some(mapping));
        making.made(needs_sync);
        Ok(())
    }

    /// Keeps `mapping` for an importer, who knows it by the table that is returned.
    ///
    /// Fails with [`EBUSY`] for a device that writes behind a bounce buffer while another one
    /// writes, and the other way round; and with [`ENOMEM`].
    pub(super) fn hand_out(
        &self,
        mapping: Mapping<'a>,
        making: Making<'_, T>,
    ) -> Result<*mut bindings::sg_table> {
        let needs_sync = mapping.needs_sync();
        // SAFETY: `Exported` drops what the lock protects before the memory.
        let mapping = unsafe { mapping.erase() };

        let table = self.with(|protected| {
            let others = &mut protected.imported;
            if others.iter().any(|other| mapping.conflicts_with(other)) {
                return Err(EBUSY);
            }

            let table = mapping.handed();
            others.reserve(1, GFP_KERNEL)?;
            // From now on unmapping is a barrier.
            mapping.set_written_by_cpu(|| protected.brackets.counting(task::monotonic()));
            others.push(mapping, GFP_KERNEL)?;
            Ok(table)
        })?;
        making.made(needs_sync);
        Ok(table)
    }

    /// Unmaps the mapping that an importer knows as `table`. Tells whether there was one.
    pub(super) fn take_back(&self, table: *mut bindings::sg_table) -> bool {
        let mapping = self.with(|protected| {
            let imported = &mut protected.imported;
            let at = imported.iter().position(|m| m.handed() == table)?;
            let mapping = imported.remove(at).ok()?;

            // Nobody may have told it that the process is gone which was writing.
            mapping.set_written_by_cpu(|| protected.brackets.counting(task::monotonic()));
            Some(mapping)
        });
        let Some(mapping) = mapping else {
            return false;
        };

        // Unmapping is a barrier: nobody may be told that there is nothing to do before it is
        // through.
        let needs_sync = mapping.needs_sync();
        drop(mapping);
        if needs_sync {
            self.buffer.exported().note_idle();
        }
        true
    }
}

/// Holds the reservation lock of a dma-buf until it is dropped.
pub(crate) struct ReservedGuard<'a, T: Exporter>(Reserved<'a, T>);

impl<'a, T: Exporter> ReservedGuard<'a, T> {
    /// # Safety
    ///
    /// The current task must have just taken the lock of `buffer`, and leaves it to the guard.
    pub(super) unsafe fn new(buffer: &'a DmaBuf<T>) -> Self {
        // SAFETY: The lock is held until `drop` and excludes any other `Reserved`.
        Self(unsafe { Reserved::new(buffer) })
    }
}

impl<'a, T: Exporter> Deref for ReservedGuard<'a, T> {
    type Target = Reserved<'a, T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Exporter> Drop for ReservedGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The lock was taken before the guard was made, by this task.
        unsafe { bindings::dma_resv_unlock(self.0.buffer.resv()) };
    }
}
