// SPDX-License-Identifier: GPL-2.0

//! When ownership of a buffer passes between the CPU and devices.
//!
//! Documentation/coherence.md is the contract.

use super::{
    brackets::Brackets,
    streaming::{
        self,
        Streaming, //
    },
    sync_users::SyncUsers,
    writer::Writer, //
};
use crate::seam::{
    dma::{
        self,
        VirtualDevice, //
    },
    dma_buf::CpuAccess,
    dma_mapping::DmaMapping,
    scatterlist::{
        Scattered,
        SgTable, //
    },
    task::{
        self,
        AddressSpace, //
    },
};
use kernel::{
    device::Device,
    dma::DataDirection,
    list::{
        List,
        ListArc, //
    },
    prelude::*,
    sync::Arc, //
};

/// The mappings of a buffer, and the brackets of CPU access.
pub(super) struct Coherence {
    /// Mappings to sync around CPU access, of devices that write and of devices that only read.
    written: List<Streaming>,
    read: List<Streaming>,
    /// Mappings that only have to be unmapped.
    unsynced: List<Streaming>,
    /// The exporter's own.
    own: Option<DmaMapping>,
    /// Live mappings of devices that write, and those of them that bounce.
    writers: usize,
    bouncing_writers: usize,
    /// Brackets in which the CPU writes.
    brackets: Brackets<AddressSpace>,
}

impl Coherence {
    pub(super) const fn new() -> Self {
        Self {
            written: List::new(),
            read: List::new(),
            unsynced: List::new(),
            own: None,
            writers: 0,
            bouncing_writers: 0,
            brackets: Brackets::new(),
        }
    }

    /// Starts a bracket: data that devices have written becomes visible to the CPU.
    ///
    /// Syncs every mapping in its own direction, whatever the CPU is about to do, unless a bracket
    /// counts in which the CPU writes already: its data would be overwritten, see
    /// [`brackets`](super::brackets). Fails with [`ENOMEM`], and has no effect in that case.
    pub(super) fn begin_cpu_access(&mut self, access: CpuAccess, users: &SyncUsers) -> Result {
        let now = task::monotonic();
        let writing = self.change_brackets(users, |brackets| {
            brackets.prune();
            let writing = brackets.counting(now).is_some();
            if access.writes() {
                brackets.open(AddressSpace::current(), task::thread(), now)?;
            }
            Ok::<_, Error>(writing)
        })?;

        if !writing {
            self.sync_for_cpu();
        }
        Ok(())
    }

    /// Ends a bracket in which the CPU writes: its data becomes visible to devices.
    pub(super) fn end_cpu_access(&mut self, users: &SyncUsers) {
        let now = task::monotonic();

        self.change_brackets(users, |brackets| {
            brackets.close(&AddressSpace::current(), task::thread(), now)
        });
        self.for_each_synced(Streaming::sync_for_device);
        if let Some(own) = &self.own {
            own.sync_for_device();
        }
    }

    /// Makes data that devices have written visible to the CPU, and so to the next mapping.
    ///
    /// Has no effect while a bracket counts in which the CPU writes.
    pub(super) fn fetch(&mut self) {
        if !self.is_cpu_writing() {
            self.sync_for_cpu();
        }
    }

    /// Syncs the mappings of devices that write. For the others, the C function does nothing.
    fn sync_for_cpu(&self) {
        for stream in self.written.iter() {
            stream.sync_for_cpu();
            task::cond_resched();
        }
    }

    fn for_each_synced(&self, f: impl Fn(&Streaming)) {
        for list in [&self.written, &self.read] {
            for stream in list.iter() {
                f(&stream);
                task::cond_resched();
            }
        }
    }

    fn is_cpu_writing(&self) -> bool {
        !self.brackets.is_empty() && self.brackets.counting(task::monotonic()).is_some()
    }

    /// Changes the brackets, which count as one user together.
    fn change_brackets<R>(
        &mut self,
        users: &SyncUsers,
        change: impl FnOnce(&mut Brackets<AddressSpace>) -> R,
    ) -> R {
        let was_empty = self.brackets.is_empty();
        let result = change(&mut self.brackets);

        match (was_empty, self.brackets.is_empty()) {
            (true, false) => users.get().keep(),
            (false, true) => users.put(),
            _ => (),
        }
        result
    }

