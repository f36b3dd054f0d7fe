// SPDX-License-Identifier: GPL-2.0

//! The operations of an exporter as the core calls them, and the export itself.

use super::{
    access::{
        direction_from_raw,
        CpuAccess, //
    },
    attachment::{
        AttachmentState,
        DeviceTable, //
    },
    buffer::DmaBuf,
    exporter::{
        Attach,
        Attached,
        Exported,
        Exporter,
        Inner,
        Locked,
        Restrictions,
        StateOf, //
    },
};
use crate::seam::{
    gfp::GFP_CHARGED,
    version::owner_of, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device::Device,
    error::{
        from_err_ptr,
        from_result, //
    },
    mm::virt::VmaNew,
    pr_err_once,
    prelude::*,
    sync::aref::ARef, //
};

impl DmaBuf {
    /// Exports a dma-buf whose operations are those of `T`, with its [`Restrictions`].
    ///
    /// The module of `T` cannot be unloaded as long as the dma-buf lives. Fails with [`EINVAL`] for
    /// a size of 0, [`ENOMEM`], [`ENFILE`] and, for a module that is being unloaded, [`ENOENT`];
    /// `data` is dropped in that case.
    pub fn export<T: Exporter>(data: impl PinInit<T, Error>) -> Result<ARef<Self>> {
        let inner = KBox::pin_init(Inner::new(data), GFP_CHARGED)?;
        let (size, restrictions) = (inner.data.size(), inner.data.restrictions());
        if size == 0 {
            return Err(EINVAL);
        }
        // SAFETY: The value is not moved until it is dropped.
        let inner = KBox::into_raw(unsafe { Pin::into_inner_unchecked(inner) });

        let info = bindings::dma_buf_export_info {
            exp_name: T::NAME.as_char_ptr(),
            owner: owner_of!(T),
            ops: VTable::<T>::build(restrictions),
            size,
            flags: match restrictions.read_only {
                true => bindings::O_RDONLY as c_int,
                false => bindings::O_RDWR as c_int,
            },
            resv: core::ptr::null_mut(),
            priv_: inner.cast(),
        };
        // SAFETY: `info` is complete, and its operations are those for a `priv` that is an
        // `Inner<T>`.
        match from_err_ptr(unsafe { bindings::dma_buf_export(&info) }) {
            // SAFETY: A successful call returns a valid dma-buf with a reference for the caller.
            Ok(dmabuf) => Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(dmabuf.cast())) }),
            Err(error) => {
                // SAFETY: `inner` comes from `KBox::into_raw()`, and the failed call has not taken
                // it over.
                drop(unsafe { KBox::from_raw(inner) });
                Err(error)
            }
        }
    }
}

/// The `struct dma_buf_ops` of a `T`.
struct VTable<T: Exporter>(PhantomData<T>);

impl<T: Exporter> VTable<T> {
    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T` and `attachment` a new attachment to it, whose device is
    /// valid.
    unsafe extern "C" fn attach(
        dmabuf: *mut bindings::dma_buf,
        attachment: *mut bindings::dma_buf_attachment,
    ) -> c_int {
        // SAFETY: The importer holds a reference to the dma-buf.
        let buffer = unsafe { Exported::<T>::from_raw(dmabuf) };
        // SAFETY: The importer holds a reference to the device.
        let device: &Device = unsafe { Device::from_raw((*attachment).dev) };

        from_result(|| {
            let data = T::Attachment::attach(buffer, device)?;
            let state: KBox<StateOf<T>> = KBox::init(AttachmentState::new(data), GFP_CHARGED)?;

            // SAFETY: The attachment is not in use yet, and `priv` is the exporter's.
            unsafe { (*attachment).priv_ = KBox::into_raw(state).cast() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T` and `attachment` an attachment to it that is not used any
    /// more.
    unsafe extern "C" fn detach(
        dmabuf: *mut bindings::dma_buf,
        attachment: *mut bindings::dma_buf_attachment,
    ) {
        // SAFETY: The importer holds a reference to the dma-buf.
        let buffer = unsafe { Exported::<T>::from_raw(dmabuf) };
        // SAFETY: `attach()` has set `priv`, and this is the only call that takes it back.
        let state = unsafe { KBox::from_raw((*attachment).priv_.cast::<StateOf<T>>()) };

        // Mappings end with the resv lock held.
        //
        // SAFETY: The importer is done with the attachment, which is off the list that
        // `for_each_mapping()` walks.
        if !unsafe { state.is_empty() } {
            let _guard = buffer.lock();
            // SAFETY: The importer is done with the attachment, and the lock was just taken.
            unsafe { state.clear() };
        }
    }

