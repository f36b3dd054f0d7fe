// SPDX-License-Identifier: GPL-2.0

//! The structs and ioctls of `udmabuf_importer.h`, as userspace passes them.
//!
//! Plain bytes: nothing in here has been checked. `abi_check.c` holds the C header to the numbers
//! asserted at the end of this file.

use core::mem::{
    offset_of,
    size_of, //
};
use kernel::{
    ioctl::{
        _IO,
        _IOW,
        _IOWR, //
    },
    prelude::*, //
};
use zerocopy_derive::Immutable;

/// `IMPORTER_MMAP_SHIFT`
pub(crate) const MMAP_SHIFT: usize = 30;
/// `IMPORTER_SLOTS`
pub(crate) const SLOTS: usize = 32;

/// `IMPORTER_FAUX`
pub(crate) const FAUX: u32 = 0;
/// `IMPORTER_EDU`
pub(crate) const EDU: u32 = 1;
/// `IMPORTER_NO_DRIVER`
pub(crate) const NO_DRIVER: u32 = 2;
/// `IMPORTER_FAUX_2`
pub(crate) const FAUX_2: u32 = 3;
/// `IMPORTER_FAUX_3`
pub(crate) const FAUX_3: u32 = 4;
/// `IMPORTER_AGAIN`
pub(crate) const AGAIN: u32 = 0x100;

/// `IMPORTER_NO_MASK`
pub(crate) const NO_MASK: u32 = 1;
/// `IMPORTER_NO_COHERENT_MASK`
pub(crate) const NO_COHERENT_MASK: u32 = 2;

/// `IMPORTER_ATTACH_EACH`
pub(crate) const ATTACH_EACH: u32 = 1;

/// `struct importer_limits`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct LimitsArgs {
    pub(crate) max_segment: u32,
    pub(crate) flags: u32,
    pub(crate) boundary: u64,
    pub(crate) dma_mask: u64,
    pub(crate) coherent_mask: u64,
}

/// `struct importer_map`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct MapArgs {
    pub(crate) slot: u32,
    pub(crate) fd: i32,
    pub(crate) direction: u32,
    pub(crate) device: u32,
}

/// `struct importer_map_many`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct MapManyArgs {
    pub(crate) fd: i32,
    pub(crate) direction: u32,
    pub(crate) device: u32,
    pub(crate) flags: u32,
    pub(crate) count: u32,
}

/// `struct importer_bytes`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct BytesArgs {
    pub(crate) slot: u32,
    pub(crate) pad: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) address: u64,
}

/// `struct importer_store`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct StoreArgs {
    pub(crate) slot: u32,
    pub(crate) owner: u32,
    pub(crate) value: u32,
    pub(crate) pad: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) address: u64,
}

/// `struct importer_segments`
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, Default)]
pub(crate) struct SegmentsArgs {
    pub(crate) slot: u32,
    pub(crate) count: u32,
    pub(crate) longest: u64,
    pub(crate) total: u64,
    pub(crate) crossed: u64,
    pub(crate) highest: u64,
    pub(crate) elsewhere: u32,
    pub(crate) translated: u32,
}

/// `struct importer_vmap`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct VmapArgs {
    pub(crate) slot: u32,
    pub(crate) fd: i32,
}

/// `struct importer_access`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct AccessArgs {
    pub(crate) fd: i32,
    pub(crate) direction: u32,
}

/// `struct importer_fence`
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct FenceArgs {
    pub(crate) slot: u32,
    pub(crate) fd: i32,
    pub(crate) writes: u32,
    pub(crate) pad: u32,
}

const I: u32 = 'I' as u32;

pub(crate) const IMPORTER_LIMITS: u32 = _IOW::<LimitsArgs>(I, 1);
pub(crate) const IMPORTER_MAP: u32 = _IOW::<MapArgs>(I, 2);
pub(crate) const IMPORTER_UNMAP: u32 = _IO(I, 3);
pub(crate) const IMPORTER_READ: u32 = _IOW::<BytesArgs>(I, 4);
pub(crate) const IMPORTER_WRITE: u32 = _IOW::<BytesArgs>(I, 5);
pub(crate) const IMPORTER_SEGMENTS: u32 = _IOWR::<SegmentsArgs>(I, 6);
pub(crate) const IMPORTER_CHANGE_TABLE: u32 = _IO(I, 7);
pub(crate) const IMPORTER_LEAK: u32 = _IO(I, 8);
pub(crate) const IMPORTER_MAP_MANY: u32 = _IOW::<MapManyArgs>(I, 9);
pub(crate) const IMPORTER_UNMAP_MANY: u32 = _IO(I, 10);
pub(crate) const IMPORTER_STORE: u32 = _IOW::<StoreArgs>(I, 11);

pub(crate) const IMPORTER_VMAP: u32 = _IOW::<VmapArgs>(I, 16);
pub(crate) const IMPORTER_VUNMAP: u32 = _IO(I, 17);
pub(crate) const IMPORTER_VMAP_READ: u32 = _IOW::<BytesArgs>(I, 18);
pub(crate) const IMPORTER_VMAP_WRITE: u32 = _IOW::<BytesArgs>(I, 19);
pub(crate) const IMPORTER_MMAP: u32 = _IO(I, 20);

pub(crate) const IMPORTER_BEGIN: u32 = _IOW::<AccessArgs>(I, 24);
pub(crate) const IMPORTER_END: u32 = _IOW::<AccessArgs>(I, 25);

pub(crate) const IMPORTER_FENCE: u32 = _IOW::<FenceArgs>(I, 32);
pub(crate) const IMPORTER_SIGNAL: u32 = _IO(I, 33);

pub(crate) const IMPORTER_UNPLUG: u32 = _IO(I, 40);
pub(crate) const IMPORTER_PLUG: u32 = _IO(I, 41);
pub(crate) const IMPORTER_ADD_AND_REMOVE: u32 = _IO(I, 42);
pub(crate) const IMPORTER_REFUSE: u32 = _IO(I, 43);

/// Asserts the size of a struct and the offset of each field; sizes of fields follow, as there is
/// no room between them.
macro_rules! layout {
    ($name:ident: $size:literal, $($field:ident: $offset:literal),+) => {
        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(offset_of!($name, $field) == $offset);)+
        };
    };
}

layout!(LimitsArgs: 32, max_segment: 0, flags: 4, boundary: 8, dma_mask: 16, coherent_mask: 24);
layout!(MapArgs: 16, slot: 0, fd: 4, direction: 8, device: 12);
layout!(MapManyArgs: 20, fd: 0, direction: 4, device: 8, flags: 12, count: 16);
layout!(BytesArgs: 32, slot: 0, pad: 4, offset: 8, length: 16, address: 24);
layout!(StoreArgs: 40, slot: 0, owner: 4, value: 8, pad: 12, offset: 16, length: 24, address: 32);
layout!(SegmentsArgs: 48, slot: 0, count: 4, longest: 8, total: 16, crossed: 24, highest: 32,
        elsewhere: 40, translated: 44);
layout!(VmapArgs: 8, slot: 0, fd: 4);
layout!(AccessArgs: 8, fd: 0, direction: 4);
layout!(FenceArgs: 16, slot: 0, fd: 4, writes: 8, pad: 12);
