// SPDX-License-Identifier: GPL-2.0

//! Mappings of the memory itself that have to be synced or unmapped.

use crate::seam::{
    dma_mapping::DmaMapping,
    gfp::GFP_CHARGED,
    scatterlist::SgTable, //
};
use core::{
    cell::UnsafeCell,
    mem::replace, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        List,
        ListArc,
        ListLinks, //
    },
    prelude::*,
    rbtree::RBTreeNodeReservation,
    sync::UniqueArc, //
};

/// Mappings of one device in one direction. Syncing one of them syncs all.
///
/// They reach the same memory, without bounce buffers, and the effect of a sync depends on nothing
/// else. An IOMMU does not bounce whole pages: its granule is at most a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SyncClass {
    /// The address of the device, for comparison only.
    device: usize,
    direction: u32,
}

impl SyncClass {
    fn new(device: &Device, direction: DataDirection) -> Self {
        Self {
            device: core::ptr::from_ref(device).addr(),
            direction: direction as u32,
        }
    }

    fn of(mapping: &DmaMapping) -> Self {
        Self::new(mapping.device(), mapping.direction())
    }

    /// Returns the classes of `device`.
    pub(super) fn all_of(device: &Device) -> [Self; 3] {
        [
            DataDirection::Bidirectional,
            DataDirection::ToDevice,
            DataDirection::FromDevice,
        ]
        .map(|direction| Self::new(device, direction))
    }
}

/// Room for the list of a class.
pub(super) type ClassRoom = RBTreeNodeReservation<SyncClass, List<Direct>>;

/// A mapping of the memory itself that is listed in [`Devices`](super::devices::Devices), and
/// shared with the importer's [`SystemMapping`](super::mapping::SystemMapping).
///
/// # Invariants
///
/// `state` is accessed with the mutex held that protects the list.
#[pin_data]
pub(super) struct Direct {
    #[pin]
    links: ListLinks,
    /// Whether CPU and device have to be synced.
    is_synced: bool,
    /// Whether the DMA addresses are those of an IOMMU.
    is_translated: bool,
    state: UnsafeCell<State>,
}

// SAFETY: By the type invariants, a mutex serialises all accesses to `state`, which is `Send`.
unsafe impl Sync for Direct {}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Direct { untracked; }
}
impl_list_item! {
    impl ListItem<0> for Direct { using ListLinks { self.links }; }
}

enum State {
    Live(DmaMapping),
    /// The device is losing its driver: no syncing any more.
    Leaving(DmaMapping),
    /// The mapping has ended. Its importer may still have the table.
    Ended(Option<SgTable>),
    /// For the time of a transition.
    Changing,
}

/// A mapping that is not listed yet.
pub(super) struct Unlisted {
    pub(super) direct: ListArc<Direct>,
    /// Set if CPU and device have to be synced.
    pub(super) class: Option<(SyncClass, ClassRoom)>,
}

impl Unlisted {
    /// Takes over a mapping, whose table its importer may change from now on. Returns the header of
    /// the table as well.
    ///
    /// Fails with [`ENOMEM`], and ends the mapping without syncing in that case.
    pub(super) fn new(
        mut mapping: DmaMapping,
        is_translated: bool,
    ) -> Result<(Self, bindings::sg_table)> {
        let allocated = mapping.share().and_then(|()| {
            // Allocated without the mutex, which accesses of the CPU wait for.
            let class = match mapping.needs_sync() {
                true => Some((SyncClass::of(&mapping), ClassRoom::new(GFP_CHARGED)?)),
                false => None,
            };
            Ok((UniqueArc::<Direct>::new_uninit(GFP_CHARGED)?, class))
        });
        let (place, class) = match allocated {
            Ok(allocated) => allocated,
            Err(error) => {
                drop(mapping.unmap_without_sync());
                return Err(error);
            }
        };

        let header = mapping.table().header();
        let init = pin_init!(Direct {
            links <- ListLinks::new(),
            is_synced: mapping.needs_sync(),
            is_translated,
            // INVARIANT: The value is not shared yet.
            state: UnsafeCell::new(State::Live(mapping)),
        });
        match place.pin_init_with(init) {
            Ok(direct) => {
                let direct = ListArc::from(direct);
                Ok((Self { direct, class }, header))
            }
            Err(never) => match never {},
        }
    }
}

impl Direct {
    /// Returns whether CPU and device have to be synced, as long as the device has a driver.
    pub(super) fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Returns the class that the mapping is synced with, if it has to be and its device has a
    /// driver.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    pub(super) unsafe fn class(&self) -> Option<SyncClass> {
        // SAFETY: The mutex is held.
        match unsafe { &*self.state.get() } {
            State::Live(mapping) if self.is_synced => Some(SyncClass::of(mapping)),
            State::Live(_) | State::Leaving(_) | State::Ended(_) | State::Changing => None,
        }
    }

    /// Syncs both ways, see [`DmaMapping::clean_and_invalidate`].
    ///
    /// # Safety
    ///
    /// The mutex of the list must be held, and so for all functions below.
    pub(super) unsafe fn clean_and_invalidate(&self) {
        // SAFETY: The mutex is held.
        if let State::Live(mapping) = unsafe { &*self.state.get() } {
            mapping.clean_and_invalidate();
        }
    }

    /// Makes data that the CPU has written visible to the device.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    pub(super) unsafe fn clean(&self) {
        // SAFETY: The mutex is held.
        if let State::Live(mapping) = unsafe { &*self.state.get() } {
            mapping.sync_for_device();
        }
    }

    /// Returns whether the mapping is for `device`, and has not ended.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    pub(super) unsafe fn is_for(&self, device: &Device) -> bool {
        // SAFETY: The mutex is held.
        match unsafe { &*self.state.get() } {
            State::Live(mapping) | State::Leaving(mapping) => {
                core::ptr::eq(mapping.device(), device)
            }
            State::Ended(_) | State::Changing => false,
        }
    }

    /// Stops syncing: the driver of the device is about to be unbound.
    ///
    /// What the DMA API translates addresses by goes with the driver, so that a mapping which is
    /// not an IOMMU's ends here. Nothing changes for the device.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    pub(super) unsafe fn leave(&self) {
        // SAFETY: The mutex is held.
        unsafe {
            self.change(|state| match state {
                State::Live(mapping) if self.is_translated => State::Leaving(mapping),
                State::Live(mapping) => State::Ended(Some(mapping.unmap_without_sync())),
                state => state,
            });
        }
    }

    /// Ends the mapping, unless that has been done. Syncing is left to the caller.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    pub(super) unsafe fn end(&self) {
        // SAFETY: The mutex is held.
        unsafe {
            self.change(|state| match state {
                State::Live(mapping) | State::Leaving(mapping) => {
                    State::Ended(Some(mapping.unmap_without_sync()))
                }
                state => state,
            });
        }
    }

    /// Takes the table of a mapping that has ended, once its importer has unmapped it.
    ///
    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate). The importer must not use the
    /// table any more.
    pub(super) unsafe fn take_table(&self) -> Option<SgTable> {
        // SAFETY: The mutex is held.
        match unsafe { &mut *self.state.get() } {
            State::Ended(table) => table.take(),
            State::Live(_) | State::Leaving(_) | State::Changing => None,
        }
    }

    /// # Safety
    ///
    /// As for [`clean_and_invalidate`](Self::clean_and_invalidate).
    unsafe fn change(&self, transition: impl FnOnce(State) -> State) {
        // SAFETY: The mutex is held, and this is the only reference: transitions have none.
        let state = unsafe { &mut *self.state.get() };

        *state = transition(replace(state, State::Changing));
    }
}
