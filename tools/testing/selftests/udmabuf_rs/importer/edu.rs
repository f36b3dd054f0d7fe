// SPDX-License-Identifier: GPL-2.0

//! QEMU's `edu` device: real DMA, with an interrupt at its end.
//!
//! Its DMA engine copies between the memory of the machine and a buffer of its own, which the CPU
//! cannot see: reads go through a page of ours, in a second copy. A copy takes QEMU a
//! tenth of a second. See docs/specs/edu.rst in QEMU's sources.

use crate::{
    abi,
    file::measure,
    module_parameters,
    seam::{
        bound::Room,
        pci as seam_pci,
        sync::Completion,
        version::{
            parameter,
            pci_device_table,
            DevresBar,
            IdInfo,
            IoBase, //
        },
        Attachment,
        DmaBuf,
        MappedTable,
        Mapping, //
    },
};
use kernel::{
    device::{
        self,
        Bound,
        Core, //
    },
    dma::{
        Coherent,
        DataDirection,
        DmaAddress,
        DmaMask, //
    },
    io::Io,
    irq::IrqReturn,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock,
        Arc,
        Mutex, //
    },
    time::msecs_to_jiffies,
    types::{
        ForLt,
        ScopeGuard, //
    }, //
};

mod regs {
    pub(super) const IRQ_STATUS: usize = 0x24;
    pub(super) const IRQ_ACK: usize = 0x64;
    pub(super) const DMA_SOURCE: usize = 0x80;
    pub(super) const DMA_TARGET: usize = 0x88;
    pub(super) const DMA_COUNT: usize = 0x90;
    pub(super) const DMA_COMMAND: usize = 0x98;
    pub(super) const END: usize = 0xa0;
}

pub(crate) const VENDOR: u16 = 0x1234;
pub(crate) const DEVICE_ID: u16 = 0x11e8;

/// Bits of `DMA_COMMAND`.
const START: u64 = 1;
const FROM_DEVICE: u64 = 2;
const INTERRUPT: u64 = 4;

/// Where the device has its own buffer, in its own addresses, and how large that is.
const BUFFER: u64 = 0x40000;
const BUFFER_SIZE: usize = 4096;

/// Many times the duration of a copy.
const PATIENCE_MS: u32 = 5000;

