// SPDX-License-Identifier: GPL-2.0

//! The items of the kernel crate that the driver's records use, on top of loom. See README.md.
//!
//! Each has the name and the signature that it has there. [`model`] and [`memory`] are not in the
//! kernel crate: they run a scenario in all interleavings, and find accesses to freed memory.

#![allow(clippy::new_without_default)]

pub mod bindings;
pub mod device;
pub mod error;
pub mod list;
pub mod memory;
pub mod model;
pub mod rbtree;
pub mod seq_file;
pub mod sync;
pub mod task;
pub mod types;
pub mod wait;

/// Where the tasks of scenarios are.
pub use loom;

// `#[pin_data]` and others name the crate that they are of, for which this one stands.
#[doc(hidden)]
pub use pinned_init::*;

/// The prelude of the kernel crate.
pub mod prelude {
    pub use crate::{
        current,
        error::{code::*, Error, Result},
        types::{Flags, GFP_KERNEL},
    };
    pub use core::{
        ffi::{c_int, c_ulong, c_void},
        pin::Pin,
    };
    pub use macros::{kunit_tests, vtable};
    pub use pinned_init::{pin_data, pin_init, pinned_drop, try_pin_init, PinInit, PinnedDrop};
}

/// Returns a pointer to the struct that has the field `$field` at `$pointer`.
#[macro_export]
macro_rules! container_of {
    ($pointer:expr, $type:ty, $field:ident) => {
        $pointer
            .byte_sub(::core::mem::offset_of!($type, $field))
            .cast::<$type>()
    };
}
