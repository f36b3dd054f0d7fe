// SPDX-License-Identifier: GPL-2.0

//! When the memory of a buffer and its devices are brought to agree.
//!
//! Documentation/coherence.md is the contract, [`settle`](super::settle) the algorithm.

use super::{
    base::Base,
    device_memory::ChargePages,
    devices::Devices,
    direct::{
        Direct,
        Unlisted, //
    },
    pass::{
        Pass,
        Until, //
    },
    settle::{
        self,
        Point,
        Users, //
    },
    staging::{
        StagedDevice,
        StagingId, //
    },
    sync_users::SyncUsers,
    trace::{
        self,
        BufferId, //
    },
};
use crate::seam::{
    dma::{
        self,
        VirtualDevice, //
    },
    dma_mapping::DmaMapping,
    gfp::GFP_CHARGED,
    mm::StableMemory,
    mutex::{
        new_killable_mutex,
        KillableMutex, //
    },
    scatterlist::SgTable, //
};
use core::mem::ManuallyDrop;
use kernel::{
    device::Device,
    dma::DataDirection,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
};

mod tests;

/// How the memory of a buffer and its devices are kept coherent.
#[pin_data]
pub(super) struct Coherence {
    #[pin]
    devices: KillableMutex<Devices>,
    /// Reasons to settle: mappings that are staged or have to be synced.
    users: SyncUsers,
    /// Live mappings of devices that write to the memory itself.
    direct_writers: Atomic<usize>,
    /// The number of settles that have begun.
    begun: Atomic<usize>,
    pub(super) buffer: BufferId,
}

impl Coherence {
    /// `has_own` tells whether the exporter has a device of its own, for which the memory is
    /// [mapped](Self::map_own) at the first CPU access.
    pub(super) fn new(has_own: bool) -> impl PinInit<Self> {
        pin_init!(Self {
            devices <- new_killable_mutex!(Devices::new(), c"system_memory_devices"),
            users: SyncUsers::new(usize::from(has_own)),
            direct_writers: Atomic::new(0),
            begun: Atomic::new(0),
            buffer: BufferId::new(),
        })
    }

    /// Returns whether an access by the CPU has to be [started](Self::start). Lockless.
    #[inline(always)]
    pub(super) fn is_used(&self) -> bool {
        self.users.any_known()
    }

    /// Returns how many bytes of memory stagings take, unless the devices are locked.
    pub(super) fn staging_bytes(&self) -> Option<u64> {
        let devices = self.devices.try_lock()?;

        Some(devices.staged.iter().map(StagedDevice::bytes).sum())
    }

