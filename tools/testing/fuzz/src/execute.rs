// SPDX-License-Identifier: GPL-2.0

//! Runs a program, in a process of its own.
//!
//! No operation waits for ever: a signal comes to each thread every now and then, all else is
//! bounded by the driver, and the process ends in two seconds.

use crate::{
    model::Model,
    program::{self, Kind, Op, THREADS},
    shared::Shared,
    sys::{self, Errno, PAGE},
    world::{self, World},
};
use std::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Instant,
};

/// Microseconds between two signals, which end waits.
pub(crate) const INTERVAL: i64 = 20_000;
/// Status of a process that could not be set up.
const NO_MEMORY: i32 = 41;

/// Runs the program; returns the status of the process.
pub fn run(shared: &'static Shared) -> i32 {
    let ops = program::decode(&shared.input());
    let used: Vec<_> = (0..THREADS)
        .filter(|&at| ops.iter().any(|op| op.thread == at))
        .collect();

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
            let result = Task {
                world: &world,
                thread,
            }
            .step_and_count(op);

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
pub(crate) struct Task<'a> {
    pub(crate) world: &'a World,
    pub(crate) thread: usize,
}

/// Offset of the part of the scratch memory that holds names and bytes.
pub(crate) const BYTES: usize = 64 << 10;

impl Task<'_> {
    pub(crate) fn scratch(&self) -> usize {
        sys::SCRATCH + self.thread * sys::SCRATCH_SIZE
    }

    pub(crate) fn bytes(&self) -> usize {
        self.scratch() + BYTES
    }

    /// Makes an ioctl with a struct, at an address that may be bad.
    pub(crate) fn ioctl<T>(
        &self,
        fd: i32,
        command: u32,
        value: T,
        oddity: u8,
    ) -> Result<usize, Errno> {
        let (address, is_good) = world::argument(self.thread, oddity & 7, size_of::<T>());

        if is_good {
            sys::put(address, value);
        }
        if oddity & 0xc0 == 0x40 {
            return sys::ioctl_32(fd, command, address);
        }
        sys::call(libc::SYS_ioctl, &[fd as usize, command as usize, address])
    }

    pub(crate) fn buffer(&self, which: u8) -> i32 {
        self.world.buffers[which as usize % self.world.buffers.len()].get()
    }

    pub(crate) fn memfd(&self, which: u8) -> i32 {
        self.world.memfds[which as usize % self.world.memfds.len()].get()
    }

    pub(crate) fn keep_buffer(
        &self,
        which: u8,
        result: Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let fd = result?;

        self.world.buffers[which as usize % self.world.buffers.len()].set(fd as i32);
        Ok(fd)
    }

    pub(crate) fn step_and_count(&self, op: &Op) -> Result<usize, Errno> {
        let started = Instant::now();
        let result = self.step(op);

        self.world
            .shared
            .count(op.kind, result.is_ok(), started.elapsed());
        result
    }

    pub(crate) fn step(&self, op: &Op) -> Result<usize, Errno> {
        match op.kind {
            Kind::OpenNode
            | Kind::CloseNode
            | Kind::Memfd
            | Kind::CloseMemfd
            | Kind::Fallocate
            | Kind::Seal
            | Kind::Truncate
            | Kind::FileIo
            | Kind::Create
            | Kind::Query
            | Kind::BadIoctl
            | Kind::CreateList
            | Kind::CreateExt => self.create_step(op),
            Kind::Mmap
            | Kind::Munmap
            | Kind::Mprotect
            | Kind::Mremap
            | Kind::Madvise
            | Kind::Load
            | Kind::Store
            | Kind::CopyOut
            | Kind::CopyIn
            | Kind::ProcMem
            | Kind::VmRead
            | Kind::Poison => self.memory_step(op),
            Kind::CloseBuffer
            | Kind::Sync
            | Kind::Poll
            | Kind::Dup
            | Kind::Seek
            | Kind::Fdinfo
            | Kind::ExportSync
            | Kind::ImportSync
            | Kind::SetName
            | Kind::Pass => self.buffer_step(op),
            Kind::Limits
            | Kind::Map
            | Kind::Unmap
            | Kind::DeviceRead
            | Kind::DeviceWrite
            | Kind::DeviceStore
            | Kind::Segments
            | Kind::ChangeTable
            | Kind::MapMany
            | Kind::UnmapMany
            | Kind::Vmap
            | Kind::Vunmap
            | Kind::VmapRead
            | Kind::VmapWrite
            | Kind::DeviceMmap
            | Kind::Begin
            | Kind::End
            | Kind::Fence
            | Kind::Signal
            | Kind::Unplug
            | Kind::Plug
            | Kind::AddAndRemove
            | Kind::CloseImporter => self.device_step(op),
            _ => self.system_step(op),
        }
    }

    pub(crate) fn length(&self, fd: i32) -> usize {
        sys::call(libc::SYS_lseek, &[fd as usize, 0, libc::SEEK_END as usize])
            .unwrap_or(PAGE)
            .min(8 << 20)
    }

    /// Returns the address of a name: short, long, too long, or of none.
    pub(crate) fn name(&self, which: u8) -> usize {
        let length = [4, 0, 31, 32, 200][which as usize % 5];

        if which & 0xf == 0xf {
            return 0xdead_0000;
        }
        for at in 0..=length {
            sys::store(
                self.bytes() + at,
                if at == length {
                    0
                } else {
                    b'a' + (at % 26) as u8
                },
            );
        }
        self.bytes()
    }
}
