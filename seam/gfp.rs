// SPDX-License-Identifier: GPL-2.0

//! Allocation flags that the kernel crate lacks.
//!
//! C header: [`include/linux/gfp_types.h`](srctree/include/linux/gfp_types.h)

use core::mem::{
    align_of,
    size_of,
    transmute, //
};
use kernel::{
    alloc::Flags,
    bindings, //
};

/// Flags for memory whose amount userspace decides: charged to the memory cgroup, with an error
/// instead of the OOM killer or a warning if there is none.
///
/// `GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN` in C.
pub const GFP_CHARGED: Flags = {
    assert!(size_of::<Flags>() == size_of::<u32>() && align_of::<Flags>() == align_of::<u32>());

    // SAFETY: `Flags` has one field, of type `u32`; with this size, that is all of it.
    unsafe { transmute::<u32, Flags>(GFP_CHARGED_RAW) }
};

/// [`GFP_CHARGED_RAW`] without an effort: for memory that may as well come in smaller pieces.
pub const GFP_CHARGED_TRY_RAW: bindings::gfp_t =
    bindings::GFP_KERNEL_ACCOUNT | bindings::__GFP_NOWARN | 1 << bindings::___GFP_NORETRY_BIT;

/// [`GFP_CHARGED`] for functions of C.
pub const GFP_CHARGED_RAW: bindings::gfp_t =
    bindings::GFP_KERNEL_ACCOUNT | bindings::__GFP_NOWARN | 1 << bindings::___GFP_RETRY_MAYFAIL_BIT;
