// SPDX-License-Identifier: GPL-2.0

//! Runs an operation one access further.
//!
//! An operation is run again from its beginning for each access. Accesses that it has done return
//! the same results as before, one more is done, and the rest is dropped.

use crate::{
    program::{Layout, Mistake, Op, Scenario},
    world::{Guarded, Thread, Word, World},
};
use std::{cell::RefCell, fmt};

/// A signal that arrives.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Interruption {
    /// A signal that does not kill: the operation is called again.
    Interrupt,
    /// A signal that kills.
    Kill,
}

/// The signals that an operation looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Any.
    Signal,
    /// One that kills.
    Fatal,
    /// None.
    Never,
}

impl Until {
    fn is_ended_by(self, signal: Interruption) -> bool {
        match self {
            Self::Signal => true,
            Self::Fatal => signal == Interruption::Kill,
            Self::Never => false,
        }
    }
}

/// A signal has ended an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp;

/// Performs an operation of a thread by means of [`access`], [`check`], [`lock`] and [`unlock`].
pub type Perform = fn(Op) -> Result<(), GivenUp>;

/// The operation under way: the accesses it has done, and one more.
pub struct Run {
    /// The thread that performs it.
    pub thread: usize,
    /// The state.
    pub world: World,
    history: Vec<usize>,
    position: usize,
    has_stepped: bool,
    is_unfinished: bool,
    is_blocked: bool,
    /// The signal that arrives in this step.
    signal: Option<Interruption>,
    has_store_buffers: bool,
    layout: Layout,
    mistake: Option<Mistake>,
    /// A description of the step, if that is asked for.
    trace: Option<String>,
}

impl Run {
    fn own(&mut self) -> &mut Thread {
        &mut self.world.threads[self.thread]
    }

    /// Returns whether all stores of the CPU have left its buffer.
    pub fn is_drained(&self) -> bool {
        self.world.threads[self.thread].buffer.is_empty()
    }

    /// Loads word `at` of memory.
    pub fn load(&mut self, at: usize) -> Word {
        self.world.load_by(self.thread, at)
    }

    /// Stores to word `at` of memory.
    pub fn store(&mut self, at: usize, mask: Word, value: Word) {
        match self.has_store_buffers {
            true => self.own().buffer.push((at, mask, value)),
            false => self.world.store(at, mask, value),
        }
    }
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

fn with<R>(f: impl FnOnce(&mut Run) -> R) -> R {
    RUN.with_borrow_mut(|run| f(run.as_mut().expect("an operation is under way")))
}

/// Returns how passes go over the buffer.
pub fn layout() -> Layout {
    with(|run| run.layout)
}

/// Returns whether `mistake` is to be made.
pub fn makes(mistake: Mistake) -> bool {
    with(|run| run.mistake == Some(mistake))
}

/// Returns whether devices see the caches of the CPU.
pub fn is_coherent() -> bool {
    with(|run| run.world.cache.is_none())
}

/// Does an access, which returns a number.
///
/// Returns the same number again if it was done before, and 0 if it is not its turn. `act` returns
/// [`None`] if it has to wait.
pub fn load(label: fmt::Arguments<'_>, act: impl FnOnce(&mut Run) -> Option<usize>) -> usize {
    once(act, |result| format!("{label}: {result:#x}"))
}

/// Does an access, which returns nothing. `act` returns [`None`] if it has to wait.
pub fn access(label: fmt::Arguments<'_>, act: impl FnOnce(&mut Run) -> Option<()>) {
    once(|run| act(run).map(|()| 0), |_| label.to_string());
}

fn once(
    act: impl FnOnce(&mut Run) -> Option<usize>,
    describe: impl FnOnce(usize) -> String,
) -> usize {
    with(|run| {
        if run.position < run.history.len() {
            run.position += 1;
            return run.history[run.position - 1];
        }
        if run.has_stepped || run.is_blocked {
            run.is_unfinished = true;
            return 0;
        }

        let Some(result) = act(run).filter(|_| run.signal.is_none()) else {
            run.is_blocked = true;
            return 0;
        };
        if let Some(trace) = &mut run.trace {
            *trace = describe(result);
        }
        run.has_stepped = true;
        run.history.push(result);
        run.position += 1;
        result
    })
}

/// Looks for a signal: fails if one has arrived, or arrives now.
pub fn check(until: Until) -> Result<(), GivenUp> {
    with(|run| {
        let (position, is_new) = (run.position, run.position == run.history.len());
        let own = run.own();
        let has_arrived = match own.signal {
            Some((at, signal)) => position >= at && until.is_ended_by(signal),
            None => own.is_killed && until != Until::Never,
        };

        if has_arrived {
            return Err(GivenUp);
        }
        if !is_new || run.is_blocked || run.is_unfinished {
            return Ok(());
        }
        if run.has_stepped {
            run.own().notices = match until {
                Until::Signal => Some(Interruption::Interrupt),
                Until::Fatal => Some(Interruption::Kill),
                Until::Never => None,
            };
            return Ok(());
        }
        match run.signal {
            Some(signal) if until.is_ended_by(signal) => {
                run.signal = None;
                run.own().signal = Some((position, signal));
                run.world.signals -= 1;
                run.has_stepped = true;
                if let Some(trace) = &mut run.trace {
                    *trace = format!("{signal:?}");
                }
                Err(GivenUp)
            }
            _ => Ok(()),
        }
    })
}

/// Takes the mutex, and returns the fields it guards. Fails if a signal arrives first.
pub fn lock(until: Until) -> Result<Guarded, GivenUp> {
    check(until)?;
    access(format_args!("lock"), |run| {
        let is_free = run.world.owner.is_none() || run.mistake == Some(Mistake::NoLock);

        if !is_free || !run.is_drained() {
            return None;
        }
        run.world.owner = Some(run.thread);
        run.own().locked = Some(run.world.guarded.clone());
        Some(())
    });
    Ok(with(|run| {
        let guarded = run.own().locked.clone();

        guarded.unwrap_or_else(|| run.world.guarded.clone())
    }))
}

/// Releases the mutex, and stores the fields it guards.
pub fn unlock(guarded: &Guarded) {
    access(format_args!("unlock"), |run| {
        if !run.is_drained() {
            return None;
        }
        run.world.owner = None;
        run.world.guarded = guarded.clone();
        Some(())
    });
}

/// Waits for a fence.
pub fn wait(fence: u32) {
    with(|run| {
        if run.has_stepped && !run.is_unfinished && run.position == run.history.len() {
            run.own().awaits = Some(fence);
        }
    });
    access(format_args!("wait for fence {fence}"), |run| {
        (run.world.signalled & 1 << fence != 0).then_some(())
    });
}

/// Runs operations of a scenario.
pub struct Replay<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The mistake to make.
    pub mistake: Option<Mistake>,
    /// The operations.
    pub perform: Perform,
}

