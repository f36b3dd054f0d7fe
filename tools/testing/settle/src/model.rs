// SPDX-License-Identifier: GPL-2.0

//! A scenario as a model of stateright.

use crate::{
    program::{Layout, Mistake, Op, Scenario},
    replay::{Interruption, Perform, Replay},
    world::{Thread, Word, World, WORDS},
};
use stateright::{Model, Property};
use std::fmt;

/// Names of the properties.
const READS: &str = "a load finds the value written before it";
const BYTES: &str = "nothing is lost";
const ENDS: &str = "the threads end";
/// The name of the property that a scenario has an end: one without shows nothing.
pub const END: &str = "the end is reached";

/// A step from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A thread does an access.
    Step(usize),
    /// A thread notices a signal.
    Signal(usize, Interruption),
    /// A store leaves the buffer of the CPU of a thread.
    Drain(usize),
    /// A line is written back and given up.
    Evict(usize),
    /// A line is fetched.
    Prefetch(usize),
}

/// A scenario to search.
#[derive(Clone)]
pub struct Search {
    /// The scenario.
    pub scenario: Scenario,
    /// The START and END at the end, if there are any.
    last: Scenario,
    /// The property that is looked at, if it is one alone.
    property: Option<&'static str>,
    mistake: Option<Mistake>,
    perform: Perform,
}

impl Search {
    /// Searches `scenario`, in which `mistake` is made.
    pub fn new(scenario: &Scenario, mistake: Option<Mistake>, perform: Perform) -> Self {
        let last = Scenario {
            threads: vec![match scenario.settles_last {
                true => vec![Op::Start, Op::End],
                false => Vec::new(),
            }],
            has_store_buffers: false,
            ..scenario.clone()
        };

        Self {
            scenario: scenario.clone(),
            last,
            property: None,
            mistake,
            perform,
        }
    }

    /// Returns the search for a state in which property `name` does not hold.
    pub fn alone(&self, name: &'static str) -> Self {
        Self {
            property: Some(name),
            ..self.clone()
        }
    }

    /// Returns a replay of operations of `scenario`.
    pub fn replay<'a>(&self, scenario: &'a Scenario) -> Replay<'a> {
        Replay {
            scenario,
            mistake: self.mistake,
            perform: self.perform,
        }
    }

    /// Returns the operation that `thread` is at.
    fn op(&self, world: &World, thread: usize) -> Option<Op> {
        let at = world.threads[thread].at;

        self.scenario.threads[thread].get(at).copied()
    }

    /// Returns whether every thread has ended, or waits for one that was killed.
    fn is_over(&self, world: &World) -> bool {
        let has_killed = world.threads.iter().any(|thread| thread.is_killed);

        world.threads.iter().enumerate().all(|(number, thread)| {
            let op = self.op(world, number);
            let awaits = match op {
                Some(Op::Wait(fence)) => Some(fence),
                _ => thread.awaits,
            };
            let waits = awaits.is_some_and(|fence| world.signalled & 1 << fence == 0);

            (op.is_none() || has_killed && waits) && thread.buffer.is_empty()
        })
    }

    /// Returns the first loss in a state that [is the last](Self::is_over), after one more START
    /// and END.
    fn loss(&self, world: &World) -> Option<String> {
        let mut world = world.clone();

        world.signals = 0;
        world.threads = vec![Thread::default()];
        while world.threads[0].at < self.last.threads[0].len() {
            let next = self.replay(&self.last).step(&world, 0, None, None);

            match next {
                Some(next) => world = next,
                None => return Some("the last settle has to wait".into()),
            }
        }
        let reasons = world.reasons(&self.scenario);
        if world.users != reasons {
            return Some(format!("{} users are counted, not {reasons}", world.users));
        }
        (0..WORDS).find_map(|at| loss_of_word(&mut world, at))
    }

    /// Describes why a state must not be.
    pub fn failure_in(&self, world: &World) -> String {
        if let Some(thread) = world.wrong {
            return format!("thread {thread} loads a stale byte");
        }
        match self.is_over(world) {
            true => self.loss(world).unwrap_or_default(),
            false => "threads wait for ever".into(),
        }
    }
}

/// Compares word `at` in memory, cache and stagings with the bytes written last.
fn loss_of_word(world: &mut World, at: usize) -> Option<String> {
    let written = world.written[at];
    let differing = |found: Word| (0..found.len()).find(|&byte| found[byte] != written[byte]);
    let report = |place: String, found: Word| {
        let byte = differing(found)?;

        Some(format!(
            "byte {byte} of word {at} is {} in {place}, not {}",
            found[byte], written[byte]
        ))
    };
    let (memory, cached) = (world.memory[at], world.load(at));
    let devices = world.guarded.devices.iter().zip(&world.stagings);
    let mut mapped = devices.enumerate().filter(|(_, (d, _))| d.is_mapped);

    report("memory".into(), memory)
        .or_else(|| report("the cache".into(), cached))
        .or_else(|| mapped.find_map(|(i, (_, s))| report(format!("staging {i}"), s[at])))
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { page, step, .. } = self.layout;

        write!(f, "{} (pages of {page}, steps of {step})", self.name)
    }
}

impl Model for Search {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.scenario)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wrong.is_some() {
            return;
        }
        for (number, thread) in world.threads.iter().enumerate() {
            if self.op(world, number).is_some() {
                actions.push(Action::Step(number));
            }
            if let Some(signal) = thread.notices.filter(|_| world.signals > 0) {
                if signal == Interruption::Interrupt {
                    actions.push(Action::Signal(number, signal));
                }
                actions.push(Action::Signal(number, Interruption::Kill));
            }
            if !thread.buffer.is_empty() {
                actions.push(Action::Drain(number));
            }
        }
        if !self.scenario.is_coherent {
            actions.extend((0..WORDS).map(|at| match world.is_cached(at) {
                true => Action::Evict(at),
                false => Action::Prefetch(at),
            }));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let replay = self.replay(&self.scenario);
        let after = |f: &dyn Fn(&mut World)| {
            let mut world = world.clone();

            f(&mut world);
            Some(world)
        };

        match action {
            Action::Step(thread) => replay.step(world, thread, None, None),
            Action::Signal(thread, signal) => replay.step(world, thread, Some(signal), None),
            Action::Drain(thread) => after(&|world| world.drain(thread)),
            Action::Evict(at) => after(&|world| {
                world.clean(at);
                world.invalidate(at);
            }),
            Action::Prefetch(at) => after(&|world| {
                world.load(at);
            }),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(READS, |_, world: &World| world.wrong.is_none()),
            Property::always(BYTES, |search: &Self, world: &World| {
                !search.is_over(world) || search.loss(world).is_none()
            }),
            Property::eventually(ENDS, |search: &Self, world: &World| {
                world.wrong.is_some() || search.is_over(world)
            }),
            Property::sometimes(END, |search: &Self, world| search.is_over(world)),
        ];

        properties.retain(|property| self.property.is_none_or(|name| name == property.name));
        properties
    }
}