global_lock! {
    /// The device, while it is bound. Initialised when the module is loaded.
    // SAFETY: The module initialises the lock before it registers what uses it.
    pub(crate) unsafe(uninit) static DEVICE: Mutex<Room<ForLt!(Edu<'_>)>> = Room::CLOSED;
}

/// The part of the device that its interrupt handler needs.
struct Signals {
    bar: DevresBar<{ regs::END }>,
    done: Pin<KBox<Completion>>,
}

impl Signals {
    /// Handles an interrupt, which may be that of another device.
    fn handle(&self) -> IrqReturn {
        let Some(bar) = self.bar.try_access() else {
            return IrqReturn::None;
        };

        let status = bar.read32(regs::IRQ_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        bar.write32(status, regs::IRQ_ACK);
        self.done.complete();
        IrqReturn::Handled
    }
}

/// The device, and the resources of its copies.
pub(crate) struct Edu<'a> {
    page: Coherent<[u8]>,
    /// The content of `page`, before or after a copy.
    bytes: KVec<u8>,
    signals: Arc<Signals>,
    device: &'a pci::Device<Bound>,
    /// It did not answer once, and was told to stop for good.
    is_stuck: bool,
}

impl<'a> Edu<'a> {
    fn new(device: &'a pci::Device<Bound>, signals: Arc<Signals>) -> Result<Self> {
        Ok(Self {
            page: Coherent::zeroed_slice(device.as_ref(), BUFFER_SIZE, GFP_KERNEL)?,
            bytes: KVec::from_elem(0, BUFFER_SIZE, GFP_KERNEL)?,
            signals,
            device,
            is_stuck: false,
        })
    }

    /// Has the device copy a few bytes to itself and back.
    ///
    /// Fails with [`EIO`] when they do not arrive: QEMU's `dma_mask=` has fewer bits than our
    /// `edu_mask`. It cuts off what is too much of an address, and says nothing. That shows only
    /// where our own page has such an address.
    fn check_reach(&mut self) -> Result {
        // Few, for they may go anywhere. At least they go where they came from.
        const LENGTH: usize = 8;
        let page = self.page.dma_address();

        self.bytes.fill(0xed);
        self.page.as_view().copy_from_slice(&self.bytes);
        self.copy(page, BUFFER, LENGTH, 0)?;
        self.bytes.fill(0);
        self.page.as_view().copy_from_slice(&self.bytes);
        self.copy(BUFFER, page, LENGTH, FROM_DEVICE)?;
        self.page.as_view().copy_to_slice(&mut self.bytes);
        if self.bytes[..LENGTH] != [0xed; LENGTH] {
            dev_err!(self.device, "reaches less than edu_mask says\n");
            return Err(EIO);
        }
        Ok(())
    }

    /// Returns the address for the device of the memory from `offset` on, and how many bytes from
    /// there it can copy at once.
    fn piece(table: &MappedTable, offset: usize, length: usize) -> Result<(DmaAddress, usize)> {
        let segment = table.segment_at(offset).ok_or(EINVAL)?;

        Ok((segment.address, segment.length.min(length).min(BUFFER_SIZE)))
    }

    fn read(&mut self, mapping: &Mapping, offset: usize, to: &mut [u8]) -> Result<usize> {
        let table = mapping.access(self.device.as_ref())?;
        let (address, length) = Self::piece(table, offset, to.len())?;

        self.copy(address, BUFFER, length, 0)?;
        self.copy(BUFFER, self.page.dma_address(), length, FROM_DEVICE)?;
        self.page.as_view().copy_to_slice(&mut self.bytes);
        to[..length].copy_from_slice(&self.bytes[..length]);
        Ok(length)
    }

    fn write(&mut self, mapping: &Mapping, offset: usize, from: &[u8]) -> Result<usize> {
        let table = mapping.access(self.device.as_ref())?;
        let (address, length) = Self::piece(table, offset, from.len())?;

        self.bytes[..length].copy_from_slice(&from[..length]);
        self.page.as_view().copy_from_slice(&self.bytes);
        self.copy(self.page.dma_address(), BUFFER, length, 0)?;
        self.copy(BUFFER, address, length, FROM_DEVICE)?;
        Ok(length)
    }

    /// Has the device copy, and waits until it has.
    ///
    /// Fails with [`ETIMEDOUT`] when it does not answer; it can reach no memory from then on, and
    /// all that follow fail with [`EIO`].
    fn copy(&mut self, source: u64, target: u64, length: usize, direction: u64) -> Result {
        if self.is_stuck {
            return Err(EIO);
        }

        self.signals.done.reinit();
        let bar = self.signals.bar.access(self.device.as_ref())?;
        bar.try_write64(source, regs::DMA_SOURCE)?;
        bar.try_write64(target, regs::DMA_TARGET)?;
        // CAST: Enlarges.
        bar.try_write64(length as u64, regs::DMA_COUNT)?;
        bar.try_write64(START | direction | INTERRUPT, regs::DMA_COMMAND)?;

        let timeout = msecs_to_jiffies(PATIENCE_MS);
        self.signals.done.wait_timeout(timeout).inspect_err(|_| {
            seam_pci::disable_dma(self.device);
            self.is_stuck = true;
        })
    }
}

/// A mapping for the device, which may be gone. A copy made of it is of the same mapping.
#[derive(Clone)]
pub(crate) struct EduMapping(Arc<Mutex<Mapping>>);

impl EduMapping {
    /// Maps `buffer` for the device, `again` if that is true.
    ///
    /// Fails with [`ENODEV`] if there is none, and as [`Attachment::new`] and [`Mapping::new`] do.
    pub(crate) fn new(buffer: &DmaBuf, direction: DataDirection, again: bool) -> Result<Self> {
        let mapping = Self::attach(buffer, direction, 1, again)?
            .pop()
            .ok_or(EINVAL)?;

        Ok(Self(Arc::pin_init(new_mutex!(mapping), GFP_KERNEL)?))
    }

    /// Maps `buffer` for the device `count` times, for one attachment, and has mapped it once
    /// before if it is `again`.
    pub(crate) fn attach(
        buffer: &DmaBuf,
        direction: DataDirection,
        count: usize,
        again: bool,
    ) -> Result<KVVec<Mapping>> {
        let mut mappings = KVVec::with_capacity(count, GFP_KERNEL)?;

        Room::enter(&DEVICE, |edu| {
            let device = edu.device.as_ref();
            let attachment = Arc::new(Attachment::new(buffer, device)?, GFP_KERNEL)?;
            if again {
                drop(Mapping::new(attachment.clone(), device, direction)?);
            }
            for _ in 0..count {
                let mapping = Mapping::new(attachment.clone(), device, direction)?;
                mappings.push(mapping, GFP_KERNEL)?;
            }
            Ok(mappings)
        })?
    }

    /// Forgets the mapping without unmapping it.
    pub(crate) fn leak(self) {
        core::mem::forget(self);
    }

    pub(crate) fn size(&self) -> Result<usize> {
        Ok(self.0.lock().size())
    }

    /// Has the device read bytes from `offset` on. Returns how many, at least one.
    ///
    /// Fails with [`ENODEV`] if it is gone, and as [`Edu::copy`] does.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Result<usize> {
        Room::enter(&DEVICE, |edu| edu.read(&self.0.lock(), offset, to))?
    }

    /// Has the device write bytes, as [`read`](Self::read).
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Result<usize> {
        Room::enter(&DEVICE, |edu| edu.write(&self.0.lock(), offset, from))?
    }

    pub(crate) fn measure(&self) -> Result<abi::SegmentsArgs> {
        Room::enter(&DEVICE, |edu| {
            let mapping = self.0.lock();
            measure(mapping.access(edu.device.as_ref())?, usize::MAX)
        })?
    }

    pub(crate) fn shift_addresses(&self, by: DmaAddress) -> Result {
        Room::enter(&DEVICE, |edu| {
            self.0.lock().shift_addresses(edu.device.as_ref(), by)
        })?
    }
}

