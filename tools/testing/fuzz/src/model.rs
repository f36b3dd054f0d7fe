// SPDX-License-Identifier: GPL-2.0

//! The oracle of programs of one thread: a byte that was written is found in all other ways.
//!
//! [`Kind::Check`] writes a byte between START and END, and reads it back at once. Nothing else
//! runs meanwhile, so no other value is right. Where a call fails, or holes were punched, nothing
//! is compared.

use crate::{
    create,
    program::{Kind, Op},
    sys::{self, Errno, PAGE},
    uapi as u,
    world::World,
};
use std::sync::atomic::Ordering::Relaxed;

/// Where checks map a page: behind all windows.
const PAGE_AT: usize = sys::WINDOWS + sys::WINDOW_COUNT * sys::WINDOW_STEP;
/// Where they have arguments of calls: in the scratch memory that only children use else.
const ARGUMENT: usize = sys::SCRATCH + crate::program::THREADS * sys::SCRATCH_SIZE;

/// A page of a buffer, or of many: where it is in a memfd.
#[derive(Clone, Copy)]
struct Range {
    /// A duplicate of the descriptor, which the program does not know.
    memfd: i32,
    offset: usize,
    size: usize,
}

#[derive(Clone)]
struct Mapping {
    buffer: usize,
    reads: bool,
    writes: bool,
}

/// The contents of the slots, as far as they are known.
pub struct Model {
    buffers: [Option<Vec<Range>>; 6],
    /// Counts creations, so that a mapping knows whether its buffer is still in its slot.
    generations: [usize; 6],
    mappings: [Option<(Mapping, usize)>; 8],
    /// Whether the memfd and a buffer may have parted, or a device may be gone.
    spoiled: bool,
    unplugged: bool,
}

impl Model {
    /// A program that has not begun.
    pub fn new() -> Self {
        Self {
            buffers: Default::default(),
            generations: [0; 6],
            mappings: [const { None }; 8],
            spoiled: false,
            unplugged: false,
        }
    }

    /// Takes note of an operation and its result. One that is a check is done here.
    pub fn note(&mut self, world: &World, op: &Op, result: Result<usize, Errno>) {
        let [a, b, c, d, ..] = op.args;

        match op.kind {
            Kind::Fallocate if b % 4 == 1 => self.spoiled = true,
            Kind::Madvise | Kind::Poison | Kind::Truncate | Kind::Killed | Kind::Fork => {
                self.spoiled = true
            }
            Kind::Unplug | Kind::Plug | Kind::ChangeTable => self.unplugged = true,
            Kind::CloseImporter => self.mappings = [const { None }; 8],
            Kind::Create | Kind::CreateList | Kind::CreateExt if result.is_ok() => {
                let at = (a >> 3) as usize % 6;

                self.generations[at] += 1;
                self.buffers[at] = None;
                // Buffers that can be written, of items without oddities.
                if op.args[4] < 0xc0 && (op.kind != Kind::CreateExt || op.args[5] & 6 == 0) {
                    self.buffers[at] = Some(Self::ranges(world, op));
                }
            }
            Kind::CloseBuffer => self.forget(a as usize % 6),
            Kind::Dup | Kind::Pass if result.is_ok() => self.forget(b as usize % 6),
            Kind::Map if result.is_ok() => {
                let buffer = b as usize % 6;

                // Devices without hardware, for which the CPU stands in.
                let known = matches!(d % 8, 0..5);
                self.mappings[a as usize % 8] = known.then(|| {
                    (
                        Mapping {
                            buffer,
                            reads: c % 3 != 2,
                            writes: c % 3 != 1,
                        },
                        self.generations[buffer],
                    )
                });
            }
            Kind::Unmap if result.is_ok() => self.mappings[a as usize % 8] = None,
            Kind::Check => {
                let _ = self.check(world, op.args);
            }
            _ => {}
        }
    }

    fn forget(&mut self, buffer: usize) {
        self.generations[buffer] += 1;
        self.buffers[buffer] = None;
    }

    fn ranges(world: &World, op: &Op) -> Vec<Range> {
        let length = |fd: i32| {
            sys::call(libc::SYS_lseek, &[fd as usize, 0, libc::SEEK_END as usize])
                .unwrap_or(PAGE)
                .min(8 << 20)
        };
        let count = if op.kind == Kind::Create {
            1
        } else {
            usize::MAX
        };

        create::items(
            op.args,
            |which| world.memfds[which as usize % 4].get(),
            length,
        )
        .iter()
        .take(count)
        .map(|item| Range {
            memfd: sys::call(libc::SYS_dup, &[item.memfd as usize]).map_or(-1, |fd| fd as i32),
            offset: item.offset as usize,
            size: item.size as usize,
        })
        .collect()
    }

    fn sync(fd: i32, flags: u64) -> Result<(), Errno> {
        sys::put(ARGUMENT, u::SyncArgs { flags });
        sys::call(
            libc::SYS_ioctl,
            &[fd as usize, u::DMA_BUF_SYNC as usize, ARGUMENT],
        )?;
        Ok(())
    }

