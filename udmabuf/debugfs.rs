// SPDX-License-Identifier: GPL-2.0

//! Buffers and their sums, to look at: the files below `udmabuf_rs/` in debugfs.

use crate::seam::{
    debugfs::Dir,
    quota,
    seq_file::Sequence,
    system_memory, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// Creates the directory: `buffers` has a line a buffer, `totals` the sums.
pub(crate) fn debugfs() -> Dir {
    let dir = Dir::new(c"udmabuf_rs");

    dir.add::<system_memory::Reader>(c"buffers");
    dir.add::<Totals>(c"totals");
    dir
}

/// The sums, which is one item.
struct Totals;

#[vtable]
impl Sequence for Totals {
    fn new() -> impl PinInit<Self> {
        Self
    }

    fn start(&self, at: u64) -> bool {
        at == 0
    }

    fn next(&self) -> bool {
        false
    }

    fn show(&self, file: &SeqFile) {
        let (buffers, pages) = quota::total();

        seq_print!(file, "buffers={buffers}\n");
        seq_print!(file, "pinned_bytes={}\n", pages << PAGE_SHIFT);
        seq_print!(file, "staging_bytes={}\n", quota::staging_bytes());
    }

    fn stop(&self) {}
}
