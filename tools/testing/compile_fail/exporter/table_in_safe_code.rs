// SPDX-License-Identifier: GPL-2.0
// misuse: a table of unknown memory, without unsafe
// root: exporter
// error: E0200

use crate::seam::dma_buf::DeviceTable;
use kernel::bindings;

pub struct Table(bindings::sg_table);

impl DeviceTable for Table {
    fn table(&self) -> bindings::sg_table {
        self.0
    }

    fn size(&self) -> usize {
        4096
    }
}