/// Whether `probe` fails.
static REFUSES: Atomic<bool> = Atomic::new(false);

/// Has the driver refuse devices from now on, or accept them.
pub(crate) fn refuse(refuses: bool) {
    REFUSES.store(refuses, Relaxed);
}

/// The driver. [`DEVICE`] has its state for a device.
pub(crate) struct Driver;

pci_device_table!(
    PCI_TABLE,
    <Driver as pci::Driver>::IdInfo,
    [(seam_pci::device_id(VENDOR, DEVICE_ID), ())]
);

impl pci::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Self;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        device: &'bound pci::Device<Core<'_>>,
        _info: IdInfo<'bound, Self::IdInfo>,
    ) -> impl PinInit<Self, Error> + 'bound {
        if REFUSES.load(Relaxed) {
            return Err(EBUSY);
        }
        device.enable_device_mem()?;
        let mask = parameter(&module_parameters::edu_mask);
        seam_pci::enable_dma(device, DmaMask::try_new(mask)?)?;
        let undo = ScopeGuard::new(|| seam_pci::disable_dma(device));

        let bar = device.iomap_region_sized(0, c"udmabuf_importer")?;
        let signals = Arc::new(
            Signals {
                bar: bar.into_devres()?,
                done: KBox::pin_init(Completion::new(), GFP_KERNEL)?,
            },
            GFP_KERNEL,
        )?;
        let for_handler = signals.clone();
        seam_pci::request_irq(device, c"udmabuf_importer", move || for_handler.handle())?;

        let bound: &device::Device<Bound> = device.as_ref();
        Room::open(&DEVICE, bound, |device| {
            let mut edu = Edu::new(device.try_into()?, signals)?;
            edu.check_reach()?;
            Ok(KBox::new(edu, GFP_KERNEL)?)
        })?;
        undo.dismiss();
        Ok(Self)
    }

    fn unbind<'bound>(device: &'bound pci::Device<Core<'_>>, _data: Pin<&Self>) {
        let bound: &device::Device<Bound> = device.as_ref();
        Room::close(&DEVICE, bound);
        seam_pci::disable_dma(device);
    }
}