    /// Maps `memory` for the exporter's own device, unless that has been done.
    ///
    /// The direction is `TO_DEVICE`: the others would discard what the CPU has written through
    /// other mappings. Fails as [`DmaMapping::new`] does.
    ///
    /// # Safety
    ///
    /// `memory` must outlive `self`.
    pub(super) unsafe fn map_own<M: Scattered>(
        &mut self,
        memory: &M,
        device: &VirtualDevice,
        users: &SyncUsers,
    ) -> Result {
        if self.own.is_some() {
            return Ok(());
        }

        let table = SgTable::new(memory, dma::segment_limits(device)?)?;
        let user = users.get();
        // SAFETY: A virtual device has no driver that could be unbound. The memory outlives the
        // mapping by the safety requirements.
        let mapping = unsafe { streaming::map(table, device, DataDirection::ToDevice)? };
        if mapping.needs_sync() {
            user.keep();
        }
        self.own = Some(mapping);
        Ok(())
    }

    /// Counts a mapping.
    ///
    /// Fails with [`EBUSY`] if its device and another one write, and one of them bounces: it could
    /// not be told whose data is newer.
    pub(super) fn add_writer(&mut self, writer: Writer) -> Result {
        let conflicts = match writer {
            Writer::None => false,
            Writer::Direct => self.bouncing_writers > 0,
            Writer::Bouncing => self.writers > 0,
        };
        if conflicts {
            return Err(EBUSY);
        }

        self.writers += usize::from(writer != Writer::None);
        self.bouncing_writers += usize::from(writer == Writer::Bouncing);
        Ok(())
    }

    /// Undoes [`add_writer`](Self::add_writer).
    pub(super) fn remove_writer(&mut self, writer: Writer) {
        self.writers -= usize::from(writer != Writer::None);
        self.bouncing_writers -= usize::from(writer == Writer::Bouncing);
    }

    /// Adds a mapping that has been counted.
    pub(super) fn add(&mut self, stream: ListArc<Streaming>) -> Arc<Streaming> {
        let shared = stream.clone_arc();

        self.list_of(&shared).push_back(stream);
        shared
    }

    /// Returns the list that `stream` belongs to.
    fn list_of(&mut self, stream: &Streaming) -> &mut List<Streaming> {
        match (stream.needs_sync(), stream.writer()) {
            (false, _) => &mut self.unsynced,
            (true, Writer::None) => &mut self.read,
            (true, _) => &mut self.written,
        }
    }

    /// Ends a mapping, unless its device has taken it along.
    ///
    /// Data of the device becomes visible to the CPU, unless a bracket counts in which the CPU
    /// writes.
    ///
    /// # Safety
    ///
    /// [`add`](Self::add) of this value must have returned `stream`.
    pub(super) unsafe fn remove(&mut self, stream: &Streaming) {
        // SAFETY: By the safety requirements, the stream is in this list or in none.
        if let Some(stream) = unsafe { self.list_of(stream).remove(stream) } {
            self.end(&stream);
        }
    }

    fn end(&mut self, stream: &Streaming) {
        stream.end(!self.is_cpu_writing());
        self.remove_writer(stream.writer());
    }

    /// Stops syncing the mappings for `device`, whose driver is about to be unbound.
    pub(super) fn unbinding(&mut self, device: &Device) {
        self.for_each_synced(|stream| stream.unbinding(device));
    }

    /// Ends the mappings for `device` that the importer has left: their resources are going away.
    pub(super) fn unbound(&mut self, device: &Device) {
        let mut ended = List::new();

        for list in [&mut self.written, &mut self.read, &mut self.unsynced] {
            let mut cursor = list.cursor_front();
            while let Some(next) = cursor.peek_next() {
                if next.is_for(device) {
                    ended.push_back(next.remove());
                } else {
                    cursor.move_next();
                }
            }
        }
        while let Some(stream) = ended.pop_front() {
            self.end(&stream);
            task::cond_resched();
        }
    }
}

impl Drop for Coherence {
    /// Ends mappings that an importer has left without detaching: the memory goes next.
    fn drop(&mut self) {
        for list in [&mut self.written, &mut self.read, &mut self.unsynced] {
            while let Some(stream) = list.pop_front() {
                stream.end(false);
            }
        }
    }
}
