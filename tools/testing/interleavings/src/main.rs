// SPDX-License-Identifier: GPL-2.0

//! Runs the records of the driver in all interleavings. See README.md.

// The names by which the driver's files and the attributes in them know it.
extern crate kernel as pin_init;
extern crate kernel as pinned_init;

mod ffi;
mod scenarios;
mod seam;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let record = env::args().nth(1);
    let scenarios = match record.as_deref() {
        Some("unbind") => scenarios::unbind::ALL,
        Some("registry") => scenarios::registry::ALL,
        _ => {
            eprintln!("usage: interleavings unbind|registry");
            return ExitCode::FAILURE;
        }
    };

    for scenario in scenarios {
        println!("explored {}: {}", scenario.name, scenario.explore());
    }
    println!("all {} scenarios", scenarios.len());
    ExitCode::SUCCESS
}
