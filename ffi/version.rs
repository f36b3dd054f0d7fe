// SPDX-License-Identifier: GPL-2.0

//! What differs between versions of the kernel.

use core::mem::transmute;
use kernel::bindings::dma_data_direction;

/// Returns the number of a direction, whose type is an integer or a struct with one.
#[inline(always)]
pub(crate) fn direction_number(direction: dma_data_direction) -> u32 {
    // SAFETY: An enum of C without negative values is an `unsigned int`, whatever the bindings make
    // of it; `transmute` checks the size.
    unsafe { transmute::<dma_data_direction, u32>(direction) }
}
