// SPDX-License-Identifier: GPL-2.0

//! The list of dma-bufs, and stand-ins for the files around it.

pub mod memory;
mod report;

// checklib/interleavings.py puts a copy with a mistake in its place.
#[path = "../../../../../../seam/system_memory/registry.rs"]
mod registry;

pub use registry::{Reader, Registry};
