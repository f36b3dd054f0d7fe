// SPDX-License-Identifier: GPL-2.0

//! The state of an open file of the node, and its ioctls.

use crate::{
    abi,
    edu::{
        self,
        EduMapping, //
    },
    faux::{
        self,
        FauxMapping, //
    },
    seam::{
        faux::DmaLimits,
        first_page,
        version::{
            this_module,
            EOPNOTSUPP, //
        },
        CpuAccess,
        DmaBuf,
        Fence,
        ImportedVmap,
        MappedTable,
        Mapping,
        Usage, //
    },
    Module, //
};
use core::{
    cell::RefCell,
    mem::size_of, //
};
use kernel::{
    dma::{
        DataDirection,
        DmaAddress, //
    },
    fs::File,
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    mm::virt::VmaNew,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex,
        MutexGuard, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Bytes moved between two looks for signals. Locks are held that long, and no user memory is
/// touched under them.
const CHUNK: usize = 64 * 1024;

/// The state of a slot.
enum Slot<T> {
    Free,
    /// Something is being made for it, or done with its content.
    Busy,
    Holds(T),
}

/// The slots of one kind.
struct Slots<T>(KVec<Slot<T>>);

impl<T> Slots<T> {
    fn new() -> Result<Self> {
        let mut slots = KVec::with_capacity(abi::SLOTS, GFP_KERNEL)?;

        for _ in 0..abi::SLOTS {
            slots.push(Slot::Free, GFP_KERNEL)?;
        }
        Ok(Self(slots))
    }

    fn at(&mut self, slot: u32) -> Result<&mut Slot<T>> {
        self.0.get_mut(slot as usize).ok_or(EINVAL)
    }

    /// Reserves a free slot for something that is being made.
    fn reserve(&mut self, slot: u32) -> Result {
        match self.at(slot)? {
            free @ Slot::Free => {
                *free = Slot::Busy;
                Ok(())
            }
            _ => Err(EBUSY),
        }
    }

    /// Returns the content of a slot.
    fn get(&mut self, slot: u32) -> Result<&mut T> {
        match self.at(slot)? {
            Slot::Holds(content) => Ok(content),
            Slot::Free => Err(ENOENT),
            Slot::Busy => Err(EBUSY),
        }
    }

    /// Returns the content of a slot, which is free then.
    fn take(&mut self, slot: u32) -> Result<T> {
        self.get(slot)?;
        match core::mem::replace(self.at(slot)?, Slot::Free) {
            Slot::Holds(content) => Ok(content),
            _ => Err(ENOENT),
        }
    }
}

/// A mapping for one of the devices.
pub(crate) enum DeviceMapping {
    Faux(Arc<FauxMapping>),
    Edu(EduMapping),
}

/// Describes the segments of `table`, for a device with such a boundary.
pub(crate) fn measure(table: &MappedTable, boundary_mask: usize) -> Result<abi::SegmentsArgs> {
    let mut segments = abi::SegmentsArgs {
        elsewhere: u32::try_from(table.pages_elsewhere()?).unwrap_or(u32::MAX),
        translated: table.is_translated().into(),
        ..Default::default()
    };
    let boundary_mask = boundary_mask as u64;

    for segment in table.segments() {
        let length = segment.length as u64;
        let last = segment.address + length - 1;

        segments.count += 1;
        segments.total += length;
        segments.longest = segments.longest.max(length);
        segments.highest = segments.highest.max(last);
        if segment.address & !boundary_mask != last & !boundary_mask {
            segments.crossed += 1;
        }
    }
    Ok(segments)
}

/// Mappings of one attachment.
enum Batch {
    Faux(#[expect(dead_code, reason = "held until it is dropped")] Arc<FauxMapping>),
    Edu(KVVec<Mapping>),
}

impl Drop for Batch {
    fn drop(&mut self) {
        // The newest first, which is how the device finds its resources the fastest.
        if let Self::Edu(mappings) = self {
            while mappings.pop().is_some() {}
        }
    }
}

/// The resources of an open file. Dropping it undoes all of it, in this order.
struct Holdings {
    fences: Slots<Fence>,
    batches: KVec<Batch>,
    mappings: Slots<DeviceMapping>,
    kernel_mappings: Slots<ImportedVmap>,
    /// The buffer that userspace maps behind the slots.
    shown: Option<ARef<DmaBuf>>,
    limits: DmaLimits,
}

/// An open file.
#[pin_data]
pub(crate) struct OpenFile {
    #[pin]
    holdings: Mutex<Holdings>,
}

/// Gets one kind of slots out of the holdings.
type SlotsOf<T> = fn(&mut Holdings) -> &mut Slots<T>;

const MAPPINGS: SlotsOf<DeviceMapping> = |holdings| &mut holdings.mappings;
const KERNEL_MAPPINGS: SlotsOf<ImportedVmap> = |holdings| &mut holdings.kernel_mappings;
const FENCES: SlotsOf<Fence> = |holdings| &mut holdings.fences;

impl OpenFile {
    fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock()
    }

    /// Fills a free slot with the result of `make`, which runs without the lock.
    fn add<T>(&self, kind: SlotsOf<T>, slot: u32, make: impl FnOnce() -> Result<T>) -> Result {
        kind(&mut self.lock()).reserve(slot)?;
        let (content, result) = match make() {
            Ok(content) => (Slot::Holds(content), Ok(())),
            Err(error) => (Slot::Free, Err(error)),
        };

        *kind(&mut self.lock()).at(slot)? = content;
        result
    }

    /// Takes out the content of a slot, to be dropped without the lock.
    fn remove<T>(&self, kind: SlotsOf<T>, slot: u32) -> Result<T> {
        kind(&mut self.lock()).take(slot)
    }

    fn set_limits(&self, arg: &abi::LimitsArgs) -> Result {
        let is_mask = arg.dma_mask & arg.dma_mask.wrapping_add(1) == 0;
        let is_power = arg.boundary & arg.boundary.wrapping_sub(1) == 0;
        let is_coherent_mask = arg.coherent_mask & arg.coherent_mask.wrapping_add(1) == 0;
        let flags = abi::NO_MASK | abi::NO_COHERENT_MASK;
        if arg.flags & !flags != 0 || !is_mask || !is_coherent_mask || !is_power {
            return Err(EINVAL);
        }

        let boundary = usize::try_from(arg.boundary).map_err(|_| EINVAL)?;
        let mask = or_all(arg.dma_mask);
        let coherent_mask = match arg.coherent_mask {
            0 => mask,
            coherent_mask => coherent_mask,
        };
        self.lock().limits = DmaLimits {
            mask: (arg.flags & abi::NO_MASK == 0).then_some(mask),
            coherent_mask: (arg.flags & abi::NO_COHERENT_MASK == 0).then_some(coherent_mask),
            max_segment: if arg.max_segment != 0 {
                arg.max_segment
            } else {
                u32::MAX
            },
            // All bits for no boundary.
            boundary_mask: boundary.wrapping_sub(1),
        };
        Ok(())
    }

    fn map(&self, arg: &abi::MapArgs) -> Result {
        let direction = direction(arg.direction)?;
        let limits = self.lock().limits;

        self.add(MAPPINGS, arg.slot, || {
            let buffer = DmaBuf::get(arg.fd)?;
            let device = arg.device & !abi::AGAIN;
            let again = device != arg.device;
            match device {
                abi::FAUX | abi::FAUX_2 | abi::FAUX_3 => {
                    FauxMapping::new(&buffer, faux_index(device), direction, limits, 1, again)
                        .map(DeviceMapping::Faux)
                }
                abi::EDU => EduMapping::new(&buffer, direction, again).map(DeviceMapping::Edu),
                _ if again => Err(EINVAL),
                abi::NO_DRIVER => {
                    FauxMapping::without_driver(&buffer, direction).map(DeviceMapping::Faux)
                }
                _ => Err(EINVAL),
            }
        })
    }

    /// Maps a buffer many times: for one attachment, or for one each.
    fn map_many(&self, arg: &abi::MapManyArgs) -> Result {
        let direction = direction(arg.direction)?;
        let limits = self.lock().limits;
        let buffer = DmaBuf::get(arg.fd)?;
        let count = arg.count as usize;
        let (batches, each) = match arg.flags {
            0 => (1, count),
            abi::ATTACH_EACH => (count, 1),
            _ => return Err(EINVAL),
        };
        if count == 0 {
            return Err(EINVAL);
        }

        for _ in 0..batches {
            let batch = match arg.device {
                abi::FAUX => Batch::Faux(FauxMapping::new(
                    &buffer, 0, direction, limits, each, false,
                )?),
                abi::EDU => Batch::Edu(EduMapping::attach(&buffer, direction, each, false)?),
                _ => return Err(EINVAL),
            };
            self.lock().batches.push(batch, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Drops all that `map_many` has mapped, the newest first.
    fn unmap_many(&self) {
        let mut batches = core::mem::take(&mut self.lock().batches);

        while batches.pop().is_some() {}
    }

    /// Does work with the mapping in a slot: one for each kind of device.
    ///
    /// The lock is not held meanwhile: devices are locked by themselves, and may take long.
    fn with_mapping<R>(
        &self,
        slot: u32,
        faux: impl FnOnce(&FauxMapping) -> Result<R>,
        edu: impl FnOnce(&EduMapping) -> Result<R>,
    ) -> Result<R> {
        let mapping = match MAPPINGS(&mut self.lock()).get(slot)? {
            DeviceMapping::Faux(mapping) => DeviceMapping::Faux(mapping.clone()),
            DeviceMapping::Edu(mapping) => DeviceMapping::Edu(mapping.clone()),
        };

        match mapping {
            DeviceMapping::Faux(mapping) => faux(&mapping),
            DeviceMapping::Edu(mapping) => edu(&mapping),
        }
    }

    fn mapping_size(&self, slot: u32) -> Result<usize> {
        self.with_mapping(slot, |faux| Ok(faux.size()), |edu| edu.size())
    }

    fn segments(&self, slot: u32) -> Result<abi::SegmentsArgs> {
        let segments = self.with_mapping(slot, FauxMapping::measure, EduMapping::measure)?;

        Ok(abi::SegmentsArgs { slot, ..segments })
    }

    fn device_reads(&self, slot: u32, offset: usize, to: &mut [u8]) -> Result<usize> {
        // Only one of the two closures is called, which the compiler does not know.
        let to = RefCell::new(to);

        self.with_mapping(
            slot,
            |faux| faux.read(offset, &mut to.borrow_mut()),
            |edu| edu.read(offset, &mut to.borrow_mut()),
        )
    }

    fn device_writes(&self, slot: u32, offset: usize, from: &[u8]) -> Result<usize> {
        self.with_mapping(
            slot,
            |faux| faux.write(offset, from),
            |edu| edu.write(offset, from),
        )
    }

    fn device_stores(&self, arg: &abi::StoreArgs) -> Result {
        let owner = u8::try_from(arg.owner).map_err(|_| EINVAL)?;
        let value = u8::try_from(arg.value).map_err(|_| EINVAL)?;
        let owners = abi::BytesArgs {
            slot: arg.slot,
            pad: arg.pad,
            offset: arg.offset,
            length: arg.length,
            address: arg.address,
        };

        Transfer::new(&owners, self.mapping_size(arg.slot)?)?.copy_in(|slot, offset, owners| {
            self.with_mapping(
                slot,
                |faux| faux.store(offset, owners, owner, value),
                |_| Err(EOPNOTSUPP),
            )
        })
    }

    fn change_table(&self, slot: u32) -> Result {
        const SHIFT: DmaAddress = 0x1000_0000;

        self.with_mapping(
            slot,
            |faux| {
                faux.shift_addresses(SHIFT);
                Ok(())
            },
            |edu| edu.shift_addresses(SHIFT),
        )
    }

    fn leak(&self, slot: u32) -> Result {
        match self.remove(MAPPINGS, slot)? {
            DeviceMapping::Faux(faux) => core::mem::forget(faux),
            DeviceMapping::Edu(edu) => edu.leak(),
        }
        Ok(())
    }

    fn kernel_mapping_size(&self, slot: u32) -> Result<usize> {
        Ok(KERNEL_MAPPINGS(&mut self.lock()).get(slot)?.buffer().size())
    }

    /// Has userspace map the buffer that a kernel mapping is of, or the one behind the slots.
    fn map_for_userspace(&self, vma: &VmaNew) -> Result {
        const PAGES: usize = 1 << (abi::MMAP_SHIFT - PAGE_SHIFT);
        let (slot, first) = (first_page(vma) / PAGES, first_page(vma) % PAGES);
        let mut holdings = self.lock();

        if slot == abi::SLOTS {
            return holdings.shown.as_ref().ok_or(ENOENT)?.mmap(vma, first);
        }
        let slot = u32::try_from(slot).map_err(|_| EINVAL)?;
        KERNEL_MAPPINGS(&mut holdings)
            .get(slot)?
            .buffer()
            .mmap(vma, first)
    }

    fn kernel_reads(&self, slot: u32, offset: usize, to: &mut [u8]) -> Result<usize> {
        KERNEL_MAPPINGS(&mut self.lock())
            .get(slot)?
            .read(offset, to)?;
        Ok(to.len())
    }

    fn kernel_writes(&self, slot: u32, offset: usize, from: &[u8]) -> Result<usize> {
        KERNEL_MAPPINGS(&mut self.lock())
            .get(slot)?
            .write(offset, from)?;
        Ok(from.len())
    }

    fn fence(&self, arg: &abi::FenceArgs) -> Result {
        let usage = match (arg.writes, arg.pad) {
            (0, 0) => Usage::Read,
            (1, 0) => Usage::Write,
            _ => return Err(EINVAL),
        };

        self.add(FENCES, arg.slot, || {
            let buffer = DmaBuf::get(arg.fd)?;
            let fence = Fence::new(c"udmabuf_importer", this_module::<Module>())?;
            fence.add_to(&buffer, usage)?;
            Ok(fence)
        })
    }
}

/// Returns `mask`, or all bits where there is none.
fn or_all(mask: u64) -> u64 {
    if mask != 0 {
        mask
    } else {
        u64::MAX
    }
}

/// Returns the number of the faux device that `device` stands for.
fn faux_index(device: u32) -> usize {
    match device {
        abi::FAUX_2 => 1,
        abi::FAUX_3 => 2,
        _ => 0,
    }
}

fn direction(direction: u32) -> Result<DataDirection> {
    [
        DataDirection::Bidirectional,
        DataDirection::ToDevice,
        DataDirection::FromDevice,
    ]
    .into_iter()
    .find(|known| *known as u32 == direction)
    .ok_or(EINVAL)
}

/// Returns the access of the CPU that the core passes such a direction for.
fn access(raw: u32) -> Result<CpuAccess> {
    match direction(raw)? {
        DataDirection::Bidirectional => Ok(CpuAccess::ReadWrite),
        DataDirection::ToDevice => Ok(CpuAccess::Write),
        DataDirection::FromDevice => Ok(CpuAccess::Read),
        DataDirection::None => Err(EINVAL),
    }
}

fn begin(arg: &abi::AccessArgs) -> Result {
    DmaBuf::get(arg.fd)?
        .begin_cpu_access(access(arg.direction)?)?
        .leave_open();
    Ok(())
}

fn end(arg: &abi::AccessArgs) -> Result {
    DmaBuf::get(arg.fd)?.end_cpu_access(access(arg.direction)?)
}

/// Reads the argument of an ioctl.
fn argument<T: FromBytes + IntoBytes>(arg: usize) -> Result<T> {
    let mut value = T::new_zeroed();

    UserSlice::new(UserPtr::from_addr(arg), size_of::<T>())
        .reader()
        .read_slice(value.as_mut_bytes())?;
    Ok(value)
}

/// Reads an argument that is a slot.
fn slot(arg: usize) -> Result<u32> {
    arg.try_into().map_err(|_| EINVAL)
}

/// Bytes of a buffer that move to or from userspace.
struct Transfer {
    slot: u32,
    offset: usize,
    user: UserSlice,
    length: usize,
    /// Where they are in between.
    chunk: KVVec<u8>,
}

impl Transfer {
    /// Fails with [`EINVAL`] where the bytes are not all in a buffer of `size`.
    fn new(arg: &abi::BytesArgs, size: usize) -> Result<Self> {
        let offset = usize::try_from(arg.offset).map_err(|_| EINVAL)?;
        let length = usize::try_from(arg.length).map_err(|_| EINVAL)?;
        let address = usize::try_from(arg.address).map_err(|_| EFAULT)?;
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        if arg.pad != 0 || end > size {
            return Err(EINVAL);
        }

        Ok(Self {
            slot: arg.slot,
            offset,
            user: UserSlice::new(UserPtr::from_addr(address), length),
            length,
            chunk: KVVec::from_elem(0, length.min(CHUNK), GFP_KERNEL)?,
        })
    }

    /// Passes the bytes that `read` reads to userspace. `read` returns how many it did, at least one.
    fn copy_out(mut self, read: impl Fn(u32, usize, &mut [u8]) -> Result<usize>) -> Result {
        let mut writer = self.user.writer();

        let mut done = 0;
        while done < self.length {
            interruption_point()?;
            let now = self.chunk.len().min(self.length - done);
            let now = read(self.slot, self.offset + done, &mut self.chunk[..now])?;
            writer.write_slice(&self.chunk[..now])?;
            done += now;
        }
        Ok(())
    }

    /// Passes bytes of userspace to `write`, as [`copy_out`](Self::copy_out) does for `read`.
    fn copy_in(mut self, write: impl Fn(u32, usize, &[u8]) -> Result<usize>) -> Result {
        let mut reader = self.user.reader();

        let mut done = 0;
        while done < self.length {
            let now = self.chunk.len().min(self.length - done);
            reader.read_slice(&mut self.chunk[..now])?;
            let mut rest = &self.chunk[..now];
            while !rest.is_empty() {
                interruption_point()?;
                let written = write(self.slot, self.offset + done, rest)?;
                rest = &rest[written..];
                done += written;
            }
        }
        Ok(())
    }
}

/// Fails with [`EINTR`] when there is a signal.
fn interruption_point() -> Result {
    if kernel::current!().signal_pending() {
        return Err(EINTR);
    }
    Ok(())
}

#[vtable]
impl MiscDevice for OpenFile {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let holdings = Holdings {
            fences: Slots::new()?,
            batches: KVec::new(),
            mappings: Slots::new()?,
            kernel_mappings: Slots::new()?,
            shown: None,
            limits: DmaLimits::NONE,
        };

        KBox::try_pin_init(
            try_pin_init!(Self { holdings <- new_mutex!(holdings) }),
            GFP_KERNEL,
        )
    }

    fn mmap(this: Pin<&Self>, _file: &File, vma: &VmaNew) -> Result {
        this.map_for_userspace(vma)
    }

    fn ioctl(this: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            abi::IMPORTER_LIMITS => this.set_limits(&argument(arg)?)?,
            abi::IMPORTER_MAP => this.map(&argument(arg)?)?,
            abi::IMPORTER_UNMAP => drop(this.remove(MAPPINGS, slot(arg)?)?),
            abi::IMPORTER_READ => {
                let arg: abi::BytesArgs = argument(arg)?;
                Transfer::new(&arg, this.mapping_size(arg.slot)?)?
                    .copy_out(|slot, offset, to| this.device_reads(slot, offset, to))?;
            }
            abi::IMPORTER_WRITE => {
                let arg: abi::BytesArgs = argument(arg)?;
                Transfer::new(&arg, this.mapping_size(arg.slot)?)?
                    .copy_in(|slot, offset, from| this.device_writes(slot, offset, from))?;
            }
            abi::IMPORTER_SEGMENTS => {
                let asked: abi::SegmentsArgs = argument(arg)?;
                let segments = this.segments(asked.slot)?;
                UserSlice::new(UserPtr::from_addr(arg), size_of::<abi::SegmentsArgs>())
                    .writer()
                    .write_slice(segments.as_bytes())?;
            }
            abi::IMPORTER_CHANGE_TABLE => this.change_table(slot(arg)?)?,
            abi::IMPORTER_LEAK => this.leak(slot(arg)?)?,
            abi::IMPORTER_MAP_MANY => this.map_many(&argument(arg)?)?,
            abi::IMPORTER_UNMAP_MANY => this.unmap_many(),
            abi::IMPORTER_STORE => this.device_stores(&argument(arg)?)?,

            abi::IMPORTER_VMAP => {
                let arg: abi::VmapArgs = argument(arg)?;
                this.add(KERNEL_MAPPINGS, arg.slot, || {
                    ImportedVmap::new(&*DmaBuf::get(arg.fd)?)
                })?;
            }
            abi::IMPORTER_VUNMAP => drop(this.remove(KERNEL_MAPPINGS, slot(arg)?)?),
            abi::IMPORTER_VMAP_READ => {
                let arg: abi::BytesArgs = argument(arg)?;
                Transfer::new(&arg, this.kernel_mapping_size(arg.slot)?)?
                    .copy_out(|slot, offset, to| this.kernel_reads(slot, offset, to))?;
            }
            abi::IMPORTER_VMAP_WRITE => {
                let arg: abi::BytesArgs = argument(arg)?;
                Transfer::new(&arg, this.kernel_mapping_size(arg.slot)?)?
                    .copy_in(|slot, offset, from| this.kernel_writes(slot, offset, from))?;
            }
            abi::IMPORTER_MMAP => {
                let buffer = DmaBuf::get(slot(arg)? as i32)?;
                let old = this.lock().shown.replace(buffer);
                drop(old);
            }

            abi::IMPORTER_BEGIN => begin(&argument(arg)?)?,
            abi::IMPORTER_END => end(&argument(arg)?)?,
            abi::IMPORTER_FENCE => this.fence(&argument(arg)?)?,
            abi::IMPORTER_SIGNAL => this.remove(FENCES, slot(arg)?)?.signal(),

            abi::IMPORTER_UNPLUG => faux::unplug(0)?,
            abi::IMPORTER_PLUG => faux::plug(0)?,
            abi::IMPORTER_ADD_AND_REMOVE => faux::add_and_remove()?,
            abi::IMPORTER_REFUSE => edu::refuse(arg != 0),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}
