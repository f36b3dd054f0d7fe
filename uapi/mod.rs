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
    ioctl::_IOW,
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

/// Makes a buffer of one range; takes [`Create`].
pub(crate) const UDMABUF_CREATE: u32 = _IOW::<Create>('u' as u32, 0x42);

/// Makes a buffer of a list of ranges; takes [`CreateList`] and the items behind it.
pub(crate) const UDMABUF_CREATE_LIST: u32 = _IOW::<CreateList>('u' as u32, 0x43);

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
};
