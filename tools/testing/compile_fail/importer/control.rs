// SPDX-License-Identifier: GPL-2.0
// misuse: none
// root: importer

use crate::seam::{
    faux::{DmaDevice, DmaLimits},
    Attachment, CpuAccess, DmaBuf, Fence, Mapping, Usage,
};
use kernel::{dma::DataDirection, prelude::*, sync::Arc};

pub fn right(buffer: &DmaBuf, module: &'static ThisModule) -> Result {
    let mut device = DmaDevice::new(c"device")?;
    let attachment = Arc::new(Attachment::new(buffer, device.as_ref())?, GFP_KERNEL)?;
    let mapping = Mapping::new(attachment, device.as_ref(), DataDirection::Bidirectional)?;
    let bytes: usize = mapping
        .access(device.as_ref())?
        .segments()
        .map(|segment| segment.length)
        .sum();

    device.set_limits(DmaLimits::NONE)?;
    Fence::new(c"fence", module)?.add_to(buffer, Usage::Read)?;
    let access = buffer.begin_cpu_access(CpuAccess::Read)?;
    drop(access);
    drop(device);
    pr_info!("{bytes} bytes of {}\n", mapping.size());
    Ok(())
}
