// SPDX-License-Identifier: GPL-2.0

//! Arithmetic of the numbers in a request.
//!
//! Nothing in this file needs a kernel: tools/testing/properties tests it on the host.

/// A mistake in the numbers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// An offset or a size is not a multiple of the page size.
    Unaligned,
    /// There is nothing in the request, or in an item.
    Empty,
    /// The sum of sizes is larger than the limit.
    TooLarge,
    /// An item reaches past the end of its memfd.
    BeyondEnd,
}

/// Returns how many bytes a limit of `mb` MiB allows: no more than fit into a `usize`, on machines
/// of 32 bits as well.
pub(crate) const fn limit_bytes(mb: u32) -> u64 {
    // CAST: A `u64` holds any `u32` and any positive `isize`.
    let (bytes, most) = ((mb as u64) << 20, isize::MAX as u64);

    if bytes < most {
        bytes
    } else {
        most
    }
}

/// Adds up the sizes of `items`, offsets and sizes, which must be whole pages of `page_size`, a
/// power of two, not nothing at all, and no more than `limit`.
#[inline(always)]
pub(crate) fn total(
    items: impl Iterator<Item = (u64, u64)>,
    page_size: u64,
    limit: u64,
) -> Result<u64, NumberError> {
    let mut total = 0u64;

    for (offset, size) in items {
        if (offset | size) & (page_size - 1) != 0 {
            return Err(NumberError::Unaligned);
        }
        total = total
            .checked_add(size)
            .filter(|total| *total <= limit)
            .ok_or(NumberError::TooLarge)?;
    }
    match total {
        0 => Err(NumberError::Empty),
        total => Ok(total),
    }
}

/// Returns the end of an item in a memfd of `file_size` bytes.
#[inline(always)]
pub(crate) fn end(offset: u64, size: u64, file_size: u64) -> Result<u64, NumberError> {
    let end = offset
        .checked_add(size)
        .filter(|end| *end <= file_size)
        .ok_or(NumberError::BeyondEnd)?;

    match size {
        0 => Err(NumberError::Empty),
        _ => Ok(end),
    }
}
