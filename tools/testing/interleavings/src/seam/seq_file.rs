// SPDX-License-Identifier: GPL-2.0

//! The trait of seam/seq_file.rs, which documents it.

use kernel::{prelude::*, seq_file::SeqFile};

/// A sequence of items, as one open file goes through it.
pub trait Sequence: Sized + Send + 'static {
    /// Creates the state of a file that is being opened.
    fn new() -> impl PinInit<Self>;

    /// Goes to an item. Returns whether there is one.
    fn start(&self, at: u64) -> bool;

    /// Goes to the next item. Returns whether there is one.
    fn next(&self) -> bool;

    /// Prints the item.
    fn show(&self, file: &SeqFile);

    /// Leaves the item.
    fn stop(&self);
}
