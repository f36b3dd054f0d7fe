// SPDX-License-Identifier: GPL-2.0

//! Runs seam/system_memory/settle.rs in all interleavings with CPUs and devices that write.
//!
//! README.md says what is modelled, and what is not.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    process::ExitCode,
};

// checklib/settle.py puts in the path of a copy with a mistake.
#[allow(dead_code)]
#[path = "../../../seam/system_memory/settle.rs"]
mod settle;

use settle::{Bytes, Point, Users as _};

/// Words of a buffer.
const WORDS: usize = 2;
const BYTES: usize = size_of::<usize>();

type Word = [u8; BYTES];

// ---- What there is ----------------------------------------------------------------------------

/// A line of the CPUs' cache: a word of memory, where the machine is not coherent.
#[derive(Clone, Copy, Hash, PartialEq, Eq)]
struct Line {
    data: Word,
    is_dirty: bool,
}

#[derive(Clone, Hash, PartialEq, Eq)]
struct Device {
    /// Its staging, if it has one: that and the bytes both sides agreed on.
    staging: [Word; WORDS],
    base: [usize; WORDS],
    /// Whether it may write, and so has a base.
    writes: bool,
    is_staged: bool,
    is_mapped: bool,
    is_unsettled: bool,
}

/// Everything that others see change.
#[derive(Clone, Hash, PartialEq, Eq)]
struct World {
    memory: [Word; WORDS],
    cache: Option<[Option<Line>; WORDS]>,
    devices: Vec<Device>,
    users: usize,
    direct_writers: usize,
    begun: usize,
    completed: usize,
    unpushed: bool,
    owner: Option<usize>,
    signalled: u32,
    threads: Vec<Thread>,
}

#[derive(Clone, Hash, PartialEq, Eq)]
struct Thread {
    at: usize,
    /// Results of the accesses of the operation that is under way.
    history: Vec<usize>,
    /// The devices as they were when it took the lock.
    devices: Option<Vec<Device>>,
    /// Stores that only this CPU sees yet, where there are store buffers: place, mask, value.
    buffer: Vec<(usize, Word, Word)>,
}

/// One step of a program. Places are words; bytes are numbered within a word.
#[derive(Clone, Copy)]
enum Op {
    /// The CPU, or a direct device, stores to memory.
    Cpu(usize, usize, u8),
    CpuWord(usize, u8),
    Direct(usize, usize, u8),
    /// A device stores to its staging.
    Dev(usize, usize, usize, u8),
    DevWord(usize, usize, u8),
    /// The CPU, a direct device or a staged device must find a value.
    CpuSees(usize, usize, u8),
    DirectSees(usize, usize, u8),
    DevSees(usize, usize, usize, u8),
    Start,
    /// A START that a signal ends after it has fetched.
    StartGivenUp,
    End,
    /// A device that writes is mapped, to a staging or to the memory itself.
    Map(usize),
    Unmap(usize),
    MapDirect,
    UnmapDirect,
    /// A fence, or whatever else puts one thread behind another.
    Signal(u32),
    Wait(u32),
    /// A START that waits for a fence first.
    StartAfter(u32),
}

struct Scenario {
    name: &'static str,
    threads: Vec<Vec<Op>>,
    /// Staged devices, and whether they are mapped at the beginning.
    devices: Vec<bool>,
    /// Whether the last of them only reads.
    last_reads: bool,
    direct_writers: usize,
    is_coherent: bool,
    has_store_buffers: bool,
    /// Whether the CPU starts and ends an access before it is looked at what is there.
    settles_last: bool,
    /// Bytes that must be there in the end: word, byte, value.
    last: Vec<(usize, usize, u8)>,
}

// ---- One access at a time ----------------------------------------------------------------------

