// SPDX-License-Identifier: GPL-2.0

//! Nodes, memfds, and the ioctls that make buffers of them.

use crate::{
    execute::{Task, BYTES},
    program::{Kind, Op},
    sys::{self, Errno, HUGE, PAGE},
    uapi as u, world,
};

impl Task<'_> {
    /// Opens nodes, makes memfds and buffers, asks for limits.
    pub(crate) fn create_step(&self, op: &Op) -> Result<usize, Errno> {
        let w = self.world;
        let args @ [a, b, c, d, e, f] = op.args;
        let at = |which: u8, count: usize| which as usize % count;

        match op.kind {
            Kind::OpenNode => {
                let flags = [libc::O_RDWR, libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR][at(b, 4)];
                let fd = sys::open("/dev/udmabuf", flags)?;
                w.nodes[at(a, 2)].set(fd);
                Ok(0)
            }
            Kind::CloseNode => {
                w.nodes[at(a, 2)].set(-1);
                Ok(0)
            }
            Kind::Memfd => self.make_memfd(args),
            Kind::CloseMemfd => {
                w.memfds[at(a, 4)].set(-1);
                Ok(0)
            }
            Kind::Fallocate => {
                let mode = [
                    0,
                    libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                    libc::FALLOC_FL_KEEP_SIZE,
                    0,
                ][at(b, 4)];
                sys::call(
                    libc::SYS_fallocate,
                    &[
                        self.memfd(a) as usize,
                        mode as usize,
                        c as usize * PAGE,
                        world::size(d),
                    ],
                )
            }
            Kind::Seal => {
                let seals = [1, 2, 4, 8, 16, 32, 2 | 8, 2 | 16][at(b, 8)];
                sys::call(
                    libc::SYS_fcntl,
                    &[self.memfd(a) as usize, libc::F_ADD_SEALS as usize, seals],
                )
            }
            Kind::Truncate => sys::call(
                libc::SYS_ftruncate,
                &[self.memfd(a) as usize, world::size(b)],
            ),
            Kind::FileIo => {
                let number = [libc::SYS_pwrite64, libc::SYS_pread64][at(b, 2)];
                let fd = if c & 0x80 != 0 {
                    self.buffer(a)
                } else {
                    self.memfd(a)
                };
                sys::call(
                    number,
                    &[fd as usize, self.bytes(), d as usize + 1, e as usize * PAGE],
                )
            }
            Kind::Create | Kind::CreateList | Kind::CreateExt => self.create(op.kind, args),
            Kind::Query => {
                let size = [64u32, 64, 0, 63, 65, 72, 4096, 4097, u32::MAX][at(b, 9)];
                let (address, is_good) = world::argument(self.thread, c & 7, 64);
                if is_good || c & 7 >= 3 {
                    for i in 0..64 {
                        sys::store(
                            address + i,
                            if i < 4 {
                                size.to_le_bytes()[i]
                            } else {
                                d & (e << 7)
                            },
                        );
                    }
                }
                let fd = w.nodes[at(a, 2)].get();
                if f & 0xc0 == 0x40 {
                    return sys::ioctl_32(fd, u::QUERY, address);
                }
                sys::call(libc::SYS_ioctl, &[fd as usize, u::QUERY as usize, address])
            }
            Kind::BadIoctl => {
                let commands = [
                    0x7542,
                    u::CREATE ^ 0x10000,
                    u::CREATE_LIST ^ 0x80000000,
                    u::QUERY + 1,
                    u::DMA_BUF_SYNC + 9,
                    0x5421,
                    u::CREATE_EXT | 0x40000000,
                    0,
                ];
                let fd = if a & 0x80 != 0 {
                    self.buffer(a)
                } else {
                    w.nodes[at(a, 2)].get()
                };
                self.ioctl(fd, commands[at(b, 8)], [c; 64], d)
            }
            _ => Ok(0),
        }
    }

    pub(crate) fn make_memfd(&self, [a, b, c, d, e, _]: [u8; 6]) -> Result<usize, Errno> {
        // Most can be sealed, and few are of large pages.
        let huge = if c & 0xf0 == 0x10 {
            libc::MFD_HUGETLB
        } else {
            0
        };
        let sealing = [
            libc::MFD_ALLOW_SEALING,
            libc::MFD_ALLOW_SEALING,
            libc::MFD_ALLOW_SEALING,
            libc::MFD_ALLOW_SEALING | 8,
            0,
            libc::MFD_ALLOW_SEALING,
            libc::MFD_ALLOW_SEALING | 16,
            libc::MFD_ALLOW_SEALING,
        ][c as usize % 8];
        let mut size = world::size(b);

        sys::store(self.bytes(), 0);
        let fd = sys::call(
            libc::SYS_memfd_create,
            &[self.bytes(), (huge | sealing) as usize],
        )?;
        if huge != 0 {
            size = size.next_multiple_of(HUGE).min(4 * HUGE);
        }
        let _ = sys::call(libc::SYS_ftruncate, &[fd, size]);
        if d & 3 == 1 {
            let _ = sys::call(libc::SYS_fallocate, &[fd, 0, 0, size]);
        } else if d & 3 == 2 {
            // A page in two.
            for page in (0..size.min(64 * PAGE) / PAGE).step_by(2) {
                let _ = sys::call(libc::SYS_pwrite64, &[fd, self.bytes(), 1, page * PAGE]);
            }
        }
        let seals = [2, 2, 2, 2 | 4, 2 | 8, 0, 2 | 16, 2][e as usize % 8];
        let _ = sys::call(libc::SYS_fcntl, &[fd, libc::F_ADD_SEALS as usize, seals]);
        let mut kept = fd as i32;
        if e & 0xf8 == 0x88 {
            // Another access mode.
            let mode = if e & 1 != 0 {
                libc::O_RDONLY
            } else {
                libc::O_WRONLY
            };
            kept = sys::open(&format!("/proc/self/fd/{fd}"), mode)?;
            sys::close(fd as i32);
        }
        self.world.memfds[a as usize % 4].set(kept);
        Ok(size)
    }

    pub(crate) fn create(&self, kind: Kind, [a, b, c, d, e, f]: [u8; 6]) -> Result<usize, Errno> {
        let node = self.world.nodes[a as usize >> 2 & 1 & (a as usize >> 7)].get();
        let items = items(
            [a, b, c, d, e, f],
            |which| self.memfd(which),
            |fd| self.length(fd),
        );
        // Bits of `e`: what is wrong, of which most values are nothing.
        let odd = if e >= 0xc0 { e & 0x3f } else { 0 };

        let result = match kind {
            Kind::Create => self.ioctl(
                node,
                u::CREATE,
                u::Create {
                    memfd: if odd == 1 {
                        self.buffer(b) as u32
                    } else {
                        items[0].memfd
                    },
                    flags: u32::from(f & 3),
                    offset: items[0].offset,
                    size: items[0].size,
                },
                if odd >= 32 { odd } else { f & 0xc0 },
            ),
            Kind::CreateList => {
                let list = self.scratch() + BYTES / 2;
                let count = match odd {
                    1 => 0,
                    2 => u32::MAX,
                    3 => 65536,
                    _ => items.len() as u32,
                };

                sys::put(
                    list,
                    u::List {
                        flags: u32::from(f & 1),
                        count,
                    },
                );
                for (at, item) in items.iter().enumerate() {
                    sys::put(list + 8 + at * size_of::<u::Item>(), *item);
                }
                let (address, _) = match odd {
                    32..64 => world::argument(self.thread, odd & 7, 64),
                    _ => (list, true),
                };
                // The head of the list, where the items behind it are not mapped.
                if odd & 7 == 3 && odd >= 32 {
                    sys::put(
                        address,
                        u::List {
                            flags: 0,
                            count: 64,
                        },
                    );
                }
                if f & 0xc0 == 0x40 {
                    sys::ioctl_32(node, u::CREATE_LIST, address)
                } else {
                    sys::call(
                        libc::SYS_ioctl,
                        &[node as usize, u::CREATE_LIST as usize, address],
                    )
                }
            }
            _ => {
                let list = self.scratch() + BYTES / 2;
                for (at, item) in items.iter().enumerate() {
                    sys::put(list + at * size_of::<u::Item>(), *item);
                }
                let (items_at, _) = if odd == 4 || odd == 5 || odd == 6 {
                    world::argument(self.thread, odd - 3, 24)
                } else {
                    (list, true)
                };
                let ext = u::Ext {
                    size: match odd {
                        7 => 0,
                        8 => 39,
                        9 | 10 => 80,
                        11 => 4097,
                        12 => u32::MAX,
                        _ => 40,
                    },
                    cache: u32::from(odd == 13),
                    flags: u64::from(f & 7)
                        | if odd == 14 {
                            8
                        } else if odd == 15 {
                            1 << 63
                        } else {
                            0
                        },
                    items: items_at as u64,
                    count: match odd {
                        1 => 0,
                        2 => u32::MAX,
                        3 => 65536,
                        _ => items.len() as u32,
                    },
                    reserved: u32::from(odd == 16),
                    name: if f & 8 != 0 {
                        self.name(f >> 4) as u64
                    } else {
                        0
                    },
                };
                // Of a longer struct the driver knows the beginning.
                let rest = if odd == 10 { ext } else { u::Ext::default() };

                self.ioctl(
                    node,
                    u::CREATE_EXT,
                    [ext, rest],
                    if odd >= 32 { odd } else { f & 0x40 },
                )
            }
        };
        self.keep_buffer(a >> 3, result)
    }
}

