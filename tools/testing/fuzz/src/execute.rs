// SPDX-License-Identifier: GPL-2.0

//! Runs a program, in a process of its own.
//!
//! No operation waits for ever: a signal comes to each thread every now and then, all else is
//! bounded by the driver, and the process ends in two seconds.

use crate::{
    model::Model,
    program::{self, Kind, Op, THREADS},
    shared::Shared,
    sys::{self, Errno, HUGE, PAGE},
    uapi as u,
    world::{self, World},
};
use std::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicUsize, Ordering::{Relaxed, SeqCst}},
    thread,
    time::Instant,
};

/// Microseconds between two signals, which end waits.
const INTERVAL: i64 = 20_000;
/// Switches tracepoints.
pub const TRACING: &str = "/sys/kernel/tracing/events/udmabuf_rs/enable";
/// Status of a process that could not be set up.
const NO_MEMORY: i32 = 41;

/// Runs the program; returns the status of the process.
pub fn run(shared: &'static Shared) -> i32 {
    let ops = program::decode(&shared.input());
    let used: Vec<_> = (0..THREADS).filter(|&at| ops.iter().any(|op| op.thread == at)).collect();

    sys::handle_signals();
    if (0..THREADS + 1).any(|thread| world::map_scratch(thread).is_err()) {
        return NO_MEMORY;
    }
    // The process ends without closing anything: the kernel does.
    let world = ManuallyDrop::new(World::new(shared));
    if let [thread] = used[..] {
        let mut model = Model::new();

        sys::timer(INTERVAL, INTERVAL);
        for op in &ops {
            let result = Task { world: &world, thread }.step_and_count(op);

            model.note(&world, op, result);
        }
        return 0;
    }
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for &thread in &used {
            let (world, ops, ready, count) = (&world, &ops, &ready, used.len());

            scope.spawn(move || {
                sys::timer(INTERVAL, INTERVAL);
                ready.fetch_add(1, SeqCst);
                while ready.load(SeqCst) < count {
                    thread::yield_now();
                }
                for op in ops.iter().filter(|op| op.thread == thread) {
                    let _ = Task { world, thread }.step_and_count(op);
                }
            });
        }
    });
    0
}

/// A thread of the program.
struct Task<'a> {
    world: &'a World,
    thread: usize,
}

/// Offset of the part of the scratch memory that holds names and bytes.
const BYTES: usize = 64 << 10;

