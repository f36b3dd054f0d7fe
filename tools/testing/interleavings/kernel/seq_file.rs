// SPDX-License-Identifier: GPL-2.0

//! A file whose text is the numbers of dma-bufs.

use core::cell::RefCell;

/// The output that a reader was shown.
pub struct SeqFile(RefCell<Vec<u32>>);

impl SeqFile {
    /// Creates an empty one.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Appends a number.
    pub fn print(&self, number: u32) {
        self.0.borrow_mut().push(number);
    }

    /// Returns the numbers, and empties the file.
    pub fn take(&self) -> Vec<u32> {
        self.0.take()
    }
}
