// SPDX-License-Identifier: GPL-2.0

//! A driver that imports dma-bufs: the smallest one that takes every step.
//!
//! Each open file has a device. It has no hardware, so the CPU does its work. A program passes a
//! dma-buf by the one ioctl of /dev/rust_dma_buf_importer, and the driver reports to the kernel log:
//! see `import.c` beside this file. Read from [`look_at`] on.

#[path = "../ffi/importer.rs"]
mod ffi;
#[path = "../seam/importer/mod.rs"]
pub mod seam;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    dma::DataDirection,
    fs::File,
    ioctl::_IO,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use seam::{
    faux::DmaDevice,
    version::Registration,
    Attachment,
    CpuAccess,
    DmaBuf,
    ImportedVmap,
    Mapping, //
};

module! {
    type: Importer,
    name: "rust_dma_buf_importer",
    authors: ["The udmabuf_rs authors"],
    description: "A driver that imports dma-bufs",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
}

/// Looks at a dma-buf. The argument is its file descriptor.
const LOOK_AT: u32 = _IO('d' as u32, 1);

fn look_at(device: &Device<Bound>, fd: i32) -> Result {
    // A descriptor becomes a reference to the dma-buf of any exporter. Dropping it gives the
    // reference back, here as in every early return below.
    let buffer = DmaBuf::get(fd)?;
    pr_info!("a dma-buf of {} bytes\n", buffer.size());

    // Attaching announces the device to the exporter; mapping gives it addresses. Both would be
    // undone if the device lost its driver. `device` proves that it has one.
    let attachment = Arc::new(Attachment::new(&buffer, device)?, GFP_KERNEL)?;
    let mapping = Mapping::new(attachment, device, DataDirection::Bidirectional)?;
    let table = mapping.access(device)?;

    // A driver would write these into registers or descriptors of its hardware.
    for segment in table.segments() {
        pr_info!("{} bytes at {:#x}\n", segment.length, segment.address);
    }

    // Now the device works: here it reads a line, and writes another in its place.
    let mut line = [0; 32];
    table.read_as_device(0, &mut line)?;
    pr_info!("the device reads: {}\n", text(&line));
    line.fill(0);
    line[..19].copy_from_slice(b"hello from a device");
    table.write_as_device(0, &line)?;

    // The CPU may look only inside a bracket: its beginning waits for pending accesses of devices,
    // and makes their writes visible. It ends with the block.
    {
        let view = ImportedVmap::new(&buffer)?;
        let _access = buffer.begin_cpu_access(CpuAccess::Read)?;
        view.read(0, &mut line)?;
        pr_info!("the CPU reads: {}\n", text(&line));
    }

    // Dropped in reverse order: unmap, detach, give the reference back.
    Ok(())
}

/// Returns the string that `line` begins with.
fn text(line: &[u8]) -> &str {
    let end = line.iter().position(|&byte| byte == 0);
    core::str::from_utf8(&line[..end.unwrap_or(line.len())]).unwrap_or("no text")
}

/// An open file of the node, with a device of its own.
struct ImporterFile {
    device: DmaDevice,
}

#[vtable]
impl MiscDevice for ImporterFile {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        /// Number in the name of the next device.
        static NEXT: Atomic<u32> = Atomic::new(0);

        let number = NEXT.fetch_add(1, Relaxed);
        let name = CString::try_from_fmt(fmt!("rust_dma_buf_importer.{number}"))?;
        let device = DmaDevice::new(&name)?;
        Ok(KBox::new(Self { device }, GFP_KERNEL)?)
    }

    fn ioctl(node: &Self, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            LOOK_AT => look_at(node.device.as_ref(), i32::try_from(arg)?)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// The module, which has the node.
#[pin_data]
struct Importer {
    #[pin]
    _node: Registration<ImporterFile>,
}

impl kernel::InPlaceModule for Importer {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _node <- Registration::register(MiscDeviceOptions {
                name: c"rust_dma_buf_importer",
            }),
        })
    }
}
