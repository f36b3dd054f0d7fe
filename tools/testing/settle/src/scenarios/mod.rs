// SPDX-License-Identifier: GPL-2.0

//! The scenarios.
//!
//! A byte has one writer, or several that something orders. Bytes 0 to 3 of word 0 have a writer
//! each; word 1 is written as a whole, or by bytes.

mod coherent;
mod incoherent;
mod interrupted;

use crate::program::{Given, Op, Scenario, LAYOUTS};

/// Returns all scenarios, the largest at the end: most mistakes are found before.
pub fn scenarios() -> Vec<Scenario> {
    [
        interrupted::scenarios(),
        incoherent::scenarios(),
        coherent::scenarios(),
    ]
    .concat()
}

/// Returns a scenario of a coherent machine, with one START and END at its end.
fn scenario(name: &'static str, devices: &[Given], threads: Vec<Vec<Op>>) -> Scenario {
    Scenario {
        name,
        threads,
        devices: devices.to_vec(),
        direct_writers: 0,
        direct_readers: 0,
        is_coherent: true,
        has_store_buffers: false,
        settles_last: true,
        signals: 1,
        layout: LAYOUTS[0],
    }
}
