// SPDX-License-Identifier: GPL-2.0

//! A dma-buf as a line of text: its number.

use super::{
    memory::{Policy, SystemMemory},
    registry::Creator,
};
use crate::seam::dma_buf::Unreleased;
use kernel::seq_file::SeqFile;

/// Prints the number, after reading the memory.
pub(super) fn show<P: Policy>(
    buffer: &Unreleased<'_, SystemMemory<P>>,
    creator: &Creator,
    file: &SeqFile,
) {
    assert_eq!(
        (creator.pid, creator.age(), creator.comm()),
        (1, 0, &b"task"[..])
    );
    buffer.dmabuf().read();
    file.print(buffer.dmabuf().number);
}
