// SPDX-License-Identifier: GPL-2.0
// misuse: the mapped memory used without proof that the device is bound
// root: importer
// error: E0308

use crate::seam::Mapping;
use kernel::{device::Device, prelude::*};

pub fn wrong(mapping: &Mapping, device: &Device) -> Result {
    pr_info!("{} segments\n", mapping.access(device)?.segments().count());
    Ok(())
}