/// The operation that is run: what it has done, and one access more.
struct Run {
    thread: usize,
    world: World,
    history: Vec<usize>,
    position: usize,
    has_stepped: bool,
    /// It would go on, or would have to wait.
    is_unfinished: bool,
    is_blocked: bool,
    has_store_buffers: bool,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
    static BARRIERS: Cell<bool> = const { Cell::new(true) };
    static FENCES: Cell<bool> = const { Cell::new(true) };
    static CLEANS_APART: Cell<bool> = const { Cell::new(false) };
    static JOINS_EARLY: Cell<bool> = const { Cell::new(false) };
}

/// Does an access: again what it has returned before, or for the first time and only once.
fn access(act: impl FnOnce(&mut Run) -> Option<usize>) -> usize {
    RUN.with_borrow_mut(|run| {
        let run = run.as_mut().expect("an operation is under way");

        if run.position < run.history.len() {
            run.position += 1;
            return run.history[run.position - 1];
        }
        if run.has_stepped || run.is_blocked {
            run.is_unfinished = true;
            return 0;
        }
        match act(run) {
            Some(result) => {
                run.has_stepped = true;
                run.history.push(result);
                run.position += 1;
                result
            }
            None => {
                run.is_blocked = true;
                run.is_unfinished = true;
                0
            }
        }
    })
}

impl Run {
    /// Makes the CPU's stores visible; they may be only one at a time.
    fn is_drained(&self) -> bool {
        self.world.threads[self.thread].buffer.is_empty()
    }

    fn load_memory(&mut self, at: usize) -> Word {
        let mut word = self.world.load(at);
        for (place, mask, value) in &self.world.threads[self.thread].buffer {
            if *place == at {
                (0..BYTES)
                    .filter(|&i| mask[i] != 0)
                    .for_each(|i| word[i] = value[i]);
            }
        }
        word
    }

    fn store_memory(&mut self, at: usize, mask: Word, value: Word) {
        match self.has_store_buffers {
            true => self.world.threads[self.thread]
                .buffer
                .push((at, mask, value)),
            false => self.world.store(at, mask, value),
        }
    }
}

impl World {
    /// Has the word in the cache, where there is one.
    fn line(&mut self, at: usize) -> Option<&mut Line> {
        let memory = self.memory[at];

        self.cache.as_mut().map(|cache| {
            cache[at].get_or_insert(Line {
                data: memory,
                is_dirty: false,
            })
        })
    }

    fn load(&mut self, at: usize) -> Word {
        let memory = self.memory[at];

        self.line(at).map_or(memory, |line| line.data)
    }

    fn store(&mut self, at: usize, mask: Word, value: Word) {
        let word = match self.line(at) {
            Some(line) => {
                line.is_dirty = true;
                &mut line.data
            }
            None => &mut self.memory[at],
        };
        (0..BYTES)
            .filter(|&i| mask[i] != 0)
            .for_each(|i| word[i] = value[i]);
    }

    fn clean(&mut self, at: usize) {
        if let Some(Some(line)) = self.cache.as_mut().map(|cache| cache[at].as_mut()) {
            if line.is_dirty {
                line.is_dirty = false;
                self.memory[at] = line.data;
            }
        }
    }

    fn drop_line(&mut self, at: usize) {
        if let Some(cache) = &mut self.cache {
            cache[at] = None;
        }
    }
}

fn byte_mask(byte: usize) -> Word {
    core::array::from_fn(|i| u8::from(i == byte))
}

/// The memory of the buffer, as the CPU that settles sees it.
struct Memory;

impl Bytes for Memory {
    fn load(&self, at: usize) -> usize {
        access(|run| Some(usize::from_ne_bytes(run.load_memory(at))))
    }

    fn store(&self, at: usize, word: usize) {
        access(|run| {
            run.store_memory(at, [1; BYTES], word.to_ne_bytes());
            Some(0)
        });
    }

    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        access(|run| {
            run.store_memory(at, byte_mask(byte), [value; BYTES]);
            Some(0)
        });
    }
}

/// The staging of a device.
struct StagingBytes(usize);

impl Bytes for StagingBytes {
    fn load(&self, at: usize) -> usize {
        access(|run| Some(usize::from_ne_bytes(run.world.devices[self.0].staging[at])))
    }

