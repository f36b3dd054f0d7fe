// SPDX-License-Identifier: GPL-2.0

//! Memory that the fuzzer shares with the processes in which programs run.

use crate::{
    program::{Kind, KINDS, MAX_OPS, OP_SIZE},
    sys,
};
use std::{
    ptr,
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

const INPUT: usize = MAX_OPS * OP_SIZE;
const MESSAGE: usize = 240;

/// Operations of a kind that were done.
#[derive(Default)]
struct Count {
    calls: AtomicU64,
    succeeded: AtomicU64,
    nanoseconds: AtomicU64,
}

/// The memory.
#[repr(C)]
pub struct Shared {
    length: AtomicU32,
    /// Pages that programs may still poison: none comes back.
    pub poison: AtomicU32,
    /// Whether module parameters were written.
    pub parameters: AtomicBool,
    /// Whether the device was taken away.
    pub unplugged: AtomicBool,
    /// Whether pins of pages are counted after the program.
    pub count_pins: AtomicBool,
    /// How many checks compared bytes.
    pub checks: AtomicU32,
    told: AtomicBool,
    counts: [Count; KINDS.len()],
    input: [u8; INPUT],
    message: [u8; MESSAGE],
}

impl Shared {
    /// Maps it, for this process and its children.
    pub fn new() -> &'static Self {
        let size = size_of::<Self>();
        let address = sys::call(
            libc::SYS_mmap,
            &[
                0,
                size,
                (libc::PROT_READ | libc::PROT_WRITE) as usize,
                (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize,
                usize::MAX,
                0,
            ],
        )
        .expect("memory to share");

        // SAFETY: Memory of that size, for which zeroes are a value, and that is never unmapped.
        unsafe { &*(address as *const Self) }
    }

    /// Counts an operation.
    pub fn count(&self, kind: Kind, succeeded: bool, time: Duration) {
        let count = &self.counts[kind as usize];

        count.calls.fetch_add(1, Relaxed);
        count.succeeded.fetch_add(succeeded.into(), Relaxed);
        count.nanoseconds.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Returns as text, a line a kind, how many operations were done.
    pub fn counted(&self) -> String {
        KINDS
            .iter()
            .zip(&self.counts)
            .map(|((kind, _), count)| {
                format!(
                    "# {kind:?} {} calls {} succeeded {} ms\n",
                    count.calls.load(Relaxed),
                    count.succeeded.load(Relaxed),
                    count.nanoseconds.load(Relaxed) / 1_000_000
                )
            })
            .collect()
    }

    /// Puts a program into it.
    pub fn set(&self, input: &[u8]) {
        let length = input.len().min(INPUT);

        // SAFETY: No program runs that would read it; the length is that of the array at most.
        unsafe {
            ptr::copy_nonoverlapping(input.as_ptr(), self.input.as_ptr().cast_mut(), length);
        }
        self.length.store(length as u32, SeqCst);
        self.told.store(false, SeqCst);
        self.parameters.store(false, SeqCst);
        self.unplugged.store(false, SeqCst);
    }

    /// Returns the program.
    pub fn input(&self) -> Vec<u8> {
        let mut input = vec![0; (self.length.load(SeqCst) as usize).min(INPUT)];

        // SAFETY: The fuzzer writes it before a program runs alone.
        unsafe { ptr::copy_nonoverlapping(self.input.as_ptr(), input.as_mut_ptr(), input.len()) };
        input
    }

    /// Notes a failure of an oracle. The first note is kept.
    pub fn tell(&self, text: &str) {
        if self.told.swap(true, SeqCst) {
            return;
        }
        let length = text.len().min(MESSAGE - 1);

        // SAFETY: The first one to come here writes it, with less than its length.
        unsafe {
            let message = self.message.as_ptr().cast_mut();

            ptr::write_bytes(message, 0, MESSAGE);
            ptr::copy_nonoverlapping(text.as_ptr(), message, length);
        }
    }

    /// Returns the note, after the program.
    pub fn told(&self) -> Option<String> {
        let mut message = [0; MESSAGE];

        if !self.told.load(SeqCst) {
            return None;
        }
        // SAFETY: No program runs that would write it.
        unsafe { ptr::copy_nonoverlapping(self.message.as_ptr(), message.as_mut_ptr(), MESSAGE) };
        let end = message
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(MESSAGE);
        Some(String::from_utf8_lossy(&message[..end]).into_owned())
    }
}
