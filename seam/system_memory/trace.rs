// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of a buffer.
//!
//! Each event costs a look at its static key while it is off, and nothing else.

use super::{
    memory::{
        Policy,
        SystemMemory, //
    },
    settle::{
        Bytes,
        Point, //
    }, //
};
use crate::{
    ffi::trace,
    seam::{
        device::as_raw,
        dma_buf::{
            Exported,
            Restrictions, //
        },
        mm::StableMemory, //
    },
};
use core::cell::Cell;
use kernel::{
    device::Device,
    dma::DataDirection,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// Flags of a buffer in the event of its creation; `ffi/trace.h` names them.
const READ_ONLY: u32 = 1;
const NO_CPU_MAP: u32 = 2;

// `ffi/trace.h` has these numbers.
const _: () = assert!(Point::Start as u32 == 0 && Point::End as u32 == 1);
const _: () = assert!(Point::Map as u32 == 2 && Point::Unmap as u32 == 3);

/// Inode number by which events name a buffer; 0 until it is exported.
pub(super) struct BufferId(Atomic<u64>);

impl BufferId {
    #[inline]
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Sets the inode number and records the creation of `buffer`.
    ///
    /// # Safety
    ///
    /// The dma-buf must not have a descriptor yet.
    #[inline]
    pub(super) unsafe fn created<P: Policy>(&self, buffer: &Exported<SystemMemory<P>>) {
        self.0.store(buffer.inode_number(), Relaxed);
        if trace::create::is_on() {
            out_of_line(|| {
                let runs = buffer.data().memory.runs().iter().count();
                let flags = flags_of(buffer.restrictions());

                // SAFETY: The reference guarantees a valid dma-buf. By the safety requirements it
                // has no descriptor, so no other task can rename it.
                unsafe { trace::create::record(buffer.as_raw(), runs, flags) };
            });
        }
    }

    /// Records the release of a buffer of `size` bytes, unless it was never exported.
    #[inline]
    pub(super) fn released(&self, size: usize) {
        if trace::release::is_on() && self.number() != 0 {
            // SAFETY: The arguments are numbers.
            out_of_line(|| unsafe { trace::release::record(self.number(), size) });
        }
    }

    /// Records a mapping of a buffer of `size` bytes.
    #[inline]
    pub(super) fn mapped(
        &self,
        size: usize,
        device: &Device,
        direction: DataDirection,
        staged: bool,
    ) {
        if trace::map::is_on() {
            let (device, direction) = (as_raw(device), direction as u32);

            // SAFETY: The reference guarantees a valid device.
            out_of_line(|| unsafe {
                trace::map::record(self.number(), size, device, direction, staged)
            });
        }
    }

    /// Records the end of a mapping of a buffer of `size` bytes.
    #[inline]
    pub(super) fn unmapped(
        &self,
        size: usize,
        device: &Device,
        direction: DataDirection,
        staged: bool,
    ) {
        if trace::unmap::is_on() {
            let (device, direction) = (as_raw(device), direction as u32);

            // SAFETY: The reference guarantees a valid device.
            out_of_line(|| unsafe {
                trace::unmap::record(self.number(), size, device, direction, staged)
            });
        }
    }

    /// Records a settle of a buffer of `size` bytes, with its result.
    #[cold]
    #[inline(never)]
    pub(super) fn settled(&self, size: usize, point: Point, settle: &Settle, result: Result) {
        let ret = match result {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        };
        let ns = settle.begun.elapsed().as_nanos();

        // SAFETY: The arguments are numbers.
        unsafe {
            trace::settle::record(
                self.number(),
                size,
                point as u32,
                settle.fetched.get(),
                settle.pushed.get(),
                // CAST: The clock is monotonic, so the time is not negative.
                ns as u64,
                ret,
            )
        };
    }

    /// Returns the inode number.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Calls `record`, out of line so that callers do not spill registers for it.
#[cold]
#[inline(never)]
fn out_of_line(record: impl FnOnce()) {
    record();
}

fn flags_of(restrictions: Restrictions) -> u32 {
    let mut flags = 0;

    if restrictions.read_only {
        flags |= READ_ONLY;
    }
    if restrictions.no_cpu_mapping {
        flags |= NO_CPU_MAP;
    }
    flags
}

/// A settle that is going to be recorded.
pub(super) struct Settle {
    begun: Instant<Monotonic>,
    /// Bytes of memory that have changed.
    pub(super) fetched: Cell<usize>,
    /// Bytes of stagings that have changed.
    pub(super) pushed: Cell<usize>,
}

impl Settle {
    /// Begins one, if settles are recorded.
    #[inline]
    pub(super) fn begin() -> Option<Self> {
        trace::settle::is_on().then(|| Self {
            begun: Instant::now(),
            fetched: Cell::new(0),
            pushed: Cell::new(0),
        })
    }
}

/// The destination of a merge. Counts bytes that change.
pub(super) struct Counted<'a, T> {
    pub(super) to: T,
    pub(super) count: &'a Cell<usize>,
}

impl<T: Bytes> Bytes for Counted<'_, T> {
    fn load(&self, at: usize) -> usize {
        self.to.load(at)
    }

    fn store(&self, at: usize, word: usize) {
        let differing = (self.to.load(at) ^ word).to_ne_bytes();

        self.count
            .set(self.count.get() + differing.into_iter().filter(|&byte| byte != 0).count());
        self.to.store(at, word);
    }

    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        self.count.set(self.count.get() + 1);
        self.to.store_byte(at, byte, value);
    }
}
