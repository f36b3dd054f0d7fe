// SPDX-License-Identifier: GPL-2.0

//! Kinds of CPU access.

use super::resv::Usage;
use crate::ffi;
use kernel::{
    bindings,
    dma::DataDirection,
    prelude::*, //
};

/// Access by the CPU between `begin_cpu_access` and `end_cpu_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuAccess {
    /// The CPU reads and writes.
    ReadWrite,
    /// The CPU writes.
    Write,
    /// The CPU reads.
    Read,
}

impl CpuAccess {
    /// Returns whether the CPU writes.
    pub fn writes(self) -> bool {
        self != Self::Read
    }

    /// Returns the fences that the access waits for, as `dma_resv_usage_rw()` does: those of
    /// writers before reading, and those of readers as well before writing.
    pub fn fences(self) -> Usage {
        if self.writes() {
            Usage::Read
        } else {
            Usage::Write
        }
    }

    /// Translates the direction that the core passes: data written by the CPU goes to devices.
    ///
    /// Fails with [`EINVAL`] for any other value.
    pub(super) fn from_raw(direction: bindings::dma_data_direction) -> Result<Self> {
        match direction_from_raw(direction)? {
            DataDirection::FromDevice => Ok(Self::Read),
            DataDirection::ToDevice => Ok(Self::Write),
            DataDirection::Bidirectional => Ok(Self::ReadWrite),
            DataDirection::None => Err(EINVAL),
        }
    }
}

/// Translates the direction of a mapping. Fails with [`EINVAL`] for `DMA_NONE`.
#[inline(always)]
pub(super) fn direction_from_raw(direction: bindings::dma_data_direction) -> Result<DataDirection> {
    const BIDIRECTIONAL: u32 = DataDirection::Bidirectional as u32;
    const TO_DEVICE: u32 = DataDirection::ToDevice as u32;
    const FROM_DEVICE: u32 = DataDirection::FromDevice as u32;

    match ffi::version::direction_number(direction) {
        BIDIRECTIONAL => Ok(DataDirection::Bidirectional),
        TO_DEVICE => Ok(DataDirection::ToDevice),
        FROM_DEVICE => Ok(DataDirection::FromDevice),
        _ => Err(EINVAL),
    }
}
