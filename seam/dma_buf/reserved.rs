// SPDX-License-Identifier: GPL-2.0

//! The reservation lock of a dma-buf, and what it protects.
//!
//! C header: [`include/linux/dma-resv.h`](srctree/include/linux/dma-resv.h)

use super::{
    mapping::Mapping,
    DmaBuf,
    Exporter, //
};
use crate::seam::{
    dma::VirtualDevice,
    mm::vmap::KernelMapping, //
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
    /// One for each mapping that an importer holds. Boxed, since importers know their addresses.
    imported: KVec<KBox<Mapping<'static>>>,
    /// The exporter's own.
    own: Option<Mapping<'static>>,
    /// The core counts its users: one serves all.
    vmap: Option<KernelMapping<'static>>,
}

impl Protected {
    pub(super) const fn new() -> Self {
        Self {
            imported: KVec::new(),
            own: None,
            vmap: None,
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

    /// Passes every mapping that a device owns to the CPU: what devices wrote becomes visible.
    pub(crate) fn sync_for_cpu(&self) {
        self.for_each(Mapping::sync_for_cpu);
    }

    /// Passes every mapping to its device: what the CPU wrote becomes visible.
    pub(crate) fn sync_for_device(&self) {
        self.for_each(Mapping::sync_for_device);
    }

    /// Passes every mapping to its device after the CPU has only read: nothing is copied.
    pub(crate) fn return_to_device(&self) {
        self.for_each(Mapping::return_to_device);
    }

    fn for_each(&self, pass: fn(&Mapping<'static>)) {
        self.with(|protected| {
            protected.imported.iter().for_each(|mapping| pass(mapping));
            protected.own.iter().for_each(pass);
        });
    }

    /// Gives `work` what the lock protects. `work` must not get here again: none of the closures
    /// below, which are all there are, calls anything but the DMA API and the allocator.
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

        // SAFETY: A virtual device is there for whoever holds it, without a driver to unbind.
        let mapping = unsafe { Mapping::new(self.buffer.memory(), device, direction)? };
        let needs_sync = mapping.needs_sync();
        // SAFETY: `Exported` drops what the lock protects before the memory.
        let mapping = unsafe { mapping.erase() };

        self.with(|protected| protected.own = Some(mapping));
        self.buffer.exported().note_mapped(needs_sync);
        Ok(())
    }

    /// Keeps `mapping` for an importer, who knows it by the table that is returned.
    pub(super) fn hand_out(&self, mapping: Mapping<'a>) -> Result<*mut bindings::sg_table> {
        let needs_sync = mapping.needs_sync();
        // SAFETY: `Exported` drops what the lock protects before the memory.
        let mapping = KBox::new(unsafe { mapping.erase() }, GFP_KERNEL)?;
        let table = mapping.handed();

        self.with(|protected| protected.imported.push(mapping, GFP_KERNEL))?;
        self.buffer.exported().note_mapped(needs_sync);
        Ok(table)
    }

    /// Unmaps the mapping that an importer knows as `table`. Tells whether there was one.
    pub(super) fn take_back(&self, table: *mut bindings::sg_table) -> bool {
        let mapping = self.with(|Protected { imported, .. }| {
            let at = imported.iter().position(|m| m.handed() == table)?;
            imported.remove(at).ok()
        });
        let Some(mapping) = mapping else {
            return false;
        };

        // Unmapping is a barrier: `needs_sync` must not say that there is nothing to do before it
        // is through.
        let needs_sync = mapping.needs_sync();
        drop(mapping);
        self.buffer.exported().note_unmapped(needs_sync);
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
