// SPDX-License-Identifier: GPL-2.0

//! What userspace asks for, checked once, here.

use super::{
    account::Charge,
    numbers::{
        self,
        NumberError, //
    },
};
use crate::{
    seam::{
        dma_buf::{
            Name,
            Restrictions, //
        },
        gfp::GFP_CHARGED,
        memfd::{
            Memfd,
            NotMemory,
            Seals, //
        },
        one_or_many::OneOrMany,
        uaccess,
        version::{
            EBADFD,
            EOPNOTSUPP, //
        },
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
    /// Offsets and sizes make no sense, or are more than `size_limit_mb` together.
    Numbers(NumberError),
    /// There is no item.
    Empty,
    /// More items than `list_limit`.
    TooManyItems,
    /// An item names no memory file.
    NotMemory(NotMemory),
    /// The memfd was not opened for reading or, unless the buffer is read-only, not for writing.
    AccessMode,
    /// A seal is missing, or one is set that forbids writing where the buffer allows it.
    Seals,
    /// A flag is not known.
    UnknownFlags,
    /// A field that must be zero is not.
    Reserved,
    /// There is no such cache attribute.
    CacheAttribute,
    /// What the kernel answered.
    Kernel(Error),
}

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<NumberError> for CreateError {
    fn from(error: NumberError) -> Self {
        Self::Numbers(error)
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
            CreateError::CacheAttribute => EOPNOTSUPP,
            CreateError::Kernel(error) => error,
            CreateError::Numbers(_)
            | CreateError::Empty
            | CreateError::TooManyItems
            | CreateError::Seals
            | CreateError::UnknownFlags
            | CreateError::Reserved => EINVAL,
        }
    }
}

/// Options of a buffer, but for its name.
#[derive(Clone, Copy)]
pub(super) struct Options {
    /// Whether the new descriptor closes on exec.
    pub(super) close_on_exec: bool,
    /// Restrictions on the use of the buffer.
    pub(super) restrictions: Restrictions,
}

impl Options {
    /// Returns the options of `UDMABUF_CREATE` and `UDMABUF_CREATE_LIST`.
    const fn from_flags(flags: u32) -> Self {
        Self {
            close_on_exec: flags & uapi::FLAGS_CLOEXEC != 0,
            restrictions: Restrictions {
                read_only: false,
                no_cpu_mapping: false,
            },
        }
    }

    /// Returns the options of `UDMABUF_CREATE_EXT`.
    fn from_ext(create: &uapi::CreateExt) -> Result<Self, CreateError> {
        if create.flags & !uapi::EXT_FLAGS != 0 {
            return Err(CreateError::UnknownFlags);
        }
        if create.reserved != 0 {
            return Err(CreateError::Reserved);
        }
        if create.cache != uapi::CACHE_CACHED {
            return Err(CreateError::CacheAttribute);
        }
        Ok(Self {
            close_on_exec: create.flags & uapi::EXT_CLOEXEC != 0,
            restrictions: Restrictions {
                read_only: create.flags & uapi::EXT_READ_ONLY != 0,
                no_cpu_mapping: create.flags & uapi::EXT_NO_CPU_MAP != 0,
            },
        })
    }

    /// Checks that memory with these seals may be put into the buffer.
    pub(super) fn check_seals(&self, seals: Seals) -> Result<(), CreateError> {
        let forbid_writing = seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE);

        match seals.contains(SEALS_WANTED) && (self.restrictions.read_only || !forbid_writing) {
            true => Ok(()),
            false => Err(CreateError::Seals),
        }
    }

    /// Looks up the memory file `fd` and checks that it may be put into the buffer.
    fn open(&self, fd: u32) -> Result<Memfd, CreateError> {
        let memfd = Memfd::from_fd(fd)?;

        self.check_seals(memfd.seals())?;
        match memfd.is_readable() && (self.restrictions.read_only || memfd.is_writable()) {
            true => Ok(memfd),
            false => Err(CreateError::AccessMode),
        }
    }
}

/// The bounds that the administrator has set, as they were when the request came in.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Most items of a list.
    pub(super) items: u32,
    /// Most bytes of a buffer.
    pub(super) bytes: u64,
}

impl Limits {
    pub(super) fn current() -> Self {
        Self {
            items: crate::list_limit.get(),
            bytes: numbers::limit_bytes(crate::size_limit_mb.get()),
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
        let end = numbers::end(raw.offset, raw.size, self.size)?;

        Ok(Piece {
            range: raw.offset..end,
            source: self.index,
        })
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
    pub(super) options: Options,
    pub(super) name: Option<Name>,
    /// The charge for the pages, once there is one.
    pub(super) charge: Option<Charge>,
}

impl Request {
    /// Creates an empty request. One of the next three functions fills it.
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            pieces: OneOrMany::new(),
            sources: OneOrMany::new(),
            size: 0,
            options: Options::from_flags(0),
            name: None,
            charge: None,
        }
    }

