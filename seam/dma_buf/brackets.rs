// SPDX-License-Identifier: GPL-2.0

//! Who is writing through the CPU just now.
//!
//! # Concepts
//!
//! Userspace brackets its access to a dma-buf by a START and an END. What a device wrote is fetched
//! at the START. Behind a bounce buffer that replaces all bytes of the memory, among them those
//! which somebody else is writing in a bracket of their own. So open brackets in which the CPU
//! writes are remembered, and as long as there is one nothing is fetched over its bytes.
//!
//! That must not last forever, or a program that forgets its END keeps everybody else from seeing
//! what devices write. So a bracket counts
//!
//! - until its END,
//! - until the address space that it was started in is gone: nobody can be writing any more,
//! - and no longer than [`PATIENCE`] after that address space was last seen to keep the rules:
//!   when it had none open, or sent an END.
//!
//! Brackets nest, and those of several threads overlap, so they are counted for each address space.

use crate::seam::task::AddressSpace;
use kernel::{
    prelude::*,
    time::Delta, //
};

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

/// The open brackets of one address space.
struct Writer<S> {
    space: S,
    /// Never 0.
    open: u32,
    /// When the space last kept the rules.
    seen: Delta,
}

impl<S: Space> Writer<S> {
    fn counts(&self, now: Delta) -> bool {
        now - self.seen < PATIENCE && self.space.is_alive()
    }
}

/// The open brackets of a dma-buf in which the CPU writes.
///
/// Times are those since any fixed moment.
pub(super) struct Brackets<S>(KVec<Writer<S>>);

impl<S: Space> Brackets<S> {
    pub(super) const fn new() -> Self {
        Self(KVec::new())
    }

    /// Opens a bracket of `space`. Fails with [`ENOMEM`], and nothing has changed then.
    pub(super) fn open(&mut self, space: S, now: Delta) -> Result {
        self.0.retain(|writer| writer.space.is_alive());

        if let Some(writer) = self.0.iter_mut().find(|writer| writer.space == space) {
            writer.open = writer.open.saturating_add(1);
            return Ok(());
        }
        self.0.push(
            Writer {
                space,
                open: 1,
                seen: now,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(())
    }

    /// Closes a bracket of `space`, if there is one.
    pub(super) fn close(&mut self, space: &S, now: Delta) {
        self.0.retain(|writer| {
            if writer.space == *space {
                writer.open -= 1;
                writer.seen = now;
            }
            writer.open != 0 && writer.space.is_alive()
        });
    }

    /// Tells whether there is an open bracket that counts.
    pub(super) fn any(&self, now: Delta) -> bool {
        self.0.iter().any(|writer| writer.counts(now))
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

    #[test]
    fn open_until_end() -> Result {
        let mut brackets = Brackets::new();
        assert!(!brackets.any(at(0)));
        brackets.open(A, at(0))?;
        assert!(brackets.any(at(1)));
        brackets.close(&A, at(2));
        assert!(!brackets.any(at(2)));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn nested_are_counted() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        brackets.open(A, at(0))?;
        brackets.close(&A, at(1));
        assert!(brackets.any(at(1)));
        brackets.close(&A, at(1));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn end_of_another_closes_nothing() -> Result {
        let mut brackets = Brackets::new();
        brackets.close(&B, at(0));
        brackets.open(A, at(0))?;
        brackets.close(&B, at(1));
        assert!(brackets.any(at(1)));
        brackets.open(B, at(1))?;
        brackets.close(&A, at(2));
        assert!(brackets.any(at(2)));
        brackets.close(&B, at(2));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn patience_ends() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        assert!(brackets.any(at(4)));
        assert!(!brackets.any(at(5)));
        assert!(!brackets.is_empty());
        Ok(())
    }

    #[test]
    fn start_after_start_buys_no_patience() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        brackets.open(A, at(4))?;
        assert!(!brackets.any(at(5)));
        Ok(())
    }

    #[test]
    fn end_buys_patience() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        brackets.open(A, at(4))?;
        brackets.close(&A, at(4));
        assert!(brackets.any(at(8)));
        assert!(!brackets.any(at(9)));
        Ok(())
    }

    #[test]
    fn patience_is_each_ones_own() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        brackets.open(B, at(4))?;
        assert!(brackets.any(at(8)));
        brackets.close(&B, at(8));
        assert!(!brackets.any(at(8)));
        Ok(())
    }

    #[test]
    fn the_dead_do_not_count_and_are_forgotten() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(DEAD, at(0))?;
        assert!(!brackets.any(at(0)));
        brackets.open(A, at(0))?;
        brackets.close(&A, at(0));
        assert!(brackets.is_empty());
        Ok(())
    }

    #[test]
    fn more_than_can_be_counted() -> Result {
        let mut brackets = Brackets::new();
        brackets.open(A, at(0))?;
        brackets.0[0].open = u32::MAX;
        brackets.open(A, at(0))?;
        brackets.close(&A, at(0));
        assert!(brackets.any(at(0)));
        Ok(())
    }
}
