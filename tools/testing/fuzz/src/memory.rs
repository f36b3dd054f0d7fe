// SPDX-License-Identifier: GPL-2.0

//! Mappings, and accesses to them.

use crate::{
    execute::Task,
    program::{Kind, Op},
    sys::{self, Errno, PAGE},
    world,
};
use std::sync::atomic::Ordering::SeqCst;

impl Task<'_> {
    /// Maps memfds and buffers, and uses the memory.
    pub(crate) fn memory_step(&self, op: &Op) -> Result<usize, Errno> {
        let w = self.world;
        let [a, b, c, d, e, f] = op.args;
        let at = |which: u8, count: usize| which as usize % count;

        match op.kind {
            Kind::Mmap => {
                let fd = if b & 0x80 != 0 {
                    self.memfd(b)
                } else {
                    self.buffer(b)
                };
                let protection = [3, 3, 1, 2, 0, 3, 5, 7][at(c, 8)];
                let flags = [
                    libc::MAP_SHARED,
                    libc::MAP_SHARED,
                    libc::MAP_SHARED | libc::MAP_POPULATE,
                    libc::MAP_PRIVATE,
                    libc::MAP_SHARED | libc::MAP_LOCKED,
                    libc::MAP_SHARED,
                    libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC,
                    libc::MAP_SHARED,
                ][at(c >> 3, 8)];
                // A program that asks for no size maps all.
                let length = if e == 0 {
                    self.length(fd)
                } else {
                    world::size(e)
                };
                sys::call(
                    libc::SYS_mmap,
                    &[
                        world::window(a, f as usize & 0x1f),
                        length,
                        protection,
                        (flags | libc::MAP_FIXED) as usize,
                        fd as usize,
                        d as usize * PAGE,
                    ],
                )
            }
            Kind::Munmap => sys::call(
                libc::SYS_munmap,
                &[world::window(a, b as usize), world::size(c)],
            ),
            Kind::Mprotect => sys::call(
                libc::SYS_mprotect,
                &[
                    world::window(a, b as usize),
                    world::size(c),
                    [0, 1, 3, 2, 5][at(d, 5)],
                ],
            ),
            Kind::Mremap => {
                let flags = libc::MREMAP_MAYMOVE
                    | libc::MREMAP_FIXED
                    | if d & 1 != 0 {
                        libc::MREMAP_DONTUNMAP
                    } else {
                        0
                    };
                sys::call(
                    libc::SYS_mremap,
                    &[
                        world::window(a, b as usize),
                        world::size(c),
                        world::size(if d & 2 != 0 { e } else { c }),
                        flags as usize,
                        world::window(f, 0),
                    ],
                )
            }
            Kind::Madvise => {
                // Others than MADV_HWPOISON, which has an operation of its own.
                let advice =
                    [4, 9, 8, 10, 11, 14, 15, 18, 19, 20, 21, 22, 23, 25, 12, 16][at(d, 16)];
                sys::call(
                    libc::SYS_madvise,
                    &[world::window(a, b as usize), world::size(c), advice],
                )
            }
            Kind::Load => {
                for page in 0..=c as usize % 8 {
                    sys::load(world::window(a, b as usize + page * (1 + d as usize)));
                }
                Ok(0)
            }
            Kind::Store => {
                for page in 0..=c as usize % 8 {
                    sys::store(world::window(a, b as usize + page * (1 + d as usize)), e);
                }
                Ok(0)
            }
            Kind::CopyOut => {
                let n = sys::call(
                    libc::SYS_write,
                    &[w.pipe(1) as usize, world::window(a, b as usize), PAGE],
                )?;
                sys::call(libc::SYS_read, &[w.pipe(0) as usize, self.bytes(), n])
            }
            Kind::CopyIn => {
                sys::call(libc::SYS_write, &[w.pipe(1) as usize, self.bytes(), PAGE])?;
                sys::call(
                    libc::SYS_read,
                    &[w.pipe(0) as usize, world::window(a, b as usize), PAGE],
                )
            }
            Kind::ProcMem => {
                let fd = sys::open("/proc/self/mem", libc::O_RDWR)?;
                let number = [libc::SYS_pread64, libc::SYS_pwrite64][at(c, 2)];
                let result = sys::call(
                    number,
                    &[
                        fd as usize,
                        self.bytes(),
                        world::size(d).min(8 * PAGE),
                        world::window(a, b as usize) + e as usize * 16,
                    ],
                );
                sys::close(fd);
                result
            }
            Kind::VmRead => {
                let local = [self.bytes(), 2 * PAGE];
                let remote = [world::window(a, b as usize), 2 * PAGE];
                let number = [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev][at(c, 2)];
                sys::call(
                    number,
                    &[
                        std::process::id() as usize,
                        local.as_ptr() as usize,
                        1,
                        remote.as_ptr() as usize,
                        1,
                        0,
                    ],
                )
            }
            Kind::Poison => self.poison(a, b),
            _ => Ok(0),
        }
    }

    /// Breaks a page of a window, as far as the fuzzer has pages left to spend.
    pub(crate) fn poison(&self, a: u8, b: u8) -> Result<usize, Errno> {
        self.world
            .shared
            .poison
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .map_err(|_| libc::ENOSPC)?;
        sys::call(
            libc::SYS_madvise,
            &[world::window(a, b as usize), PAGE, 100],
        )
    }
}
