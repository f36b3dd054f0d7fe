// SPDX-License-Identifier: GPL-2.0

//! Reference counted dma-bufs.

use super::resv::Resv;
use core::{
    mem::{
        replace,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque,
    uaccess::UserPtr, //
};

/// A dma-buf of any exporter.
///
/// Wraps the kernel's [`struct dma_buf`]. Exporters make one by [`DmaBuf::export`], importers look
/// one up by [`DmaBuf::get`].
///
/// # Invariants
///
/// Always reference counted: a `&DmaBuf` implies a reference to the file of the dma-buf that
/// outlives it.
///
/// [`struct dma_buf`]: srctree/include/linux/dma-buf.h
#[repr(transparent)]
pub struct DmaBuf(Opaque<bindings::dma_buf>);

// SAFETY: A `struct dma_buf` may be used and released by any task.
unsafe impl Send for DmaBuf {}
// SAFETY: The core serialises concurrent operations on a `struct dma_buf`.
unsafe impl Sync for DmaBuf {}

// SAFETY: A `struct dma_buf` lives as long as its file, which these functions count references to.
unsafe impl AlwaysRefCounted for DmaBuf {
    fn inc_ref(&self) {
        // SAFETY: By the type invariants, the file is alive.
        unsafe { bindings::get_file((*self.as_raw()).file) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the dma-buf is alive.
        unsafe { bindings::dma_buf_put(this.cast().as_ptr()) };
    }
}

impl DmaBuf {
    /// Returns the dma-buf of a file descriptor of the current process.
    ///
    /// Fails with [`EBADF`] for a descriptor that is not open and with [`EINVAL`] for another file.
    pub fn get(fd: i32) -> Result<ARef<Self>> {
        // SAFETY: The function accepts any number.
        let dmabuf = from_err_ptr(unsafe { bindings::dma_buf_get(fd) })?;
        // SAFETY: A successful call returns a valid dma-buf with a reference for the caller.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(dmabuf.cast())) })
    }

    /// Installs a new file descriptor for the dma-buf in the current process.
    ///
    /// `flags` is 0 or `O_CLOEXEC`. Fails with [`EMFILE`], and drops the reference in that case.
    pub fn into_fd(this: ARef<Self>, flags: u32) -> Result<u32> {
        // SAFETY: `this` is a reference to a valid dma-buf.
        let fd = unsafe { bindings::dma_buf_fd(this.as_raw(), flags as c_int) };
        to_result(fd)?;

        // The descriptor has taken over the reference.
        ARef::into_raw(this);
        // CAST: `to_result()` has excluded negative values.
        Ok(fd as u32)
    }

    /// Sets the name that fdinfo and debugfs show, as `DMA_BUF_SET_NAME` does.
    pub fn set_name(&self, name: Name) {
        let dmabuf = self.as_raw();
        let name = ManuallyDrop::new(name);

        // SAFETY: By the type invariants, the dma-buf is valid. `name_lock` protects `name`, and
        // is never taken in an interrupt. The core frees `name` by kfree(), as a `Name` does.
        let old = unsafe {
            bindings::spin_lock(&raw mut (*dmabuf).name_lock);
            let old = replace(&mut (*dmabuf).name, name.0.as_ptr());
            bindings::spin_unlock(&raw mut (*dmabuf).name_lock);
            old
        };
        // The lock is not held any more.
        drop(NonNull::new(old.cast_mut()).map(Name));
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariants, the dma-buf is valid. Its size never changes.
        unsafe { (*self.as_raw()).size }
    }

    /// Returns the inode number of its file, which `fstat()` shows. No other dma-buf ever has it.
    pub fn inode_number(&self) -> u64 {
        // SAFETY: By the type invariants, the file is alive, and so is its inode, whose number does
        // not change.
        unsafe { (*(*(*self.as_raw()).file).f_inode).i_ino }
    }

    /// Returns the reservation object.
    pub fn resv(&self) -> &Resv {
        // SAFETY: The pointer is set before the dma-buf is published and never changes. The
        // reservation object lives as long as the dma-buf.
        unsafe { Resv::from_raw((*self.as_raw()).resv) }
    }

    /// Returns the raw pointer.
    pub fn as_raw(&self) -> *mut bindings::dma_buf {
        self.0.get()
    }
}

/// Bytes of a name with its null byte: `DMA_BUF_NAME_LEN`, to which `ffi/shim.c` holds it.
pub(super) const NAME_LEN: usize = 32;

/// The name of a dma-buf.
///
/// # Invariants
///
/// Points to a C string that `kfree()` frees, which this value owns.
pub struct Name(NonNull<c_char>);

// SAFETY: A string belongs to no task.
unsafe impl Send for Name {}

impl Name {
    /// Reads a C string of userspace.
    ///
    /// Fails with [`EINVAL`] if it is longer than 31 bytes, with [`EFAULT`] and with [`ENOMEM`].
    pub fn from_user(name: UserPtr) -> Result<Self> {
        // SAFETY: `name` may be any address.
        let name =
            unsafe { bindings::strndup_user(name.as_const_ptr().cast(), NAME_LEN as c_long) };
        let name = from_err_ptr(name)?;

        // INVARIANT: The function has allocated the string by kmalloc(), for the caller.
        NonNull::new(name).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the string is this value's own.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
