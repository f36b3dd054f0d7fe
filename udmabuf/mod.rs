// SPDX-License-Identifier: GPL-2.0

//! The driver: what a udmabuf is.
//!
//! Bytes of an ioctl come in at [`device`], become a checked [`request`], then pinned pages by
//! [`pin`], then an exported [`buffer`]. [`query`] reports abilities and limits. There is no
//! unsafe code here: the kernel is reached through the kernel crate and [`seam`](crate::seam).

mod account;
mod buffer;
mod debugfs;
mod device;
mod numbers;
mod pin;
mod query;
mod request;
mod window;

pub(crate) use debugfs::debugfs;
pub(crate) use device::{
    node_name,
    Node, //
};