impl Replay<'_> {
    /// Does one access of the operation that `thread` is at, or lets it notice `signal`.
    ///
    /// Returns [`None`] if it has to wait. `trace` is set to a description of the step.
    pub fn step(
        &self,
        world: &World,
        thread: usize,
        signal: Option<Interruption>,
        trace: Option<&mut String>,
    ) -> Option<World> {
        let op = self.scenario.threads[thread][world.threads[thread].at];
        let mut world = world.clone();
        let history = std::mem::take(&mut world.threads[thread].history);

        world.threads[thread].notices = None;
        world.threads[thread].awaits = None;
        RUN.set(Some(Run {
            thread,
            world,
            history,
            position: 0,
            has_stepped: false,
            is_unfinished: false,
            is_blocked: false,
            signal,
            has_store_buffers: self.scenario.has_store_buffers,
            layout: self.scenario.layout,
            mistake: self.mistake,
            trace: trace.is_some().then(String::new),
        }));
        let performed = (self.perform)(op);
        let mut run = RUN.take().expect("the operation leaves it");

        if run.is_blocked {
            return None;
        }
        if let (Some(trace), Some(text)) = (trace, run.trace) {
            *trace = format!("{op:?}: {text}");
        }
        let own = &mut run.world.threads[thread];
        match run.is_unfinished {
            true => own.history = run.history,
            false => self.finish(own, thread, performed),
        }
        Some(run.world)
    }

    /// Goes on to the operation after one that has ended.
    fn finish(&self, own: &mut Thread, thread: usize, performed: Result<(), GivenUp>) {
        let program = &self.scenario.threads[thread];

        own.locked = None;
        own.notices = None;
        own.awaits = None;
        match own.signal.take() {
            // The program calls it again.
            Some((_, Interruption::Interrupt)) if performed.is_err() => return,
            // There is nothing to undo.
            Some((_, Interruption::Kill))
                if matches!(program[own.at], Op::Map(_) | Op::MapDirect) =>
            {
                own.is_killed = true;
                own.at = program.len();
                return;
            }
            Some((_, Interruption::Kill)) => own.is_killed = true,
            _ => (),
        }
        own.at += 1;
        while own.is_killed && program.get(own.at).is_some_and(|op| !op.is_cleanup()) {
            own.at += 1;
        }
    }
}
