// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs and their exporters.
//!
//! C header: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h)
//!
//! # Concepts
//!
//! A dma-buf is memory that one driver, the *exporter*, shares with others: a file that can be
//! passed around, mapped by userspace and attached to devices. An *importer* is a driver that
//! attaches its device and has the memory mapped for it. [`DmaBuf`] is a reference counted dma-buf
//! and serves both.
//!
//! An exporter implements [`Exporter`] for its data about one dma-buf and hands a value to
//! [`DmaBuf::export`]. The operations get it back as [`Exported<T>`]. Attachments and mappings
//! belong to the seam: the exporter creates them, and the seam drops them when the importer is done
//! with them. They may borrow from the exporter's data, which outlives them.
//!
//! Nothing here depends on the kind of memory. [`system_memory`](super::system_memory) is a layer
//! for pages of the system.
//!
//! # Locking
//!
//! Each dma-buf has a reservation object, [`Resv`], whose lock ("resv lock") the core holds during
//! `pin`, `unpin`, `map`, the drop of a mapping, `vmap` and the drop of a kernel mapping. These
//! operations get a [`Locked<T>`], which proves it. The other operations run without the lock, on
//! many tasks at once, and may take it by [`Exported::lock`].

mod access;
mod attachment;
mod buffer;
mod exporter;
mod kernel_mapping;
mod ops;
mod resv;
mod tests;
mod unreleased;

pub use self::{
    access::CpuAccess,
    attachment::DeviceTable,
    buffer::{
        DmaBuf,
        Name, //
    },
    exporter::{
        Attach,
        Attached,
        Exported,
        Exporter,
        Locked,
        Restrictions, //
    },
    kernel_mapping::KernelMapping,
    unreleased::{
        LockedUnreleased,
        Unreleased, //
    },
};
