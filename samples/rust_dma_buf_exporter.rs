// SPDX-License-Identifier: GPL-2.0

//! A driver that exports dma-bufs: memory of a [`VVec`], with all operations of an exporter.
//!
//! A program gets a dma-buf of some pages by the one ioctl of /dev/rust_dma_buf_exporter, and hands
//! it to any driver that imports: see `export.c` beside this file. Read from [`Memory`] on.

#[path = "../ffi/mod.rs"]
pub mod ffi;
#[path = "../seam/exporter/mod.rs"]
pub mod seam;

use core::sync::atomic::{
    AtomicU8,
    Ordering::Relaxed, //
};
use kernel::{
    device::Device,
    dma::DataDirection,
    fs::{
        file::flags::O_CLOEXEC,
        File, //
    },
    ioctl::_IO,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use seam::{
    dma_buf::{
        Attach,
        Attached,
        CpuAccess,
        DmaBuf,
        Exported,
        Exporter,
        KernelMapping,
        Locked, //
    },
    shared_mapping::SharedMapping,
    shared_vvec::SharedVVec,
    version::Registration, //
};

module! {
    type: Module,
    name: "rust_dma_buf_exporter",
    authors: ["The udmabuf_rs authors"],
    description: "A driver that exports dma-bufs",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
}

/// Exports as many pages as the argument says, and returns a descriptor.
const EXPORT: u32 = _IO('d' as u32, 2);

/// The text that a new buffer begins with.
const GREETING: &[u8] = b"hello from an exporter";

/// The exporter's data about one dma-buf. Dropping it releases the memory.
struct Memory(Arc<SharedVVec>);

impl Memory {
    fn new(nr_pages: usize) -> Result<Self> {
        let memory = SharedVVec::zeroed(nr_pages)?;

        for (to, from) in memory.bytes().iter().zip(GREETING) {
            AtomicU8::store(to, *from, Relaxed);
        }
        Ok(Self(Arc::new(memory, GFP_KERNEL)?))
    }
}

/// Data about an attachment: here it only counts as one in the log. Dropping it is the detach.
struct Guest;

impl Attach<Memory> for Guest {
    fn attach(buffer: &Exported<Memory>, _device: &Device) -> Result<Self> {
        pr_info!("a device attaches to {} bytes\n", buffer.size());
        Ok(Self)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        pr_info!("it is gone\n");
    }
}

#[vtable]
impl Exporter for Memory {
    const NAME: &'static CStr = c"rust_dma_buf_exporter";

    type Attachment = Guest;
    type Mapping<'a> = SharedMapping<'a, SharedVVec>;

    fn size(&self) -> usize {
        self.0.bytes().len()
    }

    // The seam keeps the mapping, and drops it when the importer unmaps it or detaches.
    fn map<'a>(
        attachment: &Attached<'a, Self>,
        buffer: &Locked<'a, Self>,
        direction: DataDirection,
    ) -> Result<Self::Mapping<'a>> {
        SharedMapping::new(buffer.data().0.clone(), attachment, direction)
    }

    // Devices may be at work until their fences signal. Then their data is fetched, from bounce
    // buffers or into caches.
    fn begin_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        buffer.resv().wait(access.fences())?;
        buffer
            .lock_interruptible()?
            .for_each_mapping(|mapping| mapping.sync_for_cpu());
        Ok(())
    }

    fn end_cpu_access(buffer: &Exported<Self>, access: CpuAccess) -> Result {
        if access.writes() {
            buffer
                .lock()
                .for_each_mapping(|mapping| mapping.sync_for_device());
        }
        Ok(())
    }

    fn mmap(buffer: &Exported<Self>, vma: &VmaNew) -> Result {
        buffer.data().0.insert_into(vma)
    }

    // The memory has a kernel address already.
    fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        Ok(KernelMapping::from_bytes(buffer.data().0.bytes()))
    }
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
        if cmd != EXPORT {
            return Err(ENOTTY);
        }
        if arg == 0 || arg > isize::MAX as usize / PAGE_SIZE {
            return Err(EINVAL);
        }

        let buffer = DmaBuf::export(Memory::new(arg))?;
        // CAST: A descriptor is a non-negative `int`.
        Ok(DmaBuf::into_fd(buffer, O_CLOEXEC)? as isize)
    }
}

/// The module. It cannot be unloaded while a buffer lives.
#[pin_data]
pub struct Module {
    #[pin]
    _node: Registration<Node>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _node <- Registration::register(MiscDeviceOptions {
                name: c"rust_dma_buf_exporter",
            }),
        })
    }
}
