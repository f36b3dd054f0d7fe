// SPDX-License-Identifier: GPL-2.0
// misuse: a mapping that does not keep its attachment, which could be dropped first
// root: importer
// error: E0308

use crate::seam::{faux::DmaDevice, Attachment, DmaBuf, Mapping};
use kernel::{dma::DataDirection, prelude::*};

pub fn wrong(buffer: &DmaBuf, device: &DmaDevice) -> Result<Mapping> {
    let attachment = Attachment::new(buffer, device.as_ref())?;

    Mapping::new(&attachment, device.as_ref(), DataDirection::Bidirectional)
}
