// SPDX-License-Identifier: GPL-2.0

//! The seam: safe abstractions that the kernel crate lacks, one C subsystem a module.
//!
//! All `unsafe` code lives here and none of it knows what a udmabuf is; each module is meant to
//! move to `rust/kernel/` as it stands.

pub mod debugfs;
pub mod device;
pub mod dma;
pub mod dma_buf;
pub mod dma_mapping;
pub mod gfp;
pub mod memfd;
pub mod misc;
pub mod mm;
pub mod mutex;
pub mod one_or_many;
pub mod param;
pub mod quota;
pub mod runs;
pub mod rwsem;
pub mod scatterlist;
pub mod seq_file;
pub mod slot;
pub mod system_memory;
pub mod tally;
pub mod task;
pub mod uaccess;
pub mod unbind;
pub mod user;
pub mod version;
pub mod workqueue;