    /// Returns the number of settles that have begun. Lockless.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Acquire)
    }

    /// Starts an access by the CPU, of whatever kind.
    ///
    /// A settle that has begun after `begun`, which is [`begun`](Self::begun) of a time when all
    /// fences had signalled, and that is complete does as well as another. Fails with [`EIO`] if a
    /// page is poisoned, and with [`EINTR`] or `ERESTARTSYS` if a signal arrives first.
    pub(super) fn start<M: StableMemory>(&self, memory: &M, begun: usize) -> Result {
        let mut devices = self.devices.lock_interruptible()?;

        if devices.completed <= begun {
            self.settle(&mut devices, memory, Point::Start, Until::Signal)?;
        }
        devices.check_poison()
    }

    /// Ends an access by the CPU that may have written.
    ///
    /// Fails with [`EINTR`] or `ERESTARTSYS` if the task is killed.
    #[inline(always)]
    pub(super) fn end<M: StableMemory>(&self, memory: &M) -> Result {
        settle::settle_if_used(&self.users, || self.settle_end(memory))
    }

    #[inline(never)]
    fn settle_end<M: StableMemory>(&self, memory: &M) -> Result {
        let mut devices = self.devices.lock_killable()?;

        self.settle(&mut devices, memory, Point::End, Until::Fatal)
    }

    fn settle<M: StableMemory>(
        &self,
        devices: &mut Devices,
        memory: &M,
        point: Point,
        until: Until,
    ) -> Result {
        let traced = trace::Settle::begin();
        let pass = Pass::new(memory, until, traced.as_ref());
        let result = self.settle_by(devices, &pass, point);

        if let Some(traced) = &traced {
            let size = StableMemory::runs(memory).pages() << PAGE_SHIFT;

            self.buffer.settled(size, point, traced, result);
        }
        result
    }

    fn settle_by(&self, devices: &mut Devices, pass: &Pass<'_>, point: Point) -> Result {
        let number = self.begun.load(Relaxed) + 1;
        self.begun.store(number, Release);

        // What the CPU writes between cleaning and invalidating is lost, so that nothing is
        // invalidated where nobody is going to look.
        let is_read = point != Point::End || !devices.staged.is_empty();
        devices.for_each_synced(|direct| {
            // SAFETY: The reference to `Devices` proves that the mutex is held.
            unsafe {
                match is_read {
                    true => direct.clean_and_invalidate(),
                    false => direct.clean(),
                }
            }
        });
        let has_direct_writers = self.direct_writers.load(Relaxed) > 0;
        let fetched = settle::settle(
            &mut devices.staged,
            pass,
            point,
            has_direct_writers,
            &mut devices.unpushed,
        )?;
        if fetched {
            devices.for_each_synced(|direct| {
                // SAFETY: The reference to `Devices` proves that the mutex is held.
                unsafe { direct.clean() };
            });
        }
        if let Some(own) = &devices.own {
            if point != Point::Start || fetched {
                own.sync_for_device();
            }
        }

        self.put(devices.released());
        // A START is not served by an END that has invalidated nothing.
        if is_read {
            devices.completed = number;
            devices.was_poisoned = pass.is_poisoned();
        }
        Ok(())
    }

    /// Maps `memory` for the exporter's own device, unless that has been done.
    ///
    /// The direction is `TO_DEVICE`: the others would discard what the CPU has written through
    /// other mappings. Fails as [`DmaMapping::new`] does, and with [`EINTR`] if a signal arrives
    /// first.
    ///
    /// Caches are cleaned when the mapping becomes known, so that nothing stays in them which a
    /// task has written whose END came while the mapping was being made, and found none.
    ///
    /// # Safety
    ///
    /// `memory` must outlive `self`.
    pub(super) unsafe fn map_own<M: StableMemory>(
        &self,
        memory: &M,
        device: &VirtualDevice,
    ) -> Result {
        if self.devices.lock_interruptible()?.own.is_some() {
            return Ok(());
        }

        let table = SgTable::new(memory, dma::segment_limits(device)?)?;
        // SAFETY: A virtual device has no driver that could be unbound. The memory outlives the
        // mapping by the safety requirements.
        let mapping = unsafe { DmaMapping::unsynced(table, device, DataDirection::ToDevice)? };
        let mut mapping = Some(KBox::new(mapping, GFP_CHARGED)?);
        // Unlocked before a mapping is dropped for which another task was quicker.
        let mut devices = self.devices.lock_interruptible()?;

        if devices.own.is_none() {
            if let Some(own) = mapping.take() {
                own.sync_for_device();
                devices.own = Some(own);
            }
        }
        Ok(())
    }

    /// Prepares a mapping of the memory itself: what devices and the CPU have written becomes
    /// visible to it.
    ///
    /// One task at a time may map a buffer: the caller holds the resv lock. Fails as
    /// [`start`](Self::start) does.
    pub(super) fn prepare<M: StableMemory>(&self, memory: &M, writes: bool) -> Result<Pending<'_>> {
        let is_used = self.users.any();
        // Until it is known whether it has to be synced: counted before memory is mapped.
        self.users.get();
        if writes {
            self.direct_writers.fetch_add(1, Relaxed);
        }
        let pending = Pending {
            coherence: self,
            writes,
        };

        if is_used {
            let mut devices = self.devices.lock_interruptible()?;
            self.settle(&mut devices, memory, Point::Map, Until::Signal)?;
            devices.check_poison()?;
        }
        Ok(pending)
    }

    /// Ends a mapping that was [added](Pending::plain) as one that leaves nothing. What the device
    /// has written becomes visible to others, unless the task is killed.
    pub(super) fn unmap_plain<M: StableMemory>(&self, memory: &M, writes: bool) {
        if writes {
            // Not even a killed task leaves without the lock: if the settle is given up, the buffer
            // remembers that there is something to push.
            let _ = settle::settle_if_used(&self.users, || {
                self.settle(&mut self.devices.lock(), memory, Point::Unmap, Until::Fatal)
            });
            self.direct_writers.fetch_sub(1, Relaxed);
        }
    }

    /// Removes and ends a mapping that was [added](Pending::direct), and returns its table. What
    /// the device has written becomes visible to others, unless the task is killed.
    ///
    /// # Safety
    ///
    /// It must have been added to this value. The importer must not use the table any more.
    pub(super) unsafe fn unmap_direct<M: StableMemory>(
        &self,
        memory: &M,
        direct: &Direct,
        writes: bool,
    ) -> Option<SgTable> {
        let mut devices = self.devices.lock();

        if self.users.any() && (writes || direct.is_synced()) {
            let _ = self.settle(&mut devices, memory, Point::Unmap, Until::Fatal);
        }
        // SAFETY: By the safety requirements, it is in a list of this value or in none, and the
        // importer does not use the table. The mutex is held.
        let table = unsafe {
            devices.remove(direct);
            direct.end();
            direct.take_table()
        };
        drop(devices);
        if direct.is_synced() {
            self.users.put();
        }
        if writes {
            self.direct_writers.fetch_sub(1, Relaxed);
        }
        table
    }

    /// Maps the staging of `device`, which is allocated if there is none, and calls `map` with it.
    ///
    /// `attached` is the staging that the attachment has used before, and is set to this one. Only
    /// one task at a time may map a buffer: the caller holds the resv lock. Fails as
    /// [`StagedDevice::new`], [`start`](Self::start) and `map` do.
    pub(super) fn map_staged<M: StableMemory, R>(
        &self,
        memory: &M,
        device: &Device,
        writes: bool,
        attached: &Atomic<usize>,
        charge: ChargePages<'_>,
        map: impl FnOnce(&StagedDevice) -> Result<R>,
    ) -> Result<(StagingId, R)> {
        let nr_pages = StableMemory::runs(memory).pages();

        settle::map(&self.users, || {
            let mut base;
            let (mut devices, at) = loop {
                // Allocated without the mutex, which accesses of the CPU wait for.
                let known = self.devices.lock_interruptible()?.has_base(device);
                let mut new = None;
                base = None;
                match known {
                    None => new = Some(StagedDevice::new(device, nr_pages, writes, charge)?),
                    Some(false) if writes => base = Some(Base::new(nr_pages, charge)?),
                    Some(_) => {}
                }

                // Unlocked before what is not used is freed.
                let mut devices = self.devices.lock_interruptible()?;
                self.add_staging(&mut devices, memory, &mut new)?;
                // Another attachment of the device, the last one, may have been detached meanwhile.
                if let Some(at) = devices.find(device) {
                    if devices.staged[at].has_base() || base.is_some() || !writes {
                        break (devices, at);
                    }
                }
            };
            if devices.staged[at].is_attached() {
                // It may be out of date: nothing is pushed while it is not mapped.
                devices.staged[at].map(false);
                let settled = self
                    .settle(&mut devices, memory, Point::Map, Until::Signal)
                    .and_then(|()| devices.check_poison());
                devices.staged[at].unmap(false);
                settled?;
            }

            let staging = &mut devices.staged[at];
            let mapped = map(staging)?;
            // Last, because a staging keeps its base until the device is detached.
            staging.add_base(&mut base)?;
            staging.map(writes);
            let id = staging.id();
            if attached.load(Relaxed) != id.get() {
                attached.store(id.get(), Relaxed);
                staging.attach();
            }
            Ok((id, mapped))
        })
        .inspect_err(|_| self.forget_unattached(device))
    }

    /// Settles, fills `new`, if there is one, and takes it.
    fn add_staging<M: StableMemory>(
        &self,
        devices: &mut Devices,
        memory: &M,
        new: &mut Option<StagedDevice>,
    ) -> Result {
        let Some(staging) = new else {
            return Ok(());
        };
        devices.staged.reserve(1, GFP_CHARGED)?;
        self.settle(devices, memory, Point::Map, Until::Signal)?;

        let pass = Pass::new(memory, Until::Signal, None);
        staging.fill(&pass)?;
        devices.was_poisoned |= pass.is_poisoned();
        devices.check_poison()?;
        // There is room.
        if let Some(staging) = new.take() {
            devices.staged.push(staging, GFP_CHARGED)?;
        }
        Ok(())
    }

    /// Frees a staging that was made for a mapping which failed.
    fn forget_unattached(&self, device: &Device) {
        let mut devices = self.devices.lock();
        let unused = devices
            .find(device)
            .filter(|&at| !devices.staged[at].is_attached())
            .and_then(|at| devices.staged.remove(at).ok());

        drop(devices);
        drop(unused);
    }

    /// Ends a mapping that [`map_staged`](Self::map_staged) has made.
    ///
    /// What the device has written becomes visible to others; if the task is killed first, by a
    /// later settle.
    pub(super) fn unmap_staged<M: StableMemory>(&self, memory: &M, id: StagingId, writes: bool) {
        let mut devices = self.devices.lock();
        let settled = match writes {
            true => self.settle(&mut devices, memory, Point::Unmap, Until::Fatal),
            false => Ok(()),
        };

        if let Some(staging) = devices.staging(id) {
            staging.unmap(writes);
            if settled.is_err() {
                // The mapping counts as long as there is something to fetch.
                staging.keep_user();
                return;
            }
            if writes {
                // Fetched just now, and the device has stopped. A device that only reads says
                // nothing of what an earlier unmap has left.
                staging.settled();
            }
        }
        self.users.put();
    }

    /// Forgets an attachment, and frees the staging if that was the last one of the device.
    pub(super) fn detach<M: StableMemory>(&self, memory: &M, id: StagingId) {
        let mut devices = self.devices.lock();
        let Some(staging) = devices.staging(id) else {
            return;
        };
        if !staging.detach() {
            return;
        }

        if staging.has_kept_users() {
            // No signal is looked at twice: what a killed task has left is settled here.
            let _ = self.settle(&mut devices, memory, Point::Unmap, Until::Never);
        }
        let last = devices.take(id);
        drop(devices);
        if let Some(mut last) = last {
            self.put(last.take_kept_users());
        }
    }

    /// Takes away reasons to settle.
    fn put(&self, count: usize) {
        for _ in 0..count {
            self.users.put();
        }
    }

    /// Settles, and stops passing anything on to `device`: its driver is about to be unbound.
    pub(super) fn unbinding<M: StableMemory>(&self, memory: &M, device: &Device) {
        let mut devices = self.devices.lock();

        if self.users.any() {
            // It cannot be done again: the device is not looked at after this.
            let _ = self.settle(&mut devices, memory, Point::Unmap, Until::Never);
        }
        for staging in devices.staged.iter_mut().filter(|s| s.is_of(device)) {
            staging.leave();
        }
        // SAFETY: The mutex is held, and a mapping that has left has no class.
        unsafe { devices.end_each(device, |direct| direct.leave()) };
    }

    /// Ends what the importer has left mapped for `device`: its resources are going away.
    pub(super) fn unbound(&self, device: &Device) {
        let mut devices = self.devices.lock();
        let mut kept = 0;

        // SAFETY: The mutex is held, and a mapping that has ended has no class.
        unsafe { devices.end_each(device, |direct| direct.end()) };
        // One at a time, for the lock is not to be held while memory is freed.
        while let Some(at) = devices.staged.iter().position(|s| s.is_of(device)) {
            let staging = devices.staged.remove(at);

            drop(devices);
            if let Ok(mut staging) = staging {
                kept += staging.take_kept_users();
            }
            devices = self.devices.lock();
        }
        drop(devices);
        self.put(kept);
    }
}

/// A mapping of the memory itself that is going to be made. Dropping it gives that up.
pub(super) struct Pending<'a> {
    coherence: &'a Coherence,
    writes: bool,
}

impl Pending<'_> {
    /// Adds a mapping that leaves nothing.
    pub(super) fn plain(self) {
        self.coherence.users.put();
        let _ = ManuallyDrop::new(self);
    }

    /// Adds a mapping that has to be synced or unmapped.
    pub(super) fn direct(self, direct: Unlisted) -> Arc<Direct> {
        let direct = self.coherence.devices.lock().add(direct);

        if direct.is_synced() {
            // Counts until it is unmapped.
            let _ = ManuallyDrop::new(self);
        } else {
            self.plain();
        }
        direct
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.coherence.users.put();
        if self.writes {
            self.coherence.direct_writers.fetch_sub(1, Relaxed);
        }
    }
}
