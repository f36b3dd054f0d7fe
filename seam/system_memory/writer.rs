// SPDX-License-Identifier: GPL-2.0

//! How devices write.

use crate::seam::dma_mapping::DmaMapping;
use kernel::dma::DataDirection;

/// How the device of a mapping writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// Not at all.
    None,
    /// Into the memory.
    Direct,
    /// Into a bounce buffer.
    Bouncing,
}

impl Writer {
    pub(super) fn new(mapping: &DmaMapping, direction: DataDirection) -> Self {
        if direction == DataDirection::ToDevice {
            Self::None
        } else if mapping.bounces() {
            Self::Bouncing
        } else {
            Self::Direct
        }
    }
}
