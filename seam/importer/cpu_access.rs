// SPDX-License-Identifier: GPL-2.0

//! Access to a dma-buf by the CPU.

use super::{
    CpuAccess,
    DmaBuf, //
};
use core::mem::ManuallyDrop;
use kernel::{
    bindings,
    dma::DataDirection,
    error::to_result,
    mm::virt::VmaNew,
    prelude::*, //
};

/// Translates a kind of access into the direction that the core takes: data written by the CPU goes
/// to devices.
fn direction(access: CpuAccess) -> bindings::dma_data_direction {
    match access {
        CpuAccess::Read => DataDirection::FromDevice,
        CpuAccess::Write => DataDirection::ToDevice,
        CpuAccess::ReadWrite => DataDirection::Bidirectional,
    }
    .into()
}

impl DmaBuf {
    /// Begins an access of the CPU, which lasts until the guard is dropped.
    ///
    /// Waits for pending accesses of devices, and makes the writes of devices visible to the CPU.
    /// Fails with [`EINTR`] or `ERESTARTSYS` if a signal arrives first, and with the error of the
    /// exporter.
    pub fn begin_cpu_access(&self, access: CpuAccess) -> Result<CpuAccessGuard<'_>> {
        let direction = direction(access);

        // SAFETY: The reference guarantees a valid dma-buf.
        to_result(unsafe { bindings::dma_buf_begin_cpu_access(self.as_raw(), direction) })?;
        // INVARIANT: The access was just begun.
        Ok(CpuAccessGuard {
            buffer: self,
            access,
        })
    }

    /// Ends an access of the CPU: its writes become visible to devices.
    ///
    /// Dropping a [`CpuAccessGuard`] does the same. Called directly, it ends one that was
    /// [left open](CpuAccessGuard::leave_open). Fails with the error of the exporter.
    pub fn end_cpu_access(&self, access: CpuAccess) -> Result {
        // SAFETY: The reference guarantees a valid dma-buf. Exporters take an end without a
        // beginning, since userspace may ask for one.
        to_result(unsafe { bindings::dma_buf_end_cpu_access(self.as_raw(), direction(access)) })
    }

    /// Maps the buffer into userspace, from its page `first` on, in place of the file that is being
    /// mapped: for an `mmap` operation.
    ///
    /// Fails with [`EINVAL`] for an area that is not all in the buffer, and with the error of the
    /// exporter.
    pub fn mmap(&self, vma: &VmaNew, first: usize) -> Result {
        // SAFETY: The reference guarantees a valid dma-buf. The file of a `VmaNew` may still be
        // changed, as the area is being set up.
        to_result(unsafe { bindings::dma_buf_mmap(self.as_raw(), vma.as_ptr(), first) })
    }
}

/// Returns the page of the file that the area begins with.
pub fn first_page(vma: &VmaNew) -> usize {
    // SAFETY: The area is being set up by the current task, so nothing else changes it.
    unsafe { (*vma.as_ptr()).vm_pgoff }
}

/// The time in which the CPU may access the memory of a dma-buf.
///
/// Dropping it ends the access. An error of the exporter is not reported then.
///
/// # Invariants
///
/// `dma_buf_begin_cpu_access()` was called for `buffer` and `access`, and its end was not.
#[must_use = "the access ends when the guard is dropped"]
pub struct CpuAccessGuard<'a> {
    buffer: &'a DmaBuf,
    access: CpuAccess,
}

impl CpuAccessGuard<'_> {
    /// Leaves the end to a later call of [`DmaBuf::end_cpu_access`].
    pub fn leave_open(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for CpuAccessGuard<'_> {
    fn drop(&mut self) {
        let _ = self.buffer.end_cpu_access(self.access);
    }
}
