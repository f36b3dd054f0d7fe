// SPDX-License-Identifier: GPL-2.0
// misuse: a list of runs that is not checked, without unsafe
// root: driver
// error: E0133

use crate::seam::runs::{Run, Runs};

pub fn wrong(runs: &[Run]) -> Runs<'_> {
    Runs::new(runs, usize::MAX)
}
