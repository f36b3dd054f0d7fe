// SPDX-License-Identifier: GPL-2.0

//! Devices for tests that import dma-bufs, driven through /dev/udmabuf_importer.
//!
//! `udmabuf_importer.h` has the calls; [`file`] is the state of an open file, [`faux`] and [`edu`]
//! are the devices. All of it stands on the importer's half of the seam, which `misuse` tries to
//! misuse.

#[forbid(unsafe_code)]
mod abi;
#[forbid(unsafe_code)]
mod edu;
mod faux;
#[path = "../../../../../ffi/importer.rs"]
mod ffi;
#[forbid(unsafe_code)]
mod file;
#[cfg(CONFIG_KUNIT = "y")]
mod misuse;
#[path = "../../../../../seam/importer/mod.rs"]
pub mod seam;

use kernel::{
    driver,
    miscdevice::MiscDeviceOptions,
    pci,
    prelude::*, //
};
use seam::version::Registration;

module! {
    type: Module,
    name: "udmabuf_importer",
    authors: ["The udmabuf_rs authors"],
    description: "Devices for tests that import dma-bufs",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
    params: {
        edu_mask: u32 {
            default: 32,
            description: "Address bits of the edu device, as QEMU was told by dma_mask= (default: 32; QEMU's: 28)",
        },
    },
}

#[pin_data]
struct Module {
    // Dropped in this order: no file is open any more, then the devices go.
    #[pin]
    _node: Registration<file::OpenFile>,
    #[pin]
    _edu: driver::Registration<pci::Adapter<edu::Driver>>,
    _faux: faux::AllPlugged,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: A module is initialised once, and the devices that use the locks come after this.
        unsafe {
            edu::DEVICE.init();
            faux::DEVICES.init();
        }

        try_pin_init!(Self {
            _faux: faux::AllPlugged::new()?,
            _edu <- driver::Registration::new(c"udmabuf_importer", module),
            _node <- Registration::register(MiscDeviceOptions {
                name: c"udmabuf_importer",
            }),
        })
    }
}
