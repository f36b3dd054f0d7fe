// SPDX-License-Identifier: GPL-2.0

//! A dma-buf that is in the list from when it is made until it is released.

use super::registry::Entry;
use crate::seam::dma_buf::Exported;
use core::marker::PhantomData;
use kernel::{memory::Pages, prelude::*};

/// The decisions of a driver: none here.
pub trait Policy: 'static {}

/// The only policy.
pub struct Plain;

impl Policy for Plain {}

/// Data of a dma-buf.
#[pin_data]
pub struct SystemMemory<P: Policy> {
    #[pin]
    entry: Entry,
    _policy: PhantomData<P>,
}

/// A dma-buf, released when it is dropped.
pub struct Buffer(Pages<Exported<SystemMemory<Plain>>>);

impl Buffer {
    /// Makes the dma-buf with this number, and adds it to the list.
    pub fn new(number: u32) -> Self {
        let data = pin_init!(SystemMemory {
            entry <- Entry::new(),
            _policy: PhantomData,
        });
        let Ok(buffer) = Pages::pin_init(Exported::new(number, data));

        // SAFETY: The entry is part of the dma-buf, and removed when that is released.
        unsafe { buffer.data().entry.add(&buffer) };
        Self(buffer)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.data().entry.remove();
        self.0.dmabuf().release();
    }
}
