// SPDX-License-Identifier: GPL-2.0

//! Mappings that have to be synced or unmapped.

use super::writer::Writer;
use crate::seam::{
    dma::{
        self,
        Translation, //
    },
    dma_mapping::DmaMapping,
    gfp::GFP_CHARGED,
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
    new_mutex, pr_warn_once,
    prelude::*,
    sync::{
        Mutex,
        UniqueArc, //
    },
};

/// Maps `table` for `device`.
///
/// A device that only writes is mapped bidirectionally wherever syncing has an effect. Otherwise
/// CPU writes would never reach the bounce buffer that the next `sync_for_cpu` copies back, not
/// even those beside the bytes of the device.
///
/// Fails as [`DmaMapping::new`] does.
///
/// # Safety
///
/// As for [`DmaMapping::new`].
#[inline]
pub(super) unsafe fn map(
    table: SgTable,
    device: &Device,
    direction: DataDirection,
) -> Result<DmaMapping> {
    let widen = direction == DataDirection::FromDevice;
    if widen && dma::needs_sync(device) {
        // SAFETY: The caller keeps memory and device for as long as the mapping lives.
        return unsafe { DmaMapping::new(table, device, DataDirection::Bidirectional) };
    }

    // SAFETY: The caller keeps memory and device for as long as the mapping lives.
    let mapping = unsafe { DmaMapping::new(table, device, direction)? };
    if !(widen && mapping.needs_sync()) {
        return Ok(mapping);
    }
    // A coherent device needs syncing from its first bounced mapping on, which was this one.
    let table = mapping.unmap_without_sync();
    // SAFETY: The caller keeps memory and device for as long as the mapping lives.
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
    translation: Translation,
    #[pin]
    state: Mutex<State>,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Streaming { untracked; }
}
impl_list_item! {
    impl ListItem<0> for Streaming { using ListLinks { self.links }; }
}

enum State {
    Live(DmaMapping),
    /// The device is losing its driver: no syncing any more.
    Unbinding(DmaMapping),
    /// As before, and the device has missed CPU writes: its data is not the newest.
    Outdated(DmaMapping),
    /// The mapping has ended. Its importer may still have the table.
    Ended {
        _table: SgTable,
    },
    /// For the time of a transition.
    Changing,
}

impl Streaming {
    /// Takes over a mapping, whose table its importer may change from now on.
    ///
    /// Fails with [`ENOMEM`], and ends the mapping without syncing in that case.
    #[inline]
    pub(super) fn new(mut mapping: DmaMapping, writer: Writer) -> Result<ListArc<Self>> {
        if let Err(error) = mapping.share() {
            drop(mapping.unmap_without_sync());
            return Err(error);
        }

        let place = match UniqueArc::<Self>::new_uninit(GFP_CHARGED) {
            Ok(place) => place,
            Err(error) => {
                drop(mapping.unmap_without_sync());
                return Err(error.into());
            }
        };
        let init = pin_init!(Self {
            links <- ListLinks::new(),
            needs_sync: mapping.needs_sync(),
            writer,
            translation: Translation::of(mapping.device()),
            state <- new_mutex!(State::Live(mapping)),
        });
        match place.pin_init_with(init) {
            Ok(stream) => Ok(ListArc::from(stream)),
            Err(never) => match never {},
        }
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
            State::Live(mapping) if !self.is_stale(mapping) => mapping.sync_for_cpu(),
            _ => (),
        }
    }

    /// Makes data that the CPU has written visible to the device.
    pub(super) fn sync_for_device(&self) {
        self.change(|state| match state {
            State::Live(mapping) if self.is_stale(&mapping) => State::Outdated(mapping),
            State::Live(mapping) => {
                mapping.sync_for_device();
                State::Live(mapping)
            }
            State::Unbinding(mapping) => State::Outdated(mapping),
            state => state,
        });
    }

    /// Stops syncing if the mapping is for `device`: its resources may go away before the mapping.
    pub(super) fn unbinding(&self, device: &Device) {
        self.change(|state| match state {
            State::Live(mapping) if is_for(&mapping, device) => State::Unbinding(mapping),
            state => state,
        });
    }

    /// Returns whether the mapping is for `device`, and has not ended.
    pub(super) fn is_for(&self, device: &Device) -> bool {
        match &*self.state.lock() {
            State::Live(mapping) | State::Unbinding(mapping) | State::Outdated(mapping) => {
                is_for(mapping, device)
            }
            State::Ended { .. } | State::Changing => false,
        }
    }

    /// Ends the mapping, unless that has been done.
    ///
    /// With `fetch`, data that the device has written becomes visible to the CPU.
    pub(super) fn end(&self, fetch: bool) {
        self.change(|state| {
            let (mapping, fetch) = match state {
                State::Live(mapping) | State::Unbinding(mapping) => (mapping, fetch),
                State::Outdated(mapping) => (mapping, false),
                state => return state,
            };

            let table = if self.is_stale(&mapping) {
                pr_warn_once!("a device has gone with a dma-buf mapped, and the mapping with it\n");
                mapping.abandon()
            } else if fetch {
                mapping.unmap()
            } else {
                mapping.unmap_without_sync()
            };
            State::Ended { _table: table }
        });
    }

    /// Returns whether the device has lost what its DMA addresses are translated by, after a driver
    /// was unbound or has failed to probe it.
    fn is_stale(&self, mapping: &DmaMapping) -> bool {
        Translation::of(mapping.device()) != self.translation
    }

    fn change(&self, transition: impl FnOnce(State) -> State) {
        let mut state = self.state.lock();

        *state = transition(core::mem::replace(&mut *state, State::Changing));
    }
}

fn is_for(mapping: &DmaMapping, device: &Device) -> bool {
    core::ptr::eq(mapping.device(), device)
}
