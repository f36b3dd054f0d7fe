// SPDX-License-Identifier: GPL-2.0

//! The seam for exporters of memory of their own.
//!
//! Modules that include this file by `#[path]` as `crate::seam`, and `ffi/mod.rs` as `crate::ffi`,
//! get the core of dma-buf and no page of the system: no memfd, no pinned pages. Not part of
//! udmabuf_rs.ko.

#[path = "../device.rs"]
pub mod device;
#[path = "../dma.rs"]
pub mod dma;
#[path = "../dma_buf/mod.rs"]
pub mod dma_buf;
#[path = "../dma_mapping.rs"]
pub mod dma_mapping;
#[path = "../gfp.rs"]
pub mod gfp;
#[path = "../runs.rs"]
pub mod runs;
#[path = "../scatterlist.rs"]
pub mod scatterlist;
pub mod shared_mapping;
pub mod shared_vvec;
#[path = "../task.rs"]
pub mod task;
#[path = "../version.rs"]
pub mod version;
