// SPDX-License-Identifier: GPL-2.0

//! A driver that imports dma-bufs: the smallest one that does all there is to do.
//!
//! Its device has no hardware, so the CPU does what that would. A program hands it a dma-buf by the
//! one ioctl of /dev/rust_dma_buf_importer, and the kernel log tells what the driver sees: see
//! `import.c` beside this file. Read from [`look_at`] on.

#[path = "../ffi/import.rs"]
mod ffi;
#[path = "../seam/import.rs"]
pub mod seam;

use kernel::{
    dma::DataDirection,
    fs::File,
    ioctl::_IO,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    sync::Arc, //
};
use seam::{
    dma_buf_import::{
        Attachment,
        DmaBuf,
        KernelMapping,
        Mapping, //
    },
    faux::DmaDevice,
    sync::StaticMutex, //
};

module! {
    type: Importer,
    name: "rust_dma_buf_importer",
    authors: ["The udmabuf_rs authors"],
    description: "A driver that imports dma-bufs",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
}

/// Looks at the dma-buf whose descriptor is the argument.
const LOOK_AT: u32 = _IO('d' as u32, 1);

/// The device, as long as the module is loaded.
static DEVICE: StaticMutex<Option<DmaDevice>> = StaticMutex::new(None);

fn look_at(fd: i32) -> Result {
    // A descriptor becomes a reference to the dma-buf, whoever exported it. Dropping it gives the
    // reference back, here as in every early return below.
    let buffer = DmaBuf::get(fd)?;
    pr_info!("a dma-buf of {} bytes\n", buffer.size());

    // Attaching announces the device to the exporter; mapping gives it addresses. Both borrow
    // `device`: while it is mapped for, it cannot go.
    let device = DEVICE.lock();
    let device = device.as_ref().ok_or(ENODEV)?;
    let attachment = Arc::new(Attachment::new(&buffer, device.as_ref())?, GFP_KERNEL)?;
    let mapping = Mapping::new(attachment, DataDirection::Bidirectional)?;

    // A driver would write these into registers or descriptors of its hardware.
    for segment in mapping.segments() {
        pr_info!("{} bytes at {:#x}\n", segment.length, segment.address);
    }

    // Now the device works: here it reads a line, and writes another in its place.
    let mut line = [0; 32];
    mapping.read_as_device(0, &mut line)?;
    pr_info!("the device reads: {}\n", text(&line));
    line.fill(0);
    line[..19].copy_from_slice(b"hello from a device");
    mapping.write_as_device(0, &line)?;

    // The CPU may look only inside a bracket: its beginning waits for those who have not finished,
    // and brings what devices wrote. It ends with the block.
    {
        let view = KernelMapping::new(&buffer)?;
        let _access = buffer.begin_cpu_access(DataDirection::FromDevice)?;
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

/// An open file of the node: there is nothing to remember.
struct Node;

#[vtable]
impl MiscDevice for Node {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        Ok(KBox::new(Self, GFP_KERNEL)?)
    }

    fn ioctl(_node: &Self, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            LOOK_AT => look_at(i32::try_from(arg)?)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// The module: the node goes before the device does.
#[pin_data]
struct Importer {
    #[pin]
    _node: MiscDeviceRegistration<Node>,
    _plugged: Plugged,
}

impl kernel::InPlaceModule for Importer {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _plugged: Plugged::new()?,
            _node <- MiscDeviceRegistration::register(MiscDeviceOptions {
                name: c"rust_dma_buf_importer",
            }),
        })
    }
}

/// There is a device as long as this lives.
struct Plugged;

impl Plugged {
    fn new() -> Result<Self> {
        *DEVICE.lock() = Some(DmaDevice::new(c"rust_dma_buf_importer")?);
        Ok(Self)
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        *DEVICE.lock() = None;
    }
}
