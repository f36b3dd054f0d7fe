// SPDX-License-Identifier: GPL-2.0

//! Runs seam/system_memory/settle.rs in all interleavings with CPUs and devices that write.

mod bytes;
mod coherence;
mod operations;
mod staging;

// checklib/settle.py puts copies of the file with a mistake in its place.
#[allow(dead_code)]
#[path = "../../../../seam/system_memory/settle.rs"]
mod settle;

use settle_model::{program::Mistake, search};
use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let mistake = match env::args().nth(1).as_deref().map(str::parse::<Mistake>) {
        Some(Ok(mistake)) => Some(mistake),
        Some(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        None => None,
    };

    match search::run(operations::perform, mistake) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
