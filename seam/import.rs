// SPDX-License-Identifier: GPL-2.0

//! The importer's half of the seam.
//!
//! Not part of udmabuf_rs.ko, which imports nothing: modules that do include this file by
//! `#[path]`, and `ffi/import.rs` as `crate::ffi`. As in the other half, each module is meant to
//! move to `rust/kernel/` as it stands.
//!
//! Items are `pub` all the way up, so that what a module does not use of it is no dead code.

pub mod bound;
pub mod dma_buf_import;
pub mod faux;
pub mod pci;
pub mod sync;
