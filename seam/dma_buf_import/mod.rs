// SPDX-License-Identifier: GPL-2.0

//! Importing dma-bufs.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)
//!
//! # Concepts
//!
//! A dma-buf is memory that one driver, the *exporter*, shares with others. Userspace passes it
//! around as a file descriptor; an *importer* makes a [`DmaBuf`] of that by [`DmaBuf::get`]. What
//! it can do with it is a chain of resources, each of which is undone by dropping it and keeps
//! those before it:
//!
//! - an [`Attachment`] says that a device is going to use the memory;
//! - a [`Mapping`] gives that device addresses for it, as a list of [`Segment`]s;
//! - a [`CpuAccess`] brackets the time in which the CPU reads or writes the memory;
//! - a [`KernelMapping`] gives the CPU an address for it;
//! - a [`Fence`] tells others that a device is not done with it yet.
//!
//! Attachments and mappings borrow from the binding of the device to its driver: they cannot
//! outlive it.
//!
//! These importers are *static* ones: what they have mapped must not be moved until they unmap it.
//!
//! # Locking
//!
//! Each dma-buf has a reservation lock. Everything here takes it by itself, so it must not be held
//! by the caller, and everything here may sleep.

mod attachment;
mod buffer;
mod fence;
mod mapping;
mod software;
mod vmap;

pub use self::{
    attachment::Attachment,
    buffer::{
        first_page,
        CpuAccess,
        DmaBuf, //
    },
    fence::{
        Fence,
        FenceUsage, //
    },
    mapping::{
        Mapping,
        Segment, //
    },
    vmap::KernelMapping,
};
