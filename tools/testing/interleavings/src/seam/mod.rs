// SPDX-License-Identifier: GPL-2.0

//! The driver's files, and stand-ins for the files around them.

pub mod dma_buf;
pub mod gfp;
pub mod seq_file;
pub mod system_memory;

// checklib/interleavings.py puts a copy with a mistake in the place of the next file.
#[path = "../../../../../seam/device.rs"]
pub mod device;
#[path = "../../../../../seam/unbind.rs"]
pub mod unbind;
