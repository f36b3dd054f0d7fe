// SPDX-License-Identifier: GPL-2.0

//! A dma-buf of anyone's, and access to it by the CPU.

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    dma::DataDirection,
    error::{
        from_err_ptr,
        to_result, //
    },
    mm::virt::VmaNew,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// A dma-buf, whoever exported it.
///
/// Wraps the kernel's [`struct dma_buf`].
///
/// # Invariants
///
/// Always reference counted: a `&DmaBuf` lives no longer than a reference that somebody holds.
///
/// [`struct dma_buf`]: srctree/include/linux/dma-buf.h
#[repr(transparent)]
pub struct DmaBuf(Opaque<bindings::dma_buf>);

// SAFETY: A `struct dma_buf` may be used and released by any task.
unsafe impl Send for DmaBuf {}
// SAFETY: As above; the core serialises what needs to be.
unsafe impl Sync for DmaBuf {}

// SAFETY: A `struct dma_buf` lives as long as its file, whose references these are.
unsafe impl AlwaysRefCounted for DmaBuf {
    fn inc_ref(&self) {
        // SAFETY: The existence of a reference means that the file is alive.
        unsafe { bindings::get_file((*self.as_raw()).file) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the dma-buf is alive.
        unsafe { bindings::dma_buf_put(this.cast().as_ptr()) };
    }
}

impl DmaBuf {
    /// Returns the dma-buf behind a file descriptor of the current process.
    ///
    /// Fails with [`EBADF`] where there is no file and with [`EINVAL`] where it is no dma-buf.
    pub fn get(fd: i32) -> Result<ARef<Self>> {
        // SAFETY: Any number may be asked for.
        let dmabuf = from_err_ptr(unsafe { bindings::dma_buf_get(fd) })?;
        // SAFETY: No error and so not NULL; we were given a reference.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(dmabuf.cast())) })
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        // SAFETY: The reference guarantees a valid dma-buf; its size never changes.
        unsafe { (*self.as_raw()).size }
    }

    /// Makes the memory fit for the CPU, until the guard is dropped: what devices wrote becomes
    /// visible, and what they are still working on is waited for.
    ///
    /// The direction is that of the data, as everywhere in the DMA API: for
    /// [`DataDirection::FromDevice`] the CPU is going to read, for [`DataDirection::ToDevice`] to
    /// write.
    ///
    /// Fails with [`EINTR`] or `ERESTARTSYS` when a signal comes first, and with what the exporter
    /// answers.
    pub fn begin_cpu_access(&self, direction: DataDirection) -> Result<CpuAccess<'_>> {
        // SAFETY: The reference guarantees a valid dma-buf.
        to_result(unsafe { bindings::dma_buf_begin_cpu_access(self.as_raw(), direction.into()) })?;

        // INVARIANT: Just begun.
        Ok(CpuAccess {
            buffer: self,
            direction,
        })
    }

    /// Ends an access of the CPU: what it wrote becomes visible to devices.
    ///
    /// Dropping a [`CpuAccess`] does the same. Called directly it ends one that was
    /// [left open](CpuAccess::leave_open), and fails with what the exporter answers.
    pub fn end_cpu_access(&self, direction: DataDirection) -> Result {
        // SAFETY: The reference guarantees a valid dma-buf. Exporters take an end without a
        // beginning: userspace may send them such.
        to_result(unsafe { bindings::dma_buf_end_cpu_access(self.as_raw(), direction.into()) })
    }

    /// Maps the buffer into userspace, from its page `first` on, in place of the file that was asked
    /// to: for an `mmap` operation.
    ///
    /// Fails with [`EINVAL`] where the area is not all in the buffer, and with what the exporter
    /// answers.
    pub fn mmap(&self, vma: &VmaNew, first: usize) -> Result {
        // SAFETY: The reference guarantees a valid dma-buf. A `VmaNew` is an area that is just being
        // set up, the file of which may still be changed.
        to_result(unsafe { bindings::dma_buf_mmap(self.as_raw(), vma.as_ptr(), first) })
    }

    pub(super) fn as_raw(&self) -> *mut bindings::dma_buf {
        self.0.get()
    }

    pub(super) fn resv(&self) -> *mut bindings::dma_resv {
        // SAFETY: Set before the dma-buf was exported and constant since.
        unsafe { (*self.as_raw()).resv }
    }
}

/// Returns the page of the file that the area was asked to begin with.
pub fn first_page(vma: &VmaNew) -> usize {
    // SAFETY: The area is just being set up, so nobody changes it.
    unsafe { (*vma.as_ptr()).vm_pgoff }
}

/// The time in which the CPU may access the memory of a dma-buf.
///
/// Dropping it ends the access; that the exporter cannot do so is then not reported.
///
/// # Invariants
///
/// `dma_buf_begin_cpu_access()` was called for `buffer` and `direction`, and its end was not.
#[must_use = "the access ends when the guard is dropped"]
pub struct CpuAccess<'a> {
    buffer: &'a DmaBuf,
    direction: DataDirection,
}

impl CpuAccess<'_> {
    /// Leaves the end to a later call of [`DmaBuf::end_cpu_access`].
    pub fn leave_open(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for CpuAccess<'_> {
    fn drop(&mut self) {
        let _ = self.buffer.end_cpu_access(self.direction);
    }
}
