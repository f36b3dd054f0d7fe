// SPDX-License-Identifier: GPL-2.0

//! Misuses of the importer's half of the seam that compile, and their results.
//!
//! `tools/testing/compile_fail` has the ones that do not compile.

use crate::{
    seam::{
        faux::DmaDevice,
        Attachment,
        DmaBuf,
        Mapping, //
    },
    Module, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    dma::DataDirection,
    error::from_err_ptr,
    module::this_module,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// The calls that an exporter got, oldest first: one decimal digit each.
struct Calls(Atomic<u64>);

const ATTACH: u64 = 1;
const MAP: u64 = 2;
const UNMAP: u64 = 3;
const DETACH: u64 = 4;

impl Calls {
    fn add(&self, call: u64) {
        self.0.store(self.0.load(Relaxed) * 10 + call, Relaxed);
    }

    fn all(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// # Safety
    ///
    /// `dmabuf` must be a dma-buf that [`export`] made.
    unsafe fn of<'a>(dmabuf: *mut bindings::dma_buf) -> &'a Self {
        // SAFETY: `export` has stored the pointer of an `Arc`, which `release` gives up at the end.
        unsafe { &*(*dmabuf).priv_.cast() }
    }
}

/// The table of a mapping, with its one entry.
struct Table {
    table: bindings::sg_table,
    entry: bindings::scatterlist,
}

static OPS: bindings::dma_buf_ops = bindings::dma_buf_ops {
    attach: Some(attach),
    detach: Some(detach),
    map_dma_buf: Some(map),
    unmap_dma_buf: Some(unmap),
    release: Some(release),
    ..pin_init::zeroed()
};

/// # Safety
///
/// `dmabuf` must be a dma-buf that [`export`] made.
unsafe extern "C" fn attach(
    dmabuf: *mut bindings::dma_buf,
    _attachment: *mut bindings::dma_buf_attachment,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { Calls::of(dmabuf) }.add(ATTACH);
    0
}

/// # Safety
///
/// `dmabuf` must be a dma-buf that [`export`] made.
unsafe extern "C" fn detach(
    dmabuf: *mut bindings::dma_buf,
    _attachment: *mut bindings::dma_buf_attachment,
) {
    // SAFETY: By the safety requirements.
    unsafe { Calls::of(dmabuf) }.add(DETACH);
}

/// # Safety
///
/// `attachment` must be one to a dma-buf that [`export`] made.
unsafe extern "C" fn map(
    attachment: *mut bindings::dma_buf_attachment,
    _direction: bindings::dma_data_direction,
) -> *mut bindings::sg_table {
    /// Marks the last entry: `SG_END` in C.
    const SG_END: c_ulong = 2;

    // SAFETY: By the safety requirements.
    unsafe { Calls::of((*attachment).dmabuf) }.add(MAP);
    let table = KBox::new(
        Table {
            table: pin_init::zeroed(),
            entry: pin_init::zeroed(),
        },
        GFP_KERNEL,
    );
    let Ok(table) = table else {
        return ENOMEM.to_ptr();
    };
    let table = KBox::into_raw(table);

    // SAFETY: The box is valid, and not shared yet.
    unsafe {
        (*table).entry.page_link = SG_END;
        // CAST: A page is smaller than that.
        (*table).entry.length = PAGE_SIZE as c_uint;
        (*table).table.sgl = &raw mut (*table).entry;
        (*table).table.nents = 1;
        (*table).table.orig_nents = 1;
        &raw mut (*table).table
    }
}

/// # Safety
///
/// `attachment` must be one to a dma-buf that [`export`] made, and `table` be from [`map`].
unsafe extern "C" fn unmap(
    attachment: *mut bindings::dma_buf_attachment,
    table: *mut bindings::sg_table,
    _direction: bindings::dma_data_direction,
) {
    // SAFETY: By the safety requirements.
    unsafe { Calls::of((*attachment).dmabuf) }.add(UNMAP);
    // SAFETY: By the safety requirements, it is part of a boxed `Table`.
    drop(unsafe { KBox::from_raw(kernel::container_of!(table, Table, table)) });
}

/// # Safety
///
/// `dmabuf` must be a dma-buf that [`export`] made, and not be used any more.
unsafe extern "C" fn release(dmabuf: *mut bindings::dma_buf) {
    // SAFETY: `export` has stored the pointer of an `Arc`.
    drop(unsafe { Arc::<Calls>::from_raw((*dmabuf).priv_.cast()) });
}

/// Exports a buffer that takes note of its calls.
fn export() -> Result<(ARef<DmaBuf>, Arc<Calls>)> {
    let calls = Arc::new(Calls(Atomic::new(0)), GFP_KERNEL)?;
    let info = bindings::dma_buf_export_info {
        exp_name: c"udmabuf_importer".as_char_ptr(),
        owner: this_module::<Module>().as_ptr(),
        ops: &OPS,
        size: PAGE_SIZE,
        priv_: Arc::into_raw(calls.clone()).cast_mut().cast(),
        ..pin_init::zeroed()
    };

    // SAFETY: All fields that the function needs are set. It takes over the reference in `priv_`.
    let dmabuf = from_err_ptr(unsafe { bindings::dma_buf_export(&info) })?;
    // SAFETY: The function returns an error pointer or a new dma-buf with a reference for us.
    let buffer = unsafe { ARef::from_raw(NonNull::new_unchecked(dmabuf.cast())) };
    Ok((buffer, calls))
}

/// A device with a buffer attached to it.
struct Scene {
    device: DmaDevice,
    other: DmaDevice,
    attachment: Arc<Attachment>,
    calls: Arc<Calls>,
    buffer: ARef<DmaBuf>,
}

impl Scene {
    fn new() -> Result<Self> {
        let device = DmaDevice::new(c"udmabuf_importer_kunit")?;
        let (buffer, calls) = export()?;

        Ok(Self {
            other: DmaDevice::new(c"udmabuf_importer_kunit_other")?,
            attachment: Arc::new(Attachment::new(&buffer, device.as_ref())?, GFP_KERNEL)?,
            device,
            calls,
            buffer,
        })
    }

    fn map(&self, device: &Device<Bound>) -> Result<Mapping> {
        Mapping::new(
            self.attachment.clone(),
            device,
            DataDirection::Bidirectional,
        )
    }
}

/// A value in [`ManuallyDrop`] is a forgotten one that the leak detector does not report: it is
/// dropped when all has been looked at.
#[kunit_tests(udmabuf_importer_misuse)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_mapping_is_unmapped_and_detached_at_unbind() -> Result {
        let scene = Scene::new()?;
        let mapping = ManuallyDrop::new(scene.map(scene.device.as_ref())?);
        let attachment = ManuallyDrop::new(scene.attachment);

        assert_eq!(scene.calls.all(), 12);
        drop(scene.device);
        assert_eq!(scene.calls.all(), 1234);
        drop(ManuallyDrop::into_inner(mapping));
        drop(ManuallyDrop::into_inner(attachment));
        assert_eq!(scene.calls.all(), 1234);
        Ok(())
    }

    #[test]
    fn forgotten_attachment_is_detached_at_unbind() -> Result {
        let scene = Scene::new()?;
        let attachment = ManuallyDrop::new(scene.attachment);

        drop(scene.device);
        assert_eq!(scene.calls.all(), 14);
        drop(ManuallyDrop::into_inner(attachment));
        assert_eq!(scene.calls.all(), 14);
        Ok(())
    }

    #[test]
    fn attachment_that_is_dropped_first_stays_for_its_mapping() -> Result {
        let scene = Scene::new()?;
        let mapping = scene.map(scene.device.as_ref())?;

        drop(scene.attachment);
        assert_eq!(scene.calls.all(), 12);
        drop(mapping);
        assert_eq!(scene.calls.all(), 1234);
        drop(scene.device);
        assert_eq!(scene.calls.all(), 1234);
        Ok(())
    }

    #[test]
    fn mapping_is_refused_after_unbind() -> Result {
        let scene = Scene::new()?;
        let mapping = scene.map(scene.device.as_ref())?;
        let Scene {
            device,
            other,
            attachment,
            calls,
            buffer,
        } = scene;

        drop(device);
        assert_eq!(mapping.access(other.as_ref()).err(), Some(ENODEV));
        assert_eq!(attachment.buffer(other.as_ref()).err(), Some(ENODEV));
        let late = Mapping::new(attachment, other.as_ref(), DataDirection::Bidirectional);
        assert_eq!(late.err(), Some(ENODEV));
        assert_eq!(calls.all(), 1234);
        drop(buffer);
        Ok(())
    }

    #[test]
    fn other_device_is_refused() -> Result {
        let scene = Scene::new()?;
        let mapping = scene.map(scene.device.as_ref())?;

        assert_eq!(scene.map(scene.other.as_ref()).err(), Some(EINVAL));
        assert_eq!(mapping.access(scene.other.as_ref()).err(), Some(EINVAL));
        assert!(mapping.access(scene.device.as_ref()).is_ok());
        assert_eq!(scene.calls.all(), 12);
        Ok(())
    }
}
