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
/// Holds a reference to the dma-buf. While devices have it mapped as well, accesses must be inside
/// a [`CpuAccessGuard`](super::CpuAccessGuard).
///
/// # Invariants
///
/// `map` is a mapping of all of `buffer` that only this value unmaps.
pub struct ImportedVmap {
    map: bindings::iosys_map,
    buffer: ARef<DmaBuf>,
}

// SAFETY: A kernel mapping belongs to no task.
unsafe impl Send for ImportedVmap {}
// SAFETY: `map` does not change, and no reference to the bytes behind it is ever made.
unsafe impl Sync for ImportedVmap {}

impl ImportedVmap {
    /// Maps all of `buffer`.
    ///
    /// Fails with [`EINVAL`] if the exporter has no such mappings, and with its error, for most
    /// [`ENOMEM`].
    pub fn new(buffer: &DmaBuf) -> Result<Self> {
        let mut map = pin_init::zeroed::<bindings::iosys_map>();

        // SAFETY: The reference guarantees a valid dma-buf, and `map` may be written.
        to_result(unsafe { bindings::dma_buf_vmap_unlocked(buffer.as_raw(), &mut map) })?;
        // INVARIANT: `map` was just filled in by a successful call.
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
    /// Bytes that are written at the same time may be copied in any mixture of old and new. Fails
    /// with [`EINVAL`] for a range that is not in the buffer.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        self.check(offset, to.len())?;

        // SAFETY: By the type invariants, all of the buffer is mapped, and the range is in it.
        unsafe { ffi::iosys_map_memcpy_from(to.as_mut_ptr().cast(), &self.map, offset, to.len()) };
        Ok(())
    }

    /// Overwrites bytes from `offset` on.
    ///
    /// Fails as [`read`](Self::read) does.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        self.check(offset, from.len())?;

        // The C function moves the start of the mapping it is given.
        let mut map = bindings::iosys_map { ..self.map };
        // SAFETY: By the type invariants, all of the buffer is mapped, and the range is in it. No
        // Rust reference to those bytes exists.
        unsafe { ffi::iosys_map_memcpy_to(&mut map, offset, from.as_ptr().cast(), from.len()) };
        Ok(())
    }

    /// Returns the physical address of the byte at `offset`. Fails as [`read`](Self::read) does.
    pub(super) fn physical(&self, offset: usize) -> Result<bindings::phys_addr_t> {
        self.check(offset, 1)?;

        // SAFETY: By the type invariants, all of the buffer is mapped, and the byte is in it.
        Ok(unsafe { ffi::kernel_to_phys(self.map.__bindgen_anon_1.vaddr.byte_add(offset)) })
    }

    fn check(&self, offset: usize, length: usize) -> Result {
        let end = offset.checked_add(length).ok_or(EINVAL)?;

        if end > self.buffer.size() {
            return Err(EINVAL);
        }
        Ok(())
    }
}

impl Drop for ImportedVmap {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, `map` is a mapping of `buffer` that is still to unmap.
        unsafe { bindings::dma_buf_vunmap_unlocked(self.buffer.as_raw(), &mut self.map) };
    }
}
