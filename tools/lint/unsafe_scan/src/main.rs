// SPDX-License-Identifier: GPL-2.0
//! Lists unsafe code in Rust sources, with the comments that justify it, as JSON.
//!
//! ```text
//! unsafe_scan FILE...
//! ```
//!
//! Works on tokens, so that strings and comments never count, and bodies of macros do.

mod comments;
mod walk;

use std::{env, fs, process::ExitCode};

use serde_json::{Map, Value};

fn main() -> ExitCode {
    let mut files = Map::new();

    for name in env::args().skip(1) {
        let found = fs::read_to_string(&name)
            .map_err(|error| error.to_string())
            .and_then(|source| walk::scan(&source));

        match found {
            Ok(items) => files.insert(name, Value::Array(items)),
            Err(error) => {
                eprintln!("unsafe_scan: {name}: {error}");
                return ExitCode::FAILURE;
            }
        };
    }
    println!("{}", Value::Object(files));
    ExitCode::SUCCESS
}
