// SPDX-License-Identifier: GPL-2.0

//! Files of debugfs.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)
//!
//! A file of [`kernel::debugfs`] is one text, built whole, and has no owner: nothing keeps its
//! module from being unloaded while it is open, and closing it reads operations that have gone.

use super::seq_file::Sequence;
#[cfg(CONFIG_DEBUG_FS)]
use super::seq_file::VTable;
#[cfg(CONFIG_DEBUG_FS)]
use kernel::bindings;
use kernel::prelude::*;

/// A directory at the root of debugfs, which goes with all its files when dropped.
///
/// Without debugfs there is none, and nothing fails.
///
/// # Invariants
///
/// `dentry` comes from `debugfs_create_dir()`: a directory, or an error.
pub struct Dir {
    #[cfg(CONFIG_DEBUG_FS)]
    dentry: *mut bindings::dentry,
}

// SAFETY: A directory of debugfs belongs to no task.
unsafe impl Send for Dir {}
// SAFETY: Files may be added to a directory by many tasks at once.
unsafe impl Sync for Dir {}

impl Dir {
    /// Creates a directory.
    pub fn new(#[cfg_attr(not(CONFIG_DEBUG_FS), expect(unused))] name: &CStr) -> Self {
        #[cfg(CONFIG_DEBUG_FS)]
        let dentry = {
            let root = core::ptr::null_mut();

            // SAFETY: The name is a string, which is copied. NULL stands for the root.
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), root) }
        };

        // INVARIANT: Just created.
        Self {
            #[cfg(CONFIG_DEBUG_FS)]
            dentry,
        }
    }

    /// Adds a file that root can read, and that shows the items of a `T`.
    pub fn add<T: Sequence>(&self, #[cfg_attr(not(CONFIG_DEBUG_FS), expect(unused))] name: &CStr) {
        // SAFETY: By the type invariants, the parent is one that the function takes. The name is
        // copied, and the operations are constant.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                0o400,
                self.dentry,
                core::ptr::null_mut(),
                core::ptr::null(),
                VTable::<T>::file_operations(),
            )
        };
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the function takes it. It waits for operations that are
        // under way.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_remove(self.dentry)
        };
    }
}
