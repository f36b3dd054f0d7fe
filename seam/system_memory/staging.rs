// SPDX-License-Identifier: GPL-2.0

//! Memory that a device accesses instead of that of the buffer.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use super::{
    coherence::StagingId,
    settle::{
        self,
        Bytes,
        Staging,
        STEP, //
    },
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
        mm::StableMemory,
        runs::Runs,
        scatterlist::{
            MappedSegment,
            SegmentLimits,
            SgTable, //
        },
        task, //
    },
};
use core::{
    cell::Cell,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DmaAddress,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    pr_warn_once,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    },
};

/// Words of a page.
const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// Largest order of pages that are allocated at once: larger ones are not to be had.
const MAX_ORDER: u32 = 10;

/// Pages between two looks at whether to go on: 2 MiB of pages of 4 KiB.
const BATCH: usize = 512;

/// Direction of memory that is allocated for DMA: any.
const DIRECTION: bindings::dma_data_direction = bindings::dma_data_direction::DMA_BIDIRECTIONAL;

/// Bytes of staging and base, of all buffers.
static STAGED: Atomic<usize> = Atomic::new(0);

/// The number of the next staging.
static NEXT_ID: Atomic<usize> = Atomic::new(1);

/// A part of [`STAGED`].
struct Charge(usize);

impl Charge {
    /// Fails with [`ENOMEM`] if all together would be more than `limit`, unless that is 0.
    fn new(bytes: usize, limit: usize) -> Result<Self> {
        let mut staged = STAGED.load(Relaxed);

        loop {
            let sum = staged.checked_add(bytes).ok_or(ENOMEM)?;
            if limit != 0 && sum > limit {
                return Err(ENOMEM);
            }
            match STAGED.cmpxchg(staged, sum, Relaxed) {
                Ok(_) => return Ok(Self(bytes)),
                Err(other) => staged = other,
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        STAGED.fetch_sub(self.0, Relaxed);
    }
}

/// The words of a page that others may write at any time.
///
/// # Invariants
///
/// The pointer is valid for reading and writing [`WORDS`] words.
#[derive(Clone, Copy)]
struct Words(NonNull<usize>);

impl Words {
    /// # Safety
    ///
    /// `page` must be valid for reading and writing [`WORDS`] words until the value is dropped.
    unsafe fn new(page: NonNull<usize>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(page)
    }

    #[inline(always)]
    fn at(&self, at: usize) -> NonNull<usize> {
        // SAFETY: By the type invariants, there are `WORDS` words, a power of two.
        unsafe { self.0.add(at & (WORDS - 1)) }
    }
}

impl Bytes for Words {
    #[inline(always)]
    fn load(&self, at: usize) -> usize {
        // SAFETY: A word of the page. Volatile: one access, whatever others write.
        unsafe { self.at(at).read_volatile() }
    }

    #[inline(always)]
    fn store(&self, at: usize, word: usize) {
        delay();
        // SAFETY: `at()` points to a word of the page. Volatile: one access, whatever others read.
        unsafe { self.at(at).write_volatile(word) };
    }

    #[inline(always)]
    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        let byte = byte & (size_of::<usize>() - 1);

        delay();
        // SAFETY: `at()` points to a word of the page, and `byte` is less than its size. Volatile:
        // one access, whatever others read.
        unsafe { self.at(at).cast::<u8>().add(byte).write_volatile(value) };
    }
}

/// Waits now and then for up to a millisecond, in a build for tests: what others write in the
/// meantime must not be lost.
#[inline(always)]
fn delay() {
    #[cfg(CONFIG_UDMABUF_RS_SETTLE_DELAY)]
    // SAFETY: Settling may sleep.
    unsafe {
        if bindings::get_random_u32() % 64 == 0 {
            // CAST: A small number.
            let most = (bindings::get_random_u32() % 1000 + 1) as c_ulong;

            bindings::usleep_range_state(1, most, bindings::TASK_UNINTERRUPTIBLE);
        }
    }
}

/// A page of the buffer, in the address space of the kernel.
struct MemoryPage {
    page: *mut bindings::page,
    words: Words,
}

impl MemoryPage {
    /// # Safety
    ///
    /// `pfn` must be that of a page that stays until the value is dropped.
    unsafe fn new(pfn: usize) -> Self {
        // SAFETY: The page exists by the safety requirements.
        let (page, address) = unsafe {
            let page = ffi::pfn_to_page(pfn);
            (page, bindings::kmap_local_page(page))
        };
        // SAFETY: A page is mapped at an address, and is as long as the value is there.
        let words = unsafe { Words::new(NonNull::new_unchecked(address.cast())) };

        Self { page, words }
    }