    fn store(&self, at: usize, word: usize) {
        access(|run| {
            run.world.devices[self.0].staging[at] = word.to_ne_bytes();
            Some(0)
        });
    }

    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        access(|run| {
            run.world.devices[self.0].staging[at][byte] = value;
            Some(0)
        });
    }
}

/// A staging while its buffer is locked.
struct Staged<'a>(usize, &'a mut Device);

thread_local! {
    /// Whether a signal comes before anything is pushed.
    static GIVES_UP: Cell<bool> = const { Cell::new(false) };
}

impl settle::Staging<()> for Staged<'_> {
    type Error = ();

    fn is_written(&self) -> bool {
        self.1.is_staged && self.1.is_unsettled
    }

    fn is_read(&self) -> bool {
        self.1.is_staged && self.1.is_mapped
    }

    fn fetch(&mut self, (): &()) -> Result<bool, ()> {
        let fetched = settle::merge::<1>(&StagingBytes(self.0), &mut self.1.base, &Memory);

        self.1.is_unsettled = self.1.is_mapped && self.1.writes;
        Ok(fetched)
    }

    fn push(&mut self, (): &()) -> Result<(), ()> {
        if GIVES_UP.get() {
            return Err(());
        }
        match self.1.writes {
            true => {
                settle::merge::<1>(&Memory, &mut self.1.base, &StagingBytes(self.0));
            }
            false => settle::refresh::<1>(&Memory, &StagingBytes(self.0), WORDS),
        }
        Ok(())
    }
}

struct Counter;

impl settle::Users for Counter {
    fn get(&self) {
        access(|run| {
            if BARRIERS.get() && !run.is_drained() {
                return None;
            }
            run.world.users += 1;
            Some(0)
        });
    }

    fn put(&self) {
        access(|run| {
            run.world.users -= 1;
            Some(0)
        });
    }

    fn any(&self) -> bool {
        let users = access(|run| {
            if BARRIERS.get() && !run.is_drained() {
                return None;
            }
            Some(run.world.users)
        });

        users != 0
    }
}

// ---- The operations: what seam/system_memory/coherence.rs does around the file ------------------

fn lock() -> Vec<Device> {
    access(|run| {
        if run.world.owner.is_some() || !run.is_drained() {
            return None;
        }
        run.world.owner = Some(run.thread);
        let devices = run.world.devices.clone();
        run.world.threads[run.thread].devices = Some(devices);
        Some(0)
    });
    RUN.with_borrow(|run| {
        let run = run.as_ref().expect("an operation is under way");

        let devices = &run.world.threads[run.thread].devices;
        devices.as_ref().unwrap_or(&run.world.devices).clone()
    })
}

/// Gives the lock back, and with it what was changed under it.
fn unlock(devices: &[Device]) {
    access(|run| {
        if !run.is_drained() {
            return None;
        }
        run.world.owner = None;
        for (to, from) in run.world.devices.iter_mut().zip(devices) {
            (to.base, to.is_staged) = (from.base, from.is_staged);
            (to.is_mapped, to.is_unsettled) = (from.is_mapped, from.is_unsettled);
        }
        Some(0)
    });
}

fn settle_all(devices: &mut [Device], point: Point) {
    let number = access(|run| {
        run.world.begun += 1;
        Some(run.world.begun)
    });

    let is_incoherent = access(|run| Some(run.world.cache.is_some().into())) != 0;
    if is_incoherent {
        for at in 0..WORDS {
            // One step: see README.md.
            access(|run| {
                run.world.clean(at);
                if !CLEANS_APART.get() {
                    run.world.drop_line(at);
                }
                Some(0)
            });
            if CLEANS_APART.get() {
                access(|run| {
                    run.world.drop_line(at);
                    Some(0)
                });
            }
        }
    }
    let direct_writers = access(|run| Some(run.world.direct_writers)) > 0;
    let mut stagings: Vec<_> = devices
        .iter_mut()
        .enumerate()
        .map(|(at, device)| Staged(at, device))
        .collect();
    let mut unpushed = access(|run| Some(run.world.unpushed.into())) != 0;
    let settled = settle::settle(&mut stagings, &(), point, direct_writers, &mut unpushed);
    let fetched = settled == Ok(true);
    access(|run| {
        run.world.unpushed = unpushed;
        Some(0)
    });
    if settled.is_err() {
        return;
    }
    if is_incoherent && fetched {
        for at in 0..WORDS {
            access(|run| {
                run.world.clean(at);
                Some(0)
            });
        }
    }
    access(|run| {
        run.world.completed = number;
        Some(0)
    });
}

