// SPDX-License-Identifier: GPL-2.0

//! Dma-bufs of system memory.
//!
//! C headers: [`include/linux/dma-buf.h`](srctree/include/linux/dma-buf.h),
//! [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)
//!
//! # Concepts
//!
//! [`SystemMemory`] is an [`Exporter`] of a [`StableMemory`]: pages that stay where they are. It
//! maps them for devices, userspace and the kernel, and keeps them coherent: [`coherence`] decides
//! when ownership passes between the CPU and the devices. The driver adds a [`Policy`].
//!
//! # Locking
//!
//! One mutex a buffer, [`Coherence`], protects its mappings for devices. Map and unmap take it
//! inside the resv lock; begin and end of CPU access, and the notifier of a bus, take it alone.

mod area;
mod attachment;
mod base;
mod coherence;
mod device_memory;
mod devices;
mod direct;
mod exporter;
mod mapping;
mod memory;
mod pass;
mod registry;
mod report;
mod settle;
mod staging;
mod sync_users;
mod tests;
mod trace;

pub use self::{
    memory::{
        Policy,
        SystemMemory, //
    },
    registry::{
        Reader,
        Registry, //
    },
};