    fn device(world: &World, command: u32, slot: usize, offset: usize) -> Result<u8, Errno> {
        sys::put(
            ARGUMENT,
            u::Bytes {
                slot: slot as u32,
                pad: 0,
                offset: offset as u64,
                length: 1,
                address: ARGUMENT as u64 + 64,
            },
        );
        sys::call(
            libc::SYS_ioctl,
            &[world.importer.get() as usize, command as usize, ARGUMENT],
        )?;
        Ok(sys::load(ARGUMENT + 64))
    }

    /// Returns a mapping of the buffer for a device that `wanted` accepts.
    fn mapping(&self, buffer: usize, wanted: impl Fn(&Mapping) -> bool) -> Option<usize> {
        self.mappings.iter().position(|mapping| {
            mapping.as_ref().is_some_and(|(mapping, generation)| {
                mapping.buffer == buffer
                    && *generation == self.generations[buffer]
                    && wanted(mapping)
            })
        })
    }

    /// Reads as debuggers do, across the end of the last page that is mapped.
    fn read_across_the_end(world: &World) -> Result<(), Errno> {
        let fd = sys::open("/proc/self/mem", libc::O_RDONLY)?;
        let length = sys::call(
            libc::SYS_pread64,
            &[fd as usize, ARGUMENT, 16, PAGE_AT + PAGE - 8],
        );

        sys::close(fd);
        world.shared.checks.fetch_add(1, Relaxed);
        match length {
            Ok(length) if length > 8 => {
                world
                    .shared
                    .tell(&format!("{length} bytes are read where 8 are mapped"));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, world: &World, [a, b, c, d, e, _]: [u8; 6]) -> Result<(), Errno> {
        let at = a as usize % 6;
        let Some(ranges) = self.buffers[at].as_ref().filter(|_| !self.spoiled) else {
            return Ok(());
        };
        let fd = world.buffers[at].get();
        let pages: usize = ranges.iter().map(|range| range.size / PAGE).sum();
        let page = b as usize * (1 + d as usize % 8) % pages.max(1);
        let within = e as usize * 16;
        // The range with this page, and its place in it.
        let mut left = page * PAGE;
        let Some(range) = ranges.iter().find(|range| {
            let found = left < range.size;
            left -= if found { 0 } else { range.size };
            found
        }) else {
            return Ok(());
        };
        let in_memfd = range.offset + left + within;
        let byte = c ^ 0x5a;
        let there = PAGE_AT + within;

        let mut file = [0u8];
        sys::call(
            libc::SYS_mmap,
            &[
                PAGE_AT,
                PAGE,
                3,
                (libc::MAP_SHARED | libc::MAP_FIXED) as usize,
                fd as usize,
                page * PAGE,
            ],
        )?;
        if d & 0x40 != 0 {
            return Self::read_across_the_end(world);
        }
        let found = match c % 4 {
            0 | 1 => {
                Self::sync(fd, u::SYNC_START | u::SYNC_RW)?;
                sys::store(there, byte);
                Self::sync(fd, u::SYNC_END | u::SYNC_RW)?;
                if c % 4 == 0 {
                    sys::call(
                        libc::SYS_pread64,
                        &[
                            range.memfd as usize,
                            file.as_mut_ptr() as usize,
                            1,
                            in_memfd,
                        ],
                    )?;
                    Some(("memfd", file[0]))
                } else {
                    match self
                        .mapping(at, |mapping| mapping.reads)
                        .filter(|_| !self.unplugged)
                    {
                        Some(slot) => Some((
                            "device",
                            Self::device(world, u::READ, slot, page * PAGE + within)?,
                        )),
                        None => None,
                    }
                }
            }
            2 => {
                Self::sync(fd, u::SYNC_START | u::SYNC_RW)?;
                file[0] = byte;
                sys::call(
                    libc::SYS_pwrite64,
                    &[range.memfd as usize, file.as_ptr() as usize, 1, in_memfd],
                )?;
                let found = sys::load(there);
                Self::sync(fd, u::SYNC_END | u::SYNC_RW)?;
                Some(("mapping", found))
            }
            _ => match self
                .mapping(at, |mapping| mapping.writes)
                .filter(|_| !self.unplugged)
            {
                Some(slot) => {
                    sys::store(ARGUMENT + 64, byte);
                    Self::device(world, u::WRITE, slot, page * PAGE + within)?;
                    Self::sync(fd, u::SYNC_START | u::SYNC_RW)?;
                    Some(("mapping, of a device's byte", sys::load(there)))
                }
                None => None,
            },
        };
        if let Some((way, found)) = found {
            world.shared.checks.fetch_add(1, Relaxed);
            if found != byte {
                world.shared.tell(&format!(
                    "{way}: byte {within} of page {page} is {found:#x}, not {byte:#x}"
                ));
            }
        }
        Ok(())
    }
}
