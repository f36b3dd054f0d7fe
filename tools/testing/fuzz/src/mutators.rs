// SPDX-License-Identifier: GPL-2.0

//! Mutations of whole operations, beside LibAFL's of bytes.

use crate::program::{Kind, KINDS, MAX_OPS, OP_SIZE};
use libafl::{
    inputs::{BytesInput, HasMutatorBytes, ResizableMutator},
    mutators::{MutationResult, Mutator},
    state::HasRand,
    Error,
};
use libafl_bolts::{
    rands::Rand,
    tuples::{tuple_list, tuple_list_type},
    Named,
};
use std::borrow::Cow;

type Bytes = [u8; OP_SIZE];

fn operation(random: &mut impl Rand, kind: Kind) -> Bytes {
    let mut bytes = [0; OP_SIZE];

    bytes[0] = kind as u8;
    // The first thread, more often than not.
    bytes[1] = [0, 0, 0, 0, 1, 3][random.below_or_zero(6)];
    for byte in &mut bytes[2..] {
        // Slots and classes are small numbers.
        *byte = match random.below_or_zero(8) {
            0..4 => random.below_or_zero(4) as u8,
            4 | 5 => random.below_or_zero(16) as u8,
            _ => random.below_or_zero(256) as u8,
        };
    }
    bytes
}

fn any(random: &mut impl Rand) -> Bytes {
    let total: u32 = KINDS.iter().map(|(_, weight)| weight).sum();
    let mut left = random.below_or_zero(total as usize) as u32;

    for &(kind, weight) in KINDS {
        if left < weight {
            return operation(random, kind);
        }
        left -= weight;
    }
    operation(random, Kind::Check)
}

fn ops(input: &BytesInput) -> Vec<Bytes> {
    input
        .mutator_bytes()
        .chunks_exact(OP_SIZE)
        .map(|op| op.try_into().expect("its size"))
        .collect()
}

fn put(input: &mut BytesInput, ops: &[Bytes]) -> MutationResult {
    let ops = &ops[..ops.len().min(MAX_OPS)];

    input.resize(ops.len() * OP_SIZE, 0);
    input.mutator_bytes_mut().copy_from_slice(&ops.concat());
    MutationResult::Mutated
}

macro_rules! mutators {
    ($($(#[$doc:meta])* $name:ident($random:ident, $ops:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub struct $name;

            impl Named for $name {
                fn name(&self) -> &Cow<'static, str> {
                    static NAME: Cow<'static, str> = Cow::Borrowed(stringify!($name));
                    &NAME
                }
            }

            impl<S: HasRand> Mutator<BytesInput, S> for $name {
                fn mutate(
                    &mut self,
                    state: &mut S,
                    input: &mut BytesInput,
                ) -> Result<MutationResult, Error> {
                    let $random = state.rand_mut();
                    let mut $ops = ops(input);

                    if !$body {
                        return Ok(MutationResult::Skipped);
                    }
                    Ok(put(input, &$ops))
                }
            }
        )*

        /// All of them.
        pub type All = tuple_list_type!($($name),*);

        /// Returns all of them.
        pub fn all() -> All {
            tuple_list!($($name),*)
        }
    };
}

mutators! {
    /// Inserts an operation.
    Insert(random, ops) {
        let at = random.below_or_zero(ops.len() + 1);
        ops.insert(at, any(random));
        true
    }
    /// Puts an operation behind all others.
    Append(random, ops) {
        ops.push(any(random));
        true
    }
    /// Deletes an operation.
    Delete(random, ops) {
        ops.len() > 1 && {
            ops.remove(random.below_or_zero(ops.len()));
            true
        }
    }
    /// Swaps two operations.
    Swap(random, ops) {
        ops.len() > 1 && {
            let (a, b) = (random.below_or_zero(ops.len()), random.below_or_zero(ops.len()));
            ops.swap(a, b);
            a != b
        }
    }
    /// Does an operation again, elsewhere.
    Repeat(random, ops) {
        !ops.is_empty() && {
            let op = ops[random.below_or_zero(ops.len())];
            ops.insert(random.below_or_zero(ops.len() + 1), op);
            true
        }
    }
    /// Changes an argument.
    Change(random, ops) {
        !ops.is_empty() && {
            let at = random.below_or_zero(ops.len());
            let byte = 2 + random.below_or_zero(OP_SIZE - 2);
            ops[at][byte] = match random.below_or_zero(4) {
                0 => ops[at][byte].wrapping_add(1),
                1 => random.below_or_zero(256) as u8,
                // What is wrong with a creation.
                2 => 0xc0 | random.below_or_zero(64) as u8,
                _ => random.below_or_zero(8) as u8,
            };
            true
        }
    }
    /// Changes a kind, and leaves the arguments.
    ChangeKind(random, ops) {
        !ops.is_empty() && {
            let at = random.below_or_zero(ops.len());
            ops[at][0] = any(random)[0];
            true
        }
    }
    /// Gives an operation to another thread.
    Move(random, ops) {
        !ops.is_empty() && {
            let at = random.below_or_zero(ops.len());
            ops[at][1] = random.below_or_zero(4) as u8;
            true
        }
    }
    /// Gives each operation to a thread.
    Spread(random, ops) {
        for op in &mut ops {
            op[1] = random.below_or_zero(4) as u8;
        }
        !ops.is_empty()
    }
    /// Puts a memfd, a buffer of it and a mapping for the CPU or a device before or behind.
    Begin(random, ops) {
        let at = if random.below_or_zero(3) == 0 { 0 } else { ops.len() };
        let memfd = random.below_or_zero(4) as u8;
        let buffer = random.below_or_zero(3) as u8;
        let mut first = operation(random, Kind::Memfd);
        (first[2], first[4], first[6]) = (memfd, if first[4] & 4 == 0 { 0 } else { 0x10 }, 0);
        let kind = [Kind::Create, Kind::CreateList, Kind::CreateExt][random.below_or_zero(3)];
        let mut second = operation(random, kind);
        (second[2], second[3], second[4], second[6]) = (memfd | buffer << 3, 0, 0, 0);
        let then = [Kind::Mmap, Kind::Map, Kind::Vmap, Kind::Map][random.below_or_zero(4)];
        let mut third = operation(random, then);
        third[3] = buffer;
        let mut fourth = operation(random, Kind::Limits);
        (fourth[3], fourth[5], fourth[6]) = (0, 0, 0);
        for mut op in [third, fourth, second, first] {
            op[1] = 0;
            ops.insert(at, op);
        }
        true
    }
}
