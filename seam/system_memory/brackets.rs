// SPDX-License-Identifier: GPL-2.0

//! Who is writing through the CPU just now.
//!
//! # Concepts
//!
//! Userspace brackets its access to a dma-buf by a START and an END. What a device wrote is fetched
//! at the START. Behind a bounce buffer that replaces all bytes of the memory, and where caches are
//! invalidated it drops what they hold: among them the bytes which somebody else is writing in a
//! bracket of their own. So open brackets in which the CPU writes are remembered, and as long as
//! there is one that counts nothing is fetched.
//!
//! That must not last forever, or a program that forgets its END keeps everybody else from seeing
//! what devices write. So a bracket counts
//!
//! - until its END,
//! - until the address space that it was started in is gone: nobody can be writing any more,
//! - and no longer than [`PATIENCE`].
//!
//! One that has lasted longer is taken for forgotten. The brackets of a thread that has forgotten
//! one do not count until it sends an END: else one that never does, and starts over and over,
//! would always have a young one.
//!
//! Brackets nest: an END closes the last one of its thread or, if another thread has started it,
//! the last one of its address space.

use crate::seam::task::AddressSpace;
use kernel::{
    prelude::*,
    time::Delta, //
};

/// The brackets of one thread that are remembered. Of more, the last one stands for all that
/// follow.
const DEPTH: usize = 8;

/// All that are remembered: bounds what those can use up who start brackets and die.
const MOST: usize = 256;

/// How long a bracket may stay open and still count.
pub(super) const PATIENCE: Delta = Delta::from_secs(5);

/// Where brackets are opened, and whether somebody is still there.
pub(super) trait Space: PartialEq {
    /// Tells whether anything can still run in it.
    fn is_alive(&self) -> bool;
}

impl Space for AddressSpace {
    fn is_alive(&self) -> bool {
        AddressSpace::is_alive(self)
    }
}

/// An open bracket.
struct Bracket<S> {
    space: S,
    /// The thread identifier. It may be used again, and no harm comes of that.
    thread: i32,
    since: Delta,
}

impl<S: Space> Bracket<S> {
    fn is_of(&self, space: &S, thread: i32) -> bool {
        self.thread == thread && self.space == *space
    }

    fn is_forgotten(&self, now: Delta) -> bool {
        now - self.since >= PATIENCE
    }
}

/// The open brackets of a dma-buf in which the CPU writes, in the order they were opened.
///
/// Times are those since any fixed moment.
pub(super) struct Brackets<S>(KVec<Bracket<S>>);

impl<S: Space> Brackets<S> {
    pub(super) const fn new() -> Self {
        Self(KVec::new())
    }

