// SPDX-License-Identifier: GPL-2.0

//! What userspace asks for, checked once, here.

use crate::{
    seam::{
        gfp::GFP_CHARGED,
        memfd::{
            Memfd,
            NotMemory,
            Seals, //
        },
        one_or_many::OneOrMany,
        uaccess,
        version::EBADFD, //
    },
    uapi, //
};
use core::{
    mem::replace,
    ops::Range, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Seals that a memfd must have: pages must not be truncated away.
const SEALS_WANTED: Seals = Seals::SHRINK;

/// Why no buffer is made. Documentation/udmabuf_rs.rst has the list of errnos.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CreateError {
    /// An offset or a size is not a multiple of the page size.
    Unaligned,
    /// There is nothing in it.
    Empty,
    /// More than `size_limit_mb`.
    TooLarge,
    /// More items than `list_limit`.
    TooManyItems,
    /// An item names no memory file.
    NotMemory(NotMemory),
    /// The memfd was not opened for reading and writing.
    AccessMode,
    /// A seal is missing, or one that forbids writing is set.
    Seals,
    /// An item reaches past the end of its memfd.
    BeyondEnd,
    /// What the kernel answered.
    Kernel(Error),
}

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<NotMemory> for CreateError {
    fn from(reason: NotMemory) -> Self {
        Self::NotMemory(reason)
    }
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::NotMemory(_) => EBADFD,
            CreateError::AccessMode => EACCES,
            CreateError::Kernel(error) => error,
            CreateError::Unaligned
            | CreateError::Empty
            | CreateError::TooLarge
            | CreateError::TooManyItems
            | CreateError::Seals
            | CreateError::BeyondEnd => EINVAL,
        }
    }
}

/// Checks that memory with these seals may be put into a buffer.
pub(super) fn check_seals(seals: Seals) -> Result<(), CreateError> {
    if seals.contains(SEALS_WANTED) && !seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE) {
        Ok(())
    } else {
        Err(CreateError::Seals)
    }
}

/// The bounds that the administrator has set, as they were when the request came in.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    items: u32,
    bytes: u64,
}

impl Limits {
    pub(super) fn current() -> Self {
        Self {
            items: crate::list_limit.get(),
            // A size must fit into a `usize`, on machines of 32 bits as well.
            bytes: (u64::from(crate::size_limit_mb.get()) << 20).min(isize::MAX as u64),
        }
    }
}

/// Sources that are searched for the descriptor of an item before it is looked up again.
const RECENT_SOURCES: usize = 8;

/// A memory file that items name.
struct Source {
    memfd: Memfd,
    info: SourceInfo,
}

/// Properties of a source that items are checked against.
#[derive(Clone, Copy)]
struct SourceInfo {
    fd: u32,
    /// Index of the source.
    index: u32,
    /// Size in bytes at lookup. F_SEAL_SHRINK was checked and cannot be removed, so this is a lower
    /// bound.
    size: u64,
}

impl SourceInfo {
    /// Checks `raw`, an item of this source that has passed [`total`], and returns its range.
    #[inline(always)]
    fn piece(&self, raw: &uapi::CreateItem) -> Result<Piece, CreateError> {
        let end = raw
            .offset
            .checked_add(raw.size)
            .filter(|end| *end <= self.size)
            .ok_or(CreateError::BeyondEnd)?;

        match raw.size {
            0 => Err(CreateError::Empty),
            _ => Ok(Piece {
                range: raw.offset..end,
                source: self.index,
            }),
        }
    }
}

/// A range of a memory file.
pub(super) struct Piece {
    /// In bytes: not empty, multiples of the page size.
    pub(super) range: Range<u64>,
    /// Which of the sources it is of.
    pub(super) source: u32,
}

impl Piece {
    /// Returns whether `self` begins where `other` ends.
    #[inline]
    fn continues(&self, other: &Self) -> bool {
        self.source == other.source && self.range.start == other.range.end
    }
}

/// A request for a buffer, with everything checked that can be checked without pinning.
///
/// A descriptor is looked up once for all items that name it, unless many others come between.
/// Items become one piece where the second continues the first.
pub(super) struct Request {
    /// Ranges that make up the buffer, in order.
    pieces: OneOrMany<Piece>,
    sources: OneOrMany<Source>,
    /// Size of the buffer in bytes.
    pub(super) size: u64,
    /// Whether the new descriptor closes on exec.
    pub(super) close_on_exec: bool,
}

impl Request {
    /// Reads the argument of `UDMABUF_CREATE`.
    pub(super) fn single(argument: UserPtr) -> Result<Self, CreateError> {
        let create: uapi::Create = uaccess::read(argument)?;
        let item = uapi::CreateItem {
            memfd: create.memfd,
            pad: 0,
            offset: create.offset,
            size: create.size,
        };

        Self::new(create.flags, &[item], Limits::current())
    }

