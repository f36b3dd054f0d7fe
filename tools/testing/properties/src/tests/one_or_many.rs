// SPDX-License-Identifier: GPL-2.0

//! A vector that begins with room for one, against a plain one.

use super::cases;
use crate::one_or_many::OneOrMany;
use kernel::alloc::{
    allocations,
    fail,
    Flags, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

#[derive(Clone, Debug)]
enum Step {
    Reserve(usize),
    Push,
    PushWithinCapacity,
    Shrink,
}

fn step() -> impl Strategy<Value = (Step, bool)> {
    let step = prop_oneof![
        2 => (0usize..40).prop_map(Step::Reserve),
        4 => Just(Step::Push),
        4 => Just(Step::PushWithinCapacity),
        1 => Just(Step::Shrink),
    ];

    (step, prop::bool::weighted(0.2))
}

/// Returns whether memory is worth giving back: more than half of it, as it comes in powers of two,
/// or more than an eighth of what is used.
fn is_worth_it(len: usize, capacity: usize) -> bool {
    capacity.next_power_of_two() > len.next_power_of_two() || 8 * (capacity - len) > len
}

proptest! {
    #![proptest_config(cases(5_000))]

    /// It has the elements of a plain vector, and memory is had where it is needed and not before.
    #[test]
    fn is_a_vector(steps in vec(step(), 0..80)) {
        let (mut vector, mut wanted) = (OneOrMany::new(), Vec::new());

        for (at, (step, without_memory)) in steps.into_iter().enumerate() {
            let (room, before) = (vector.capacity() - wanted.len(), allocations());

            fail(without_memory);
            match step {
                Step::Reserve(additional) => {
                    let done = vector.reserve(additional, Flags);

                    prop_assert_eq!(done.is_err(), without_memory && additional > room);
                    if done.is_ok() {
                        prop_assert!(vector.capacity() - wanted.len() >= additional);
                    }
                    prop_assert_eq!(allocations() > before, done.is_ok() && additional > room);
                }
                Step::Push => {
                    let done = vector.push(at, Flags);

                    prop_assert_eq!(done.is_err(), without_memory && room == 0);
                    if done.is_ok() {
                        wanted.push(at);
                    }
                }
                Step::PushWithinCapacity => {
                    let done = vector.push_within_capacity(at);

                    prop_assert_eq!(done, room > 0);
                    if done {
                        wanted.push(at);
                    }
                    prop_assert_eq!(allocations(), before);
                }
                Step::Shrink => vector.shrink(Flags),
            }
            fail(false);
            prop_assert_eq!(vector.as_slice(), &wanted[..]);
        }
    }

    /// What is not used is given back where that is worth it, and else nothing is moved.
    #[test]
    fn shrinks(
        len in 0usize..600,
        more in prop_oneof![0usize..20, 0usize..600],
        short in prop::bool::ANY,
    ) {
        let mut vector = OneOrMany::new();

        // More than the one that there is room for at first.
        vector.reserve((len + more).max(2), Flags).unwrap();
        prop_assert!((0..len).all(|at| vector.push_within_capacity(at)));
        let (capacity, before) = (vector.capacity(), allocations());

        fail(short);
        vector.shrink(Flags);
        fail(false);
        prop_assert!(vector.as_slice().iter().copied().eq(0..len));
        if len <= 1 {
            prop_assert_eq!((vector.capacity(), allocations()), (1, before));
        } else if is_worth_it(len, capacity) && !short {
            prop_assert_eq!((vector.capacity(), allocations()), (len, before + 1));
        } else {
            prop_assert_eq!((vector.capacity(), allocations()), (capacity, before));
        }
    }
}
