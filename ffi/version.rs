// SPDX-License-Identifier: GPL-2.0

//! What differs between versions of the kernel.

use core::ptr::from_ref;
use kernel::bindings::dma_data_direction;

/// Returns the number of a direction, whose type is an integer or a struct with one.
#[inline(always)]
pub(crate) fn direction_number(direction: dma_data_direction) -> u32 {
    const {
        assert!(size_of::<dma_data_direction>() == size_of::<u32>());
        assert!(align_of::<dma_data_direction>() == align_of::<u32>());
    }

    // SAFETY: An enum of C without negative values is an `unsigned int`, whatever the bindings make
    // of it: 32 initialised bits, as asserted.
    unsafe { from_ref(&direction).cast::<u32>().read() }
}
