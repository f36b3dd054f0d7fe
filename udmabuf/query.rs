// SPDX-License-Identifier: GPL-2.0

//! Abilities and limits of the driver, for `UDMABUF_QUERY`.

use super::{
    account,
    request::Limits, //
};
use crate::{
    seam::{
        quota,
        uaccess, //
    },
    uapi, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    uaccess::UserPtr, //
};

/// The version of the module, as userspace gets it.
const MODULE_VERSION: u32 = version_number(include_str!("../VERSION"));

/// Writes the answer to `argument`, where userspace has put the size of its struct.
///
/// Fails as [`uaccess::write_struct`] does.
pub(super) fn answer(argument: UserPtr) -> Result {
    let size: u32 = uaccess::read(argument)?;
    let limits = Limits::current();
    let held = account::limits();
    let staged = account::staging_limits();
    let query = uapi::Query {
        // CAST: The size of a small struct.
        size: size_of::<uapi::Query>() as u32,
        api_version: uapi::API_VERSION,
        module_version: MODULE_VERSION,
        list_limit: limits.items,
        flags: uapi::EXT_FLAGS,
        cache: 1 << uapi::CACHE_CACHED,
        size_limit: limits.bytes,
        staging_limit: match crate::staging.get() {
            0 => 0,
            _ => bytes(staged.user.min(staged.total)),
        },
        user_limit: bytes(held.user),
        total_limit: bytes(held.total),
    };

    uaccess::write_struct(argument, &query, size as usize, uapi::QUERY_SIZE_VER0)
}

/// Returns a limit in pages as bytes; all bits set is no limit.
fn bytes(pages: u64) -> u64 {
    match pages {
        quota::Limits::NONE => u64::MAX,
        pages => pages << PAGE_SHIFT,
    }
}

/// Returns `major << 16 | minor << 8 | patch` of `version`, a line of these three with dots
/// between: as `KERNEL_VERSION()` in C.
const fn version_number(version: &str) -> u32 {
    let text = version.as_bytes();
    let (mut number, mut part, mut dots, mut at) = (0, 0, 0, 0);

    while at < text.len() && text[at] != b'\n' {
        match text[at] {
            digit @ b'0'..=b'9' => part = part * 10 + (digit - b'0') as u32,
            b'.' => {
                number = number << 8 | part;
                part = 0;
                dots += 1;
            }
            _ => panic!("VERSION is not three numbers with dots between"),
        }
        assert!(part < 256);
        at += 1;
    }
    assert!(dots == 2);
    number << 8 | part
}
