// SPDX-License-Identifier: GPL-2.0

//! dma-bufs with the data of their exporter, as in seam/dma_buf/.

use core::ptr::NonNull;
use kernel::{bindings, prelude::*};

/// A dma-buf.
#[pin_data]
#[repr(C)]
pub struct Exported<T> {
    dmabuf: bindings::dma_buf,
    #[pin]
    data: T,
}

impl<T> Exported<T> {
    /// Creates the dma-buf with this number.
    pub fn new(number: u32, data: impl PinInit<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            dmabuf: bindings::dma_buf::new(number),
            data <- data,
        })
    }

    /// Returns the C side.
    pub fn as_raw(&self) -> *mut bindings::dma_buf {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Returns the dma-buf without its data.
    pub fn dmabuf(&self) -> &bindings::dma_buf {
        &self.dmabuf
    }

    /// Returns the data of the exporter.
    pub fn data(&self) -> &T {
        &self.data
    }
}

/// A dma-buf that has not been released.
pub struct Unreleased<'a, T>(&'a Exported<T>);

impl<T> Unreleased<'_, T> {
    /// Returns a dma-buf by its C side.
    ///
    /// # Safety
    ///
    /// It must be one with data of this type that has not been released.
    pub unsafe fn from_raw(dmabuf: NonNull<bindings::dma_buf>) -> Self {
        // SAFETY: By the safety requirements, the dma-buf is the first field of an `Exported<T>`.
        Self(unsafe { dmabuf.cast().as_ref() })
    }

    /// Returns the dma-buf without its data.
    pub fn dmabuf(&self) -> &bindings::dma_buf {
        self.0.dmabuf()
    }
}
