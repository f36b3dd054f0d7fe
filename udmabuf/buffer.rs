// SPDX-License-Identifier: GPL-2.0

//! The exported buffer.
//!
//! # Coherence
//!
//! [`begin_cpu_access`](Exporter::begin_cpu_access) waits for fences, then fetches what devices
//! wrote; [`end_cpu_access`](Exporter::end_cpu_access) passes on what the CPU wrote. Both are for
//! all mappings that importers hold, each in its own direction.
//! Documentation/coherence.md is the contract, Documentation/design.md has the reasons.

use super::window;
use crate::seam::{
    dma::{
        self,
        VirtualDevice, //
    },
    dma_buf::{
        Attachment,
        CpuAccess,
        DmaBuf,
        Exporter,
        Mapping,
        Reserved, //
    },
    mm::{
        fault::{
            Fault,
            FaultError, //
        },
        pinned::PinnedPages,
        vmap::KernelMapping, //
    },
};
use kernel::{
    dma::DataDirection,
    page::PAGE_SHIFT,
    prelude::*, //
};

/// A buffer made of the pages of memfds.
pub(super) struct Buffer {
    /// For whom the buffer keeps a mapping of its own.
    observer: Option<VirtualDevice>,
}

impl Buffer {
    pub(super) fn new(observer: Option<VirtualDevice>) -> Self {
        Self { observer }
    }

    /// Returns `device` as one that stands for all who observe buffers and map nothing here, like a
    /// display that reads memory directly.
    ///
    /// Only where that does something: it makes the CPU write its caches back. Not where memory is
    /// encrypted, since all that could be written back is what no device can read.
    pub(super) fn observer(device: VirtualDevice) -> Option<VirtualDevice> {
        Some(device).filter(|device| !device.is_coherent() && !dma::memory_is_encrypted())
    }
}

#[vtable]
impl Exporter for Buffer {
    const NAME: &'static CStr = c"udmabuf";
    type Memory = PinnedPages;

    fn map<'a>(
        attachment: &Attachment<'a, Self>,
        reserved: &Reserved<'_, Self>,
        direction: DataDirection,
    ) -> Result<Mapping<'a>> {
        // What other devices wrote is visible to this one as well.
        reserved.fetch();
        attachment.map(direction)
    }

    fn begin_cpu_access(buffer: &DmaBuf<Self>, access: CpuAccess) -> Result {
        let observer = &buffer.exporter().observer;

        // Fences are left to the core then, which waits for them after this.
        if observer.is_none() && !buffer.needs_sync() {
            return Ok(());
        }

        // Else that would be too late: a device might still be writing what is fetched here.
        let reserved = buffer.reserve_idle(access)?;
        if let Some(device) = observer {
            // The other directions would throw away what the CPU wrote through the memfd.
            reserved.map_own(device, DataDirection::ToDevice)?;
        }
        reserved.begin_cpu_access(access)
    }

    fn end_cpu_access(buffer: &DmaBuf<Self>, access: CpuAccess) {
        if access.writes() && buffer.needs_sync() {
            buffer.reserve().end_cpu_access(access);
        }
    }

    fn fault(_buffer: &DmaBuf<Self>, fault: &Fault<'_, Self::Memory>) -> Result<(), FaultError> {
        fault.insert(window::around(
            fault.page(),
            fault.address() >> PAGE_SHIFT,
            fault.pages(),
        ))
    }

    fn vmap<'a>(
        buffer: &'a DmaBuf<Self>,
        _reserved: &Reserved<'_, Self>,
    ) -> Result<KernelMapping<'a>> {
        KernelMapping::new(buffer.memory())
    }
}
