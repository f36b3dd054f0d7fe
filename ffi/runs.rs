// SPDX-License-Identifier: GPL-2.0

//! Loops over the pages of a buffer, where a call of C for each page would cost too much.
//!
//! C header: `ffi/runs.h`.

use kernel::{
    bindings::{
        page,
        scatterlist,
        vm_area_struct, //
    },
    ffi::{
        c_int,
        c_ulong, //
    },
};

/// A run of pages: `struct rs_run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RawRun {
    /// Offset in the buffer, in pages.
    pub page: usize,
    /// Page frame number.
    pub frame: usize,
}

shims! {
    fn unpin_runs(
        run: *const RawRun,
        last: *const RawRun,
        pages: usize,
        at: usize,
        until: usize,
        tails: bool,
        make_dirty: bool,
    ) -> usize;
    fn count_segments(
        run: *const RawRun,
        last: *const RawRun,
        pages: usize,
        max_pages: usize,
        boundary_pages: usize,
    ) -> usize;
    fn fill_segments(
        sg: *mut scatterlist,
        run: *const RawRun,
        last: *const RawRun,
        pages: usize,
        max_pages: usize,
        boundary_pages: usize,
    );
    fn pages_are_poisoned(pfn: c_ulong, count: c_ulong) -> bool;
    fn fill_pages(
        pages: *mut *mut page,
        run: *const RawRun,
        last: *const RawRun,
        at: usize,
        end: usize,
    );
    fn fill_entries(
        vma: *mut vm_area_struct,
        address: c_ulong,
        run: *const RawRun,
        last: *const RawRun,
        at: usize,
        end: usize,
        inserted: usize,
    ) -> c_int;
}
