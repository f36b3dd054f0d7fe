// SPDX-License-Identifier: GPL-2.0
// misuse: a mapping that may outlive its device, made in safe code
// root: importer
// error: E0133

use crate::seam::{faux::DmaDevice, DmaBuf, UnmanagedMapping};
use kernel::{dma::DataDirection, prelude::*};

pub fn wrong(buffer: &DmaBuf, device: &DmaDevice) -> Result<UnmanagedMapping> {
    UnmanagedMapping::new(buffer, device.as_ref(), DataDirection::Bidirectional)
}
