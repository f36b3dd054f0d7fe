// SPDX-License-Identifier: GPL-2.0

//! The operations of an exporter.

use super::{
    buffer::{
        DmaBuf,
        Exported,
        Making, //
    },
    mapping::Mapping,
    reserved::Reserved,
    vma, //
};
use crate::seam::mm::{
    fault::{
        Fault,
        FaultError, //
    },
    vmap::KernelMapping,
    StableMemory, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    pr_err_once,
    prelude::*,
    sync::aref::ARef, //
};

/// What the CPU is about to do, or has done, between `begin_cpu_access` and `end_cpu_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuAccess {
    /// It reads.
    Read,
    /// It writes.
    Write,
    /// It reads and writes.
    ReadWrite,
}

impl CpuAccess {
    /// Whether the CPU writes.
    pub(crate) fn writes(self) -> bool {
        self != Self::Read
    }

    /// Returns which fences to wait for, as `dma_resv_usage_rw()` does: before reading those of
    /// writers, before writing those of readers as well.
    pub(super) fn fences(self) -> bindings::dma_resv_usage {
        if self.writes() {
            bindings::dma_resv_usage_DMA_RESV_USAGE_READ
        } else {
            bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE
        }
    }

    /// Translates the direction that the core passes: what the CPU writes goes to devices.
    fn from_raw(direction: bindings::dma_data_direction) -> Result<Self> {
        match direction {
            bindings::dma_data_direction::DMA_FROM_DEVICE => Ok(Self::Read),
            bindings::dma_data_direction::DMA_TO_DEVICE => Ok(Self::Write),
            bindings::dma_data_direction::DMA_BIDIRECTIONAL => Ok(Self::ReadWrite),
            _ => Err(EINVAL),
        }
    }
}

/// A device that is attached to a dma-buf, for as long as a callback runs.
///
/// # Invariants
///
/// `device` is attached to `buffer` and bound to its driver: the importer keeps it so while the
/// callback runs. It must until all mappings for it are unmapped, but [`Mapping`] copes if not.
pub(crate) struct Attachment<'a, T: Exporter> {
    buffer: &'a DmaBuf<T>,
    device: ARef<Device>,
}

impl<'a, T: Exporter> Attachment<'a, T> {
    /// # Safety
    ///
    /// `device` must be valid, and the type invariants must hold.
    unsafe fn new(buffer: &'a DmaBuf<T>, device: *mut bindings::device) -> Self {
        // SAFETY: The device is valid.
        let device: &Device = unsafe { Device::from_raw(device) };

        // INVARIANT: By the safety requirements.
        Self {
            buffer,
            device: device.into(),
        }
    }

    /// Maps the memory of the dma-buf for the device, see [`Mapping`].
    ///
    /// May sleep. Fails with [`EINVAL`] for a device that cannot take a page as a segment,
    /// [`ENOMEM`], and with what `dma_map_sgtable()` answers: [`EIO`] where the device cannot reach
    /// the memory and there is no room to bounce it.
    pub(crate) fn map(&self, direction: DataDirection) -> Result<Mapping<'a>> {
        // SAFETY: By the type invariants.
        unsafe { Mapping::new(self.buffer.memory(), &self.device, direction) }
    }
}

/// The driver's side of a dma-buf whose memory never moves.
///
/// Implemented for the driver's own data about one dma-buf; see [`DmaBuf::export`]. Dropping that
/// value is the release of the dma-buf.
#[vtable]
pub(crate) trait Exporter: Sized + Send + Sync + 'static {
    /// Name of the exporter, as `fdinfo` and debugfs show it.
    const NAME: &'static CStr;

    /// What the dma-buf is made of.
    type Memory: StableMemory + 'static;

    /// Maps the memory for the device of `attachment` in `direction`.
    ///
    /// The importer holds what is returned until it unmaps; then it is dropped, under the
    /// reservation lock. [`Attachment::map`] does all of it for memory of the system. May sleep.
    ///
    /// The importer gets [`EBUSY`] instead if its device would write, and another one does, and
    /// either of them reaches a copy of the memory only: a bounce buffer.
    fn map<'a>(
        attachment: &Attachment<'a, Self>,
        reserved: &Reserved<'_, Self>,
        direction: DataDirection,
    ) -> Result<Mapping<'a>>;

    /// Makes the memory fit for `access` by the CPU: what devices wrote must be visible to it.
    ///
    /// Called by the core before it waits for fences. May run on many tasks at once. May be
    /// interrupted, with `ERESTARTSYS` or [`EINTR`], and must not have done anything then.
    fn begin_cpu_access(_buffer: &DmaBuf<Self>, _access: CpuAccess) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Ends such an access: what the CPU wrote must become visible to devices.
    ///
    /// [`Reserved::begin_cpu_access`] and [`Reserved::end_cpu_access`] do that. May run on many tasks
    /// at once, and without a `begin_cpu_access` before. Callers ignore the result, so there is none.
    fn end_cpu_access(_buffer: &DmaBuf<Self>, _access: CpuAccess) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Serves a page fault in a mapping of userspace. Having this method makes the dma-buf mappable.
    ///
    /// The mapping is a shared one, never larger than the memory; private ones are refused with
    /// [`EINVAL`] before they get here.
    fn fault(_buffer: &DmaBuf<Self>, _fault: &Fault<'_, Self::Memory>) -> Result<(), FaultError> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Maps the memory into the kernel's address space.
    ///
    /// One mapping serves all users; it is dropped when the last one is done. Fails with [`ENOMEM`].
    fn vmap<'a>(
        _buffer: &'a DmaBuf<Self>,
        _reserved: &Reserved<'_, Self>,
    ) -> Result<KernelMapping<'a>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The `struct dma_buf_ops` of a `T`.
