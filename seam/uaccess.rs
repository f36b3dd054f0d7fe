// SPDX-License-Identifier: GPL-2.0

//! Reading values from userspace.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)

use kernel::{
    prelude::*,
    transmute,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// A value of which any bytes are a valid one.
#[repr(transparent)]
struct AnyBytes<T>(T);

// SAFETY: By the bound on `T`, any bytes are a valid value.
unsafe impl<T: FromBytes> transmute::FromBytes for AnyBytes<T> {}

/// Reads a `T` at `from`. Fails with [`EFAULT`].
///
/// `UserSliceReader::read` for types whose layout the compiler has checked.
#[inline]
pub(crate) fn read<T: FromBytes>(from: UserPtr) -> Result<T> {
    let value: AnyBytes<T> = UserSlice::new(from, size_of::<T>()).reader().read()?;

    Ok(value.0)
}
