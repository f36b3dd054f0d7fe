// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs and their reservation objects: the part that exporters and importers share.

// Exporters make references from the raw pointers that the core passes to their operations.
#![expect(dead_code, reason = "some functions are for exporters alone")]

#[path = "shared/access.rs"]
mod access;
#[path = "shared/buffer.rs"]
mod buffer;
#[path = "shared/resv.rs"]
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