    /// Reads the argument of `UDMABUF_CREATE_LIST`, each byte of it once.
    pub(super) fn list(argument: UserPtr) -> Result<Self, CreateError> {
        let limits = Limits::current();
        let head: uapi::CreateList = uaccess::read(argument)?;
        if head.count > limits.items {
            return Err(CreateError::TooManyItems);
        }

        let mut bytes = KVVec::new();
        UserSlice::new(
            argument.wrapping_byte_add(size_of::<uapi::CreateList>()),
            head.count as usize * size_of::<uapi::CreateItem>(),
        )
        .read_all(&mut bytes, GFP_CHARGED)?;
        // The allocator aligns to more than the item asks for.
        let items = <[uapi::CreateItem]>::ref_from_bytes(&bytes).map_err(|_| EINVAL)?;

        Self::of_list(head.flags, items, limits)
    }

    /// [`new`](Self::new), out of line: a loop over many items has the registers to itself.
    #[inline(never)]
    fn of_list(
        flags: u32,
        items: &[uapi::CreateItem],
        limits: Limits,
    ) -> Result<Self, CreateError> {
        Self::new(flags, items, limits)
    }

    /// Checks everything there is to check: first what the numbers say by themselves, then each
    /// item against its file.
    #[inline(always)]
    fn new(flags: u32, items: &[uapi::CreateItem], limits: Limits) -> Result<Self, CreateError> {
        let mut request = Self {
            size: total(items, limits)?,
            pieces: OneOrMany::new(),
            sources: OneOrMany::new(),
            close_on_exec: flags & uapi::FLAGS_CLOEXEC != 0,
        };
        let (first, others) = items.split_first().ok_or(CreateError::Empty)?;
        let mut source = request.add_source(first.memfd)?;
        let mut last = source.piece(first)?;

        request.pieces.reserve(items.len(), GFP_CHARGED)?;
        for item in others {
            if item.memfd != source.fd {
                source = request.source(item.memfd)?;
            }
            let piece = source.piece(item)?;

            match piece.continues(&last) {
                true => last.range.end = piece.range.end,
                false => request.push(replace(&mut last, piece))?,
            }
        }
        request.push(last)?;
        Ok(request)
    }

    /// Appends `piece`. There must be room for it.
    #[inline(always)]
    fn push(&mut self, piece: Piece) -> Result {
        match self.pieces.push_within_capacity(piece) {
            true => Ok(()),
            false => Err(ENOMEM),
        }
    }

    /// Returns the source that `fd` names. Looks it up if no recent source is.
    fn source(&mut self, fd: u32) -> Result<SourceInfo, CreateError> {
        let mut recent = self.sources.as_slice().iter().rev().take(RECENT_SOURCES);

        match recent.find(|source| source.info.fd == fd) {
            Some(source) => Ok(source.info),
            None => self.add_source(fd),
        }
    }

    #[inline(never)]
    fn add_source(&mut self, fd: u32) -> Result<SourceInfo, CreateError> {
        let memfd = open(fd)?;
        let info = SourceInfo {
            fd,
            // CAST: There are no more sources than items, which `u32` counts.
            index: self.sources.as_slice().len() as u32,
            size: memfd.size(),
        };
        self.sources.push(Source { memfd, info }, GFP_CHARGED)?;

        Ok(info)
    }

    /// Returns the ranges that make up the buffer, in order.
    pub(super) fn pieces(&self) -> &[Piece] {
        self.pieces.as_slice()
    }

    /// Returns the file of `piece`, one of [`pieces`](Self::pieces).
    #[inline]
    pub(super) fn memfd(&self, piece: &Piece) -> Option<&Memfd> {
        let source = self.sources.as_slice().get(piece.source as usize);

        source.map(|source| &source.memfd)
    }
}

/// Looks up the memory file `fd` and checks that it may be put into a buffer.
fn open(fd: u32) -> Result<Memfd, CreateError> {
    let memfd = Memfd::from_fd(fd)?;

    check_seals(memfd.seals())?;
    if !memfd.is_readable() || !memfd.is_writable() {
        return Err(CreateError::AccessMode);
    }
    Ok(memfd)
}

/// Adds up the sizes of `items`, which must be whole pages, some, and within the limit.
fn total(items: &[uapi::CreateItem], limits: Limits) -> Result<u64, CreateError> {
    let mut total = 0u64;

    for item in items {
        if (item.offset | item.size) & (PAGE_SIZE as u64 - 1) != 0 {
            return Err(CreateError::Unaligned);
        }
        total = total
            .checked_add(item.size)
            .filter(|total| *total <= limits.bytes)
            .ok_or(CreateError::TooLarge)?;
    }
    match total {
        0 => Err(CreateError::Empty),
        total => Ok(total),
    }
}
