// SPDX-License-Identifier: GPL-2.0

//! The properties.

#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "numbers")]
mod numbers;
#[cfg(feature = "one_or_many")]
mod one_or_many;
#[cfg(feature = "runs")]
mod runs;
#[cfg(feature = "tally")]
mod tally;
#[cfg(feature = "window")]
mod window;

use proptest::prelude::*;

/// Returns how often a property is tried. Nothing is written to files.
fn cases(cases: u32) -> ProptestConfig {
    // An interpreter takes thousands of times as long.
    let cases = if cfg!(miri) { 20 } else { cases };

    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Numbers of all magnitudes, with those next to powers of two as likely as all others together.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u32..64, -2i64..=2).prop_map(|(bit, off)| (1u64 << bit).wrapping_add_signed(off)),
        (any::<u64>(), 0u32..64).prop_map(|(number, bits)| number >> bits),
        Just(0),
        Just(u64::MAX),
    ]
}
