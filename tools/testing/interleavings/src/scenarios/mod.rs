// SPDX-License-Identifier: GPL-2.0

//! Small programs of a few tasks, which assert the properties of README.md as they run.

pub mod registry;
pub mod unbind;

use kernel::model;

/// A program.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Uses all static items of the file.
    first: fn(),
    /// Runs it once.
    run: fn(),
    /// The most times that a task is interrupted which could go on, if there is a bound.
    preemptions: Option<usize>,
}

impl Scenario {
    const fn new(name: &'static str, first: fn(), run: fn()) -> Self {
        Self {
            name,
            first,
            run,
            preemptions: None,
        }
    }

    /// Sets a bound for a program that has too many interleavings.
    const fn bounded(mut self, preemptions: usize) -> Self {
        self.preemptions = Some(preemptions);
        self
    }

    /// Runs it in all interleavings within its bound, and returns their number.
    pub fn explore(&self) -> usize {
        model::explore(self.name, self.preemptions, self.first, self.run)
    }
}