fn start(fence: Option<u32>) {
    if !Counter.any() {
        return;
    }
    let early = access(|run| Some(run.world.begun));
    if let Some(fence) = fence.filter(|_| FENCES.get()) {
        wait(fence);
    }
    let begun = match JOINS_EARLY.get() {
        true => early,
        false => access(|run| Some(run.world.begun)),
    };
    let mut devices = lock();
    if access(|run| Some(run.world.completed)) <= begun {
        settle_all(&mut devices, Point::Start);
    }
    unlock(&devices);
}

fn end() {
    let _ = settle::settle_if_used(&Counter, || {
        let mut devices = lock();
        settle_all(&mut devices, Point::End);
        unlock(&devices);
        Ok::<_, ()>(())
    });
}

fn map(device: usize) {
    let _ = settle::map(&Counter, || {
        let mut devices = lock();
        settle_all(&mut devices, Point::Map);
        let staging = StagingBytes(device);
        match devices[device].writes {
            true => settle::fill(&Memory, &staging, &mut devices[device].base),
            false => settle::fill_without_base(&Memory, &staging, WORDS),
        }
        devices[device].is_staged = true;
        devices[device].is_mapped = true;
        devices[device].is_unsettled = devices[device].writes;
        unlock(&devices);
        Ok::<_, ()>(())
    });
}

fn unmap(device: usize) {
    let mut devices = lock();
    settle_all(&mut devices, Point::Unmap);
    devices[device].is_mapped = false;
    devices[device].is_unsettled = false;
    unlock(&devices);
    Counter.put();
}

/// A direct device of a machine that is not coherent counts as a user.
fn map_direct() {
    let is_used = Counter.any();
    let is_incoherent = access(|run| Some(run.world.cache.is_some().into())) != 0;
    if is_incoherent {
        Counter.get();
    }
    access(|run| {
        run.world.direct_writers += 1;
        Some(0)
    });
    if is_used || is_incoherent {
        let mut devices = lock();
        settle_all(&mut devices, Point::Map);
        unlock(&devices);
    }
}

fn unmap_direct() {
    let is_incoherent = access(|run| Some(run.world.cache.is_some().into())) != 0;
    let _ = settle::settle_if_used(&Counter, || {
        let mut devices = lock();
        settle_all(&mut devices, Point::Unmap);
        unlock(&devices);
        Ok::<_, ()>(())
    });
    access(|run| {
        run.world.direct_writers -= 1;
        Some(0)
    });
    if is_incoherent {
        Counter.put();
    }
}

/// Loads, and returns whether the byte is `value`.
fn sees(value: u8, load: impl FnOnce(&mut Run) -> u8) -> bool {
    let mut found = value;

    access(|run| {
        found = load(run);
        Some(usize::from(found))
    });
    found == value
}

