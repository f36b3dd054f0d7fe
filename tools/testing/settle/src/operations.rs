// SPDX-License-Identifier: GPL-2.0

//! The operations of programs.

use crate::coherence::{detach, end, map, map_direct, start, unmap, unmap_direct};
use settle_model::{
    program::Op,
    replay::{access, load, wait, GivenUp, Run},
    world::{byte_mask, Word, BYTES, WHOLE},
};

/// Signals a fence, after all earlier stores of the CPU.
fn signal(fence: u32) {
    access(format_args!("signal fence {fence}"), |run| {
        run.is_drained().then(|| run.world.signalled |= 1 << fence)
    });
}

/// Loads a byte that must be `value`.
fn see(value: u8, byte: usize, load_word: impl FnOnce(&mut Run) -> Word) {
    load(format_args!("load byte {byte}"), |run| {
        let found = load_word(run)[byte];

        if found != value {
            run.world.wrong = Some(run.thread);
        }
        Some(found.into())
    });
}

/// Stores to word `at` by a CPU or a device.
fn write(at: usize, mask: Word, value: u8, store: impl FnOnce(&mut Run, Word)) {
    access(format_args!("store"), |run| {
        store(run, [value; BYTES]);
        run.world.note(at, mask, [value; BYTES]);
        Some(())
    });
}

/// Performs an operation, as far as its accesses go. Fails if a signal has ended it.
pub fn perform(op: Op) -> Result<(), GivenUp> {
    match op {
        Op::Start => return start(None),
        Op::StartAfter(fence) => return start(Some(fence)),
        Op::End => return end(),
        Op::Map(id) => return map(id),
        Op::MapDirect => return map_direct(),
        Op::Unmap(id) => unmap(id),
        Op::Detach(id) => detach(id),
        Op::UnmapDirect => unmap_direct(),
        Op::Signal(fence) => signal(fence),
        Op::Wait(fence) => wait(fence),
        Op::CpuSees(at, byte, value) => see(value, byte, |run| run.load(at)),
        Op::DirectSees(at, byte, value) => see(value, byte, |run| run.world.memory[at]),
        Op::DevSees(id, at, byte, value) => {
            see(value, byte, |run| run.world.stagings[id][at]);
        }
        Op::Cpu(at, byte, value) => {
            let mask = byte_mask(byte);

            write(at, mask, value, |run, word| run.store(at, mask, word));
        }
        Op::CpuWord(at, value) => {
            write(at, WHOLE, value, |run, word| run.store(at, WHOLE, word));
        }
        Op::Direct(at, byte, value) => {
            write(at, byte_mask(byte), value, |run, word| {
                run.world.memory[at][byte] = word[byte];
            });
        }
        Op::Dev(id, at, byte, value) => {
            write(at, byte_mask(byte), value, |run, word| {
                run.world.stagings[id][at][byte] = word[byte];
            });
        }
        Op::DevWord(id, at, value) => {
            write(at, WHOLE, value, |run, word| {
                run.world.stagings[id][at] = word;
            });
        }
    }
    Ok(())
}
