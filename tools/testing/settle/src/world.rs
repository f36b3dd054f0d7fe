// SPDX-License-Identifier: GPL-2.0

//! A state: the bytes, the mutex with the fields it guards, and the place of each thread.

use crate::{program::Scenario, replay::Interruption};

/// Words of a buffer.
pub const WORDS: usize = 2;

/// Bytes of a word.
pub const BYTES: usize = size_of::<usize>();

/// A word, by bytes.
pub type Word = [u8; BYTES];

/// The words of a buffer.
pub type Buffer = [Word; WORDS];

/// Mask of a whole word.
pub const WHOLE: Word = [1; BYTES];

/// Returns the mask of a byte.
pub fn byte_mask(byte: usize) -> Word {
    core::array::from_fn(|i| u8::from(i == byte))
}

/// Stores the bytes of `value` that `mask` has.
fn store(word: &mut Word, mask: Word, value: Word) {
    for i in (0..BYTES).filter(|&i| mask[i] != 0) {
        word[i] = value[i];
    }
}

/// A line of the CPUs' cache: a word of memory.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Line {
    data: Word,
    is_dirty: bool,
}

/// The driver's record of a staged device.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Device {
    /// The bytes that staging and memory last agreed on.
    pub base: [usize; WORDS],
    /// Whether it may write, and so has a base.
    pub writes: bool,
    /// Whether the staging was filled.
    pub is_staged: bool,
    /// Whether it is mapped.
    pub is_mapped: bool,
    /// Whether there may be something to fetch.
    pub is_unsettled: bool,
    /// Mappings that have ended, and count until all is fetched.
    pub kept_users: usize,
}

/// The fields that the mutex guards.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Guarded {
    /// The staged devices.
    pub devices: Vec<Device>,
    /// The number of the last settle that was completed.
    pub completed: usize,
    /// Whether a settle that was given up may have fetched without pushing.
    pub unpushed: bool,
}

/// A thread in the middle of its program.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
pub struct Thread {
    /// The operation that it is at.
    pub at: usize,
    /// Results of the accesses of that operation.
    pub history: Vec<usize>,
    /// The guarded fields as they were when it took the mutex.
    pub locked: Option<Guarded>,
    /// The signal that has ended the operation, and the number of accesses before it.
    pub signal: Option<(usize, Interruption)>,
    /// The signals that may end the operation at this point. Depends on the other fields.
    pub notices: Option<Interruption>,
    /// The fence that the operation waits for next. Depends on the other fields.
    pub awaits: Option<u32>,
    /// Whether a signal has killed the task: it does nothing but clean up.
    pub is_killed: bool,
    /// Stores that this CPU alone sees: place, mask, value.
    pub buffer: Vec<(usize, Word, Word)>,
}

/// A state of the search.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct World {
    /// The memory of the buffer.
    pub memory: Buffer,
    /// The caches of the CPUs, where they are not coherent with devices.
    pub cache: Option<[Option<Line>; WORDS]>,
    /// The staging of each device.
    pub stagings: Vec<Buffer>,
    /// What memory and stagings have to agree on in the end.
    pub written: Buffer,
    /// The fields that the mutex guards.
    pub guarded: Guarded,
    /// The thread that holds the mutex.
    pub owner: Option<usize>,
    /// The lockless counter of reasons to settle.
    pub users: usize,
    /// Live mappings of devices that write to memory.
    pub direct_writers: usize,
    /// The number of settles that have begun.
    pub begun: usize,
    /// Fences that have signalled, a bit each.
    pub signalled: u32,
    /// Signals that may still arrive.
    pub signals: usize,
    /// The thread that has loaded a wrong value.
    pub wrong: Option<usize>,
    /// The threads.
    pub threads: Vec<Thread>,
}

impl World {
    /// Returns the first state of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let devices: Vec<_> = scenario
            .devices
            .iter()
            .map(|given| Device {
                base: [0; WORDS],
                writes: given.writes(),
                is_staged: given.is_mapped(),
                is_mapped: given.is_mapped(),
                is_unsettled: given.is_mapped() && given.writes(),
                kept_users: 0,
            })
            .collect();
        let mut this = Self {
            memory: [[0; BYTES]; WORDS],
            cache: (!scenario.is_coherent).then_some([None; WORDS]),
            stagings: vec![[[0; BYTES]; WORDS]; devices.len()],
            written: [[0; BYTES]; WORDS],
            guarded: Guarded {
                devices,
                completed: 0,
                unpushed: false,
            },
            owner: None,
            users: 0,
            direct_writers: scenario.direct_writers,
            begun: 0,
            signalled: 0,
            signals: match scenario.layout.has_signals {
                true => scenario.signals,
                false => 0,
            },
            wrong: None,
            threads: vec![Thread::default(); scenario.threads.len()],
        };

        this.users = this.reasons(scenario);
        this
    }

    /// Returns the number of reasons to settle, which the counter has when no thread is at work.
    pub fn reasons(&self, scenario: &Scenario) -> usize {
        let staged = self.guarded.devices.iter();
        let staged = staged.map(|device| usize::from(device.is_mapped) + device.kept_users);
        let direct = match scenario.is_coherent {
            true => 0,
            false => self.direct_writers + scenario.direct_readers,
        };

        staged.sum::<usize>() + direct
    }

    /// Returns the line of word `at`, which is fetched if it is not cached.
    fn line(&mut self, at: usize) -> Option<&mut Line> {
        let memory = self.memory[at];

        self.cache.as_mut().map(|cache| {
            cache[at].get_or_insert(Line {
                data: memory,
                is_dirty: false,
            })
        })
    }

    /// Returns whether word `at` is cached.
    pub fn is_cached(&self, at: usize) -> bool {
        self.cache.is_some_and(|cache| cache[at].is_some())
    }

    /// Loads word `at` by the CPU.
    pub fn load(&mut self, at: usize) -> Word {
        let memory = self.memory[at];

        self.line(at).map_or(memory, |line| line.data)
    }

    /// Stores to word `at` by the CPU.
    pub fn store(&mut self, at: usize, mask: Word, value: Word) {
        let word = match self.line(at) {
            Some(line) => {
                line.is_dirty = true;
                &mut line.data
            }
            None => &mut self.memory[at],
        };

        store(word, mask, value);
    }

    /// Writes the line of word `at` back, if it is dirty.
    pub fn clean(&mut self, at: usize) {
        if let Some(Some(line)) = self.cache.as_mut().map(|cache| cache[at].as_mut()) {
            if line.is_dirty {
                line.is_dirty = false;
                self.memory[at] = line.data;
            }
        }
    }

    /// Invalidates the line of word `at`.
    pub fn invalidate(&mut self, at: usize) {
        if let Some(cache) = &mut self.cache {
            cache[at] = None;
        }
    }

    /// Notes that a CPU or a device writes to word `at`.
    pub fn note(&mut self, at: usize, mask: Word, value: Word) {
        store(&mut self.written[at], mask, value);
    }

    /// Loads word `at` by the CPU of `thread`, which sees its own buffered stores.
    pub fn load_by(&mut self, thread: usize, at: usize) -> Word {
        let mut word = self.load(at);

        for &(place, mask, value) in &self.threads[thread].buffer {
            if place == at {
                store(&mut word, mask, value);
            }
        }
        word
    }

    /// Lets the oldest store of the CPU of `thread` out of its buffer.
    pub fn drain(&mut self, thread: usize) {
        let (at, mask, value) = self.threads[thread].buffer.remove(0);

        self.store(at, mask, value);
    }
}
