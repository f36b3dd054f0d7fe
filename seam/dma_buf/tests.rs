// SPDX-License-Identifier: GPL-2.0

//! Unit tests: an exporter that does wrong, and importers that leave things behind.

use kernel::prelude::*;

#[kunit_tests(udmabuf_rs_dma_buf)]
mod tests {
    use super::super::{
        access::CpuAccess,
        attachment::DeviceTable,
        buffer::DmaBuf,
        exporter::{
            Attach,
            Attached,
            Exported,
            Exporter,
            Locked,
            Restrictions, //
        },
        kernel_mapping::KernelMapping,
        ops::check_size, //
    };
    use crate::{
        ffi,
        seam::{
            device::as_raw,
            dma,
            dma_mapping::DmaMapping,
            runs::{
                Run,
                Runs, //
            },
            scatterlist::{
                Scattered,
                SgTable, //
            },
        },
    };
    use core::sync::atomic::AtomicU8;
    use kernel::{
        bindings,
        device::{
            Bound,
            Device, //
        },
        dma::DataDirection,
        error::{
            from_err_ptr,
            to_result, //
        },
        faux,
        fs::file::flags::{
            O_ACCMODE,
            O_RDONLY,
            O_RDWR, //
        },
        page::{
            Page,
            PAGE_SIZE, //
        },
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

    /// What has happened, shared with the test.
    struct Log {
        attachments: Atomic<i32>,
        pins: Atomic<i32>,
        mappings: Atomic<i32>,
        released: Atomic<i32>,
    }

    struct Memory {
        run: [Run; 1],
        _page: Page,
    }

    impl Memory {
        fn new() -> Result<Self> {
            let page = Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?;
            // SAFETY: The page is valid.
            let frame = unsafe { ffi::page_to_pfn(page.as_ptr()) };

            Ok(Self {
                run: [Run { page: 0, frame }],
                _page: page,
            })
        }
    }

    // SAFETY: The page stays where it is until the value is dropped.
    unsafe impl Scattered for Memory {
        fn runs(&self) -> Runs<'_> {
            // SAFETY: One run, which starts at page 0 of one.
            unsafe { Runs::new(&self.run, 1) }
        }
    }

    /// How the exporter misbehaves.
    #[derive(Clone, Copy, PartialEq)]
    enum Misuse {
        None,
        /// Its table is shorter than the buffer.
        ShortTable,
        /// It forgets the mapping.
        Forget,
    }

    struct Wrong {
        log: Arc<Log>,
        misuse: Misuse,
        restrictions: Restrictions,
        bytes: [AtomicU8; 8],
        memory: Memory,
    }

    impl Drop for Wrong {
        fn drop(&mut self) {
            self.log.released.fetch_add(1, Relaxed);
        }
    }

    struct Guest(Arc<Log>);

    impl Attach<Wrong> for Guest {
        fn attach(buffer: &Exported<Wrong>, _device: &Device) -> Result<Self> {
            let log = buffer.data().log.clone();
            log.attachments.fetch_add(1, Relaxed);
            Ok(Self(log))
        }
    }

    impl Drop for Guest {
        fn drop(&mut self) {
            // Mappings are gone before their attachment is.
            assert_eq!(self.0.mappings.load(Relaxed), 0);
            self.0.attachments.fetch_sub(1, Relaxed);
        }
    }

