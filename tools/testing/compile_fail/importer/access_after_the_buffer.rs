// SPDX-License-Identifier: GPL-2.0
// misuse: an access of the CPU that outlives the reference to the dma-buf
// root: importer
// error: E0505

use crate::seam::{CpuAccess, DmaBuf};
use kernel::{prelude::*, sync::aref::ARef};

pub fn wrong(buffer: ARef<DmaBuf>) -> Result {
    let access = buffer.begin_cpu_access(CpuAccess::Read)?;

    drop(buffer);
    drop(access);
    Ok(())
}
