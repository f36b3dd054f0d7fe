// SPDX-License-Identifier: GPL-2.0

//! Memory of the system, and the driver's policy about it.

use super::{
    coherence::Coherence,
    registry::Entry, //
};
use crate::seam::{
    dma::VirtualDevice,
    dma_buf::{
        DmaBuf,
        Exported,
        Name,
        Restrictions, //
    },
    mm::{
        fault::{
            EntrySizes,
            Fault,
            FaultError, //
        },
        StableMemory, //
    },
    quota::Staged,
    rwsem::new_rwsem, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::ARef,
    task::Kuid, //
};

/// The driver's part of a dma-buf of system memory.
pub trait Policy: Sized + Send + Sync + 'static {
    /// Name of the exporter, shown in fdinfo and debugfs.
    const NAME: &'static CStr;

    /// The memory.
    type Memory: StableMemory + 'static;

    /// Serves a page fault in a userspace mapping, by [`Fault::insert`].
    ///
    /// The mapping is shared and not larger than the memory.
    fn fault(&self, fault: &Fault<'_, Self::Memory>) -> Result<(), FaultError>;

    /// Returns the restrictions on the use of the dma-buf.
    fn restrictions(&self) -> Restrictions {
        Restrictions::default()
    }

    /// Returns the user whose memory it counts as.
    fn owner(&self) -> Kuid;

    /// Returns whether devices that do not reach the memory get memory of their own.
    fn may_stage() -> bool;

    /// Charges `nr_pages` pages of such memory, before they are allocated.
    ///
    /// Fails with [`ENOMEM`] if that is more than the driver allows.
    fn charge_staging(&self, nr_pages: usize) -> Result<Staged>;
}

/// Memory of the system, exported with the policy `P`.
#[pin_data(PinnedDrop)]
pub struct SystemMemory<P: Policy> {
    // Holds mappings of `memory`: dropped first.
    #[pin]
    pub(super) coherence: Coherence,
    #[pin]
    pub(super) entry_sizes: EntrySizes,
    #[pin]
    pub(super) entry: Entry,
    /// The device that the exporter maps the memory for on its own account.
    pub(super) own_device: Option<VirtualDevice>,
    pub(super) memory: P::Memory,
    // A driver's charge for the memory is given back after the memory.
    pub(super) policy: P,
}

impl<P: Policy> SystemMemory<P> {
    /// Exports `memory` as a dma-buf, with a name if there is one.
    ///
    /// With `own_device`, the memory is mapped for that device from the first CPU access on, to
    /// have the CPU write its caches back for observers that attach no device.
    ///
    /// Fails with [`EOVERFLOW`] for memory of more bytes than a `usize` holds, and as
    /// [`DmaBuf::export`] does.
    pub fn export(
        policy: P,
        memory: P::Memory,
        own_device: Option<VirtualDevice>,
        name: Option<Name>,
    ) -> Result<ARef<DmaBuf>> {
        let size = memory.runs().pages().checked_mul(1 << PAGE_SHIFT);
        size.ok_or(EOVERFLOW)?;

        let buffer = DmaBuf::export::<Self>(Self::new(policy, memory, own_device))?;
        if let Some(name) = name {
            buffer.set_name(name);
        }

        // SAFETY: The dma-buf was exported for this type, and there is a reference to it.
        let exported = unsafe { Exported::<Self>::from_raw(buffer.as_raw()) };
        // SAFETY: The dma-buf was just exported and has no descriptor yet.
        unsafe { exported.data().coherence.buffer.created(exported) };
        // SAFETY: The entry is part of the dma-buf, which is new. `release()` removes it.
        unsafe { exported.data().entry.add(exported) };
        Ok(buffer)
    }

    fn new(
        policy: P,
        memory: P::Memory,
        own_device: Option<VirtualDevice>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            coherence <- Coherence::new(own_device.is_some()),
            entry <- Entry::new(),
            entry_sizes <- new_rwsem!(c"system_memory_entry_sizes"),
            own_device,
            policy,
            memory,
        }? Error)
    }

    /// Returns the size in bytes, which `export()` has found to be one.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.memory.runs().pages() << PAGE_SHIFT
    }
}

#[pinned_drop]
impl<P: Policy> PinnedDrop for SystemMemory<P> {
    fn drop(self: Pin<&mut Self>) {
        self.coherence.buffer.released(self.bytes());
    }
}
