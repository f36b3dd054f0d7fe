// SPDX-License-Identifier: GPL-2.0

//! A model of a buffer, for an exhaustive search with stateright.
//!
//! README.md states the model and its bound. This library does not depend on the driver's file: it
//! is compiled once, and `main.rs` once for each copy of the file.

pub mod model;
pub mod program;
pub mod replay;
pub mod scenarios;
pub mod search;
pub mod world;