    struct TestMapping<'a> {
        log: &'a Log,
        mapping: Option<DmaMapping>,
        size: usize,
    }

    // SAFETY: The table describes a page, and is the mapping's own. A size that is larger is what
    // the test is about: no importer gets such a table.
    unsafe impl DeviceTable for TestMapping<'_> {
        fn table(&self) -> bindings::sg_table {
            match &self.mapping {
                Some(mapping) => mapping.table().header(),
                None => pin_init::zeroed(),
            }
        }

        fn size(&self) -> usize {
            self.size
        }
    }

    impl Drop for TestMapping<'_> {
        fn drop(&mut self) {
            self.log.mappings.fetch_sub(1, Relaxed);
        }
    }

    #[vtable]
    impl Exporter for Wrong {
        const NAME: &'static CStr = c"udmabuf_rs_kunit";

        type Attachment = Guest;
        type Mapping<'a> = TestMapping<'a>;

        fn size(&self) -> usize {
            PAGE_SIZE
        }

        fn restrictions(&self) -> Restrictions {
            self.restrictions
        }

        fn pin(attachment: &Attached<'_, Self>, _buffer: &Locked<'_, Self>) -> Result {
            attachment.data().0.pins.fetch_add(1, Relaxed);
            Ok(())
        }

        fn unpin(attachment: &Attached<'_, Self>, _buffer: &Locked<'_, Self>) {
            attachment.data().0.pins.fetch_sub(1, Relaxed);
        }

        fn map<'a>(
            attachment: &Attached<'a, Self>,
            buffer: &Locked<'a, Self>,
            direction: DataDirection,
        ) -> Result<TestMapping<'a>> {
            let this = buffer.data();
            let table = SgTable::new(&this.memory, dma::segment_limits(attachment.device())?)?;
            // SAFETY: The device stays until the end of the test, as does the memory.
            let mapping = unsafe { DmaMapping::new(table, attachment.device(), direction)? };

            this.log.mappings.fetch_add(1, Relaxed);
            let mut mapping = TestMapping {
                log: &this.log,
                mapping: Some(mapping),
                size: match this.misuse {
                    Misuse::ShortTable => PAGE_SIZE / 2,
                    _ => PAGE_SIZE,
                },
            };
            if this.misuse == Misuse::Forget {
                this.log.mappings.fetch_sub(1, Relaxed);
                // But for the addresses, which the DMA debug API would miss.
                drop(mapping.mapping.take());
                core::mem::forget(mapping);
                return Err(EAGAIN);
            }
            Ok(mapping)
        }

        fn end_cpu_access(_buffer: &Exported<Self>, _access: CpuAccess) -> Result {
            Ok(())
        }

        fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
            Ok(KernelMapping::from_bytes(&buffer.data().bytes))
        }
    }

    const BOTH: DataDirection = DataDirection::Bidirectional;

    fn device(name: &'static CStr) -> Result<faux::Registration> {
        let device = faux::Registration::new(name, None)?;
        let bound: &Device<Bound> = device.as_ref().as_ref();

        // SAFETY: The device is not in use yet.
        to_result(unsafe { ffi::dma_coerce_mask_and_coherent(as_raw(bound), u64::MAX) })?;
        Ok(device)
    }

    fn export(misuse: Misuse) -> Result<(ARef<DmaBuf>, Arc<Log>)> {
        export_restricted(misuse, Restrictions::default())
    }

    fn export_restricted(
        misuse: Misuse,
        restrictions: Restrictions,
    ) -> Result<(ARef<DmaBuf>, Arc<Log>)> {
        let log = Log {
            attachments: Atomic::new(0),
            pins: Atomic::new(0),
            mappings: Atomic::new(0),
            released: Atomic::new(0),
        };
        let log = Arc::new(log, GFP_KERNEL)?;
        let wrong = Ok::<_, Error>(Wrong {
            log: log.clone(),
            misuse,
            restrictions,
            bytes: Default::default(),
            memory: Memory::new()?,
        });

        Ok((DmaBuf::export(wrong)?, log))
    }

    fn attach(
        buffer: &DmaBuf,
        device: &faux::Registration,
    ) -> Result<*mut bindings::dma_buf_attachment> {
        let bound: &Device<Bound> = device.as_ref().as_ref();

        // SAFETY: Both are valid.
        from_err_ptr(unsafe { bindings::dma_buf_attach(buffer.as_raw(), as_raw(bound)) })
    }

    fn map(attachment: *mut bindings::dma_buf_attachment) -> Result<*mut bindings::sg_table> {
        map_for(attachment, BOTH)
    }

    fn map_for(
        attachment: *mut bindings::dma_buf_attachment,
        direction: DataDirection,
    ) -> Result<*mut bindings::sg_table> {
        // SAFETY: The tests pass valid attachments.
        from_err_ptr(unsafe {
            bindings::dma_buf_map_attachment_unlocked(attachment, direction.into())
        })
    }

    fn detach(buffer: &DmaBuf, attachment: *mut bindings::dma_buf_attachment) {
        // SAFETY: The tests pass an attachment of this buffer, and do not use it any more.
        unsafe { bindings::dma_buf_detach(buffer.as_raw(), attachment) };
    }

    #[test]
    fn mappings_are_undone_one_by_one() -> Result {
        let device = device(c"udmabuf_rs_kunit_map")?;
        let (buffer, log) = export(Misuse::None)?;
        let attachment = attach(&buffer, &device)?;

        assert_eq!(log.attachments.load(Relaxed), 1);
        let tables = [map(attachment)?, map(attachment)?];
        assert_eq!(log.mappings.load(Relaxed), 2);
        // A static importer has the memory pinned for each mapping.
        assert_eq!(log.pins.load(Relaxed), 2);
        for (left, table) in [1, 0].into_iter().zip(tables) {
            // SAFETY: The table was mapped for this attachment, in this direction.
            unsafe { bindings::dma_buf_unmap_attachment_unlocked(attachment, table, BOTH.into()) };
            assert_eq!(log.mappings.load(Relaxed), left);
        }
        assert_eq!(log.pins.load(Relaxed), 0);
        detach(&buffer, attachment);
        assert_eq!(log.attachments.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn detach_ends_mappings_that_are_left() -> Result {
        let device = device(c"udmabuf_rs_kunit_left")?;
        let (buffer, log) = export(Misuse::None)?;
        let attachment = attach(&buffer, &device)?;

        // Not by the core, whose copy of a table (CONFIG_DMABUF_DEBUG) would be left as well.
        let guard = buffer.resv().lock();
        for _ in 0..2 {
            // SAFETY: The attachment is valid, and the resv lock is held.
            from_err_ptr(unsafe {
                let map = (*(*buffer.as_raw()).ops).map_dma_buf.ok_or(EINVAL)?;
                map(attachment, BOTH.into())
            })?;
        }
        drop(guard);
        assert_eq!(log.mappings.load(Relaxed), 2);
        detach(&buffer, attachment);
        assert_eq!(log.mappings.load(Relaxed), 0);
        assert_eq!(log.attachments.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn a_table_of_another_size_is_refused() -> Result {
        let device = device(c"udmabuf_rs_kunit_short")?;
        let (buffer, log) = export(Misuse::ShortTable)?;
        let attachment = attach(&buffer, &device)?;

        assert_eq!(map(attachment).err(), Some(EINVAL));
        assert_eq!(log.mappings.load(Relaxed), 0);
        detach(&buffer, attachment);
        Ok(())
    }

    #[test]
    fn a_kernel_mapping_of_another_size_is_refused() -> Result {
        let (buffer, _log) = export(Misuse::None)?;
        // SAFETY: `export()` has made it for this type.
        let buffer = unsafe { Exported::<Wrong>::from_raw(buffer.as_raw()) };

        // Not by dma_buf_vmap(), which warns of any failure.
        let guard = buffer.lock();
        let mapping = Wrong::vmap(&guard)?;
        assert_eq!(check_size(&guard, mapping.size()).err(), Some(EINVAL));
        assert!(check_size(&guard, PAGE_SIZE).is_ok());
        Ok(())
    }

    #[test]
    fn a_forgotten_mapping_is_no_more_than_a_leak() -> Result {
        let device = device(c"udmabuf_rs_kunit_forget")?;
        let (buffer, log) = export(Misuse::Forget)?;
        let attachment = attach(&buffer, &device)?;

        assert_eq!(map(attachment).err(), Some(EAGAIN));
        detach(&buffer, attachment);
        assert_eq!(log.attachments.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn nothing_writes_to_a_read_only_dma_buf() -> Result {
        let device = device(c"udmabuf_rs_kunit_read_only")?;
        let read_only = Restrictions {
            read_only: true,
            ..Restrictions::default()
        };
        let (buffer, log) = export_restricted(Misuse::None, read_only)?;
        let attachment = attach(&buffer, &device)?;
        let raw = buffer.as_raw();

        // SAFETY: The dma-buf and its file are valid.
        let (mode, ops) = unsafe { ((*(*raw).file).f_flags & O_ACCMODE, &*(*raw).ops) };
        assert_eq!(mode, O_RDONLY);
        assert!(ops.vmap.is_none() && ops.vunmap.is_none());
        for direction in [BOTH, DataDirection::FromDevice] {
            assert_eq!(map_for(attachment, direction).err(), Some(EACCES));
        }
        assert_eq!(log.mappings.load(Relaxed), 0);
        assert_eq!(log.pins.load(Relaxed), 0);
        // The exporter has no operation for the start of an access.
        for access in [BOTH, DataDirection::ToDevice] {
            // SAFETY: The dma-buf is valid.
            let answer = unsafe { bindings::dma_buf_begin_cpu_access(raw, access.into()) };
            assert_eq!(to_result(answer).err(), Some(EACCES));
            // SAFETY: The dma-buf is valid.
            let answer = unsafe { bindings::dma_buf_end_cpu_access(raw, access.into()) };
            assert_eq!(to_result(answer).err(), Some(EACCES));
        }

        // SAFETY: The dma-buf is valid.
        to_result(unsafe {
            bindings::dma_buf_end_cpu_access(raw, DataDirection::FromDevice.into())
        })?;
        let reads = DataDirection::ToDevice;
        let table = map_for(attachment, reads)?;
        assert_eq!(log.mappings.load(Relaxed), 1);
        // SAFETY: The table was mapped for this attachment, in this direction.
        unsafe { bindings::dma_buf_unmap_attachment_unlocked(attachment, table, reads.into()) };
        detach(&buffer, attachment);
        Ok(())
    }

    #[test]
    fn the_kernel_does_not_map_a_dma_buf_without_a_cpu_mapping() -> Result {
        let no_cpu_mapping = Restrictions {
            no_cpu_mapping: true,
            ..Restrictions::default()
        };

        for (restrictions, has_vmap) in [(no_cpu_mapping, false), (Restrictions::default(), true)] {
            let (buffer, _log) = export_restricted(Misuse::None, restrictions)?;
            let raw = buffer.as_raw();

            // SAFETY: The dma-buf and its file are valid.
            let (mode, ops) = unsafe { ((*(*raw).file).f_flags & O_ACCMODE, &*(*raw).ops) };
            assert_eq!(mode, O_RDWR);
            assert_eq!(ops.vmap.is_some(), has_vmap);
        }
        Ok(())
    }
}