    /// Makes what was written to the page visible to userspace, where caches alias.
    fn flush(&self) {
        // SAFETY: The page is valid.
        unsafe { ffi::flush_dcache_page(self.page) };
    }
}

impl Drop for MemoryPage {
    fn drop(&mut self) {
        // SAFETY: `new()` has mapped it, and values are dropped in reverse order: there is one.
        unsafe { bindings::kunmap_local(self.words.0.as_ptr().cast()) };
    }
}

/// When to give a pass up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// When a signal arrives.
    Signal,
    /// When a signal arrives that kills.
    Fatal,
    /// Not before the end.
    Never,
}

impl Until {
    fn check(self) -> Result {
        let stop = match self {
            Self::Signal => task::signal_pending(),
            Self::Fatal => task::fatal_signal_pending(),
            Self::Never => false,
        };

        match stop {
            true => Err(ERESTARTSYS),
            false => Ok(()),
        }
    }
}

/// A pass over the memory of a buffer.
pub(super) struct Pass<'a> {
    runs: Runs<'a>,
    until: Until,
    poisoned: Cell<bool>,
}

impl<'a> Pass<'a> {
    pub(super) fn new<M: StableMemory>(memory: &'a M, until: Until) -> Self {
        Self {
            runs: StableMemory::runs(memory),
            until,
            poisoned: Cell::new(false),
        }
    }

