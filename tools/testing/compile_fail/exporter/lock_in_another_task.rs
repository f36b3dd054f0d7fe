// SPDX-License-Identifier: GPL-2.0
// misuse: the proof of a lock, passed to another task
// root: exporter
// error: E0277

use crate::seam::dma_buf::{Exporter, Locked};

fn send<T: Send>(_value: T) {}

pub fn wrong<T: Exporter>(buffer: Locked<'_, T>) {
    send(buffer);
}
