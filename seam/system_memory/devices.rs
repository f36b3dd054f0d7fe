// SPDX-License-Identifier: GPL-2.0

//! The devices of a buffer that need syncing, unmapping or a staging.

use super::{
    direct::Direct,
    staging::{
        StagedDevice,
        StagingId, //
    },
};
use crate::seam::{
    dma_mapping::DmaMapping,
    task, //
};
use kernel::{
    device::Device,
    list::List,
    prelude::*, //
};

/// The devices that need syncing, unmapping or a staging, and the state of the last settle.
pub(super) struct Devices {
    pub(super) staged: KVec<StagedDevice>,
    /// Mappings of the memory itself that have to be synced.
    pub(super) synced: List<Direct>,
    /// Mappings of the memory itself that only have to be unmapped.
    pub(super) unsynced: List<Direct>,
    /// The exporter's own.
    pub(super) own: Option<KBox<DmaMapping>>,
    /// The number of the last settle that was completed and may serve a START, and whether it met a
    /// poisoned page.
    pub(super) completed: usize,
    pub(super) was_poisoned: bool,
    /// A settle that was given up may have fetched what it has not pushed.
    pub(super) unpushed: bool,
}

// SAFETY: The lists, whose items are `Send` and `Sync`, belong to no task.
unsafe impl Send for Devices {}

impl Devices {
    /// Creates a list without devices.
    pub(super) fn new() -> Self {
        Self {
            staged: KVec::new(),
            synced: List::new(),
            unsynced: List::new(),
            own: None,
            completed: 0,
            was_poisoned: false,
            unpushed: false,
        }
    }

    /// Returns where the staging of `device` is, unless that is losing its driver.
    pub(super) fn find(&self, device: &Device) -> Option<usize> {
        self.staged
            .iter()
            .position(|staging| staging.is_for(device))
    }

    /// Returns whether the staging of `device` has a base, if there is one.
    pub(super) fn has_base(&self, device: &Device) -> Option<bool> {
        self.find(device).map(|at| self.staged[at].has_base())
    }

    /// Returns the staging of that name.
    pub(super) fn staging(&mut self, id: StagingId) -> Option<&mut StagedDevice> {
        self.staged.iter_mut().find(|staging| staging.id() == id)
    }

    /// Removes the staging of that name.
    pub(super) fn take(&mut self, id: StagingId) -> Option<StagedDevice> {
        let at = self.staged.iter().position(|staging| staging.id() == id)?;

        self.staged.remove(at).ok()
    }

    /// Returns the list that `direct` belongs to.
    pub(super) fn list_of(&mut self, direct: &Direct) -> &mut List<Direct> {
        match direct.is_synced() {
            true => &mut self.synced,
            false => &mut self.unsynced,
        }
    }

    /// Calls `f` for each mapping that has to be synced.
    pub(super) fn for_each_synced(&self, f: impl Fn(&Direct)) {
        for direct in self.synced.iter() {
            f(&direct);
            task::cond_resched();
        }
    }

    /// Calls `f` for each mapping of the memory itself that has to be synced or unmapped.
    pub(super) fn for_each_direct(&self, f: impl Fn(&Direct)) {
        for list in [&self.synced, &self.unsynced] {
            for direct in list.iter() {
                f(&direct);
                task::cond_resched();
            }
        }
    }

    /// Returns how many mappings do not count any more, since all was fetched.
    pub(super) fn released(&mut self) -> usize {
        self.staged
            .iter_mut()
            .filter(|staging| staging.is_settled())
            .map(StagedDevice::take_kept_users)
            .sum()
    }

    /// Fails with [`EIO`] if the last settle has met a poisoned page.
    pub(super) fn check_poison(&self) -> Result {
        match self.was_poisoned {
            true => Err(EIO),
            false => Ok(()),
        }
    }
}

impl Drop for Devices {
    /// Ends mappings that an importer has left without detaching: the memory goes next.
    fn drop(&mut self) {
        for list in [&mut self.synced, &mut self.unsynced] {
            while let Some(direct) = list.pop_front() {
                // SAFETY: Nobody else accesses the value any more.
                unsafe { direct.end() };
            }
        }
    }
}
