// SPDX-License-Identifier: GPL-2.0

//! The memory of a dma-buf in the kernel's address space.
//!
//! C header: [`include/linux/iosys-map.h`](srctree/include/linux/iosys-map.h)

use super::DmaBuf;
use crate::ffi;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

/// A dma-buf mapped as one range of kernel addresses, until the value is dropped.
///
/// Holds a reference to the dma-buf. Where devices have it mapped as well, what is done through the
/// mapping must be inside a [`CpuAccess`](super::CpuAccess).
///
/// # Invariants
///
/// `map` is a mapping of the whole of `buffer`, which is ours to unmap.
pub struct KernelMapping {
    map: bindings::iosys_map,
    buffer: ARef<DmaBuf>,
}

// SAFETY: A kernel mapping belongs to no task.
unsafe impl Send for KernelMapping {}
// SAFETY: Nothing is promised about the bytes behind it, and nothing else changes.
unsafe impl Sync for KernelMapping {}

impl KernelMapping {
    /// Maps all of `buffer`.
    ///
    /// Fails with [`EINVAL`] where the exporter has no such mappings, and with what it answers, for
    /// most [`ENOMEM`].
    pub fn new(buffer: &DmaBuf) -> Result<Self> {
        let mut map = pin_init::zeroed::<bindings::iosys_map>();

        // SAFETY: The reference guarantees a valid dma-buf, and `map` may be written.
        to_result(unsafe { bindings::dma_buf_vmap_unlocked(buffer.as_raw(), &mut map) })?;
        // INVARIANT: Just mapped.
        Ok(Self {
            map,
            buffer: buffer.into(),
        })
    }

    /// Returns the dma-buf.
    pub fn buffer(&self) -> &DmaBuf {
        &self.buffer
    }

    /// Copies bytes from `offset` on.
    ///
    /// Others may write them at the same time; what is copied then may be any mixture. Fails with
    /// [`EINVAL`] for a range that is not in the buffer.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        self.check(offset, to.len())?;

        // SAFETY: By the type invariants all of the buffer is mapped, of which the range is a part.
        unsafe {
            ffi::rsi_iosys_map_memcpy_from(to.as_mut_ptr().cast(), &self.map, offset, to.len())
        };
        Ok(())
    }

    /// Overwrites bytes from `offset` on.
    ///
    /// Fails as [`read`](Self::read) does.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        self.check(offset, from.len())?;

        // The C function moves the start of the mapping it is given.
        let mut map = bindings::iosys_map { ..self.map };
        // SAFETY: As above. No Rust reference to those bytes exists.
        unsafe { ffi::rsi_iosys_map_memcpy_to(&mut map, offset, from.as_ptr().cast(), from.len()) };
        Ok(())
    }

    fn check(&self, offset: usize, length: usize) -> Result {
        let end = offset.checked_add(length).ok_or(EINVAL)?;

        if end > self.buffer.size() {
            return Err(EINVAL);
        }
        Ok(())
    }
}

impl Drop for KernelMapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::dma_buf_vunmap_unlocked(self.buffer.as_raw(), &mut self.map) };
    }
}