    /// Returns whether a page was left out since it is poisoned.
    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.get()
    }
}

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

    /// Returns page `at` of the chunk.
    fn page(&self, at: usize) -> NonNull<usize> {
        // SAFETY: The chunk has as many pages.
        unsafe { self.words.add((at & (self.pages() - 1)) * WORDS) }
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
struct DeviceMemory {
    chunks: KVVec<Chunk>,
    kind: Kind,
    ranges: Ranges,
    device: ARef<Device>,
    _charge: Charge,
}

// SAFETY: The chunks belong to the value and to no task.
unsafe impl Send for DeviceMemory {}

impl DeviceMemory {
    fn new(device: &Device, nr_pages: usize, limit: usize) -> Result<Self> {
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

        let charge = Charge::new(nr_pages << PAGE_SHIFT, limit)?;
        // INVARIANT: No chunks yet.
        let mut this = Self {
            chunks: KVVec::new(),
            kind: match plain {
                true => Kind::Pages,
                false => Kind::Coherent,
            },
            ranges: Ranges::of(device),
            device: device.into(),
            _charge: charge,
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
            task::cond_resched();
        }
        Ok(this)
    }

    /// Fails with [`ENOMEM`], and with [`EIO`] if the device does not reach what is allocated.
    fn allocate(&self, order: u32, highest: u64) -> Result<Chunk> {
        let (device, bytes) = (as_raw(&self.device), PAGE_SIZE << order);
        let gfp = match order {
            0 => GFP_CHARGED_RAW,
            _ => GFP_CHARGED_TRY_RAW,
        };
        let mut address = 0;
        // SAFETY: The device is valid and has a coherent mask. The flags are none that the
        // functions refuse.
        let (page, words) = unsafe {
            match self.kind {
                Kind::Pages => {
                    let page =
                        bindings::dma_alloc_pages(device, bytes, &mut address, DIRECTION, gfp);
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
            // SAFETY: Neither is NULL: lowmem pages have an address.
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
                    DIRECTION,
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

/// The bytes that memory and staging last agreed on.
///
/// # Invariants
///
/// The chunks are allocated, and as those of the staging in number and order.
struct Base {
    chunks: KVVec<(NonNull<usize>, u32)>,
    _charge: Charge,
}

// SAFETY: The chunks belong to the value and to no task.
unsafe impl Send for Base {}

impl Base {
    fn new(staging: &DeviceMemory, limit: usize) -> Result<Self> {
        let bytes = staging.chunks.iter().map(Chunk::bytes).sum();
        let mut this = Self {
            chunks: KVVec::with_capacity(staging.chunks.len(), GFP_CHARGED)?,
            _charge: Charge::new(bytes, limit)?,
        };

        for chunk in &staging.chunks {
            // SAFETY: No requirements. A lowmem page has an address.
            let words = unsafe {
                let page = bindings::alloc_pages(GFP_CHARGED_RAW, chunk.order);
                match page.is_null() {
                    true => return Err(ENOMEM),
                    false => NonNull::new_unchecked(ffi::lowmem_page_address(page).cast()),
                }
            };
            this.chunks.push((words, chunk.order), GFP_CHARGED)?;
            Until::Signal.check()?;
            task::cond_resched();
        }
        Ok(this)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        for (at, (words, order)) in self.chunks.iter().enumerate() {
            // SAFETY: `new()` has allocated the chunk, and nobody uses it.
            unsafe { bindings::free_pages(words.as_ptr().addr(), *order) };
            task::resched_every(at, BATCH);
        }
    }
}

/// The staging of one device for one buffer, shared by all attachments of the device.
pub(super) struct StagedDevice {
    id: StagingId,
    memory: DeviceMemory,
    /// For a device that may write.
    base: Option<Base>,
    /// Attachments that have mapped it.
    attachments: usize,
    /// Live mappings, and those of them through which the device may write.
    mappings: usize,
    writers: usize,
    /// What the device has written may not have been fetched.
    is_unsettled: bool,
    /// Mappings that have ended, and count until all is fetched.
    kept_users: usize,
    /// The device is losing its driver: nothing is passed any more.
    is_leaving: bool,
}

impl StagedDevice {
    /// Allocates a staging of `nr_pages` pages, which is to be [filled](Self::fill).
    ///
    /// Fails with [`ENOMEM`] if there is no memory, or all stagings together would take more than
    /// `limit` bytes; with [`EIO`] for a device that no memory can be allocated for within its
    /// reach, and with `ERESTARTSYS` if a signal arrives first.
    pub(super) fn new(
        device: &Device,
        nr_pages: usize,
        writes: bool,
        limit: usize,
    ) -> Result<Self> {
        let memory = DeviceMemory::new(device, nr_pages, limit)?;
        log_once(device);
        let base = match writes {
            true => Some(Base::new(&memory, limit)?),
            false => None,
        };

        Ok(Self {
            id: StagingId::new(NEXT_ID.fetch_add(1, Relaxed)).ok_or(EOVERFLOW)?,
            memory,
            base,
            attachments: 0,
            mappings: 0,
            writers: 0,
            is_unsettled: false,
            kept_users: 0,
            is_leaving: false,
        })
    }

    /// Returns its name.
    pub(super) fn id(&self) -> StagingId {
        self.id
    }

    /// Returns whether it is for `device`, and not one that is losing its driver.
    pub(super) fn is_for(&self, device: &Device) -> bool {
        !self.is_leaving && self.is_of(device)
    }

    /// Returns whether it is for `device`.
    pub(super) fn is_of(&self, device: &Device) -> bool {
        core::ptr::eq(&*self.memory.device, device)
    }

    /// Returns whether the device may write to it.
    pub(super) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Allocates a base. Fails as [`new`](Self::new) does.
    pub(super) fn add_base(&mut self, limit: usize) -> Result {
        let mut base = Base::new(&self.memory, limit)?;

        for (chunk, (words, _)) in self.memory.chunks.iter().zip(&mut base.chunks) {
            for at in 0..chunk.pages() {
                // SAFETY: Pages of both, which are as long. No device writes to the staging yet.
                unsafe {
                    let to = words.add(at * WORDS);

                    core::ptr::copy_nonoverlapping(chunk.page(at).as_ptr(), to.as_ptr(), WORDS);
                }
                task::resched_every(at, BATCH);
            }
        }
        self.base = Some(base);
        Ok(())
    }

    /// Copies the memory of the buffer to the staging, which the device does not have yet.
    pub(super) fn fill(&mut self, pass: &Pass<'_>) -> Result {
        self.walk(pass, |memory, staging, base| {
            match base {
                Some(base) => settle::fill(&memory.words, &staging, base),
                None => settle::fill_without_base(&memory.words, &staging, WORDS),
            }
            false
        })
        .map(drop)
    }

    /// Makes a table of the staging, in segments within `limits`.
    pub(super) fn table(&self, limits: SegmentLimits) -> Result<SgTable> {
        let segments = || {
            self.memory
                .chunks
                .iter()
                .flat_map(move |chunk| segments_of(*chunk, limits))
        };

        SgTable::of_segments(segments().count(), segments())
    }

    /// Counts an attachment.
    pub(super) fn attach(&mut self) {
        self.attachments += 1;
    }

    /// Returns whether an attachment has mapped it.
    pub(super) fn is_attached(&self) -> bool {
        self.attachments > 0
    }

    /// Returns whether that was the last attachment.
    pub(super) fn detach(&mut self) -> bool {
        self.attachments -= 1;
        self.attachments == 0
    }

    /// Counts a mapping.
    pub(super) fn map(&mut self, writes: bool) {
        self.mappings += 1;
        self.writers += usize::from(writes);
        self.is_unsettled |= writes;
    }

    /// Undoes [`map`](Self::map).
    pub(super) fn unmap(&mut self, writes: bool) {
        self.mappings -= 1;
        self.writers -= usize::from(writes);
    }

    /// Notes that all was fetched that the device has written through mappings that have ended.
    pub(super) fn settled(&mut self) {
        self.is_unsettled = self.writers > 0;
    }

    /// Returns whether nothing is left to fetch.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_unsettled
    }

    /// Has a mapping that has ended count until all is fetched.
    pub(super) fn keep_user(&mut self) {
        self.kept_users += 1;
    }

    /// Returns whether there are such mappings.
    pub(super) fn has_kept_users(&self) -> bool {
        self.kept_users > 0
    }

    /// Returns how many there are, and forgets them.
    pub(super) fn take_kept_users(&mut self) -> usize {
        core::mem::take(&mut self.kept_users)
    }

    /// Stops passing anything on: the device is losing its driver.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Returns what the next pass depends on, but for the bytes.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn state(&self) -> [usize; 4] {
        [
            self.attachments,
            self.mappings,
            self.writers,
            usize::from(self.is_unsettled) + 2 * usize::from(self.is_leaving) + 4 * self.kept_users,
        ]
    }

    /// Calls `f` for each page, until a signal arrives. Returns whether `f` did once.
    ///
    /// `f` gets the page of memory, that of the staging, and that of the base, and returns whether
    /// it has written to memory.
    #[inline(always)]
    fn walk(
        &mut self,
        pass: &Pass<'_>,
        mut f: impl FnMut(&MemoryPage, Words, Option<&mut [usize; WORDS]>) -> bool,
    ) -> Result<bool> {
        let mut runs = pass.runs.iter();
        let (mut frame, mut left) = (0, 0);
        let mut bases = self.base.as_ref().map(|base| base.chunks.iter());
        let mut count = 0;
        let mut any = false;

        for chunk in &self.memory.chunks {
            let base = bases.as_mut().and_then(|bases| bases.next());

            for at in 0..chunk.pages() {
                if left == 0 {
                    let Some(run) = runs.next() else {
                        return Ok(any);
                    };
                    (frame, left) = (run.frame, run.pages);
                }
                if count & (BATCH - 1) == 0 {
                    pass.until.check()?;
                    task::cond_resched();
                }
                // SAFETY: A page of the buffer has a `struct page`.
                if unsafe { ffi::runs::pages_are_poisoned(frame, 1) } {
                    pass.poisoned.set(true);
                } else {
                    // SAFETY: The buffer keeps its pages.
                    let memory = unsafe { MemoryPage::new(frame) };
                    // SAFETY: Pages of staging and base, which have as many. Nobody else accesses
                    // the base: the value is exclusively borrowed.
                    let (staging, base) = unsafe {
                        (
                            Words::new(chunk.page(at)),
                            base.map(|(words, _)| words.add(at * WORDS).cast().as_mut()),
                        )
                    };

                    if f(&memory, staging, base) {
                        memory.flush();
                        any = true;
                    }
                }
                frame += 1;
                left -= 1;
                count += 1;
            }
        }
        Ok(any)
    }
}

impl Staging<Pass<'_>> for StagedDevice {
    type Error = Error;

    fn is_written(&self) -> bool {
        !self.is_leaving && self.is_unsettled
    }

    fn is_read(&self) -> bool {
        !self.is_leaving && self.mappings > 0
    }

    fn fetch(&mut self, pass: &Pass<'_>) -> Result<bool> {
        let fetched = self.walk(pass, |memory, staging, base| match base {
            Some(base) => settle::merge::<STEP>(&staging, base, &memory.words),
            None => false,
        })?;

        self.settled();
        Ok(fetched)
    }

    fn push(&mut self, pass: &Pass<'_>) -> Result {
        self.walk(pass, |memory, staging, base| {
            match base {
                Some(base) => {
                    settle::merge::<STEP>(&memory.words, base, &staging);
                }
                None => settle::refresh::<STEP>(&memory.words, &staging, WORDS),
            }
            false
        })
        .map(drop)
    }
}

/// Says that `device` is staged, unless it was the last one of which that was said.
fn log_once(device: &Device) {
    static LAST: Atomic<usize> = Atomic::new(0);
    let address = core::ptr::from_ref(device).addr();

    if LAST.xchg(address, Relaxed) != address {
        dev_info!(
            device,
            "does not reach a dma-buf, and gets a copy that is brought up to date by SYNC\n"
        );
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
