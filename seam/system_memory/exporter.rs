// SPDX-License-Identifier: GPL-2.0

//! The operations of an exporter of system memory.

use super::{
    area,
    attachment::WatchedDevice,
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
        Locked, //
    },
    mm::vmap::Vmap, //
};
use kernel::{
    dma::DataDirection,
    mm::virt::VmaNew,
    prelude::*, //
};

#[vtable]
impl<P: Policy> Exporter for SystemMemory<P> {
    const NAME: &'static CStr = P::NAME;

    type Attachment = WatchedDevice;
    type Mapping<'a> = SystemMapping<'a>;

    fn size(&self) -> usize {
        self.size
    }

    fn map<'a>(
        attachment: &Attached<'a, Self>,
        buffer: &Locked<'a, Self>,
        direction: DataDirection,
    ) -> Result<SystemMapping<'a>> {
        let this = buffer.data();

        // SAFETY: An attached device is ready for DMA until it is detached, and the seam drops the
        // mapping before that. `coherence` is dropped before `memory`.
        unsafe {
            SystemMapping::new(
                &this.memory,
                &this.coherence,
                &this.sync_users,
                attachment.device(),
                direction,
            )
        }
    }

    fn begin_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        let this = buffer.data();

        // The core waits for fences afterwards.
        if this.own_device.is_none() && !this.sync_users.any() {
            return Ok(());
        }

        // A device may write until its fences signal: wait before data is fetched.
        buffer.resv().wait(access.fences())?;
        let mut coherence = this.coherence.lock();
        if let Some(device) = &this.own_device {
            // SAFETY: A virtual device has no driver that could be unbound. `coherence` is dropped
            // before `memory`.
            unsafe { coherence.map_own(&this.memory, device, &this.sync_users)? };
        }
        coherence.begin_cpu_access(access, &this.sync_users)
    }

    fn end_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        let this = buffer.data();

        if access.writes() && this.sync_users.any() {
            this.coherence.lock().end_cpu_access(&this.sync_users);
        }
        Ok(())
    }

    fn mmap(buffer: &Exported<Self>, vma: &VmaNew) -> Result {
        area::mmap(buffer, vma)
    }

    fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        let this = buffer.data();
        let (address, unmap) = Vmap::new(&this.memory)?.into_raw_parts();

        // SAFETY: The mapping is one of the whole memory, which outlives `'a`, and `unmap` undoes
        // it.
        Ok(unsafe { KernelMapping::from_raw_parts(address, this.size, unmap) })
    }
}