impl Task<'_> {
    fn scratch(&self) -> usize {
        sys::SCRATCH + self.thread * sys::SCRATCH_SIZE
    }

    fn bytes(&self) -> usize {
        self.scratch() + BYTES
    }

    /// Makes an ioctl with a struct, at an address that may be bad.
    fn ioctl<T>(&self, fd: i32, command: u32, value: T, oddity: u8) -> Result<usize, Errno> {
        let (address, is_good) = world::argument(self.thread, oddity & 7, size_of::<T>());

        if is_good {
            sys::put(address, value);
        }
        if oddity & 0xc0 == 0x40 {
            return sys::ioctl_32(fd, command, address);
        }
        sys::call(libc::SYS_ioctl, &[fd as usize, command as usize, address])
    }

    fn importer<T>(&self, command: u32, value: T) -> Result<usize, Errno> {
        self.ioctl(self.world.importer(), command, value, 0)
    }

    fn importer_slot(&self, command: u32, slot: usize) -> Result<usize, Errno> {
        sys::call(libc::SYS_ioctl, &[self.world.importer() as usize, command as usize, slot])
    }

    fn moved(&self, command: u32, args: [u8; 6]) -> Result<usize, Errno> {
        let [slot, page, pages, within, byte, _] = args;

        sys::store(self.bytes(), byte);
        self.importer(command, u::Bytes {
            slot: u32::from(slot % 8),
            offset: u64::from(page) * PAGE as u64 + u64::from(within),
            length: u64::from(pages % 16) * PAGE as u64 + u64::from(byte % 64),
            address: self.bytes() as u64,
            ..Default::default()
        })
    }

    fn buffer(&self, which: u8) -> i32 {
        self.world.buffers[which as usize % self.world.buffers.len()].get()
    }

    fn memfd(&self, which: u8) -> i32 {
        self.world.memfds[which as usize % self.world.memfds.len()].get()
    }

    fn keep_buffer(&self, which: u8, result: Result<usize, Errno>) -> Result<usize, Errno> {
        let fd = result?;

        self.world.buffers[which as usize % self.world.buffers.len()].set(fd as i32);
        Ok(fd)
    }

    fn step_and_count(&self, op: &Op) -> Result<usize, Errno> {
        let started = Instant::now();
        let result = self.step(op);

        self.world.shared.count(op.kind, result.is_ok(), started.elapsed());
        result
    }

    fn step(&self, op: &Op) -> Result<usize, Errno> {
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
                let mode = [0, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                            libc::FALLOC_FL_KEEP_SIZE, 0][at(b, 4)];
                sys::call(libc::SYS_fallocate, &[self.memfd(a) as usize, mode as usize,
                    c as usize * PAGE, world::size(d)])
            }
            Kind::Seal => {
                let seals = [1, 2, 4, 8, 16, 32, 2 | 8, 2 | 16][at(b, 8)];
                sys::call(libc::SYS_fcntl, &[self.memfd(a) as usize, libc::F_ADD_SEALS as usize, seals])
            }
            Kind::Truncate => {
                sys::call(libc::SYS_ftruncate, &[self.memfd(a) as usize, world::size(b)])
            }
            Kind::FileIo => {
                let number = [libc::SYS_pwrite64, libc::SYS_pread64][at(b, 2)];
                let fd = if c & 0x80 != 0 { self.buffer(a) } else { self.memfd(a) };
                sys::call(number, &[fd as usize, self.bytes(), d as usize + 1, e as usize * PAGE])
            }
            Kind::Create | Kind::CreateList | Kind::CreateExt => self.create(op.kind, args),
            Kind::Query => {
                let size = [64u32, 64, 0, 63, 65, 72, 4096, 4097, u32::MAX][at(b, 9)];
                let (address, is_good) = world::argument(self.thread, c & 7, 64);
                if is_good || c & 7 >= 3 {
                    for i in 0..64 {
                        sys::store(address + i, if i < 4 { size.to_le_bytes()[i] } else { d & (e << 7) });
                    }
                }
                let fd = w.nodes[at(a, 2)].get();
                if f & 0xc0 == 0x40 {
                    return sys::ioctl_32(fd, u::QUERY, address);
                }
                sys::call(libc::SYS_ioctl, &[fd as usize, u::QUERY as usize, address])
            }
            Kind::BadIoctl => {
                let commands = [0x7542, u::CREATE ^ 0x10000, u::CREATE_LIST ^ 0x80000000, u::QUERY + 1,
                                u::DMA_BUF_SYNC + 9, 0x5421, u::CREATE_EXT | 0x40000000, 0];
                let fd = if a & 0x80 != 0 { self.buffer(a) } else { w.nodes[at(a, 2)].get() };
                self.ioctl(fd, commands[at(b, 8)], [c; 64], d)
            }
            Kind::CloseBuffer => {
                w.buffers[at(a, 6)].set(-1);
                Ok(0)
            }
            Kind::Mmap => {
                let fd = if b & 0x80 != 0 { self.memfd(b) } else { self.buffer(b) };
                let protection = [3, 3, 1, 2, 0, 3, 5, 7][at(c, 8)];
                let flags = [libc::MAP_SHARED, libc::MAP_SHARED, libc::MAP_SHARED | libc::MAP_POPULATE,
                             libc::MAP_PRIVATE, libc::MAP_SHARED | libc::MAP_LOCKED, libc::MAP_SHARED,
                             libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC, libc::MAP_SHARED][at(c >> 3, 8)];
                // A program that asks for no size maps all.
                let length = if e == 0 { self.length(fd) } else { world::size(e) };
                sys::call(libc::SYS_mmap, &[world::window(a, f as usize & 0x1f), length, protection,
                    (flags | libc::MAP_FIXED) as usize, fd as usize, d as usize * PAGE])
            }
            Kind::Munmap => sys::call(libc::SYS_munmap, &[world::window(a, b as usize), world::size(c)]),
            Kind::Mprotect => sys::call(libc::SYS_mprotect,
                &[world::window(a, b as usize), world::size(c), [0, 1, 3, 2, 5][at(d, 5)]]),
            Kind::Mremap => {
                let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED
                    | if d & 1 != 0 { libc::MREMAP_DONTUNMAP } else { 0 };
                sys::call(libc::SYS_mremap, &[world::window(a, b as usize), world::size(c),
                    world::size(if d & 2 != 0 { e } else { c }), flags as usize, world::window(f, 0)])
            }
            Kind::Madvise => {
                // Others than MADV_HWPOISON, which has an operation of its own.
                let advice = [4, 9, 8, 10, 11, 14, 15, 18, 19, 20, 21, 22, 23, 25, 12, 16][at(d, 16)];
                sys::call(libc::SYS_madvise, &[world::window(a, b as usize), world::size(c), advice])
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
                let n = sys::call(libc::SYS_write, &[w.pipe(1) as usize, world::window(a, b as usize), PAGE])?;
                sys::call(libc::SYS_read, &[w.pipe(0) as usize, self.bytes(), n])
            }
            Kind::CopyIn => {
                sys::call(libc::SYS_write, &[w.pipe(1) as usize, self.bytes(), PAGE])?;
                sys::call(libc::SYS_read, &[w.pipe(0) as usize, world::window(a, b as usize), PAGE])
            }
            Kind::ProcMem => {
                let fd = sys::open("/proc/self/mem", libc::O_RDWR)?;
                let number = [libc::SYS_pread64, libc::SYS_pwrite64][at(c, 2)];
                let result = sys::call(number, &[fd as usize, self.bytes(), world::size(d).min(8 * PAGE),
                    world::window(a, b as usize) + e as usize * 16]);
                sys::close(fd);
                result
            }
            Kind::VmRead => {
                let local = [self.bytes(), 2 * PAGE];
                let remote = [world::window(a, b as usize), 2 * PAGE];
                let number = [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev][at(c, 2)];
                sys::call(number, &[std::process::id() as usize, local.as_ptr() as usize, 1,
                    remote.as_ptr() as usize, 1, 0])
            }
            Kind::Sync => {
                let flags = [3, 7, 1, 2, 5, 6, 0, 4, 8, 3, 7, 1 << 40][at(b, 12)];
                self.ioctl(self.buffer(a), u::DMA_BUF_SYNC, u::SyncArgs { flags }, c)
            }
            Kind::Poll => {
                let mut poll = libc::pollfd {
                    fd: self.buffer(a), events: [1, 4, 5, 0][at(b, 4)], revents: 0,
                };
                sys::call(libc::SYS_poll, &[&raw mut poll as usize, 1, c as usize % 2])
            }
            Kind::Dup => {
                let fd = sys::call(libc::SYS_dup, &[self.buffer(a) as usize]);
                self.keep_buffer(b, fd)
            }
            Kind::Seek => sys::call(libc::SYS_lseek,
                &[self.buffer(a) as usize, [0, PAGE, usize::MAX][at(c, 3)], b as usize % 5]),
            Kind::Fdinfo => self.read_file(&format!("/proc/self/fdinfo/{}", self.buffer(a)), b),
            Kind::Debugfs => self.read_file(["/sys/kernel/debug/udmabuf_rs/buffers",
                "/sys/kernel/debug/udmabuf_rs/totals", "/sys/kernel/debug/dma_buf/bufinfo",
                "/proc/self/smaps", "/proc/self/maps",
                "/sys/module/udmabuf_rs/parameters/node"][at(a, 6)], b),
            Kind::Parameter => {
                let names = ["list_limit", "size_limit_mb", "staging", "staging_limit_mb",
                             "staging_user_limit_mb", "memlock", "user_limit_mb", "total_limit_mb", "buffers",
                             "node"];
                let values = ["0", "1", "2", "8", "65537", "-1", "x", "2147483648"];
                w.shared.parameters.store(true, Relaxed);
                let path = format!("/sys/module/udmabuf_rs/parameters/{}", names[at(a, 10)]);
                std::fs::write(path, values[at(b, 8)]).map_err(|error| error.raw_os_error().unwrap_or(0))?;
                Ok(0)
            }
            Kind::ExportSync => {
                self.ioctl(self.buffer(a), u::DMA_BUF_EXPORT,
                           u::SyncFile { flags: u32::from(b % 4), fd: -1 }, 0)?;
                // The answer is in the struct.
                let mut fd = [0; 4];
                for (at, byte) in fd.iter_mut().enumerate() {
                    *byte = sys::load(self.scratch() + 4 + at);
                }
                w.fences[at(c, 2)].set(i32::from_le_bytes(fd));
                Ok(0)
            }
            Kind::ImportSync => self.ioctl(self.buffer(a), u::DMA_BUF_IMPORT,
                u::SyncFile { flags: u32::from(b % 4), fd: w.fences[at(c, 2)].get() }, 0),
            Kind::SetName => {
                let name = self.name(c);
                sys::call(libc::SYS_ioctl, &[self.buffer(a) as usize, u::DMA_BUF_SET_NAME as usize, name])
            }
            Kind::Pass => self.pass(a, b),
            Kind::Limits => {
                let bits = [0, 28, 28, 29, 31, 32, 24, 40, 12, 64][at(a, 10)];
                self.importer(u::LIMITS, u::Limits {
                    max_segment: [0, 0, PAGE as u32, 3 * PAGE as u32, 65536, 512, 1 << 31][at(b, 7)],
                    // Without a mask at all, one in a while.
                    flags: if c < 232 { 0 } else { u32::from(c % 4) },
                    boundary: [0, 0, PAGE as u64, 1 << 16, 1 << 21, 1 << 32][at(d, 6)],
                    dma_mask: if bits == 0 { 0 } else { u64::MAX >> (64 - bits) },
                    coherent_mask: [0, 0, u64::MAX >> 36, u64::MAX >> 40][at(e, 4)],
                })
            }
            Kind::Map => {
                let device = [0, 3, 4, 3, 0, 1, 2, 9][at(d, 8)] | if e & 1 != 0 { u::AGAIN } else { 0 };
                self.importer(u::MAP, u::Map {
                    slot: u32::from(a % 8), fd: self.buffer(b), direction: u32::from(c % 3), device,
                })
            }
            Kind::Unmap => self.importer_slot(u::UNMAP, at(a, 8)),
            Kind::DeviceRead => self.moved(u::READ, args),
            Kind::DeviceWrite => self.moved(u::WRITE, args),
            Kind::DeviceStore => {
                sys::store(self.bytes(), b);
                self.importer(u::STORE, u::Store {
                    slot: u32::from(a % 8), owner: u32::from(b), value: u32::from(c),
                    offset: u64::from(d) * PAGE as u64, length: u64::from(e) * 16,
                    address: self.bytes() as u64, ..Default::default()
                })
            }
            Kind::Segments => self.importer(u::SEGMENTS, u::Segments { slot: u32::from(a % 8), ..Default::default() }),
            Kind::ChangeTable => self.importer_slot(u::CHANGE_TABLE, at(a, 8)),
            Kind::MapMany => self.importer(u::MAP_MANY, u::MapMany {
                fd: self.buffer(a), direction: u32::from(b % 3), device: 0, flags: u32::from(c % 2),
                count: u32::from(d % 24),
            }),
            Kind::UnmapMany => self.importer_slot(u::UNMAP_MANY, 0),
            Kind::Vmap => self.importer(u::VMAP, u::Vmap { slot: u32::from(a % 8), fd: self.buffer(b) }),
            Kind::Vunmap => self.importer_slot(u::VUNMAP, at(a, 8)),
            Kind::VmapRead => self.moved(u::VMAP_READ, args),
            Kind::VmapWrite => self.moved(u::VMAP_WRITE, args),
            Kind::DeviceMmap => {
                self.importer_slot(u::SHOW, self.buffer(c) as usize)?;
                let slot = if d & 1 != 0 { u::SLOTS } else { u32::from(a % 8) };
                sys::call(libc::SYS_mmap, &[world::window(b, 0), world::size(e), 3,
                    (libc::MAP_SHARED | libc::MAP_FIXED) as usize, w.importer() as usize,
                    ((slot as usize) << u::MMAP_SHIFT) + f as usize * PAGE])
            }
            Kind::Begin => self.importer(u::BEGIN, u::Access { fd: self.buffer(a), direction: u32::from(b % 3) }),
            Kind::End => self.importer(u::END, u::Access { fd: self.buffer(a), direction: u32::from(b % 3) }),
            Kind::Fence => self.importer(u::FENCE, u::Fence {
                slot: u32::from(a % 8), fd: self.buffer(b), writes: u32::from(c % 2), pad: 0,
            }),
            Kind::Signal => self.importer_slot(u::SIGNAL, at(a, 8)),
            Kind::Unplug => {
                w.shared.unplugged.store(true, Relaxed);
                self.importer_slot(u::UNPLUG, 0)
            }
            Kind::Plug => self.importer_slot(u::PLUG, 0),
            Kind::AddAndRemove => self.importer_slot(u::ADD_AND_REMOVE, 0),
            Kind::CloseImporter => {
                w.importer.set(-1);
                Ok(0)
            }
            Kind::Timer => {
                sys::timer(1 + i64::from(a) * 8, 0);
                Ok(0)
            }
            Kind::Fork | Kind::Killed => self.fork(op.kind, args),
            Kind::Sleep => {
                sys::sleep(i64::from(a) * 8);
                Ok(0)
            }
            Kind::Poison => self.poison(a, b),
            Kind::User => {
                if a & 1 != 0 {
                    let limit = [b as usize * PAGE, b as usize * PAGE];
                    return sys::call(libc::SYS_prlimit64,
                        &[0, libc::RLIMIT_MEMLOCK as usize, limit.as_ptr() as usize, 0]);
                }
                // Of this thread alone, as far as the kernel goes.
                sys::call(libc::SYS_setresuid, &[65534, 65534, usize::MAX])
            }
            Kind::Trace => {
                w.shared.parameters.store(true, Relaxed);
                std::fs::write(TRACING, ["0", "1"][at(a, 2)]).map_err(|error| error.raw_os_error().unwrap_or(0))?;
                Ok(0)
            }
            Kind::Check => Ok(0),
        }
    }

    fn length(&self, fd: i32) -> usize {
        sys::call(libc::SYS_lseek, &[fd as usize, 0, libc::SEEK_END as usize]).unwrap_or(PAGE).min(8 << 20)
    }

    fn make_memfd(&self, [a, b, c, d, e, _]: [u8; 6]) -> Result<usize, Errno> {
        // Most can be sealed, and few are of large pages.
        let huge = if c & 0xf0 == 0x10 { libc::MFD_HUGETLB } else { 0 };
        let sealing = [libc::MFD_ALLOW_SEALING, libc::MFD_ALLOW_SEALING, libc::MFD_ALLOW_SEALING,
                       libc::MFD_ALLOW_SEALING | 8, 0, libc::MFD_ALLOW_SEALING,
                       libc::MFD_ALLOW_SEALING | 16, libc::MFD_ALLOW_SEALING][c as usize % 8];
        let mut size = world::size(b);

        sys::store(self.bytes(), 0);
        let fd = sys::call(libc::SYS_memfd_create, &[self.bytes(), (huge | sealing) as usize])?;
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
            let mode = if e & 1 != 0 { libc::O_RDONLY } else { libc::O_WRONLY };
            kept = sys::open(&format!("/proc/self/fd/{fd}"), mode)?;
            sys::close(fd as i32);
        }
        self.world.memfds[a as usize % 4].set(kept);
        Ok(size)
    }

    fn create(&self, kind: Kind, [a, b, c, d, e, f]: [u8; 6]) -> Result<usize, Errno> {
        let node = self.world.nodes[a as usize >> 2 & 1 & (a as usize >> 7)].get();
        let items = items([a, b, c, d, e, f], |which| self.memfd(which), |fd| self.length(fd));
        // Bits of `e`: what is wrong, of which most values are nothing.
        let odd = if e >= 0xc0 { e & 0x3f } else { 0 };

        let result = match kind {
            Kind::Create => self.ioctl(node, u::CREATE, u::Create {
                memfd: if odd == 1 { self.buffer(b) as u32 } else { items[0].memfd },
                flags: u32::from(f & 3), offset: items[0].offset,
                size: items[0].size,
            }, if odd >= 32 { odd } else { f & 0xc0 }),
            Kind::CreateList => {
                let list = self.scratch() + BYTES / 2;
                let count = match odd { 1 => 0, 2 => u32::MAX, 3 => 65536, _ => items.len() as u32 };

                sys::put(list, u::List { flags: u32::from(f & 1), count });
                for (at, item) in items.iter().enumerate() {
                    sys::put(list + 8 + at * size_of::<u::Item>(), *item);
                }
                let (address, _) = match odd {
                    32..64 => world::argument(self.thread, odd & 7, 64),
                    _ => (list, true),
                };
                // The head of the list, where the items behind it are not mapped.
                if odd & 7 == 3 && odd >= 32 {
                    sys::put(address, u::List { flags: 0, count: 64 });
                }
                if f & 0xc0 == 0x40 {
                    sys::ioctl_32(node, u::CREATE_LIST, address)
                } else {
                    sys::call(libc::SYS_ioctl, &[node as usize, u::CREATE_LIST as usize, address])
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
                    size: match odd { 7 => 0, 8 => 39, 9 | 10 => 80, 11 => 4097, 12 => u32::MAX, _ => 40 },
                    cache: u32::from(odd == 13),
                    flags: u64::from(f & 7) | if odd == 14 { 8 } else if odd == 15 { 1 << 63 } else { 0 },
                    items: items_at as u64,
                    count: match odd { 1 => 0, 2 => u32::MAX, 3 => 65536, _ => items.len() as u32 },
                    reserved: u32::from(odd == 16),
                    name: if f & 8 != 0 { self.name(f >> 4) as u64 } else { 0 },
                };
                // Of a longer struct the driver knows the beginning.
                let rest = if odd == 10 { ext } else { u::Ext::default() };

                self.ioctl(node, u::CREATE_EXT, [ext, rest], if odd >= 32 { odd } else { f & 0x40 })
            }
        };
        self.keep_buffer(a >> 3, result)
    }

    /// Returns the address of a name: short, long, too long, or of none.
    fn name(&self, which: u8) -> usize {
        let length = [4, 0, 31, 32, 200][which as usize % 5];

        if which & 0xf == 0xf {
            return 0xdead_0000;
        }
        for at in 0..=length {
            sys::store(self.bytes() + at, if at == length { 0 } else { b'a' + (at % 26) as u8 });
        }
        self.bytes()
    }

    fn read_file(&self, path: &str, size: u8) -> Result<usize, Errno> {
        let fd = sys::open(path, libc::O_RDONLY)?;
        let size = [64, 4096, 1, 16384][size as usize % 4];
        let mut total = 0;

        for _ in 0..8 {
            match sys::call(libc::SYS_read, &[fd as usize, self.bytes(), size]) {
                Ok(n) if n > 0 => total += n,
                _ => break,
            }
        }
        sys::close(fd);
        Ok(total)
    }

    /// Sends a buffer over a socket, and receives it.
    fn pass(&self, a: u8, b: u8) -> Result<usize, Errno> {
        let mut ends = [-1i32; 2];
        let byte = [0u8; 1];
        let mut vector = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
        // A header of 16 bytes, and a descriptor.
        let mut control = [20u64, (libc::SCM_RIGHTS as u64) << 32 | libc::SOL_SOCKET as u64, 0];
        control[2] = self.buffer(a) as u32 as u64;
        // SAFETY: The struct may be all zeroes.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);

        sys::call(libc::SYS_socketpair, &[libc::AF_UNIX as usize, libc::SOCK_SEQPACKET as usize, 0,
            &raw mut ends as usize])?;
        let at = &raw mut message as usize;
        let result = sys::call(libc::SYS_sendmsg, &[ends[0] as usize, at, libc::MSG_DONTWAIT as usize])
            .and_then(|_| {
                if b & 0x80 != 0 {
                    // It stays in flight until the sockets are closed.
                    return Err(0);
                }
                sys::call(libc::SYS_recvmsg, &[ends[1] as usize, at, libc::MSG_DONTWAIT as usize])
            });
        ends.map(sys::close);
        result?;
        self.keep_buffer(b, Ok(control[2] as u32 as usize))
    }

    fn fork(&self, kind: Kind, [a, b, c, d, e, f]: [u8; 6]) -> Result<usize, Errno> {
        let pid = sys::fork(|| {
            let child = Task { world: self.world, thread: THREADS };
            let step = |kind, args| child.step(&Op { kind, thread: 0, args });

            let _ = sys::call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize]);
            sys::end_after(100_000);
            sys::timer(INTERVAL, INTERVAL);
            let _ = match (kind, a % 6) {
                (Kind::Killed, 0) => step(Kind::CreateList, [b, 0, 0, 15, 0, 0]),
                (Kind::Killed, 1) => step(Kind::Map, [b, c, d, e, 0, 0]),
                (Kind::Killed, 2) => step(Kind::Sync, [b, c, 0, 0, 0, 0]),
                (Kind::Killed, 3) => step(Kind::Load, [b, c, 7, d, 0, 0]),
                (Kind::Killed, 4) => step(Kind::Unmap, [b, 0, 0, 0, 0, 0]),
                (Kind::Killed, _) => step(Kind::Create, [b, c, 0, 0, 0, 0]),
                (_, 0) => step(Kind::Store, [b, c, 7, d, e, 0]),
                (_, 1) => step(Kind::Munmap, [b, c, d, 0, 0, 0]),
                (_, 2) => step(Kind::CloseBuffer, [b, 0, 0, 0, 0, 0]),
                (_, 3) => step(Kind::Mprotect, [b, c, d, e, 0, 0]),
                (_, 4) => step(Kind::Create, [b, c, d, 0, 0, 0]),
                _ => Ok(0),
            };
            0
        })?;

        if kind == Kind::Killed {
            sys::sleep(i64::from(f) * 16);
            let _ = sys::call(libc::SYS_kill, &[pid as usize, libc::SIGKILL as usize]);
        }
        sys::wait(pid);
        Ok(0)
    }

    /// Breaks a page of a window, as far as the fuzzer has pages left to spend.
    fn poison(&self, a: u8, b: u8) -> Result<usize, Errno> {
        self.world.shared.poison.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .map_err(|_| libc::ENOSPC)?;
        sys::call(libc::SYS_madvise, &[world::window(a, b as usize), PAGE, 100])
    }
}

/// Returns the items of a creation.
pub fn items(args: [u8; 6], memfd: impl Fn(u8) -> i32, length: impl Fn(i32) -> usize) -> Vec<u::Item> {
    let [a, b, c, d, e, _] = args;
    let count = [1, 1, 2, 3, 5, 8, 16, 64, 2, 3, 4, 6, 100, 1, 2, 1000][d as usize % 16];
    let odd = if e >= 0xc0 { e & 0x3f } else { 0 };

    (0..count).map(|at| {
        let fd = memfd(a.wrapping_add((at as u8).wrapping_mul(d >> 6)));
        let pages = length(fd) / PAGE;
        let first = if pages == 0 { 0 } else { (b as usize + at * (d as usize >> 4 & 3)) % pages };
        // A program that asks for no size takes all there is.
        let size = if c == 0 { pages - first } else { (c as usize).min(pages - first) };
        let size = if count > 8 { size.min(2) } else { size };
        let mut item = u::Item {
            memfd: fd as u32, pad: 0, offset: (first * PAGE) as u64, size: (size * PAGE) as u64,
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
    }).collect()
}
