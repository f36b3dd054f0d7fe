// SPDX-License-Identifier: GPL-2.0
// misuse: a DMA mapping of memory that nothing keeps, without unsafe
// root: exporter
// error: E0133

use crate::seam::{dma_mapping::DmaMapping, scatterlist::SgTable};
use kernel::{device::Device, dma::DataDirection, prelude::*};

pub fn wrong(table: SgTable, device: &Device) -> Result<DmaMapping> {
    DmaMapping::new(table, device, DataDirection::Bidirectional)
}
