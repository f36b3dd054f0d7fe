// SPDX-License-Identifier: GPL-2.0

//! The importer's half of the seam.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)
//!
//! Not part of udmabuf_rs.ko, which imports nothing. Modules that do include this file by
//! `#[path]` as `crate::seam`, and `ffi/importer.rs` as `crate::ffi`. Items are `pub`, so that an
//! item which a module does not use is no dead code.
//!
//! # Concepts
//!
//! A dma-buf is memory that one driver, the *exporter*, shares with others. Userspace passes it
//! around as a file descriptor; an *importer* looks up a [`DmaBuf`] by [`DmaBuf::get`]. An importer
//! makes a chain of resources of it. Dropping a resource undoes it, and each keeps the ones before
//! it:
//!
//! - an [`Attachment`] announces that a device is going to use the memory;
//! - a [`Mapping`] gives that device addresses for it, as a list of [`Segment`]s;
//! - a [`CpuAccessGuard`] brackets the time in which the CPU reads or writes the memory;
//! - an [`ImportedVmap`] gives the CPU an address for it;
//! - a [`Fence`] tells others that a device is not done with it yet.
//!
//! Attachments and mappings belong to the binding of the device to its driver. When the device is
//! unbound, each mapping is unmapped and each attachment detached, in this order, even if the value
//! was forgotten. Using one takes a reference to the bound device.
//!
//! These importers are *static* ones: mapped memory must not be moved until it is unmapped.
//!
//! # Locking
//!
//! Each dma-buf has a reservation lock. Everything here takes it by itself, so it must not be held
//! by the caller, and everything here may sleep.

pub mod bound;
pub mod dma_buf;
pub mod faux;
pub mod pci;
pub mod sync;
pub mod version;

mod attachment;
mod cpu_access;
mod fence;
mod mapping;
mod software;
mod unmanaged;
mod vmap;

pub use self::{
    attachment::Attachment,
    cpu_access::{
        first_page,
        CpuAccessGuard, //
    },
    dma_buf::{
        CpuAccess,
        DmaBuf,
        Usage, //
    },
    fence::Fence,
    mapping::{
        MappedTable,
        Mapping,
        Segment, //
    },
    unmanaged::UnmanagedMapping,
    vmap::ImportedVmap,
};