    /// Opens a bracket of `space`. Fails with [`ENOMEM`], and no bracket is open more or less then.
    pub(super) fn open(&mut self, space: S, thread: i32, now: Delta) -> Result {
        self.prune();
        self.0.reserve(1, GFP_KERNEL_ACCOUNT)?;

        // The oldest tell who forgets, so they stay.
        let mut of_thread = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, b)| b.is_of(&space, thread));
        if let Some((last, _)) = of_thread.nth(DEPTH - 1) {
            let _ = self.0.remove(last);
        }
        if self.0.len() >= MOST {
            return Ok(());
        }

        let bracket = Bracket {
            space,
            thread,
            since: now,
        };
        self.0.push(bracket, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Closes a bracket of `space`, if there is one.
    pub(super) fn close(&mut self, space: &S, thread: i32, now: Delta) {
        let own = self.0.iter().rposition(|b| b.is_of(space, thread));
        let last = own.or_else(|| self.0.iter().rposition(|b| b.space == *space));

        if let Some(Ok(closed)) = last.map(|at| self.0.remove(at)) {
            let thread = closed.thread;
            self.0
                .retain(|b| !(b.is_of(space, thread) && b.is_forgotten(now)));
        }
        self.prune();
    }

    /// Forgets those of address spaces that are gone.
    pub(super) fn prune(&mut self) {
        self.0.retain(|b| b.space.is_alive());
    }

    /// Returns until when, at the most, there is a bracket that counts; nothing if there is none.
    pub(super) fn counting(&self, now: Delta) -> Option<Delta> {
        let counts = |bracket: &&Bracket<S>| {
            let forgetful =
                |b: &Bracket<S>| b.is_of(&bracket.space, bracket.thread) && b.is_forgotten(now);
            bracket.space.is_alive() && !self.0.iter().any(forgetful)
        };

        // The youngest that counts lasts longest.
        let youngest = self.0.iter().rev().find(counts)?;
        Some(youngest.since + PATIENCE)
    }

    /// Tells whether nobody has a bracket open, whether it counts or not.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[kunit_tests(udmabuf_rs_brackets)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    struct Process(u32, bool);

    impl Space for Process {
        fn is_alive(&self) -> bool {
            self.1
        }
    }

    const A: Process = Process(1, true);
    const B: Process = Process(2, true);
    const DEAD: Process = Process(3, false);

    fn at(seconds: i64) -> Delta {
        Delta::from_secs(100 + seconds)
    }

    fn any(brackets: &Brackets<Process>, seconds: i64) -> bool {
        brackets.counting(at(seconds)).is_some()
    }

    #[test]
    fn open_until_end() -> Result {
        let mut brackets = Brackets::new();
        assert!(!any(&brackets, 0));
        brackets.open(A, 1, at(0))?;
        assert!(any(&brackets, 1));
        brackets.close(&A, 1, at(2));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn nested_are_counted() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        brackets.open(A, 1, at(0))?;
        brackets.close(&A, 1, at(1));
        assert!(any(&brackets, 1));
        brackets.close(&A, 1, at(1));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn end_of_another_closes_nothing() -> Result {
        let mut brackets = Brackets::new();
        brackets.close(&B, 1, at(0));
        brackets.open(A, 1, at(0))?;
        brackets.close(&B, 1, at(1));
        assert!(any(&brackets, 1));
        brackets.open(B, 2, at(1))?;
        brackets.close(&A, 1, at(2));
        assert!(any(&brackets, 2));
        brackets.close(&B, 2, at(2));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn another_thread_may_send_the_end() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        brackets.close(&A, 2, at(1));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn patience_ends() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        assert!(brackets.counting(at(4)) == Some(at(5)));
        assert!(!any(&brackets, 5));
        assert!(!brackets.is_empty());
        Ok(())
    }

    #[test]
    fn starting_over_and_over_buys_no_patience() -> Result {
        let mut brackets = Brackets::new();
        for half in 0..40 {
            for _ in 0..10 {
                brackets.open(A, 1, at(0) + Delta::from_millis(500 * half))?;
            }
            assert!(any(&brackets, half / 2) == (half < 10));
        }
        assert!(brackets.0.len() <= DEPTH);
        Ok(())
    }

    #[test]
    fn one_forgotten_does_not_last() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        for second in 0..4 {
            brackets.open(A, 1, at(second))?;
            brackets.close(&A, 1, at(second));
            assert!(any(&brackets, second));
        }
        assert!(!any(&brackets, 5));
        Ok(())
    }

    #[test]
    fn an_end_makes_good() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        brackets.open(A, 1, at(6))?;
        assert!(!any(&brackets, 6));
        brackets.close(&A, 1, at(6));
        assert!(brackets.is_empty());
        brackets.open(A, 1, at(7))?;
        assert!(any(&brackets, 7));
        Ok(())
    }

    #[test]
    fn patience_is_each_ones_own() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, 1, at(0))?;
        brackets.open(A, 2, at(3))?;
        brackets.open(B, 3, at(4))?;
        assert!(brackets.counting(at(6)) == Some(at(9)));
        brackets.close(&B, 3, at(6));
        assert!(brackets.counting(at(6)) == Some(at(8)));
        brackets.close(&A, 2, at(6));
        assert!(!any(&brackets, 6));
        Ok(())
    }

    #[test]
    fn the_dead_do_not_count_and_are_forgotten() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(DEAD, 1, at(0))?;
        assert!(!any(&brackets, 0));
        brackets.open(A, 2, at(0))?;
        brackets.close(&A, 2, at(0));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn no_more_are_remembered_than_that() -> Result {
        let mut brackets = Brackets::new();
        for thread in 0..1000 {
            brackets.open(A, thread, at(0))?;
        }
        assert!(brackets.0.len() == MOST);
        assert!(any(&brackets, 1));
        Ok(())
    }
}
