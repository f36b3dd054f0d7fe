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
        version::EBADFD, //
    },
    uapi, //
};
use core::ops::Range;
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

/// A memory file that items name one after the other.
struct Source {
    memfd: Memfd,
    fd: u32,
    /// Bytes, when it was looked up: it does not become less.
    size: u64,
    /// Which of the ranges are of this file.
    ranges: Range<usize>,
}

/// A request for a buffer that can be served, as far as can be told without doing it.
///
/// Items that name the same descriptor one after the other share what that costs, and become one
/// range where the second begins at the end of the first.
pub(super) struct Request {
    /// What the buffer is made of, in order, in bytes: not empty, multiples of the page size.
    ranges: OneOrMany<Range<u64>>,
    /// The files they are of, in the same order.
    sources: OneOrMany<Source>,
    /// Size of the buffer in bytes.
    pub(super) size: u64,
    /// Whether the new descriptor closes on exec.
    pub(super) close_on_exec: bool,
}

impl Request {
    /// Reads the argument of `UDMABUF_CREATE`.
    pub(super) fn single(argument: UserPtr) -> Result<Self, CreateError> {
        let create: uapi::Create = read(argument)?;
        let item = uapi::CreateItem {
            memfd: create.memfd,
            pad: 0,
            offset: create.offset,
            size: create.size,
        };

        Self::new(create.flags, 1, core::iter::once(item), Limits::current())
    }

    /// Reads the argument of `UDMABUF_CREATE_LIST`, each byte of it once.
    pub(super) fn list(argument: UserPtr) -> Result<Self, CreateError> {
        let limits = Limits::current();
        let head: uapi::CreateList = read(argument)?;
        if head.count > limits.items {
            return Err(CreateError::TooManyItems);
        }

        let count = head.count as usize;
        let mut bytes = KVVec::new();
        UserSlice::new(
            argument.wrapping_byte_add(size_of::<uapi::CreateList>()),
            count * size_of::<uapi::CreateItem>(),
        )
        .read_all(&mut bytes, GFP_CHARGED)?;
        let items = bytes
            .chunks_exact(size_of::<uapi::CreateItem>())
            .filter_map(|item| uapi::CreateItem::read_from_bytes(item).ok());

        Self::new(head.flags, count, items, limits)
    }

    /// Checks everything there is to check: first what the numbers say by themselves, then each
    /// item against its file. There are `count` items.
    fn new(
        flags: u32,
        count: usize,
        items: impl Iterator<Item = uapi::CreateItem> + Clone,
        limits: Limits,
    ) -> Result<Self, CreateError> {
        let mut request = Self {
            size: total(items.clone(), limits)?,
            ranges: OneOrMany::new(),
            sources: OneOrMany::new(),
            close_on_exec: flags & uapi::FLAGS_CLOEXEC != 0,
        };

        request.ranges.reserve(count, GFP_CHARGED)?;
        for item in items {
            request.add(&item)?;
        }
        Ok(request)
    }

    /// Adds what `raw` names, which must have passed [`total`]. There must be room for the range.
    #[inline(always)]
    fn add(&mut self, raw: &uapi::CreateItem) -> Result<(), CreateError> {
        let at = self.ranges.as_slice().len();
        if self
            .sources
            .as_slice()
            .last()
            .is_none_or(|last| last.fd != raw.memfd)
        {
            let memfd = open(raw.memfd)?;
            let source = Source {
                // What forbids it to shrink has been seen, and is for good.
                size: memfd.size(),
                memfd,
                fd: raw.memfd,
                ranges: at..at,
            };
            self.sources.push(source, GFP_CHARGED)?;
        }
        let source = self.sources.last_mut().ok_or(CreateError::Empty)?;

        let end = raw
            .offset
            .checked_add(raw.size)
            .filter(|end| *end <= source.size)
            .ok_or(CreateError::BeyondEnd)?;
        if raw.size == 0 {
            return Err(CreateError::Empty);
        }

        match self.ranges.last_mut() {
            Some(last) if !source.ranges.is_empty() && last.end == raw.offset => last.end = end,
            _ => {
                if !self.ranges.push_within_capacity(raw.offset..end) {
                    return Err(CreateError::Kernel(ENOMEM));
                }
                source.ranges.end += 1;
            }
        }
        Ok(())
    }

    /// Returns the files and the ranges of each that make up the buffer, in order.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&Memfd, &[Range<u64>])> {
        let ranges = self.ranges.as_slice();

        self.sources
            .as_slice()
            .iter()
            .map(|source| (&source.memfd, &ranges[source.ranges.clone()]))
    }
}

/// Reads a `T` at `argument`. Fails with [`EFAULT`].
fn read<T: FromBytes + IntoBytes>(argument: UserPtr) -> Result<T> {
    let mut value = T::new_zeroed();

    UserSlice::new(argument, size_of::<T>())
        .reader()
        .read_slice(value.as_mut_bytes())?;
    Ok(value)
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
fn total(
    items: impl Iterator<Item = uapi::CreateItem>,
    limits: Limits,
) -> Result<u64, CreateError> {
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
