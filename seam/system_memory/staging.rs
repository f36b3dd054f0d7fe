// SPDX-License-Identifier: GPL-2.0

//! The memory that a device accesses instead of that of the buffer, and what it has agreed on.

use super::{
    base::Base,
    device_memory::{
        ChargePages,
        DeviceMemory, //
    },
    pass::{
        Pass,
        Until,
        Words,
        BATCH,
        WORDS, //
    },
    settle::{
        self,
        Bytes,
        Staging,
        STEP, //
    },
    trace::Counted,
};
use crate::seam::{
    scatterlist::{
        SegmentLimits,
        SgTable, //
    }, //
};
use core::{
    cell::Cell,
    num::NonZero, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Name of a staging, unique for its buffer.
pub(super) type StagingId = NonZero<usize>;

/// The number of the next staging.
static NEXT_ID: Atomic<usize> = Atomic::new(1);

/// The staging of one device for one buffer, shared by all attachments of the device.
pub(super) struct StagedDevice {
    id: StagingId,
    memory: DeviceMemory,
    /// For a device that may write.
    base: Option<Base>,
    /// Attachments that have mapped it.
    attachments: usize,
    /// Live mappings, and those of them through which the device may write.
    mappings: usize,
    writers: usize,
    /// What the device has written may not have been fetched.
    is_unsettled: bool,
    /// Mappings that have ended, and count until all is fetched.
    kept_users: usize,
    /// The device is losing its driver: nothing is passed any more.
    is_leaving: bool,
}

impl StagedDevice {
    /// Allocates a staging of `nr_pages` pages, which is to be [filled](Self::fill).
    ///
    /// Fails as `charge` does, with [`ENOMEM`] if there is no memory, with [`EIO`] for a device
    /// that no memory can be allocated for within its reach, and with `ERESTARTSYS` if a signal
    /// arrives first.
    pub(super) fn new(
        device: &Device,
        nr_pages: usize,
        writes: bool,
        charge: ChargePages<'_>,
    ) -> Result<Self> {
        let memory = DeviceMemory::new(device, nr_pages, charge)?;
        log_once(device);
        let base = match writes {
            true => Some(Base::new(nr_pages, charge)?),
            false => None,
        };

        Ok(Self {
            id: StagingId::new(NEXT_ID.fetch_add(1, Relaxed)).ok_or(EOVERFLOW)?,
            memory,
            base,
            attachments: 0,
            mappings: 0,
            writers: 0,
            is_unsettled: false,
            kept_users: 0,
            is_leaving: false,
        })
    }

    /// Returns its name.
    pub(super) fn id(&self) -> StagingId {
        self.id
    }

    /// Returns whether it is for `device`, and not one that is losing its driver.
    pub(super) fn is_for(&self, device: &Device) -> bool {
        !self.is_leaving && self.is_of(device)
    }

    /// Returns whether it is for `device`.
    pub(super) fn is_of(&self, device: &Device) -> bool {
        core::ptr::eq(self.memory.device(), device)
    }

    /// Returns whether the device may write to it.
    pub(super) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Returns how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.memory.bytes() + self.base.as_ref().map_or(0, Base::bytes)
    }

    /// Has the device write from now on, with `new`, if there is one, which is taken, and takes the
    /// bytes of the staging.
    ///
    /// Fails with `ERESTARTSYS` if a signal arrives first.
    pub(super) fn add_base(&mut self, new: &mut Option<Base>) -> Result {
        let Some(base) = new else {
            return Ok(());
        };
        for (at, (words, base)) in self.memory.pages().zip(base.pages()).enumerate() {
            if at % BATCH == 0 {
                Until::Signal.check()?;
            }
            for (at, word) in base.iter_mut().enumerate() {
                *word = words.load(at);
            }
        }
        self.base = new.take();
        Ok(())
    }

    /// Copies the memory of the buffer to the staging, which the device does not have yet.
    pub(super) fn fill(&mut self, pass: &Pass<'_>) -> Result {
        self.walk(pass, |memory, staging, base| {
            match base {
                Some(base) => settle::fill(&memory, &staging, base),
                None => settle::fill_without_base(&memory, &staging, WORDS),
            }
            false
        })
        .map(drop)
    }

    /// Makes a table of the staging, in segments within `limits` and, where possible, the entries
    /// of `table`.
    pub(super) fn table(&self, table: Option<SgTable>, limits: SegmentLimits) -> Result<SgTable> {
        SgTable::of_segments_reusing(
            table,
            self.memory.segments(limits).count(),
            self.memory.segments(limits),
        )
    }

    /// Counts an attachment.
    pub(super) fn attach(&mut self) {
        self.attachments += 1;
    }

    /// Returns whether an attachment has mapped it.
    pub(super) fn is_attached(&self) -> bool {
        self.attachments > 0
    }

    /// Returns whether that was the last attachment.
    pub(super) fn detach(&mut self) -> bool {
        self.attachments -= 1;
        self.attachments == 0
    }

    /// Counts a mapping.
    pub(super) fn map(&mut self, writes: bool) {
        self.mappings += 1;
        self.writers += usize::from(writes);
        self.is_unsettled |= writes;
    }

    /// Undoes [`map`](Self::map).
    pub(super) fn unmap(&mut self, writes: bool) {
        self.mappings -= 1;
        self.writers -= usize::from(writes);
    }

    /// Notes that all was fetched that the device has written through mappings that have ended.
    pub(super) fn settled(&mut self) {
        self.is_unsettled = self.writers > 0;
    }

    /// Returns whether nothing is left to fetch.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_unsettled
    }

    /// Has a mapping that has ended count until all is fetched.
    pub(super) fn keep_user(&mut self) {
        self.kept_users += 1;
    }

    /// Returns whether there are such mappings.
    pub(super) fn has_kept_users(&self) -> bool {
        self.kept_users > 0
    }

    /// Returns how many there are, and forgets them.
    pub(super) fn take_kept_users(&mut self) -> usize {
        core::mem::take(&mut self.kept_users)
    }

    /// Stops passing anything on: the device is losing its driver.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Returns what the next pass depends on, but for the bytes.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn state(&self) -> [usize; 4] {
        [
            self.attachments,
            self.mappings,
            self.writers,
            usize::from(self.is_unsettled) + 2 * usize::from(self.is_leaving) + 4 * self.kept_users,
        ]
    }

    /// Calls `f` for each page, until a signal arrives. Returns whether `f` did once.
    ///
    /// `f` gets the page of memory, that of the staging, and that of the base, and returns whether
    /// it has written to memory.
    #[inline(always)]
    fn walk(
        &mut self,
        pass: &Pass<'_>,
        mut f: impl FnMut(Words<'_>, Words<'_>, Option<&mut [usize; WORDS]>) -> bool,
    ) -> Result<bool> {
        let mut stagings = self.memory.pages();
        let mut bases = self.base.as_mut().map(Base::pages);

        pass.for_each_page(|memory| {
            let base = bases.as_mut().and_then(|bases| bases.next());

            match (memory, stagings.next()) {
                (Some(memory), Some(staging)) => f(memory.words(), staging, base),
                _ => false,
            }
        })
    }
}

