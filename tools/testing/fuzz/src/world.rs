// SPDX-License-Identifier: GPL-2.0

//! The state that threads of a program share: slots of descriptors, and windows of memory.

use crate::{
    shared::Shared,
    sys::{self, Errno, HUGE, PAGE, SCRATCH, SCRATCH_SIZE, WINDOWS, WINDOW_COUNT, WINDOW_STEP},
};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// A descriptor, or -1.
pub struct Slot(AtomicI32);

impl Slot {
    const fn new() -> Self {
        Self(AtomicI32::new(-1))
    }

    /// Returns the descriptor.
    pub fn get(&self) -> i32 {
        self.0.load(Relaxed)
    }

    /// Closes the descriptor for another one.
    pub fn set(&self, fd: i32) {
        sys::close(self.0.swap(fd, Relaxed));
    }
}

/// The slots.
pub struct World {
    /// Open files of the node.
    pub nodes: [Slot; 2],
    /// Memfds.
    pub memfds: [Slot; 4],
    /// dma-bufs.
    pub buffers: [Slot; 6],
    /// Sync files.
    pub fences: [Slot; 2],
    /// The open file of the importer.
    pub importer: Slot,
    /// A pipe.
    pub pipe: [Slot; 2],
    /// The memory that is shared with the fuzzer.
    pub shared: &'static Shared,
}

impl World {
    /// A world with an open node, and nothing else.
    pub fn new(shared: &'static Shared) -> Self {
        let world = Self {
            nodes: [const { Slot::new() }; 2],
            memfds: [const { Slot::new() }; 4],
            buffers: [const { Slot::new() }; 6],
            fences: [const { Slot::new() }; 2],
            importer: Slot::new(),
            pipe: [const { Slot::new() }; 2],
            shared,
        };

        world.nodes[0].set(sys::open("/dev/udmabuf", libc::O_RDWR).unwrap_or(-1));
        world
    }

    /// Returns the importer's descriptor, which is opened at the first call.
    pub fn importer(&self) -> i32 {
        if self.importer.get() < 0 {
            self.importer
                .set(sys::open("/dev/udmabuf_importer", libc::O_RDWR).unwrap_or(-1));
        }
        self.importer.get()
    }

    /// Returns one end of the pipe, which is made at the first call.
    pub fn pipe(&self, end: usize) -> i32 {
        if self.pipe[end].get() < 0 {
            let mut ends = [-1i32; 2];
            let _ = sys::call(
                libc::SYS_pipe2,
                &[&raw mut ends as usize, libc::O_NONBLOCK as usize],
            );

            self.pipe[0].set(ends[0]);
            self.pipe[1].set(ends[1]);
        }
        self.pipe[end].get()
    }
}

/// Sizes of memfds, in pages.
const SIZES: [usize; 16] = [
    1, 1, 2, 3, 4, 8, 16, 33, 64, 128, 256, 512, 513, 1024, 1536, 2048,
];

/// Returns the size that an argument stands for, in bytes.
pub fn size(class: u8) -> usize {
    SIZES[class as usize % SIZES.len()] * PAGE
}

/// Returns an address in a window: at a page of it, or before its first large page.
pub fn window(which: u8, page: usize) -> usize {
    let shift = if which & 0x80 != 0 { HUGE - PAGE } else { HUGE };

    WINDOWS + which as usize % WINDOW_COUNT * WINDOW_STEP + shift + page % 4096 * PAGE
}

/// Offset of a page of the scratch memory that cannot be written.
const READ_ONLY: usize = sys::SCRATCH_SIZE / 2;

/// Maps the scratch memory of a thread. Its last page is left out, and one cannot be written.
pub fn map_scratch(thread: usize) -> Result<(), Errno> {
    let start = SCRATCH + thread * SCRATCH_SIZE;

    sys::map_fixed(
        start,
        SCRATCH_SIZE - PAGE,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE,
    )?;
    sys::call(
        libc::SYS_mprotect,
        &[start + READ_ONLY, PAGE, libc::PROT_READ as usize],
    )?;
    Ok(())
}

/// Returns an address for an argument of `size` bytes, and whether it can be written.
pub fn argument(thread: usize, oddity: u8, size: usize) -> (usize, bool) {
    let start = SCRATCH + thread * SCRATCH_SIZE;

    match oddity {
        1 => (0, false),
        2 => (0xffff_8880_0000_0000, false),
        // The end of it is not mapped.
        3 => (start + SCRATCH_SIZE - PAGE - size / 2, false),
        // It cannot be written.
        4 => (start + READ_ONLY, false),
        5 => (1, false),
        _ => (start, true),
    }
}