pub(super) struct ExporterVTable<T: Exporter>(PhantomData<T>);

impl<T: Exporter> ExporterVTable<T> {
    /// # Safety
    ///
    /// `attachment` must be valid and attached to a dma-buf of `T`, whose reservation lock must be
    /// held by the current task.
    unsafe extern "C" fn map_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        direction: bindings::dma_data_direction,
    ) -> *mut bindings::sg_table {
        // SAFETY: The attachment is valid and keeps its dma-buf, one of ours, alive.
        let buffer = unsafe { DmaBuf::<T>::from_raw((*attachment).dmabuf) };
        // SAFETY: The lock is held by the caller, who leaves it to us until we return.
        let reserved = unsafe { Reserved::new(buffer) };
        // SAFETY: The importer keeps the attachment, and its device bound, until we return.
        let attachment = unsafe { Attachment::new(buffer, (*attachment).dev) };

        let making = Making::new(buffer.exported());
        let table = direction_from_raw(direction)
            .and_then(|direction| T::map(&attachment, &reserved, direction))
            .and_then(|mapping| reserved.hand_out(mapping, making));
        match table {
            Ok(table) => table,
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::map_dma_buf`].
    unsafe extern "C" fn unmap_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        table: *mut bindings::sg_table,
        _direction: bindings::dma_data_direction,
    ) {
        // SAFETY: As in `map_dma_buf`.
        let buffer = unsafe { DmaBuf::<T>::from_raw((*attachment).dmabuf) };
        // SAFETY: As in `map_dma_buf`.
        let reserved = unsafe { Reserved::new(buffer) };

        if !reserved.take_back(table) {
            pr_err_once!("an importer unmaps what it has not mapped\n");
        }
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T`.
    unsafe extern "C" fn begin_cpu_access(
        dmabuf: *mut bindings::dma_buf,
        direction: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: Valid while the callback runs.
        let buffer = unsafe { DmaBuf::<T>::from_raw(dmabuf) };

        from_result(|| {
            T::begin_cpu_access(buffer, CpuAccess::from_raw(direction)?)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T`.
    unsafe extern "C" fn end_cpu_access(
        dmabuf: *mut bindings::dma_buf,
        direction: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: Valid while the callback runs.
        let buffer = unsafe { DmaBuf::<T>::from_raw(dmabuf) };

        from_result(|| {
            T::end_cpu_access(buffer, CpuAccess::from_raw(direction)?);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T` and `map` valid for writing. The current task must hold the
    /// reservation lock.
    unsafe extern "C" fn vmap(
        dmabuf: *mut bindings::dma_buf,
        map: *mut bindings::iosys_map,
    ) -> c_int {
        // SAFETY: Valid while the callback runs.
        let buffer = unsafe { DmaBuf::<T>::from_raw(dmabuf) };
        // SAFETY: The lock is held by the caller, who leaves it to us until we return.
        let reserved = unsafe { Reserved::new(buffer) };

        from_result(|| {
            let mapping = T::vmap(buffer, &reserved)?;
            let address = mapping.address();
            reserved.set_vmap(Some(mapping));

            // SAFETY: `map` may be written.
            unsafe {
                *map = bindings::iosys_map {
                    __bindgen_anon_1: bindings::iosys_map__bindgen_ty_1 {
                        vaddr: address.as_ptr(),
                    },
                    is_iomem: false,
                }
            };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Self::vmap`].
    unsafe extern "C" fn vunmap(dmabuf: *mut bindings::dma_buf, _map: *mut bindings::iosys_map) {
        // SAFETY: Valid while the callback runs.
        let buffer = unsafe { DmaBuf::<T>::from_raw(dmabuf) };
        // SAFETY: As in `vmap`.
        let reserved = unsafe { Reserved::new(buffer) };

        reserved.set_vmap(None);
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T` that nobody refers to any more.
    unsafe extern "C" fn release(dmabuf: *mut bindings::dma_buf) {
        // SAFETY: `priv` was made by `KBox::into_raw` in `DmaBuf::export`. This is the one call that
        // takes it back.
        drop(unsafe { KBox::from_raw((*dmabuf).priv_.cast::<Exported<T>>()) });
    }

    const OPS: bindings::dma_buf_ops = bindings::dma_buf_ops {
        map_dma_buf: Some(Self::map_dma_buf),
        unmap_dma_buf: Some(Self::unmap_dma_buf),
        release: Some(Self::release),
        begin_cpu_access: if T::HAS_BEGIN_CPU_ACCESS {
            Some(Self::begin_cpu_access)
        } else {
            None
        },
        end_cpu_access: if T::HAS_END_CPU_ACCESS {
            Some(Self::end_cpu_access)
        } else {
            None
        },
        mmap: if T::HAS_FAULT {
            Some(vma::mmap::<T>)
        } else {
            None
        },
        vmap: if T::HAS_VMAP { Some(Self::vmap) } else { None },
        vunmap: if T::HAS_VMAP {
            Some(Self::vunmap)
        } else {
            None
        },
        ..pin_init::zeroed()
    };

    pub(super) const fn build() -> &'static bindings::dma_buf_ops {
        &Self::OPS
    }
}

/// Translates the direction of a mapping.
fn direction_from_raw(direction: bindings::dma_data_direction) -> Result<DataDirection> {
    match direction {
        bindings::dma_data_direction::DMA_BIDIRECTIONAL => Ok(DataDirection::Bidirectional),
        bindings::dma_data_direction::DMA_TO_DEVICE => Ok(DataDirection::ToDevice),
        bindings::dma_data_direction::DMA_FROM_DEVICE => Ok(DataDirection::FromDevice),
        _ => Err(EINVAL),
    }
}
