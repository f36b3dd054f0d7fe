// SPDX-License-Identifier: GPL-2.0
// misuse: the limits of a device changed while it may be mapped for
// root: importer
// error: E0502

use crate::seam::{
    faux::{DmaDevice, DmaLimits},
    Attachment, DmaBuf,
};
use kernel::{
    device::{Bound, Device},
    prelude::*,
};

pub fn wrong(buffer: &DmaBuf, device: &mut DmaDevice) -> Result<Attachment> {
    let bound: &Device<Bound> = (*device).as_ref();

    device.set_limits(DmaLimits::NONE)?;
    Attachment::new(buffer, bound)
}