/// Returns the items of a creation.
pub fn items(
    args: [u8; 6],
    memfd: impl Fn(u8) -> i32,
    length: impl Fn(i32) -> usize,
) -> Vec<u::Item> {
    let [a, b, c, d, e, _] = args;
    let count = [1, 1, 2, 3, 5, 8, 16, 64, 2, 3, 4, 6, 100, 1, 2, 1000][d as usize % 16];
    let odd = if e >= 0xc0 { e & 0x3f } else { 0 };

    (0..count)
        .map(|at| {
            let fd = memfd(a.wrapping_add((at as u8).wrapping_mul(d >> 6)));
            let pages = length(fd) / PAGE;
            let first = if pages == 0 {
                0
            } else {
                (b as usize + at * (d as usize >> 4 & 3)) % pages
            };
            // A program that asks for no size takes all there is.
            let size = if c == 0 {
                pages - first
            } else {
                (c as usize).min(pages - first)
            };
            let size = if count > 8 { size.min(2) } else { size };
            let mut item = u::Item {
                memfd: fd as u32,
                pad: 0,
                offset: (first * PAGE) as u64,
                size: (size * PAGE) as u64,
            };

            if at == count / 2 {
                match odd {
                    17 => item.offset += 1,
                    18 => item.size += 1,
                    19 => item.size = 0,
                    20 => item.offset = u64::MAX - 4095,
                    21 => item.size = u64::MAX - 4095,
                    22 => item.size += PAGE as u64,
                    23 => item.offset += (pages * PAGE) as u64,
                    24 => item.pad = 1,
                    25 => item.memfd = u32::MAX,
                    26 => item.memfd = 1,
                    27 => item.size = 1 << 46,
                    _ => {}
                }
            }
            item
        })
        .collect()
}
