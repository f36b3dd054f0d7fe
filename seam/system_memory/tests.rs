// SPDX-License-Identifier: GPL-2.0

//! Unit tests: the table of an attachment.

use kernel::prelude::*;

#[kunit_tests(udmabuf_rs_system_memory)]
mod tests {
    use super::super::{
        Policy,
        SystemMemory, //
    };
    use crate::{
        ffi,
        seam::{
            device::as_raw,
            mm::{
                fault::{
                    Fault,
                    FaultError, //
                },
                StableMemory, //
            },
            quota::{
                Held,
                Limits,
                Reference,
                Staged, //
            },
            runs::{
                Run,
                Runs, //
            },
        },
    };
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
        page::Page,
        prelude::*,
        task::Kuid, //
    };

    const PAGES: usize = 3;
    const BOTH: DataDirection = DataDirection::Bidirectional;

    /// Pages of which each is a run.
    struct Memory {
        runs: KVec<Run>,
        _pages: KVec<Page>,
    }

    // SAFETY: The pages stay until the value is dropped; each is a run.
    unsafe impl StableMemory for Memory {
        fn runs(&self) -> Runs<'_> {
            // SAFETY: `export()` counts the pages up from 0.
            unsafe { Runs::new(&self.runs, PAGES) }
        }

        fn expect_writes(&self) {}
    }

    struct Test(Held);

    impl Policy for Test {
        const NAME: &'static CStr = c"udmabuf_rs_kunit";

        type Memory = Memory;

        fn fault(&self, _fault: &Fault<'_, Memory>) -> Result<(), FaultError> {
            Err(FaultError::Beyond)
        }

        fn owner(&self) -> Kuid {
            Kuid::current_euid()
        }

        fn may_stage() -> bool {
            true
        }

        fn charge_staging(&self, nr_pages: usize) -> Result<Staged> {
            self.0.stage(nr_pages as u64, Limits::UNLIMITED)
        }
    }

    /// An attachment, mapped and unmapped past the core, which shows importers a copy of the table
    /// where `CONFIG_DMABUF_DEBUG` is set.
    struct Attachment(*mut bindings::dma_buf_attachment);

    impl Attachment {
        fn map(&self) -> Result<*mut bindings::sg_table> {
            // SAFETY: The attachment is valid, and an exporter that maps has the operation.
            unsafe {
                let dmabuf = (*self.0).dmabuf;
                let map = (*(*dmabuf).ops).map_dma_buf.ok_or(EINVAL)?;

                bindings::dma_resv_lock((*dmabuf).resv, core::ptr::null_mut());
                let table = map(self.0, BOTH.into());
                bindings::dma_resv_unlock((*dmabuf).resv);
                from_err_ptr(table)
            }
        }

        fn unmap(&self, table: *mut bindings::sg_table) -> Result {
            // SAFETY: The attachment is valid, and `table` was mapped for it.
            unsafe {
                let dmabuf = (*self.0).dmabuf;
                let unmap = (*(*dmabuf).ops).unmap_dma_buf.ok_or(EINVAL)?;

                bindings::dma_resv_lock((*dmabuf).resv, core::ptr::null_mut());
                unmap(self.0, table, BOTH.into());
                bindings::dma_resv_unlock((*dmabuf).resv);
            }
            Ok(())
        }
    }

    impl Drop for Attachment {
        fn drop(&mut self) {
            // SAFETY: The attachment is valid, and not used any more.
            unsafe { bindings::dma_buf_detach((*self.0).dmabuf, self.0) };
        }
    }

    /// Passes an attachment of a new buffer to `work`.
    fn with_attachment(name: &'static CStr, work: impl FnOnce(&Attachment) -> Result) -> Result {
        let device = faux::Registration::new(name, None)?;
        let bound: &Device<Bound> = device.as_ref().as_ref();
        // SAFETY: The device is not in use yet.
        to_result(unsafe { ffi::dma_coerce_mask_and_coherent(as_raw(bound), u64::MAX) })?;

        let (mut runs, mut pages) = (KVec::new(), KVec::new());
        for page in 0..PAGES {
            let new = Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?;
            // SAFETY: The page is valid.
            let frame = unsafe { ffi::page_to_pfn(new.as_ptr()) };
            pages.push(new, GFP_KERNEL)?;
            runs.push(Run { page, frame }, GFP_KERNEL)?;
        }
        let memory = Memory {
            runs,
            _pages: pages,
        };
        let held = Held::new(&Reference::current()?, 0, Limits::UNLIMITED)?;
        let buffer = SystemMemory::export(Test(held), memory, None, None)?;

        // SAFETY: Both are valid, and outlive the attachment.
        let attachment =
            from_err_ptr(unsafe { bindings::dma_buf_attach(buffer.as_raw(), as_raw(bound)) })?;
        work(&Attachment(attachment))
    }

    /// Returns the entries of a table.
    fn entries(table: *mut bindings::sg_table) -> *mut bindings::scatterlist {
        // SAFETY: The tests pass tables that are mapped.
        unsafe { (*table).sgl }
    }

    #[test]
    fn a_table_is_kept_until_detach_and_written_again() -> Result {
        with_attachment(c"udmabuf_rs_kunit_kept", |attachment| {
            let table = attachment.map()?;
            let first = entries(table);
            // SAFETY: The table is mapped. Importers may change lengths.
            let length = unsafe { core::mem::replace(&mut (*first).length, 1) };
            attachment.unmap(table)?;

            let table = attachment.map()?;
            assert_eq!(entries(table), first);
            // SAFETY: The table is mapped.
            assert_eq!(unsafe { (*first).length }, length);
            attachment.unmap(table)
        })
    }

    #[test]
    fn a_second_mapping_has_a_table_of_its_own() -> Result {
        with_attachment(c"udmabuf_rs_kunit_two", |attachment| {
            let tables = [attachment.map()?, attachment.map()?];
            assert!(entries(tables[0]) != entries(tables[1]));
            for table in tables {
                attachment.unmap(table)?;
            }
            Ok(())
        })
    }
}
