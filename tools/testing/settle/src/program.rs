// SPDX-License-Identifier: GPL-2.0

//! Programs of threads, and the scenarios that they are part of.

use crate::world::WORDS;
use std::str::FromStr;

/// A step of a program.
///
/// Places are words. Bytes are numbered within a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The CPU stores a byte: word, byte, value.
    Cpu(usize, usize, u8),
    /// The CPU stores a word: word, value of each byte.
    CpuWord(usize, u8),
    /// A direct device stores a byte: word, byte, value.
    Direct(usize, usize, u8),
    /// A staged device stores a byte: device, word, byte, value.
    Dev(usize, usize, usize, u8),
    /// A staged device stores a word: device, word, value of each byte.
    DevWord(usize, usize, u8),
    /// The CPU must load a value: word, byte, value.
    CpuSees(usize, usize, u8),
    /// A direct device must load a value: word, byte, value.
    DirectSees(usize, usize, u8),
    /// A staged device must load a value: device, word, byte, value.
    DevSees(usize, usize, usize, u8),
    /// The start of a CPU access.
    Start,
    /// The start of a CPU access that waits for a fence first.
    StartAfter(u32),
    /// The end of a CPU access that may have written.
    End,
    /// A staged device is mapped.
    Map(usize),
    /// A staged device is unmapped.
    Unmap(usize),
    /// The last attachment of a staged device goes.
    Detach(usize),
    /// A direct device that writes is mapped.
    MapDirect,
    /// A direct device that writes is unmapped.
    UnmapDirect,
    /// Signals a fence, or anything else that orders threads.
    Signal(u32),
    /// Waits for a fence.
    Wait(u32),
}

impl Op {
    /// Returns whether a killed task still does it, for the kernel does it on its behalf.
    pub fn is_cleanup(self) -> bool {
        matches!(self, Self::Unmap(_) | Self::Detach(_) | Self::UnmapDirect)
    }
}

/// A staged device at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Mapped, and may write.
    Writer,
    /// Mapped, and only reads.
    Reader,
    /// Not mapped yet; it may write.
    NewWriter,
    /// Not mapped yet; it only reads.
    NewReader,
}

impl Given {
    /// Returns whether it may write.
    pub fn writes(self) -> bool {
        matches!(self, Self::Writer | Self::NewWriter)
    }

    /// Returns whether it is mapped.
    pub fn is_mapped(self) -> bool {
        matches!(self, Self::Writer | Self::Reader)
    }
}

/// How a pass goes over the words of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Words of a page. A signal is looked for before each page.
    pub page: usize,
    /// Words compared in one step: the driver's `STEP`.
    pub step: usize,
    /// Whether signals arrive.
    pub has_signals: bool,
}

/// The layouts that scenarios are visited in.
pub const LAYOUTS: [Layout; 3] = [
    Layout {
        page: 1,
        step: 1,
        has_signals: true,
    },
    Layout {
        page: WORDS,
        step: WORDS,
        has_signals: true,
    },
    Layout {
        page: WORDS,
        step: 1,
        has_signals: false,
    },
];

/// Threads and devices, all of whose interleavings are visited.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows.
    pub name: &'static str,
    /// The program of each thread.
    pub threads: Vec<Vec<Op>>,
    /// Staged devices.
    pub devices: Vec<Given>,
    /// Direct devices that are mapped and write.
    pub direct_writers: usize,
    /// Direct devices that are mapped and only read.
    pub direct_readers: usize,
    /// Whether devices see the caches of the CPU.
    pub is_coherent: bool,
    /// Whether stores of a CPU stay in a buffer, in order, until a barrier.
    pub has_store_buffers: bool,
    /// Whether the bytes are compared after one more START and END.
    pub settles_last: bool,
    /// Signals that may arrive, at the most.
    pub signals: usize,
    /// How passes go over the buffer.
    pub layout: Layout,
}

/// A mistake outside the driver's file, to be found like the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The counter has no barriers.
    NoBarriers,
    /// A START does not wait for fences.
    NoFences,
    /// Several tasks settle at a time.
    NoLock,
    /// A START loads the number of settles before it waits for fences.
    JoinsEarly,
    /// A settle that was given up keeps the mutex.
    KeepsLock,
    /// An END that has invalidated nothing serves a START.
    EndServesStart,
    /// A settle that was given up counts as completed.
    CompletesGivenUp,
    /// A line is cleaned and invalidated in two steps.
    CleansApart,
    /// A line is not invalidated.
    NoInvalidate,
    /// Lines are not cleaned before memory is settled.
    NoClean,
    /// Lines are not cleaned after something was fetched.
    NoCleanAfterFetch,
    /// A killed unmap marks its staging as fetched.
    SettledWhenKilled,
    /// The user of a killed unmap is dropped before all is fetched.
    DropsKeptUser,
    /// The last detach does not settle.
    NoSettleAtDetach,
    /// A staging that is mapped again is not settled.
    NoSettleAtRemap,
}

impl FromStr for Mistake {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        use Mistake::*;

        [
            NoBarriers,
            NoFences,
            NoLock,
            JoinsEarly,
            KeepsLock,
            EndServesStart,
            CompletesGivenUp,
            CleansApart,
            NoInvalidate,
            NoClean,
            NoCleanAfterFetch,
            SettledWhenKilled,
            DropsKeptUser,
            NoSettleAtDetach,
            NoSettleAtRemap,
        ]
        .into_iter()
        .find(|mistake| format!("{mistake:?}") == name)
        .ok_or_else(|| format!("no such mistake: {name}"))
    }
}
