// SPDX-License-Identifier: GPL-2.0

//! Memory and stagings, access by access.

use crate::settle::{self, Bytes};
use settle_model::{
    replay::{self, access, load},
    world::{byte_mask, BYTES, WHOLE, WORDS},
};

/// Memory of the buffer from a word on, as the CPU sees it.
pub struct Memory(pub usize);

impl Bytes for Memory {
    fn load(&self, at: usize) -> usize {
        let at = self.0 + at;

        load(format_args!("load memory {at}"), |run| {
            Some(usize::from_ne_bytes(run.load(at)))
        })
    }

    fn store(&self, at: usize, word: usize) {
        let at = self.0 + at;

        access(format_args!("store memory {at} = {word:#x}"), |run| {
            run.store(at, WHOLE, word.to_ne_bytes());
            Some(())
        });
    }

    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        let at = self.0 + at;

        access(
            format_args!("store memory {at}, byte {byte} = {value}"),
            |run| {
                run.store(at, byte_mask(byte), [value; BYTES]);
                Some(())
            },
        );
    }
}

/// The staging of a device from a word on.
pub struct Staging(pub usize, pub usize);

impl Bytes for Staging {
    fn load(&self, at: usize) -> usize {
        let (device, at) = (self.0, self.1 + at);

        load(format_args!("load staging {device}, {at}"), |run| {
            Some(usize::from_ne_bytes(run.world.stagings[device][at]))
        })
    }

    fn store(&self, at: usize, word: usize) {
        let (device, at) = (self.0, self.1 + at);

        access(
            format_args!("store staging {device}, {at} = {word:#x}"),
            |run| {
                run.world.stagings[device][at] = word.to_ne_bytes();
                Some(())
            },
        );
    }

    fn store_byte(&self, at: usize, byte: usize, value: u8) {
        let (device, at) = (self.0, self.1 + at);

        access(
            format_args!("store staging {device}, {at}, byte {byte} = {value}"),
            |run| {
                run.world.stagings[device][at][byte] = value;
                Some(())
            },
        );
    }
}

/// Merges a page, in steps as the layout says.
pub fn merge(from: &impl Bytes, base: &mut [usize], to: &impl Bytes) -> bool {
    match replay::layout().step {
        1 => settle::merge::<1>(from, base, to),
        _ => settle::merge::<WORDS>(from, base, to),
    }
}

/// Refreshes a page of a staging that has no base, in steps as the layout says.
pub fn refresh(from: &impl Bytes, to: &impl Bytes, len: usize) {
    match replay::layout().step {
        1 => settle::refresh::<1>(from, to, len),
        _ => settle::refresh::<WORDS>(from, to, len),
    }
}
