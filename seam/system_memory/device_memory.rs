// SPDX-License-Identifier: GPL-2.0

//! Memory that a device reaches, allocated for it in pieces.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::pass::{
    Until,
    Words,
    BATCH,
    WORDS, //
};
use crate::{
    ffi,
    seam::{
        device::as_raw,
        dma::{
            self,
            Ranges, //
        },
        gfp::{
            GFP_CHARGED,
            GFP_CHARGED_RAW,
            GFP_CHARGED_TRY_RAW, //
        },
        quota::Staged,
        scatterlist::{
            MappedSegment,
            SegmentLimits, //
        },
        task, //
    },
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    device::Device,
    dma::{
        DataDirection,
        DmaAddress, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    pr_warn_once,
    prelude::*,
    sync::aref::ARef, //
};

/// Largest order of pages that are allocated at once: larger ones are not to be had.
pub(super) const MAX_ORDER: u32 = 10;

/// Direction of memory that is allocated for DMA: any.
const DIRECTION: DataDirection = DataDirection::Bidirectional;

/// Charges a number of pages of a staging or base: [`Policy::charge_staging`].
///
/// [`Policy::charge_staging`]: super::Policy::charge_staging
pub(super) type ChargePages<'a> = &'a dyn Fn(usize) -> Result<Staged>;

/// Pages that lie in a row.
#[derive(Clone, Copy)]
struct Chunk {
    words: NonNull<usize>,
    page: *mut bindings::page,
    address: DmaAddress,
    order: u32,
}

impl Chunk {
    fn pages(&self) -> usize {
        1 << self.order
    }

    fn bytes(&self) -> usize {
        PAGE_SIZE << self.order
    }
}

/// How memory for a device is allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `dma_alloc_pages()`.
    Pages,
    /// `dma_alloc_coherent()`.
    Coherent,
}

/// Memory that a device reaches, of zeroes at first.
///
/// # Invariants
///
/// The chunks are allocated as `kind` says, for `device`.
pub(super) struct DeviceMemory {
    chunks: KVVec<Chunk>,
    kind: Kind,
    ranges: Ranges,
    device: ARef<Device>,
    charge: Staged,
}

// SAFETY: The chunks belong to the value and to no task.
unsafe impl Send for DeviceMemory {}

impl DeviceMemory {
    /// Allocates `nr_pages` pages.
    ///
    /// Fails as `charge` does, with [`ENOMEM`] if there is no memory, with [`EIO`] if none can be
    /// allocated within the reach of the device, and with `ERESTARTSYS` if a signal arrives first.
    pub(super) fn new(device: &Device, nr_pages: usize, charge: ChargePages<'_>) -> Result<Self> {
        let raw = as_raw(device);
        // SAFETY: The reference guarantees a valid device; these read its properties.
        let (has_mask, plain, cma) = unsafe {
            (
                (*raw).coherent_dma_mask != 0,
                ffi::dev_is_dma_coherent(raw) && ffi::get_dma_ops(raw).is_null(),
                !ffi::dev_get_cma_area(raw).is_null(),
            )
        };
        if !has_mask {
            return Err(EIO);
        }

        let charge = charge(nr_pages)?;
        // INVARIANT: No chunks yet.
        let mut this = Self {
            chunks: KVVec::new(),
            kind: match plain {
                true => Kind::Pages,
                false => Kind::Coherent,
            },
            ranges: Ranges::of(device),
            device: device.into(),
            charge,
        };
        let highest = dma::max_address(device);
        // Larger ones would come from the CMA area, which others need.
        let mut order = if cma { 0 } else { MAX_ORDER };
        let mut left = nr_pages;
        while left > 0 {
            order = order.min(left.ilog2());
            this.chunks.reserve(1, GFP_CHARGED)?;
            match this.allocate(order, highest) {
                Ok(chunk) => {
                    // INVARIANT: The chunk was just allocated.
                    this.chunks.push(chunk, GFP_CHARGED)?;
                    left -= chunk.pages();
                }
                Err(error) if order == 0 => return Err(error),
                Err(_) => order -= 1,
            }
            Until::Signal.check()?;
        }
        Ok(this)
    }

