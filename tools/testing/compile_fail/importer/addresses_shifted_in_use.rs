// SPDX-License-Identifier: GPL-2.0
// misuse: the addresses of a mapping changed while they are read
// root: importer
// error: E0502

use crate::seam::{faux::DmaDevice, Mapping};
use kernel::prelude::*;

pub fn wrong(mapping: &mut Mapping, device: &DmaDevice) -> Result {
    let segments = mapping.access(device.as_ref())?.segments();

    mapping.shift_addresses(device.as_ref(), 4096)?;
    pr_info!("{} segments\n", segments.count());
    Ok(())
}
