// SPDX-License-Identifier: GPL-2.0

//! Programs: lists of operations, each in one of three threads.
//!
//! An operation is eight bytes: its kind, its thread, and six arguments, whose meaning depends on
//! the kind. Every byte string is a program, so that mutations of bytes are mutations of programs.

use std::fmt::Write;

/// Bytes of an operation.
pub const OP_SIZE: usize = 8;
/// Maximum number of operations; others are left out.
pub const MAX_OPS: usize = 48;
/// Number of threads.
pub const THREADS: usize = 3;

macro_rules! kinds {
    ($($kind:ident $weight:literal,)*) => {
        /// The kinds of operations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Kind { $($kind,)* }

        /// All kinds, with how often mutations choose them.
        pub const KINDS: &[(Kind, u32)] = &[$((Kind::$kind, $weight),)*];
    };
}

kinds! {
    OpenNode 1, CloseNode 1, Memfd 8, CloseMemfd 2, Fallocate 4, Seal 4, Truncate 2, FileIo 2,
    Create 10, CreateList 8, CreateExt 10, Query 4, BadIoctl 2, CloseBuffer 4,
    Mmap 10, Munmap 3, Mprotect 3, Mremap 3, Madvise 4, Load 6, Store 6, CopyOut 3, CopyIn 3,
    ProcMem 4, VmRead 2, Sync 8, Poll 2, Dup 2, Seek 2, Fdinfo 2, Debugfs 2, Parameter 5,
    ExportSync 2, ImportSync 2, SetName 3, Pass 2,
    Limits 5, Map 12, Unmap 5, DeviceRead 4, DeviceWrite 4, DeviceStore 2, Segments 2,
    ChangeTable 2, MapMany 3, UnmapMany 1, Vmap 5, Vunmap 2, VmapRead 2, VmapWrite 2,
    DeviceMmap 2, Begin 3, End 3, Fence 4, Signal 3, Unplug 2, Plug 2, AddAndRemove 1,
    CloseImporter 1, Timer 4, Fork 4, Killed 3, Sleep 2, Poison 1, Check 6, User 2, Trace 1,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its kind.
    pub kind: Kind,
    /// The thread that does it.
    pub thread: usize,
    /// Its arguments.
    pub args: [u8; 6],
}

impl Op {
    fn decode(bytes: &[u8]) -> Self {
        let mut args = [0; 6];

        args.copy_from_slice(&bytes[2..OP_SIZE]);
        Self {
            kind: KINDS[bytes[0] as usize % KINDS.len()].0,
            // Half of all bytes are the first thread.
            thread: [0, 1, 0, 2][bytes[1] as usize % 4],
            args,
        }
    }
}

/// Decodes a program.
pub fn decode(bytes: &[u8]) -> Vec<Op> {
    bytes
        .chunks_exact(OP_SIZE)
        .take(MAX_OPS)
        .map(Op::decode)
        .collect()
}

/// Returns the program as text, an operation a line.
pub fn show(bytes: &[u8]) -> String {
    decode(bytes).iter().fold(String::new(), |mut text, op| {
        let _ = writeln!(text, "{} {:?} {:?}", op.thread, op.kind, op.args);
        text
    })
}
