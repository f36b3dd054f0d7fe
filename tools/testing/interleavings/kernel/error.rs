// SPDX-License-Identifier: GPL-2.0

//! Errors: numbers, as in the kernel.

use core::{convert::Infallible, ffi::c_int};

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub c_int);

/// A result with an [`Error`].
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Error numbers by name.
pub mod code {
    use super::Error;

    /// Out of memory.
    pub const ENOMEM: Error = Error(12);
    /// Busy.
    pub const EBUSY: Error = Error(16);
    /// Invalid argument.
    pub const EINVAL: Error = Error(22);
}

/// Returns an error for a number that is negative.
pub fn to_result(number: c_int) -> Result {
    match number < 0 {
        true => Err(Error(-number)),
        false => Ok(()),
    }
}
