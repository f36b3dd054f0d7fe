// SPDX-License-Identifier: GPL-2.0

//! Mappings that have to be synced or unmapped.

use super::writer::Writer;
use crate::seam::{
    dma::{
        self,
        Translation, //
    },
    dma_mapping::DmaMapping,
    scatterlist::SgTable, //
};
use kernel::{
    device::Device,
    dma::DataDirection,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        ListArc,
        ListLinks, //
    },
    new_mutex,
    pr_warn_once,
    prelude::*,
    sync::Mutex, //
};

/// Maps `table` for `device`.
///
/// A device that only writes is mapped bidirectionally wherever syncing has an effect. Otherwise
/// CPU writes would never reach the bounce buffer that the next `sync_for_cpu` copies back, not even
/// those beside the bytes of the device.
///
/// Fails as [`DmaMapping::new`] does.
///
/// # Safety
///
/// As for [`DmaMapping::new`].
pub(super) unsafe fn map(
    table: SgTable,
    device: &Device,
    direction: DataDirection,
) -> Result<DmaMapping> {
    let widen = direction == DataDirection::FromDevice;
    if widen && dma::needs_sync(device) {
        // SAFETY: By the safety requirements.
        return unsafe { DmaMapping::new(table, device, DataDirection::Bidirectional) };
    }

    // SAFETY: By the safety requirements.
    let mapping = unsafe { DmaMapping::new(table, device, direction)? };
    if !(widen && mapping.needs_sync()) {
        return Ok(mapping);
    }
    // A coherent device needs syncing from its first bounced mapping on, which was this one.
    let table = mapping.unmap_without_sync();
    // SAFETY: By the safety requirements.
    unsafe { DmaMapping::new(table, device, DataDirection::Bidirectional) }
}

/// A mapping that is listed in [`Coherence`](super::coherence::Coherence), and shared with the
/// importer's [`SystemMapping`](super::mapping::SystemMapping).
#[pin_data]
pub(super) struct Streaming {
    #[pin]
    links: ListLinks,
    needs_sync: bool,
    writer: Writer,
    #[pin]
    state: Mutex<Option<State>>,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Streaming { untracked; }
}
impl_list_item! {
    impl ListItem<0> for Streaming { using ListLinks { self.links }; }
}

/// State of a mapping that the device has not taken with it.
struct State {
    mapping: DmaMapping,
    translation: Translation,
    /// The device is losing its driver: no syncing any more.
    unbinding: bool,
    /// The device has missed CPU writes, so its data is not the newest.
    outdated: bool,
}

impl Streaming {
    /// Fails with [`ENOMEM`], and ends the mapping without syncing in that case.
    pub(super) fn new(mapping: DmaMapping, writer: Writer) -> Result<ListArc<Self>> {
        let needs_sync = mapping.needs_sync();
        let state = State {
            translation: Translation::of(mapping.device()),
            mapping,
            unbinding: false,
            outdated: false,
        };

        ListArc::pin_init(
            try_pin_init!(Self {
                links <- ListLinks::new(),
                needs_sync,
                writer,
                state <- new_mutex!(Some(state)),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Returns whether syncing has an effect.
    pub(super) fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Returns how the device writes.
    pub(super) fn writer(&self) -> Writer {
        self.writer
    }

    /// Makes data that the device has written visible to the CPU.
    pub(super) fn sync_for_cpu(&self) {
        match &*self.state.lock() {
            Some(state) if !state.unbinding => state.mapping.sync_for_cpu(),
            _ => (),
        }
    }

    /// Makes data that the CPU has written visible to the device.
    pub(super) fn sync_for_device(&self) {
        match &mut *self.state.lock() {
            Some(state) if state.unbinding => state.outdated = true,
            Some(state) => state.mapping.sync_for_device(),
            None => (),
        }
    }

    /// Stops syncing if the mapping is for `device`: its resources may go away before the mapping.
    pub(super) fn unbinding(&self, device: &Device) {
        match &mut *self.state.lock() {
            Some(state) if core::ptr::eq(state.mapping.device(), device) => state.unbinding = true,
            _ => (),
        }
    }

    /// Returns whether the mapping is for `device`, and has not ended.
    pub(super) fn is_for(&self, device: &Device) -> bool {
        let state = self.state.lock();

        state
            .as_ref()
            .is_some_and(|state| core::ptr::eq(state.mapping.device(), device))
    }

    /// Ends the mapping, unless that has been done.
    ///
    /// With `fetch`, data that the device has written becomes visible to the CPU.
    pub(super) fn end(&self, fetch: bool) {
        let Some(state) = self.state.lock().take() else {
            return;
        };

        if Translation::of(state.mapping.device()) != state.translation {
            pr_warn_once!("a device has gone with a dma-buf mapped, and the mapping with it\n");
            drop(state.mapping.abandon());
        } else if fetch && !state.outdated {
            drop(state.mapping);
        } else {
            drop(state.mapping.unmap_without_sync());
        }
    }
}
