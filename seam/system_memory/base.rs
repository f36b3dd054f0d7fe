// SPDX-License-Identifier: GPL-2.0

//! The bytes that memory and staging last agreed on.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use super::{
    device_memory::{
        ChargePages,
        MAX_ORDER, //
    },
    pass::{
        Until,
        BATCH,
        WORDS, //
    },
};
use crate::{
    ffi,
    seam::{
        gfp::{
            GFP_CHARGED,
            GFP_CHARGED_RAW,
            GFP_CHARGED_TRY_RAW, //
        },
        quota::Staged,
        task, //
    },
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

/// Memory of the kernel as large as a staging, of undefined content at first.
///
/// It is allocated in chunks, as large as they are to be had: a page of `vmalloc()` takes more
/// instructions than all else that mapping a page does, as each is charged on its own.
///
/// # Invariants
///
/// Each chunk is an allocation of the pages of its order.
pub(super) struct Base {
    chunks: KVVec<(NonNull<usize>, u32)>,
    charge: Staged,
}

// SAFETY: The chunks belong to the value and to no task.
unsafe impl Send for Base {}

impl Base {
    /// Allocates `nr_pages` pages.
    ///
    /// Fails as `charge` does, with [`ENOMEM`] if there is no memory, and with `ERESTARTSYS` if a
    /// signal arrives first.
    pub(super) fn new(nr_pages: usize, charge: ChargePages<'_>) -> Result<Self> {
        // INVARIANT: No chunks yet.
        let mut this = Self {
            chunks: KVVec::new(),
            charge: charge(nr_pages)?,
        };
        let (mut left, mut order) = (nr_pages, MAX_ORDER);

        while left > 0 {
            order = order.min(left.ilog2());
            this.chunks.reserve(1, GFP_CHARGED)?;
            match allocate(order) {
                Some(chunk) => {
                    // INVARIANT: The chunk was just allocated.
                    this.chunks.push((chunk, order), GFP_CHARGED)?;
                    left -= 1 << order;
                }
                None if order == 0 => return Err(ENOMEM),
                None => order -= 1,
            }
            Until::Signal.check()?;
        }
        Ok(this)
    }

    /// Returns the size in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.charge.bytes()
    }

    /// Returns the pages in turn, of [`WORDS`] words each.
    #[inline(always)]
    pub(super) fn pages(&mut self) -> impl Iterator<Item = &mut [usize; WORDS]> {
        self.chunks.iter().flat_map(|&(chunk, order)| {
            // SAFETY: By the type invariants, the chunk is allocated, and has as many pages. Each
            // is returned once, and the value is exclusively borrowed.
            (0..1 << order).map(move |at| unsafe { chunk.add(at * WORDS).cast().as_mut() })
        })
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        for (at, (chunk, order)) in self.chunks.iter().enumerate() {
            // SAFETY: By the type invariants, this is an allocation of that order, and nobody uses
            // it.
            unsafe { bindings::free_pages(chunk.as_ptr().addr(), *order) };
            task::resched_every(at, BATCH);
        }
    }
}

/// Allocates `1 << order` pages in a row; larger ones without an effort.
fn allocate(order: u32) -> Option<NonNull<usize>> {
    let gfp = match order {
        0 => GFP_CHARGED_RAW,
        _ => GFP_CHARGED_TRY_RAW,
    };
    // SAFETY: No requirements.
    let page = unsafe { bindings::alloc_pages(gfp, order) };

    if page.is_null() {
        return None;
    }
    // SAFETY: The page was just allocated.
    NonNull::new(unsafe { ffi::lowmem_page_address(page).cast() })
}