    /// Reads the argument of `UDMABUF_CREATE`.
    pub(super) fn read_single(&mut self, argument: UserPtr) -> Result<(), CreateError> {
        let create: uapi::Create = uaccess::read(argument)?;
        let item = uapi::CreateItem {
            memfd: create.memfd,
            pad: 0,
            offset: create.offset,
            size: create.size,
        };

        self.fill(
            Options::from_flags(create.flags),
            &[item],
            Limits::current(),
        )
    }

    /// Reads the argument of `UDMABUF_CREATE_LIST`, each byte of it once.
    pub(super) fn read_list(&mut self, argument: UserPtr) -> Result<(), CreateError> {
        let limits = Limits::current();
        let head: uapi::CreateList = uaccess::read(argument)?;
        if head.count > limits.items {
            return Err(CreateError::TooManyItems);
        }

        let items = argument.wrapping_byte_add(size_of::<uapi::CreateList>());
        let bytes = read_items(items, head.count)?;

        self.fill_out_of_line(Options::from_flags(head.flags), as_items(&bytes)?, limits)
    }

    /// Reads the argument of `UDMABUF_CREATE_EXT`, each byte of it once but for the size.
    #[inline(never)]
    pub(super) fn read_ext(&mut self, argument: UserPtr) -> Result<(), CreateError> {
        let limits = Limits::current();
        // The size is a field of the struct. It is not used as it is read the second time.
        let size: u32 = uaccess::read(argument)?;
        let create: uapi::CreateExt =
            uaccess::read_struct(argument, size as usize, uapi::CREATE_EXT_SIZE_VER0)?;
        let options = Options::from_ext(&create)?;
        if create.count > limits.items {
            return Err(CreateError::TooManyItems);
        }

        if create.name != 0 {
            self.name = Some(Name::from_user(address(create.name)?)?);
        }
        let bytes = read_items(address(create.items)?, create.count)?;
        let items = as_items(&bytes)?;
        if items.iter().any(|item| item.pad != 0) {
            return Err(CreateError::Reserved);
        }

        self.fill_out_of_line(options, items, limits)
    }

    /// [`fill`](Self::fill), out of line: a loop over many items has the registers to itself.
    #[inline(never)]
    fn fill_out_of_line(
        &mut self,
        options: Options,
        items: &[uapi::CreateItem],
        limits: Limits,
    ) -> Result<(), CreateError> {
        self.fill(options, items, limits)
    }

    /// Adds `items`, with everything checked: first the numbers by themselves, then each item
    /// against its file.
    #[inline(always)]
    fn fill(
        &mut self,
        options: Options,
        items: &[uapi::CreateItem],
        limits: Limits,
    ) -> Result<(), CreateError> {
        self.size = total(items, limits)?;
        self.options = options;
        let (first, others) = items.split_first().ok_or(CreateError::Empty)?;
        let mut source = self.add_source(first.memfd)?;
        let mut last = source.piece(first)?;

        self.pieces.reserve(items.len(), GFP_CHARGED)?;
        for item in others {
            if item.memfd != source.fd {
                source = self.source(item.memfd)?;
            }
            let piece = source.piece(item)?;

            match piece.continues(&last) {
                true => last.range.end = piece.range.end,
                false => self.push(replace(&mut last, piece))?,
            }
        }
        self.push(last)?;
        Ok(())
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
        let memfd = self.options.open(fd)?;
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

/// Adds up the sizes of `items`, which must be whole pages, some, and within the limit.
fn total(items: &[uapi::CreateItem], limits: Limits) -> Result<u64, CreateError> {
    let numbers = items.iter().map(|item| (item.offset, item.size));

    Ok(numbers::total(numbers, PAGE_SIZE as u64, limits.bytes)?)
}

/// Reads `count` items at `items`, each byte of them once.
fn read_items(items: UserPtr, count: u32) -> Result<KVVec<u8>> {
    let mut bytes = KVVec::new();

    UserSlice::new(items, count as usize * size_of::<uapi::CreateItem>())
        .read_all(&mut bytes, GFP_CHARGED)?;
    Ok(bytes)
}

/// Returns the bytes of [`read_items`] as items.
fn as_items(bytes: &[u8]) -> Result<&[uapi::CreateItem]> {
    // The allocator aligns to more than an item asks for.
    <[uapi::CreateItem]>::ref_from_bytes(bytes).map_err(|_| EINVAL)
}

/// Returns the address that a field of a struct holds.
///
/// Fails with [`EFAULT`] for one beyond the addresses of this machine.
fn address(address: u64) -> Result<UserPtr> {
    let address = usize::try_from(address).map_err(|_| EFAULT)?;

    Ok(UserPtr::from_addr(address))
}
