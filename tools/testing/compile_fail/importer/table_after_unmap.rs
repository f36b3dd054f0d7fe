// SPDX-License-Identifier: GPL-2.0
// misuse: the mapped memory used after it was unmapped
// root: importer
// error: E0505

use crate::seam::{faux::DmaDevice, Mapping};
use kernel::prelude::*;

pub fn wrong(mapping: Mapping, device: &DmaDevice) -> Result {
    let table = mapping.access(device.as_ref())?;

    drop(mapping);
    pr_info!("{} segments\n", table.segments().count());
    Ok(())
}
