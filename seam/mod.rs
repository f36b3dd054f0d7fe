// SPDX-License-Identifier: GPL-2.0

//! The seam: safe abstractions that the kernel crate lacks, one C subsystem a module.
//!
//! All `unsafe` code lives here and none of it knows what a udmabuf is; each module is meant to
//! move to `rust/kernel/` as it stands.

pub(crate) mod device;
pub(crate) mod dma;
pub(crate) mod dma_buf;
pub(crate) mod memfd;
pub(crate) mod misc;
pub(crate) mod mm;
pub(crate) mod one_or_many;
pub(crate) mod param;
pub(crate) mod rwsem;
pub(crate) mod scatterlist;
pub(crate) mod task;
