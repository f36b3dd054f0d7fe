// SPDX-License-Identifier: GPL-2.0

//! The search, which is stateright's, and its report.

use crate::{
    model::{Action, Search, END},
    program::{Mistake, Scenario, LAYOUTS},
    replay::Perform,
    scenarios::scenarios,
    world::World,
};
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::thread;

impl Search {
    /// Visits all states.
    ///
    /// Returns their number, or a path to one that must not be. The path is [`None`] if the
    /// scenario has no end.
    fn explore(&self) -> Result<usize, Option<Path<World, Action>>> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let checker = self.clone().checker().threads(threads);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_dfs().join();
        let mut found = checker.discoveries();
        let end = found.remove(END);

        // By name, so that the report does not depend on the order of the threads.
        if let Some((name, path)) = found.into_iter().min_by_key(|(name, _)| *name) {
            return Err(Some(self.shorten(name, path)));
        }
        end.map(|_| checker.unique_state_count()).ok_or(None)
    }

    /// Returns a path that is no longer than `path` to a state for which property `name` does not
    /// hold. One to a loss is the shortest.
    fn shorten(&self, name: &'static str, path: Path<World, Action>) -> Path<World, Action> {
        let checker = self.alone(name).checker();
        let checker = checker.finish_when(HasDiscoveries::Any);
        let other = checker.spawn_bfs().join().discovery(name);

        other
            .into_iter()
            .chain([path])
            .min_by_key(|path| path.clone().into_actions().len())
            .expect("there is one")
    }

    /// Prints a state that must not be, and how it is reached.
    fn print(&self, path: Path<World, Action>) {
        let steps = path.into_vec();
        let Some((last, _)) = steps.last() else {
            return;
        };

        println!(
            "lost {}: {}, after {} steps",
            self.scenario,
            self.failure_in(last),
            steps.len() - 1
        );
        for (world, action) in &steps {
            if let Some(action) = action {
                println!("    {}", self.describe(world, *action));
            }
        }
    }

    fn describe(&self, world: &World, action: Action) -> String {
        let mut text = String::new();

        match action {
            Action::Step(thread) => {
                self.replay(&self.scenario)
                    .step(world, thread, None, Some(&mut text));
                format!("thread {thread}: {text}")
            }
            Action::Signal(thread, signal) => {
                self.replay(&self.scenario)
                    .step(world, thread, Some(signal), Some(&mut text));
                format!("thread {thread}: {text}")
            }
            Action::Drain(thread) => format!("thread {thread}: a store leaves the buffer"),
            Action::Evict(at) => format!("line {at} is written back"),
            Action::Prefetch(at) => format!("line {at} is fetched"),
        }
    }
}

/// Visits all states of all scenarios, and prints how many there are. Returns whether nothing is
/// lost in any.
pub fn run(perform: Perform, mistake: Option<Mistake>) -> bool {
    let mut counts = [0; 2];

    for scenario in scenarios() {
        for layout in LAYOUTS {
            let search = Search::new(
                &Scenario {
                    layout,
                    ..scenario.clone()
                },
                mistake,
                perform,
            );
            match search.explore() {
                Ok(states) => {
                    counts[usize::from(!scenario.is_coherent)] += states;
                    println!("ok {states} {}", search.scenario);
                }
                Err(Some(path)) => {
                    search.print(path);
                    return false;
                }
                Err(None) => {
                    println!("lost {}: the end is never reached", search.scenario);
                    return false;
                }
            }
        }
    }
    println!("states {} {}", counts[0], counts[1]);
    true
}