impl Staging<Pass<'_>> for StagedDevice {
    type Error = Error;

    fn is_written(&self) -> bool {
        !self.is_leaving && self.is_unsettled
    }

    fn is_read(&self) -> bool {
        !self.is_leaving && self.mappings > 0
    }

    fn fetch(&mut self, pass: &Pass<'_>) -> Result<bool> {
        let fetched = self.walk(pass, |memory, staging, base| match base {
            Some(base) => match pass.traced {
                None => settle::merge::<STEP>(&staging, base, &memory),
                Some(traced) => merge_counted(staging, base, memory, &traced.fetched),
            },
            None => false,
        })?;

        self.settled();
        Ok(fetched)
    }

    fn push(&mut self, pass: &Pass<'_>) -> Result {
        self.walk(pass, |memory, staging, base| {
            match (base, pass.traced) {
                (Some(base), None) => {
                    settle::merge::<STEP>(&memory, base, &staging);
                }
                (Some(base), Some(traced)) => {
                    merge_counted(memory, base, staging, &traced.pushed);
                }
                (None, None) => settle::refresh::<STEP>(&memory, &staging, WORDS),
                (None, Some(traced)) => refresh_counted(memory, staging, &traced.pushed),
            }
            false
        })
        .map(drop)
    }
}

/// [Merges](settle::merge), and adds the bytes that change in `to` to `count`.
#[cold]
#[inline(never)]
fn merge_counted(
    from: Words<'_>,
    base: &mut [usize; WORDS],
    to: Words<'_>,
    count: &Cell<usize>,
) -> bool {
    settle::merge::<STEP>(&from, base, &Counted { to, count })
}

/// [Refreshes](settle::refresh), and adds the bytes that change in `to` to `count`.
#[cold]
#[inline(never)]
fn refresh_counted(from: Words<'_>, to: Words<'_>, count: &Cell<usize>) {
    settle::refresh::<STEP>(&from, &Counted { to, count }, WORDS);
}

/// Says that `device` is staged, unless it was the last one of which that was said.
fn log_once(device: &Device) {
    static LAST: Atomic<usize> = Atomic::new(0);
    let address = core::ptr::from_ref(device).addr();

    if LAST.xchg(address, Relaxed) != address {
        dev_info!(
            device,
            "does not reach a dma-buf, and gets a copy that is brought up to date by SYNC\n"
        );
    }
}