    /// Returns the size in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.charge.bytes()
    }

    /// Returns the device that reaches the memory.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the pages in turn.
    #[inline(always)]
    pub(super) fn pages(&self) -> impl Iterator<Item = Words<'_>> {
        self.chunks.iter().flat_map(|chunk| {
            // SAFETY: By the type invariants, the chunk is allocated, and is as many pages long.
            (0..chunk.pages()).map(|at| unsafe { Words::new(chunk.words.add(at * WORDS)) })
        })
    }

    /// Returns the memory as segments within `limits`.
    pub(super) fn segments(
        &self,
        limits: SegmentLimits,
    ) -> impl Iterator<Item = MappedSegment> + '_ {
        self.chunks
            .iter()
            .flat_map(move |chunk| segments_of(*chunk, limits))
    }

    /// Fails with [`ENOMEM`], and with [`EIO`] if the device does not reach what is allocated.
    fn allocate(&self, order: u32, highest: u64) -> Result<Chunk> {
        let (device, bytes) = (as_raw(&self.device), PAGE_SIZE << order);
        let gfp = match order {
            0 => GFP_CHARGED_RAW,
            _ => GFP_CHARGED_TRY_RAW,
        };
        let mut address = 0;
        // SAFETY: The reference guarantees a valid device, which has a coherent mask. The flags are
        // none that the functions refuse.
        let (page, words) = unsafe {
            match self.kind {
                Kind::Pages => {
                    let page = bindings::dma_alloc_pages(
                        device,
                        bytes,
                        &mut address,
                        DIRECTION.into(),
                        gfp,
                    );
                    if page.is_null() {
                        return Err(ENOMEM);
                    }
                    (page, ffi::lowmem_page_address(page))
                }
                Kind::Coherent => {
                    let words = bindings::dma_alloc_attrs(
                        device,
                        bytes,
                        &mut address,
                        gfp,
                        bindings::DMA_ATTR_NO_WARN as c_ulong,
                    );
                    if words.is_null() {
                        return Err(ENOMEM);
                    }
                    (ffi::dma_coherent_page(words), words)
                }
            }
        };
        let chunk = Chunk {
            // SAFETY: Never NULL: checked above, and lowmem pages have an address.
            words: unsafe { NonNull::new_unchecked(words.cast()) },
            page,
            address,
            order,
        };

        // The functions look at the coherent mask, which may be larger than that for streaming.
        let address = dma::number(address);
        if address > highest || highest - address < bytes as u64 - 1 {
            self.free(chunk);
            return Err(EIO);
        }
        Ok(chunk)
    }

    fn free(&self, chunk: Chunk) {
        let device = as_raw(&self.device);

        // SAFETY: `allocate()` has returned the chunk for this device, and nobody uses it.
        unsafe {
            match self.kind {
                Kind::Pages => bindings::dma_free_pages(
                    device,
                    chunk.bytes(),
                    chunk.page,
                    chunk.address,
                    DIRECTION.into(),
                ),
                Kind::Coherent => bindings::dma_free_attrs(
                    device,
                    chunk.bytes(),
                    chunk.words.as_ptr().cast(),
                    chunk.address,
                    bindings::DMA_ATTR_NO_WARN as c_ulong,
                ),
            }
        };
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // `dma_free_coherent()` finds the pages by their address for the device.
        if self.kind == Kind::Coherent && self.ranges != Ranges::of(&self.device) {
            pr_warn_once!("a device has gone with a dma-buf mapped: its staging is leaked\n");
            return;
        }
        for (at, chunk) in self.chunks.iter().enumerate() {
            self.free(*chunk);
            task::resched_every(at, BATCH);
        }
    }
}

/// Splits a chunk into segments within `limits`.
fn segments_of(chunk: Chunk, limits: SegmentLimits) -> impl Iterator<Item = MappedSegment> {
    let mut at = 0;

    core::iter::from_fn(move || {
        let left = chunk.pages() - at;
        if left == 0 {
            return None;
        }

        // CAST: A DMA address is at least as wide as its page number.
        let first = (chunk.address >> PAGE_SHIFT) as usize + at;
        let boundary = limits.boundary_pages - (first & (limits.boundary_pages - 1));
        let pages = left.min(limits.max_pages).min(boundary);
        let segment = MappedSegment {
            page: chunk.page.wrapping_add(at),
            address: chunk.address + (at << PAGE_SHIFT) as DmaAddress,
            // CAST: A chunk is less than 4 GiB.
            length: (pages << PAGE_SHIFT) as c_uint,
        };
        at += pages;
        Some(segment)
    })
}
