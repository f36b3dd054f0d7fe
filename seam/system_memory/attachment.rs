// SPDX-License-Identifier: GPL-2.0

//! Attached devices.

use super::{
    memory::{
        Policy,
        SystemMemory, //
    },
    staging::StagingId, //
};
use crate::seam::{
    dma,
    dma_buf::{
        Attach,
        Exported, //
    },
    gfp::GFP_CHARGED,
    scatterlist::SgTable,
    slot::Slot,
    unbind::{
        UnbindEvents,
        Watch, //
    },
};
use kernel::{
    device::Device,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// A device attached to a dma-buf, watched for the end of its binding.
///
/// Keeps the dma-buf alive: an importer may leave attachments behind. A device whose mappings are
/// the memory itself leaves nothing that could go with its driver, and is not watched.
pub struct AttachedDevice<P: Policy> {
    // Dropped first: no event is delivered afterwards.
    _watch: Option<Watch>,
    /// The highest address that the device could access when it was attached, if its mappings were
    /// the memory itself then. They are as long as that is the same.
    pub(super) direct_up_to: Option<u64>,
    /// The staging that was mapped through this attachment; 0 if none was.
    pub(super) staging: Atomic<usize>,
    /// The table of a mapping that has ended, for the next one.
    pub(super) table: Slot<SgTable>,
    buffer: ARef<Exported<SystemMemory<P>>>,
}

impl<P: Policy> Attach<SystemMemory<P>> for AttachedDevice<P> {
    /// Fails as [`Watch::new`] does.
    fn attach(buffer: &Exported<SystemMemory<P>>, device: &Device) -> Result<Self> {
        let direct_up_to = dma::maps_directly(device).then(|| dma::max_address(device));
        let watch = match direct_up_to {
            Some(_) => None,
            None => Some(Watch::new(device, buffer.as_raw().addr(), || {
                let receiver: Arc<dyn UnbindEvents> =
                    Arc::new(Receiver(buffer.into()), GFP_CHARGED)?;
                Ok(receiver)
            })?),
        };

        Ok(Self {
            _watch: watch,
            direct_up_to,
            staging: Atomic::new(0),
            table: Slot::new(),
            buffer: buffer.into(),
        })
    }
}

impl<P: Policy> Drop for AttachedDevice<P> {
    fn drop(&mut self) {
        if let Some(id) = StagingId::new(self.staging.load(Relaxed)) {
            let system = self.buffer.data();

            system.coherence.detach(&system.memory, id);
        }
    }
}

/// Passes events of attached devices to a dma-buf.
struct Receiver<P: Policy>(ARef<Exported<SystemMemory<P>>>);

impl<P: Policy> UnbindEvents for Receiver<P> {
    fn unbinding(&self, device: &Device) {
        let system = self.0.data();

        system.coherence.unbinding(&system.memory, device);
    }

    fn unbound(&self, device: &Device) {
        self.0.data().coherence.unbound(device);
    }
}
