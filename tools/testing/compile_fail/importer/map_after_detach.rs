// SPDX-License-Identifier: GPL-2.0
// misuse: a mapping made for an attachment that was given up
// root: importer
// error: E0382

use crate::seam::{faux::DmaDevice, Attachment, DmaBuf, Mapping};
use kernel::{dma::DataDirection, prelude::*, sync::Arc};

pub fn wrong(buffer: &DmaBuf, device: &DmaDevice) -> Result<Mapping> {
    let attachment = Arc::new(Attachment::new(buffer, device.as_ref())?, GFP_KERNEL)?;

    drop(attachment);
    Mapping::new(attachment, device.as_ref(), DataDirection::Bidirectional)
}