/// Runs the operation as far as its accesses go. Returns whether what it has seen was right.
fn perform(op: Op) -> bool {
    match op {
        Op::Cpu(at, byte, value) => Memory.store_byte(at, byte, value),
        Op::CpuWord(at, value) => Memory.store(at, usize::from_ne_bytes([value; BYTES])),
        Op::Direct(at, byte, value) => {
            access(|run| {
                run.world.memory[at][byte] = value;
                Some(0)
            });
        }
        Op::Dev(device, at, byte, value) => StagingBytes(device).store_byte(at, byte, value),
        Op::DevWord(device, at, value) => {
            StagingBytes(device).store(at, usize::from_ne_bytes([value; BYTES]));
        }
        Op::CpuSees(at, byte, value) => return sees(value, |run| run.load_memory(at)[byte]),
        Op::DirectSees(at, byte, value) => return sees(value, |run| run.world.memory[at][byte]),
        Op::DevSees(device, at, byte, value) => {
            return sees(value, |run| run.world.devices[device].staging[at][byte]);
        }
        Op::Start => start(None),
        Op::StartGivenUp => {
            GIVES_UP.set(true);
            start(None);
            GIVES_UP.set(false);
        }
        Op::End => end(),
        Op::Map(device) => map(device),
        Op::Unmap(device) => unmap(device),
        Op::MapDirect => map_direct(),
        Op::UnmapDirect => unmap_direct(),
        Op::Signal(fence) => {
            access(|run| {
                if !run.is_drained() {
                    return None;
                }
                run.world.signalled |= 1 << fence;
                Some(0)
            });
        }
        Op::Wait(fence) => wait(fence),
        Op::StartAfter(fence) => start(Some(fence)),
    }
    true
}

fn wait(fence: u32) {
    access(|run| (run.world.signalled & 1 << fence != 0).then_some(0));
}

// ---- All interleavings -------------------------------------------------------------------------

enum Step {
    Next(World),
    Blocked,
    Wrong,
}

/// One access of the operation that `thread` is at.
fn step(scenario: &Scenario, world: &World, thread: usize) -> Step {
    let at = world.threads[thread].at;
    let op = scenario.threads[thread][at];
    let mut world = world.clone();
    let history = std::mem::take(&mut world.threads[thread].history);

    RUN.set(Some(Run {
        thread,
        world,
        history,
        position: 0,
        has_stepped: false,
        is_unfinished: false,
        is_blocked: false,
        has_store_buffers: scenario.has_store_buffers,
    }));
    let is_right = perform(op);
    let mut run = RUN.take().expect("nobody else takes it");

    if run.is_blocked {
        return Step::Blocked;
    }
    if !is_right {
        return Step::Wrong;
    }
    let state = &mut run.world.threads[thread];
    if run.is_unfinished {
        state.history = run.history;
    } else {
        state.at += 1;
        state.devices = None;
    }
    Step::Next(run.world)
}

/// What may happen by itself: a store gets out of its buffer, a line is written back or fetched.
fn events(scenario: &Scenario, world: &World, next: &mut Vec<World>) {
    for thread in 0..world.threads.len() {
        if !world.threads[thread].buffer.is_empty() {
            let mut world = world.clone();
            let (at, mask, value) = world.threads[thread].buffer.remove(0);
            world.store(at, mask, value);
            next.push(world);
        }
    }
    if !scenario.is_coherent {
        for at in 0..WORDS {
            let mut other = world.clone();
            match world.cache.as_ref().and_then(|cache| cache[at]) {
                Some(_) => {
                    other.clean(at);
                    other.drop_line(at);
                }
                None => {
                    other.load(at);
                }
            }
            next.push(other);
        }
    }
}

/// Settles once more with nobody around, if so asked, and looks for what must not be lost.
fn is_lost(scenario: &Scenario, world: &World) -> Option<String> {
    let mut world = world.clone();
    world.threads = vec![Thread {
        at: 0,
        history: Vec::new(),
        devices: None,
        buffer: Vec::new(),
    }];
    let finish = Scenario {
        name: "",
        threads: vec![match scenario.settles_last {
            true => vec![Op::Start, Op::End],
            false => Vec::new(),
        }],
        devices: Vec::new(),
        has_store_buffers: false,
        last: Vec::new(),
        ..*scenario
    };

    while world.threads[0].at < finish.threads[0].len() {
        world = match step(&finish, &world, 0) {
            Step::Next(world) => world,
            _ => return Some("the last settle cannot be done".into()),
        };
    }
    for &(at, byte, value) in &scenario.last {
        let found = world.load(at)[byte];
        if found != value {
            return Some(format!(
                "byte {byte} of word {at} is {found} in memory, not {value}"
            ));
        }
        for (i, device) in world.devices.iter().enumerate() {
            if device.is_mapped && device.staging[at][byte] != value {
                let found = device.staging[at][byte];
                return Some(format!(
                    "byte {byte} of word {at} is {found} in staging {i}, not {value}"
                ));
            }
        }
    }
    None
}

