// SPDX-License-Identifier: GPL-2.0

//! Attached devices that lose their driver.

use super::memory::{
    Policy,
    SystemMemory, //
};
use crate::seam::{
    dma,
    dma_buf::{
        Attach,
        Exported, //
    },
    gfp::GFP_CHARGED,
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
        Arc, //
    },
};

/// A device attached to a dma-buf, watched for the end of its binding.
///
/// Keeps the dma-buf alive: an importer may leave attachments behind. A device whose mappings are
/// the memory itself leaves nothing that could go with its driver, and is not watched.
pub struct WatchedDevice {
    _watch: Option<Watch>,
}

impl<P: Policy> Attach<SystemMemory<P>> for WatchedDevice {
    /// Fails as [`Watch::new`] does.
    fn attach(buffer: &Exported<SystemMemory<P>>, device: &Device) -> Result<Self> {
        if dma::maps_directly(device) {
            return Ok(Self { _watch: None });
        }

        let watch = Watch::new(device, buffer.as_raw().addr(), || {
            let receiver: Arc<dyn UnbindEvents> = Arc::new(Receiver(buffer.into()), GFP_CHARGED)?;
            Ok(receiver)
        })?;

        Ok(Self {
            _watch: Some(watch),
        })
    }
}

/// Passes events of attached devices to a dma-buf.
struct Receiver<P: Policy>(ARef<Exported<SystemMemory<P>>>);

impl<P: Policy> UnbindEvents for Receiver<P> {
    fn unbinding(&self, device: &Device) {
        self.0.data().coherence.lock().unbinding(device);
    }

    fn unbound(&self, device: &Device) {
        self.0.data().coherence.lock().unbound(device);
    }
}