    /// # Safety
    ///
    /// `attachment` must be a valid attachment to a dma-buf of `T`, whose resv lock the current
    /// task must hold.
    unsafe extern "C" fn pin(attachment: *mut bindings::dma_buf_attachment) -> c_int {
        // SAFETY: The core passes a valid attachment; its importer keeps the device ready for DMA.
        let attachment = unsafe { Attached::<T>::from_raw(attachment) };
        // SAFETY: The caller holds the resv lock until this function returns.
        let buffer = unsafe { Locked::new(attachment.buffer()) };

        from_result(|| T::pin(&attachment, &buffer).map(|()| 0))
    }

    /// # Safety
    ///
    /// As for [`Self::pin`].
    unsafe extern "C" fn unpin(attachment: *mut bindings::dma_buf_attachment) {
        // SAFETY: The core passes a valid attachment; its importer keeps the device ready for DMA.
        let attachment = unsafe { Attached::<T>::from_raw(attachment) };
        // SAFETY: The caller holds the resv lock until this function returns.
        let buffer = unsafe { Locked::new(attachment.buffer()) };

        T::unpin(&attachment, &buffer);
    }

    /// # Safety
    ///
    /// As for [`Self::pin`].
    unsafe extern "C" fn map_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        direction: bindings::dma_data_direction,
    ) -> *mut bindings::sg_table {
        // SAFETY: The core passes a valid attachment to a dma-buf of `T`, whose importer keeps the
        // device ready for DMA until it detaches it.
        let attachment = unsafe { Attached::<T>::from_raw(attachment) };
        // SAFETY: The caller holds the resv lock until this function returns.
        let buffer = unsafe { Locked::new(attachment.buffer()) };

        // SAFETY: The core calls this in no iteration over mappings.
        match unsafe { Self::map(&attachment, &buffer, direction) } {
            Ok(table) => table,
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// The current task must not be in [`Locked::for_each_mapping`].
    unsafe fn map(
        attachment: &Attached<'_, T>,
        buffer: &Locked<'_, T>,
        direction: bindings::dma_data_direction,
    ) -> Result<*mut bindings::sg_table> {
        let direction = direction_from_raw(direction)?;
        buffer.buffer().restrictions().check_direction(direction)?;

        // SAFETY: `buffer` proves that the resv lock is held.
        let place = unsafe { attachment.state().place()? };
        let mapping = T::map(attachment, buffer, direction)?;
        check_size(buffer, mapping.size())?;

        // SAFETY: The types differ in a lifetime only. The mapping lives no longer than the state
        // of the attachment, and so not longer than the data and the device it may borrow from.
        let mapping = unsafe { erase::<T>(mapping) };
        // SAFETY: The state is in a box that `detach()` drops. `buffer` proves that the resv lock
        // is held; by the safety requirements no iteration is under way, and only this function
        // adds mappings.
        Ok(unsafe { attachment.state().add(place, mapping) })
    }

    /// # Safety
    ///
    /// As for [`Self::pin`]; `table` must be one that [`Self::map_dma_buf`] returned for the
    /// attachment, and not unmapped.
    unsafe extern "C" fn unmap_dma_buf(
        attachment: *mut bindings::dma_buf_attachment,
        table: *mut bindings::sg_table,
        _direction: bindings::dma_data_direction,
    ) {
        // SAFETY: The core passes a valid attachment; its importer keeps the device ready for DMA.
        let attachment = unsafe { Attached::<T>::from_raw(attachment) };

        // SAFETY: The caller holds the resv lock, no iteration is under way, and the table comes
        // from `add()` by the safety requirements.
        unsafe { attachment.state().remove(table) };
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T`.
    unsafe extern "C" fn begin_cpu_access(
        dmabuf: *mut bindings::dma_buf,
        direction: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: The caller holds a reference to the dma-buf.
        let buffer = unsafe { Exported::<T>::from_raw(dmabuf) };

        from_result(|| {
            let access = CpuAccess::from_raw(direction)?;

            buffer.restrictions().check_access(access)?;
            if T::HAS_BEGIN_CPU_ACCESS {
                T::begin_cpu_access(buffer, access)?;
            }
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
        // SAFETY: The caller holds a reference to the dma-buf.
        let buffer = unsafe { Exported::<T>::from_raw(dmabuf) };

        from_result(|| {
            let access = CpuAccess::from_raw(direction)?;

            buffer.restrictions().check_access(access)?;
            if T::HAS_END_CPU_ACCESS {
                T::end_cpu_access(buffer, access)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T`, and `vma` an area that is being set up.
    unsafe extern "C" fn mmap(
        dmabuf: *mut bindings::dma_buf,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The caller holds a reference to the dma-buf.
        let buffer = unsafe { Exported::<T>::from_raw(dmabuf) };
        // SAFETY: The area is being set up, by the safety requirements.
        let vma = unsafe { VmaNew::from_raw(vma) };

        from_result(|| {
            buffer.restrictions().apply_to(vma)?;
            T::mmap(buffer, vma).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T`, whose resv lock the current task must hold, and `map`
    /// valid for writing.
    unsafe extern "C" fn vmap(
        dmabuf: *mut bindings::dma_buf,
        map: *mut bindings::iosys_map,
    ) -> c_int {
        // SAFETY: The caller holds a reference to the dma-buf, and the resv lock until this
        // function returns.
        let buffer = unsafe { Locked::new(Exported::<T>::from_raw(dmabuf)) };

        from_result(|| {
            let mapping = T::vmap(&buffer)?;
            check_size(&buffer, mapping.size())?;

            // SAFETY: `map` may be written, by the safety requirements.
            unsafe { *map = mapping.as_iosys_map() };
            // SAFETY: The mapping comes from `Exporter::vmap()`, just called.
            unsafe { buffer.set_vmap(Some(mapping)) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Self::vmap`].
    unsafe extern "C" fn vunmap(dmabuf: *mut bindings::dma_buf, _map: *mut bindings::iosys_map) {
        // SAFETY: The caller holds a reference to the dma-buf, and the resv lock until this
        // function returns.
        let buffer = unsafe { Locked::new(Exported::<T>::from_raw(dmabuf)) };

        // SAFETY: There is no mapping, so nothing is borrowed.
        unsafe { buffer.set_vmap(None) };
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf of `T` without references.
    unsafe extern "C" fn release(dmabuf: *mut bindings::dma_buf) {
        // SAFETY: The caller passes a dma-buf of `T`, whose `priv` has not been dropped yet.
        let inner = unsafe { (*dmabuf).priv_.cast::<Inner<T>>() };

        // SAFETY: By the safety requirements, `priv` is an `Inner<T>`. It lives until it is dropped
        // below.
        unsafe { (*inner).data.release() };
        // SAFETY: `DmaBuf::export()` made `priv` by `KBox::into_raw()`, and this is the only call
        // that takes it back.
        drop(unsafe { KBox::from_raw(inner) });
    }

    const OPS: bindings::dma_buf_ops = {
        assert!(
            T::HAS_PIN == T::HAS_UNPIN,
            "pin() and unpin() come together"
        );

        bindings::dma_buf_ops {
            attach: Some(Self::attach),
            detach: Some(Self::detach),
            pin: if T::HAS_PIN { Some(Self::pin) } else { None },
            unpin: if T::HAS_UNPIN {
                Some(Self::unpin)
            } else {
                None
            },
            map_dma_buf: Some(Self::map_dma_buf),
            unmap_dma_buf: Some(Self::unmap_dma_buf),
            release: Some(Self::release),
            begin_cpu_access: Some(Self::begin_cpu_access),
            end_cpu_access: Some(Self::end_cpu_access),
            mmap: if T::HAS_MMAP { Some(Self::mmap) } else { None },
            vmap: if T::HAS_VMAP { Some(Self::vmap) } else { None },
            vunmap: if T::HAS_VMAP {
                Some(Self::vunmap)
            } else {
                None
            },
        }
    };

    /// An exporter that has a `vmap` which fails would make the core warn.
    const OPS_WITHOUT_VMAP: bindings::dma_buf_ops = bindings::dma_buf_ops {
        vmap: None,
        vunmap: None,
        ..Self::OPS
    };

    fn build(restrictions: Restrictions) -> &'static bindings::dma_buf_ops {
        match restrictions.allow_vmap() {
            true => &Self::OPS,
            false => &Self::OPS_WITHOUT_VMAP,
        }
    }
}

/// Checks the size of a mapping, which importers rely on.
///
/// Fails with [`EINVAL`] if it is not that of the dma-buf.
pub(super) fn check_size<T: Exporter>(buffer: &Locked<'_, T>, size: usize) -> Result {
    if size != buffer.buffer().size() {
        pr_err_once!(
            "an exporter maps {} bytes of {}\n",
            size,
            buffer.buffer().size()
        );
        return Err(EINVAL);
    }
    Ok(())
}

/// Forgets the lifetime of a mapping.
///
/// # Safety
///
/// The result must be dropped before the original lifetime ends.
unsafe fn erase<T: Exporter>(mapping: T::Mapping<'_>) -> T::Mapping<'static> {
    let mapping = core::mem::ManuallyDrop::new(mapping);

    // SAFETY: The types differ in a lifetime only, so the layout is the same. The original is not
    // dropped.
    unsafe { core::mem::transmute_copy(&*mapping) }
}
