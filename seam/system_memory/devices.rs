// SPDX-License-Identifier: GPL-2.0

//! The devices of a buffer that need syncing, unmapping or a staging.

use super::{
    direct::{
        Direct,
        SyncClass,
        Unlisted, //
    },
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
    prelude::*,
    rbtree::{
        Entry,
        RBTree, //
    },
    sync::Arc, //
};

/// The devices that need syncing, unmapping or a staging, and the state of the last settle.
///
/// # Invariants
///
/// - `synced` has the mappings that have a [class](Direct::class), each under its class, and no
///   empty list. `unsynced` has all others.
/// - The mappings of `synced` and `unsynced` are of the memory itself.
pub(super) struct Devices {
    pub(super) staged: KVec<StagedDevice>,
    /// Mappings that have to be synced.
    synced: RBTree<SyncClass, List<Direct>>,
    /// Mappings that only have to be unmapped: for good, or since their device has no driver.
    unsynced: List<Direct>,
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
            // INVARIANT: There are no mappings.
            synced: RBTree::new(),
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

    /// Adds a mapping of the memory itself.
    pub(super) fn add(&mut self, Unlisted { direct, class }: Unlisted) -> Arc<Direct> {
        let shared = direct.clone_arc();

        // INVARIANT: The mapping is new: it has a class if it has to be synced.
        match class.map(|(class, room)| (self.synced.entry(class), room)) {
            None => self.unsynced.push_back(direct),
            Some((Entry::Occupied(mut entry), _)) => entry.get_mut().push_back(direct),
            Some((Entry::Vacant(entry), room)) => {
                entry.insert(List::new(), room).push_back(direct);
            }
        }
        shared
    }

    /// Removes a mapping of the memory itself.
    ///
    /// # Safety
    ///
    /// It must be in a list of this value, or in none. The mutex of the value must be held.
    pub(super) unsafe fn remove(&mut self, direct: &Direct) {
        // SAFETY: The mutex is held.
        let entry = unsafe { direct.class() }.and_then(|class| self.synced.find_mut(&class));

        match entry {
            Some(mut entry) => {
                // SAFETY: By the type invariants, it is in the list of its class or in none.
                unsafe { entry.get_mut().remove(direct) };
                // INVARIANT: No empty list is left.
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
            // SAFETY: By the type invariants, it is in this list or in none.
            None => drop(unsafe { self.unsynced.remove(direct) }),
        }
    }

    /// Calls `f` for one mapping of each class that has to be synced.
    ///
    /// Costs by the number of devices, whatever the number of mappings.
    pub(super) fn for_each_synced(&self, f: impl Fn(&Direct)) {
        for list in self.synced.values() {
            if let Some(direct) = list.iter().next() {
                f(&direct);
            }
            task::cond_resched();
        }
    }

    /// Calls `end` for each mapping of the memory itself for `device`.
    ///
    /// # Safety
    ///
    /// The mutex of the value must be held. `end` must leave a mapping without a
    /// [class](Direct::class).
    pub(super) unsafe fn end_each(&mut self, device: &Device, end: impl Fn(&Direct)) {
        for class in SyncClass::all_of(device) {
            if let Some(mut list) = self.synced.remove(&class) {
                // INVARIANT: They are mappings for the device, which have no class after the loop
                // below.
                self.unsynced.push_all_back(&mut list);
            }
        }
        for direct in self.unsynced.iter() {
            // SAFETY: The mutex is held.
            if unsafe { direct.is_for(device) } {
                end(&direct);
            }
            task::cond_resched();
        }
    }

    /// Returns the number of mappings of the memory itself.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn nr_direct(&self) -> usize {
        let synced = self.synced.values().map(|list| list.iter().count());

        synced.sum::<usize>() + self.unsynced.iter().count()
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
    /// Ends mappings that an importer has left without detaching: the memory goes next. The empty
    /// lists go with the value.
    fn drop(&mut self) {
        let end_all = |list: &mut List<Direct>| {
            while let Some(direct) = list.pop_front() {
                // SAFETY: The buffer is being dropped, so no other task accesses the mapping, and
                // the mutex is not needed.
                unsafe { direct.end() };
            }
        };

        self.synced.values_mut().for_each(end_all);
        end_all(&mut self.unsynced);
    }
}
