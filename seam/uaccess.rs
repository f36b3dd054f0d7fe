// SPDX-License-Identifier: GPL-2.0

//! Values and structs of userspace.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)

use crate::ffi;
use core::{
    mem::MaybeUninit,
    ptr::from_ref, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
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

/// Reads a struct at `from` that userspace takes to be `size` bytes long.
///
/// One that is shorter is read as if zeroes followed: `copy_struct_from_user()`. Fails with
///
/// - [`EINVAL`] if `size` is less than `first`, the size of the struct in its first version;
/// - [`E2BIG`] if `size` is more than a page, or if bytes behind the end of `T` are not zero;
/// - [`EFAULT`].
pub(crate) fn read_struct<T: FromBytes>(from: UserPtr, size: usize, first: usize) -> Result<T> {
    check_struct_size(size, first)?;

    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: There is room for a `T`, and `from` may be any address.
    let answer = unsafe {
        ffi::copy_struct_from_user(
            value.as_mut_ptr().cast(),
            size_of::<T>(),
            from.as_const_ptr(),
            size,
        )
    };
    to_result(answer)?;

    // SAFETY: All bytes were written, and any bytes are a valid `T`.
    Ok(unsafe { value.assume_init() })
}

/// Writes `value` to `to`, where userspace has room for a struct of `size` bytes.
///
/// Less room takes the first bytes, and more gets zeroes behind them: `copy_struct_to_user()`.
/// Fails as [`read_struct`] does, except for bytes that are not zero.
pub(crate) fn write_struct<T: IntoBytes>(
    to: UserPtr,
    value: &T,
    size: usize,
    first: usize,
) -> Result {
    check_struct_size(size, first)?;

    // SAFETY: `value` is a `T`, which has no padding, and `to` may be any address.
    to_result(unsafe {
        ffi::copy_struct_to_user(
            to.as_mut_ptr(),
            size,
            from_ref(value).cast(),
            size_of::<T>(),
        )
    })
}

/// Checks the size that userspace takes a struct to have.
fn check_struct_size(size: usize, first: usize) -> Result {
    if size < first {
        Err(EINVAL)
    } else if size > PAGE_SIZE {
        Err(E2BIG)
    } else {
        Ok(())
    }
}
