// SPDX-License-Identifier: GPL-2.0

//! The operations of an exporter of system memory.

use super::{
    area,
    attachment::AttachedDevice,
    mapping::SystemMapping,
    memory::{
        Policy,
        SystemMemory, //
    },
};
use crate::seam::{
    dma_buf::{
        Attached,
        CpuAccess,
        Exported,
        Exporter,
        KernelMapping,
        Locked,
        Restrictions, //
    },
    mm::{
        vmap::Vmap,
        StableMemory, //
    },
};
use kernel::{
    dma::DataDirection,
    mm::virt::VmaNew,
    prelude::*, //
};

#[vtable]
impl<P: Policy> Exporter for SystemMemory<P> {
    const NAME: &'static CStr = P::NAME;

    type Attachment = AttachedDevice<P>;
    type Mapping<'a> = SystemMapping<'a, P>;

    fn size(&self) -> usize {
        self.bytes()
    }

    fn restrictions(&self) -> Restrictions {
        self.policy.restrictions()
    }

    fn release(&self) {
        self.entry.remove();
    }

    fn map<'a>(
        attachment: &Attached<'a, Self>,
        buffer: &Locked<'a, Self>,
        direction: DataDirection,
    ) -> Result<SystemMapping<'a, P>> {
        let this = buffer.data();

        if direction != DataDirection::ToDevice {
            this.memory.expect_writes();
        }
        SystemMapping::new(this, attachment, direction)
    }

    fn begin_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        // The core waits for fences afterwards.
        match buffer.data().coherence.is_used() {
            true => start(buffer, access),
            false => Ok(()),
        }
    }

    fn end_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        let this = buffer.data();

        if access.writes() {
            // The pages may have been written without a mapping: importers have their addresses.
            this.memory.expect_writes();
        } else if !buffer.restrictions().read_only {
            return Ok(());
        }
        // The owner of the memory can write it, but not say so through a read-only dma-buf.
        this.coherence.end(&this.memory)
    }

    fn mmap(buffer: &Exported<Self>, vma: &VmaNew) -> Result {
        area::mmap(buffer, vma)
    }

    fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        let this = buffer.data();

        this.memory.expect_writes();
        let (address, unmap) = Vmap::new(&this.memory)?.into_raw_parts();

        // SAFETY: The mapping is one of the whole memory, which outlives `'a`, and `unmap` undoes
        // it.
        Ok(unsafe { KernelMapping::from_raw_parts(address, this.bytes(), unmap) })
    }
}

/// Starts an access by the CPU where a device has to be synced.
#[inline(never)]
fn start<P: Policy>(buffer: &Exported<SystemMemory<P>>, access: CpuAccess) -> Result {
    let this = buffer.data();

    // A device may write until its fences signal: wait before data is fetched.
    buffer.resv().wait(access.fences())?;
    let begun = this.coherence.begun();
    if let Some(device) = &this.own_device {
        // SAFETY: `coherence` is dropped before `memory`.
        unsafe { this.coherence.map_own(&this.memory, device)? };
    }
    this.coherence.start(&this.memory, begun)
}
