// SPDX-License-Identifier: GPL-2.0

//! Exporting memory as a dma-buf.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)
//!
//! # Concepts
//!
//! An *exporter* owns memory and hands it out as a dma-buf: a file that can be passed around,
//! mapped by userspace and attached to devices. An *importer* is a driver that attaches its device
//! and has the memory mapped for it. [`DmaBuf<T>`] is the exporter's side: it owns a `T`, the
//! driver's own data, and the memory itself, a [`StableMemory`](super::mm::StableMemory) that never changes as long as the
//! dma-buf lives. Everything else borrows from that: kernel mappings, DMA mappings, page table
//! entries.
//!
//! Such an exporter is a *static* one: the memory never moves, so there is nothing to pin and
//! nothing to invalidate.
//!
//! # Locking
//!
//! Each dma-buf has a reservation lock. The core calls [`map`](Exporter::map) and
//! [`vmap`](Exporter::vmap) with that lock held, so they are passed a [`Reserved`], which proves it
//! and is the only way to what the lock protects: the DMA mappings. The other operations run
//! without the lock, many at a time, and take it by [`DmaBuf::reserve`] or
//! [`DmaBuf::reserve_idle`] if they must.

mod brackets;
mod buffer;
mod exporter;
mod mapping;
mod reserved;
mod vma;

pub(crate) use self::{
    buffer::DmaBuf,
    exporter::{
        Attachment,
        CpuAccess,
        Exporter, //
    },
    mapping::Mapping,
    reserved::Reserved, //
};
