// SPDX-License-Identifier: GPL-2.0

//! Layouts and numbers of uapi/linux/udmabuf.h, linux/dma-buf.h and the importer's header.

#![allow(missing_docs)]

const fn number(direction: u32, letter: u8, number: u32, size: usize) -> u32 {
    direction << 30 | (size as u32) << 16 | (letter as u32) << 8 | number
}
const fn none(letter: u8, at: u32) -> u32 {
    number(0, letter, at, 0)
}
const fn write<T>(letter: u8, at: u32) -> u32 {
    number(1, letter, at, size_of::<T>())
}
const fn both<T>(letter: u8, at: u32) -> u32 {
    number(3, letter, at, size_of::<T>())
}

macro_rules! layouts {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[repr(C)]
            #[derive(Clone, Copy, Default)]
            pub struct $name { $(pub $field: $type),* }
        )*
    };
}

layouts! {
    Create { memfd: u32, flags: u32, offset: u64, size: u64 }
    Item { memfd: u32, pad: u32, offset: u64, size: u64 }
    List { flags: u32, count: u32 }
    Ext { size: u32, cache: u32, flags: u64, items: u64, count: u32, reserved: u32, name: u64 }
    SyncArgs { flags: u64 }
    SyncFile { flags: u32, fd: i32 }
    Limits { max_segment: u32, flags: u32, boundary: u64, dma_mask: u64, coherent_mask: u64 }
    Map { slot: u32, fd: i32, direction: u32, device: u32 }
    MapMany { fd: i32, direction: u32, device: u32, flags: u32, count: u32 }
    Bytes { slot: u32, pad: u32, offset: u64, length: u64, address: u64 }
    Store { slot: u32, owner: u32, value: u32, pad: u32, offset: u64, length: u64, address: u64 }
    Segments {
        slot: u32, count: u32, longest: u64, total: u64, crossed: u64, highest: u64, elsewhere: u32,
        translated: u32,
    }
    Vmap { slot: u32, fd: i32 }
    Access { fd: i32, direction: u32 }
    Fence { slot: u32, fd: i32, writes: u32, pad: u32 }
}

pub const CREATE: u32 = write::<Create>(b'u', 0x42);
pub const CREATE_LIST: u32 = write::<List>(b'u', 0x43);
pub const CREATE_EXT: u32 = none(b'u', 0xe0);
pub const QUERY: u32 = none(b'u', 0xe1);
pub const DMA_BUF_SYNC: u32 = write::<SyncArgs>(b'b', 0);
pub const DMA_BUF_SET_NAME: u32 = write::<u64>(b'b', 1);
pub const DMA_BUF_EXPORT: u32 = both::<SyncFile>(b'b', 2);
pub const DMA_BUF_IMPORT: u32 = write::<SyncFile>(b'b', 3);
pub const SYNC_START: u64 = 0;
pub const SYNC_END: u64 = 4;
pub const SYNC_RW: u64 = 3;
pub const LIMITS: u32 = write::<Limits>(b'I', 1);
pub const MAP: u32 = write::<Map>(b'I', 2);
pub const UNMAP: u32 = none(b'I', 3);
pub const READ: u32 = write::<Bytes>(b'I', 4);
pub const WRITE: u32 = write::<Bytes>(b'I', 5);
pub const SEGMENTS: u32 = both::<Segments>(b'I', 6);
pub const CHANGE_TABLE: u32 = none(b'I', 7);
pub const MAP_MANY: u32 = write::<MapMany>(b'I', 9);
pub const UNMAP_MANY: u32 = none(b'I', 10);
pub const STORE: u32 = write::<Store>(b'I', 11);
pub const VMAP: u32 = write::<Vmap>(b'I', 16);
pub const VUNMAP: u32 = none(b'I', 17);
pub const VMAP_READ: u32 = write::<Bytes>(b'I', 18);
pub const VMAP_WRITE: u32 = write::<Bytes>(b'I', 19);
pub const SHOW: u32 = none(b'I', 20);
pub const BEGIN: u32 = write::<Access>(b'I', 24);
pub const END: u32 = write::<Access>(b'I', 25);
pub const FENCE: u32 = write::<Fence>(b'I', 32);
pub const SIGNAL: u32 = none(b'I', 33);
pub const UNPLUG: u32 = none(b'I', 40);
pub const PLUG: u32 = none(b'I', 41);
pub const ADD_AND_REMOVE: u32 = none(b'I', 42);
pub const SLOTS: u32 = 32;
pub const MMAP_SHIFT: u32 = 30;
pub const AGAIN: u32 = 0x100;
