// SPDX-License-Identifier: GPL-2.0

//! The layouts of `uapi/linux/udmabuf.h`, as userspace passes them.
//!
//! Plain bytes: nothing in here has been checked. `uapi/check.c` holds the C header to the numbers
//! asserted at the end of this file.

use core::mem::{
    offset_of,
    size_of, //
};
use kernel::{
    ioctl::{
        _IO,
        _IOW, //
    },
    prelude::*, //
};
use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};

/// `UDMABUF_FLAGS_CLOEXEC`: the new descriptor is closed on exec.
pub(crate) const FLAGS_CLOEXEC: u32 = 0x01;

/// `struct udmabuf_create`: the argument of [`UDMABUF_CREATE`].
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
pub(crate) struct Create {
    pub(crate) memfd: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct udmabuf_create_item`: one range of [`UDMABUF_CREATE_LIST`].
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub(crate) struct CreateItem {
    pub(crate) memfd: u32,
    pub(crate) pad: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct udmabuf_create_list` without the items that follow it in memory.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
pub(crate) struct CreateList {
    pub(crate) flags: u32,
    pub(crate) count: u32,
}

/// `UDMABUF_EXT_CLOEXEC`: the new descriptor is closed on exec.
pub(crate) const EXT_CLOEXEC: u64 = 1 << 0;

/// `UDMABUF_EXT_READ_ONLY`: the buffer refuses write access.
pub(crate) const EXT_READ_ONLY: u64 = 1 << 1;

/// `UDMABUF_EXT_NO_CPU_MAP`: the CPU cannot map the buffer.
pub(crate) const EXT_NO_CPU_MAP: u64 = 1 << 2;

/// All flags of [`UDMABUF_CREATE_EXT`].
pub(crate) const EXT_FLAGS: u64 = EXT_CLOEXEC | EXT_READ_ONLY | EXT_NO_CPU_MAP;

/// `UDMABUF_CACHE_CACHED`: the CPU maps the buffer cached.
pub(crate) const CACHE_CACHED: u32 = 0;

/// `struct udmabuf_create_ext`: the argument of [`UDMABUF_CREATE_EXT`].
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
pub(crate) struct CreateExt {
    pub(crate) size: u32,
    pub(crate) cache: u32,
    pub(crate) flags: u64,
    pub(crate) items: u64,
    pub(crate) count: u32,
    pub(crate) reserved: u32,
    pub(crate) name: u64,
}

/// Size of [`CreateExt`] in its first version.
pub(crate) const CREATE_EXT_SIZE_VER0: usize = 40;

/// `UDMABUF_API_VERSION`: version of the header.
pub(crate) const API_VERSION: u32 = 1;

/// `struct udmabuf_query`: the answer of [`UDMABUF_QUERY`].
#[repr(C)]
#[derive(Clone, Copy, IntoBytes)]
pub(crate) struct Query {
    pub(crate) size: u32,
    pub(crate) api_version: u32,
    pub(crate) module_version: u32,
    pub(crate) list_limit: u32,
    pub(crate) flags: u64,
    pub(crate) cache: u64,
    pub(crate) size_limit: u64,
    pub(crate) staging_limit: u64,
    pub(crate) user_limit: u64,
    pub(crate) total_limit: u64,
}

/// Size of [`Query`] in its first version.
pub(crate) const QUERY_SIZE_VER0: usize = 64;

/// Makes a buffer of one range; takes [`Create`].
pub(crate) const UDMABUF_CREATE: u32 = _IOW::<Create>('u' as u32, 0x42);

/// Makes a buffer of a list of ranges; takes [`CreateList`] and the items behind it.
pub(crate) const UDMABUF_CREATE_LIST: u32 = _IOW::<CreateList>('u' as u32, 0x43);

/// Makes a buffer of a list of ranges, strictly; takes [`CreateExt`].
pub(crate) const UDMABUF_CREATE_EXT: u32 = _IO('u' as u32, 0xe0);

/// Returns the abilities and limits of the driver; fills [`Query`].
pub(crate) const UDMABUF_QUERY: u32 = _IO('u' as u32, 0xe1);

const _: () = {
    assert!(size_of::<Create>() == 24);
    assert!(offset_of!(Create, memfd) == 0);
    assert!(offset_of!(Create, flags) == 4);
    assert!(offset_of!(Create, offset) == 8);
    assert!(offset_of!(Create, size) == 16);

    assert!(size_of::<CreateItem>() == 24);
    assert!(offset_of!(CreateItem, memfd) == 0);
    assert!(offset_of!(CreateItem, pad) == 4);
    assert!(offset_of!(CreateItem, offset) == 8);
    assert!(offset_of!(CreateItem, size) == 16);

    assert!(size_of::<CreateList>() == 8);
    assert!(offset_of!(CreateList, flags) == 0);
    assert!(offset_of!(CreateList, count) == 4);

    assert!(FLAGS_CLOEXEC == 1);

    assert!(size_of::<CreateExt>() == CREATE_EXT_SIZE_VER0);
    assert!(offset_of!(CreateExt, size) == 0);
    assert!(offset_of!(CreateExt, cache) == 4);
    assert!(offset_of!(CreateExt, flags) == 8);
    assert!(offset_of!(CreateExt, items) == 16);
    assert!(offset_of!(CreateExt, count) == 24);
    assert!(offset_of!(CreateExt, reserved) == 28);
    assert!(offset_of!(CreateExt, name) == 32);

    assert!(size_of::<Query>() == QUERY_SIZE_VER0);
    assert!(offset_of!(Query, size) == 0);
    assert!(offset_of!(Query, api_version) == 4);
    assert!(offset_of!(Query, module_version) == 8);
    assert!(offset_of!(Query, list_limit) == 12);
    assert!(offset_of!(Query, flags) == 16);
    assert!(offset_of!(Query, cache) == 24);
    assert!(offset_of!(Query, size_limit) == 32);
    assert!(offset_of!(Query, staging_limit) == 40);
    assert!(offset_of!(Query, user_limit) == 48);
    assert!(offset_of!(Query, total_limit) == 56);

    assert!(EXT_CLOEXEC == 1 && EXT_READ_ONLY == 2 && EXT_NO_CPU_MAP == 4);
    assert!(CACHE_CACHED == 0 && API_VERSION == 1);
};
