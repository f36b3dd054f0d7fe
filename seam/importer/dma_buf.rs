// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs and their reservation objects: the part that exporters and importers share.

// Exporters make references from the raw pointers that the core passes to their operations.
#![expect(dead_code, reason = "some functions are for exporters alone")]

#[path = "../dma_buf/access.rs"]
mod access;
#[path = "../dma_buf/buffer.rs"]
mod buffer;
#[path = "../dma_buf/resv.rs"]
mod resv;

pub use self::{
    access::CpuAccess,
    buffer::DmaBuf,
    resv::{
        Resv,
        ResvGuard,
        Usage, //
    },
};
