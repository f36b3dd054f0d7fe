// SPDX-License-Identifier: GPL-2.0
// misuse: a lock that is held longer than the dma-buf lives
// root: exporter
// error: E0597

use crate::seam::dma_buf::{Exported, Exporter};
use kernel::sync::aref::ARef;

pub fn wrong<T: Exporter>(buffer: ARef<Exported<T>>) {
    let guard;
    {
        let buffer = buffer;
        guard = buffer.lock();
    }
    guard.for_each_mapping(|_| ());
}
