// SPDX-License-Identifier: GPL-2.0

//! Properties of the driver's arithmetic, against naive models. See README.md.
//!
//! The files under test are the driver's own.

#![allow(dead_code)]

#[path = "../../../../udmabuf/numbers.rs"]
mod numbers;
#[path = "../../../../seam/one_or_many.rs"]
mod one_or_many;
#[path = "../../../../seam/runs.rs"]
mod runs;
#[path = "../../../../seam/tally.rs"]
mod tally;
#[path = "../../../../udmabuf/window.rs"]
mod window;

#[cfg(test)]
mod tests;
