// SPDX-License-Identifier: GPL-2.0

//! The exported buffer.

use super::{
    account::Charge,
    window, //
};
use crate::seam::{
    dma::{
        self,
        VirtualDevice, //
    },
    dma_buf::{
        DmaBuf,
        Name,
        Restrictions, //
    },
    mm::{
        fault::{
            Fault,
            FaultError, //
        },
        pinned::PinnedPages, //
    },
    quota::Staged,
    system_memory::{
        Policy,
        SystemMemory, //
    },
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::aref::ARef,
    task::Kuid, //
};

/// The policy for buffers made of the pages of memfds.
struct Buffer {
    restrictions: Restrictions,
    charge: Charge,
}

impl Policy for Buffer {
    const NAME: &'static CStr = c"udmabuf";

    type Memory = PinnedPages;

    fn fault(&self, fault: &Fault<'_, PinnedPages>) -> Result<(), FaultError> {
        fault.insert(window::around(
            fault.page(),
            fault.address() >> PAGE_SHIFT,
            fault.pages(),
        ))
    }

    fn restrictions(&self) -> Restrictions {
        self.restrictions
    }

    fn owner(&self) -> Kuid {
        self.charge.user()
    }

    fn may_stage() -> bool {
        crate::staging.get() != 0
    }

    fn charge_staging(&self, nr_pages: usize) -> Result<Staged> {
        // CAST: A `u64` holds any `usize`.
        self.charge.stage(nr_pages as u64)
    }
}

/// Exports `pages` as a dma-buf that is mapped for `own_device`, if there is one, as well.
///
/// Fails as [`SystemMemory::export`] does.
pub(super) fn export(
    pages: PinnedPages,
    charge: Charge,
    own_device: Option<VirtualDevice>,
    restrictions: Restrictions,
    name: Option<Name>,
) -> Result<ARef<DmaBuf>> {
    let policy = Buffer {
        restrictions,
        charge,
    };

    SystemMemory::export(policy, pages, own_device, name)
}

/// Returns `device` if buffers should be mapped for it: it stands for observers that attach no
/// device, such as a display that reads memory directly.
///
/// The mapping has the CPU write its caches back, so a coherent device needs none. Encrypted memory
/// cannot be read by such observers in any case.
pub(super) fn own_device(device: VirtualDevice) -> Option<VirtualDevice> {
    Some(device).filter(|device| !device.is_coherent() && !dma::memory_is_encrypted())
}