fn fingerprint(world: &World) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };

    half(1) << 64 | half(2)
}

/// Visits all states. Returns their number, or what was lost.
fn explore(scenario: &Scenario) -> Result<usize, String> {
    let first = World {
        memory: [[0; BYTES]; WORDS],
        cache: (!scenario.is_coherent).then_some([None; WORDS]),
        devices: scenario
            .devices
            .iter()
            .enumerate()
            .map(|(at, &is_mapped)| {
                let writes = !scenario.last_reads || at + 1 < scenario.devices.len();

                Device {
                    staging: [[0; BYTES]; WORDS],
                    base: [0; WORDS],
                    writes,
                    is_staged: is_mapped,
                    is_mapped,
                    is_unsettled: is_mapped && writes,
                }
            })
            .collect(),
        users: scenario
            .devices
            .iter()
            .filter(|&&is_mapped| is_mapped)
            .count()
            + if scenario.is_coherent {
                0
            } else {
                scenario.direct_writers
            },
        direct_writers: scenario.direct_writers,
        begun: 0,
        completed: 0,
        unpushed: false,
        owner: None,
        signalled: 0,
        threads: vec![
            Thread {
                at: 0,
                history: Vec::new(),
                devices: None,
                buffer: Vec::new(),
            };
            scenario.threads.len()
        ],
    };
    let mut seen = HashSet::from([fingerprint(&first)]);
    let mut todo = vec![first];
    let mut next = Vec::new();

    while let Some(world) = todo.pop() {
        let mut is_over = true;
        let mut is_stuck = true;

        for thread in 0..world.threads.len() {
            if world.threads[thread].at == scenario.threads[thread].len() {
                continue;
            }
            is_over = false;
            match step(scenario, &world, thread) {
                Step::Next(other) => {
                    is_stuck = false;
                    next.push(other);
                }
                Step::Blocked => (),
                Step::Wrong => {
                    return Err(format!(
                        "thread {thread} does not see what it must, at step {}",
                        world.threads[thread].at
                    ));
                }
            }
        }
        let own = next.len();
        events(scenario, &world, &mut next);
        if is_over && world.threads.iter().all(|thread| thread.buffer.is_empty()) {
            if let Some(loss) = is_lost(scenario, &world) {
                return Err(loss);
            }
        } else if is_stuck && next.len() == own {
            return Err("everybody waits for ever".into());
        }
        for other in next.drain(..) {
            if seen.insert(fingerprint(&other)) {
                todo.push(other);
            }
        }
    }
    Ok(seen.len())
}

include!("scenarios.rs");

fn main() -> ExitCode {
    let mut counts = [0; 2];

    // Mistakes outside the file.
    BARRIERS.set(std::env::var_os("WITHOUT_BARRIERS").is_none());
    FENCES.set(std::env::var_os("WITHOUT_FENCES").is_none());
    CLEANS_APART.set(std::env::var_os("CLEANS_APART").is_some());
    JOINS_EARLY.set(std::env::var_os("JOINS_EARLY").is_some());
    for scenario in scenarios() {
        match explore(&scenario) {
            Ok(states) => {
                counts[usize::from(!scenario.is_coherent)] += states;
                println!("ok {states} {}", scenario.name);
            }
            Err(loss) => {
                println!("lost {}: {loss}", scenario.name);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("states {} {}", counts[0], counts[1]);
    ExitCode::SUCCESS
}
