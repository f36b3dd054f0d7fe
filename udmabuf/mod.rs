// SPDX-License-Identifier: GPL-2.0

//! The driver: what a udmabuf is.
//!
//! Bytes of an ioctl come in at [`device`], become a checked [`request`], then pinned pages by
//! [`pin`], then an exported [`buffer`]. [`query`] answers what the driver can do. There is no unsafe
//! code here; what is needed of the kernel comes from the kernel crate and from
//! [`seam`](crate::seam).

mod account;
mod buffer;
mod device;
mod pin;
mod query;
mod request;
mod window;

pub(crate) use device::{
    node_name,
    Node, //
};
