// SPDX-License-Identifier: GPL-2.0

//! Memory files, their seals, and pinning what they hold.
//!
//! C headers: [`include/linux/memfd.h`](srctree/include/linux/memfd.h),
//! [`include/linux/shmem_fs.h`](srctree/include/linux/shmem_fs.h),
//! [`include/linux/hugetlb.h`](srctree/include/linux/hugetlb.h)

mod pin;

pub(crate) use pin::{
    FolioBatch,
    FolioRoom,
    Pinned, //
};

use crate::ffi;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::to_result,
    fs::{
        file::flags,
        LocalFile, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// Why a descriptor is no memory file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMemory {
    /// There is no such descriptor, or it is an `O_PATH` one.
    BadFd,
    /// The file is neither tmpfs nor hugetlb memory.
    OtherFile,
}

/// The seals of a memory file; see `fcntl(F_GET_SEALS)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals(u32);

impl Seals {
    /// `F_SEAL_SHRINK`: the file does not become shorter.
    pub(crate) const SHRINK: Self = Self(bindings::F_SEAL_SHRINK);
    /// `F_SEAL_WRITE`: the contents do not change.
    pub(crate) const WRITE: Self = Self(bindings::F_SEAL_WRITE);
    /// `F_SEAL_FUTURE_WRITE`: nothing new can write.
    pub(crate) const FUTURE_WRITE: Self = Self(bindings::F_SEAL_FUTURE_WRITE);

    /// Whether all of `seals` are set.
    pub(crate) fn contains(self, seals: Self) -> bool {
        self.0 & seals.0 == seals.0
    }

    /// Whether any of `seals` is set.
    pub(crate) fn intersects(self, seals: Self) -> bool {
        self.0 & seals.0 != 0
    }
}

impl core::ops::BitOr for Seals {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A file whose contents are memory: tmpfs (memfds among them) or hugetlb.
///
/// # Invariants
///
/// `seals` points to the seals in the inode of `file`, which is tmpfs or hugetlb memory.
pub(crate) struct Memfd {
    file: ARef<LocalFile>,
    seals: NonNull<c_uint>,
}

impl Memfd {
    /// Looks up the descriptor `fd` of the current process.
    pub(crate) fn from_fd(fd: u32) -> Result<Self, NotMemory> {
        let file = LocalFile::fget(fd).map_err(|_| NotMemory::BadFd)?;

        // SAFETY: We hold a reference to the file.
        let seals = unsafe { ffi::memfd_file_seals_ptr(file.as_ptr()) };

        match NonNull::new(seals) {
            // INVARIANT: A file keeps its inode, and only files in memory have seals.
            Some(seals) => Ok(Self { file, seals }),
            None => Err(NotMemory::OtherFile),
        }
    }

    /// Whether the file was opened for reading.
    pub(crate) fn is_readable(&self) -> bool {
        matches!(self.access_mode(), flags::O_RDONLY | flags::O_RDWR)
    }

    /// Whether the file was opened for writing.
    pub(crate) fn is_writable(&self) -> bool {
        matches!(self.access_mode(), flags::O_WRONLY | flags::O_RDWR)
    }

    /// Returns the size in bytes. It can change at any time, but not become less once
    /// [`Seals::SHRINK`] is set.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: We hold a reference to the file.
        unsafe { ffi::file_size(self.as_ptr()) }
    }

    /// Returns the seals. Others can come at any time; under [`lock_shared`](Self::lock_shared)
    /// they cannot.
    pub(crate) fn seals(&self) -> Seals {
        // SAFETY: By the type invariants, `seals` lies in the inode, which lives as long as the
        // file. Others may write to it meanwhile, as they may to what C reads with READ_ONCE().
        Seals(unsafe { self.seals.as_ptr().read_volatile() })
    }

    /// Takes the lock of the inode for reading, which keeps seals, size and the file's pages as
    /// `fallocate()` sees them in place. Others may hold it for reading, too.
    ///
    /// Fails with [`EINTR`] when a fatal signal comes first.
    pub(crate) fn lock_shared(&self) -> Result<LockedMemfd<'_>> {
        // SAFETY: We hold a reference to the file.
        to_result(unsafe { ffi::inode_lock_shared_killable(self.as_ptr()) })?;
        // INVARIANT: Just locked.
        Ok(LockedMemfd(self))
    }

    /// Takes the lock as [`lock_shared`](Self::lock_shared) does, if it need not be waited for.
    pub(crate) fn try_lock_shared(&self) -> Option<LockedMemfd<'_>> {
        // SAFETY: We hold a reference to the file.
        match unsafe { ffi::inode_trylock_shared(self.as_ptr()) } {
            // INVARIANT: Just locked.
            true => Some(LockedMemfd(self)),
            false => None,
        }
    }

    /// Returns `O_RDONLY`, `O_WRONLY`, `O_RDWR` or, for a file that was opened for neither, 3.
    fn access_mode(&self) -> u32 {
        self.file.flags() & flags::O_ACCMODE
    }

    fn as_ptr(&self) -> *mut bindings::file {
        self.file.as_ptr()
    }
}

/// A memory file whose inode is locked for reading.
///
/// # Invariants
///
/// The current task holds the lock, and gives it back when the value is dropped.
pub(crate) struct LockedMemfd<'a>(&'a Memfd);

impl LockedMemfd<'_> {
    /// Returns the seals, which stay as they are as long as this value lives.
    pub(crate) fn seals(&self) -> Seals {
        self.0.seals()
    }
}

impl Drop for LockedMemfd<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds the lock of the inode.
        unsafe { ffi::inode_unlock_shared(self.0.as_ptr()) };
    }
}
