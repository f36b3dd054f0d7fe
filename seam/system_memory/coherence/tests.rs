// SPDX-License-Identifier: GPL-2.0

//! Unit tests: devices of a buffer that are staged.

use kernel::prelude::*;

#[kunit_tests(udmabuf_rs_coherence)]
mod tests {
    use super::super::{
        Coherence,
        Direct,
        DmaMapping,
        StagedDevice,
        StagingId,
        Unlisted, //
    };
    use crate::{
        ffi,
        seam::{
            device::as_raw,
            dma,
            mm::StableMemory,
            quota::{
                self,
                Held,
                Limits,
                Reference, //
            },
            runs::{
                Run,
                Runs, //
            },
            scatterlist::{
                SegmentLimits,
                SgTable, //
            },
            system_memory::settle::Users, //
        },
    };
    use core::cell::Cell;
    use kernel::{
        device::{
            Bound,
            Device, //
        },
        dma::DataDirection,
        error::to_result,
        faux,
        page::{
            Page,
            PAGE_SHIFT,
            PAGE_SIZE, //
        },
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        },
    };

    const PAGES: usize = 5;
    const LIMITS: SegmentLimits = SegmentLimits {
        max_pages: 1,
        boundary_pages: 1 << 40,
    };

    struct Memory {
        pages: KVec<Page>,
        runs: KVec<Run>,
    }

    impl Memory {
        fn new() -> Result<Self> {
            let (mut pages, mut runs) = (KVec::new(), KVec::new());

            for page in 0..PAGES {
                let new = Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?;
                // SAFETY: The page is valid.
                let frame = unsafe { ffi::page_to_pfn(new.as_ptr()) };
                pages.push(new, GFP_KERNEL)?;
                runs.push(Run { page, frame }, GFP_KERNEL)?;
            }
            Ok(Self { pages, runs })
        }

        /// Adds `value` to the first byte of each page, and returns what was there.
        fn add(&self, value: u8) -> Result<[u8; PAGES]> {
            let mut found = [0; PAGES];

            for (page, found) in self.pages.iter().zip(&mut found) {
                let mut byte = 0;
                // SAFETY: The test is alone with the page.
                unsafe {
                    page.read_raw(&mut byte, 0, 1)?;
                    page.write_raw(&byte.wrapping_add(value), 0, 1)?;
                }
                *found = byte;
            }
            Ok(found)
        }
    }

    // SAFETY: The pages stay until the value is dropped; each is a run.
    unsafe impl StableMemory for Memory {
        fn runs(&self) -> Runs<'_> {
            // SAFETY: `new()` counts the pages up from 0.
            unsafe { Runs::new(&self.runs, PAGES) }
        }

        fn expect_writes(&self) {}
    }

    /// Charges pages to the user that loads the module.
    fn charge_within(limits: Limits) -> Result<impl Fn(usize) -> Result<quota::Staged>> {
        let held = Held::new(&Reference::current()?, 0, Limits::UNLIMITED)?;

        Ok(move |nr_pages| held.stage(nr_pages as u64, limits))
    }

    /// What a staged device has mapped.
    struct Staged {
        attached: Atomic<usize>,
        id: StagingId,
        table: SgTable,
    }

    impl Staged {
        fn map(
            coherence: &Coherence,
            memory: &Memory,
            device: &faux::Registration,
            limits: Limits,
        ) -> Result<Self> {
            let bound: &Device<Bound> = device.as_ref().as_ref();
            let attached = Atomic::new(0);
            let charge = charge_within(limits)?;
            let (id, table) =
                coherence.map_staged(memory, bound, true, &attached, &charge, |staging| {
                    staging.table(None, LIMITS)
                })?;

            Ok(Self {
                attached,
                id,
                table,
            })
        }

        /// The device adds `value` to the first byte of each page of the staging.
        fn add(&self, value: u8) -> Result<[u8; PAGES]> {
            let mut found = [0; PAGES];

            assert_eq!(self.table.entries().count(), PAGES);
            for (entry, found) in self.table.entries().zip(&mut found) {
                // SAFETY: The entry is a page of the staging, which is mapped for the kernel.
                unsafe {
                    let page = ffi::pfn_to_page((ffi::sg_phys(entry) as usize) / PAGE_SIZE);
                    let byte = ffi::lowmem_page_address(page).cast::<u8>();

                    *found = byte.read_volatile();
                    byte.write_volatile(found.wrapping_add(value));
                }
            }
            Ok(found)
        }

        fn unmap(self, coherence: &Coherence, memory: &Memory) {
            coherence.unmap_staged(memory, self.id, true);
            assert_eq!(self.attached.load(Relaxed), self.id.get());
            coherence.detach(memory, self.id);
        }
    }

    fn device(name: &'static CStr) -> Result<faux::Registration> {
        let device = faux::Registration::new(name, None)?;
        let bound: &Device<Bound> = device.as_ref().as_ref();

        // SAFETY: The device is not in use yet.
        to_result(unsafe { ffi::dma_coerce_mask_and_coherent(as_raw(bound), u64::MAX) })?;
        Ok(device)
    }

    fn coherence() -> Result<Pin<KBox<Coherence>>> {
        Ok(KBox::pin_init(Coherence::new(false), GFP_KERNEL)?)
    }

    /// All that a settle may depend on, but for the bytes and the number of the settle.
    fn state(coherence: &Coherence) -> Result<(usize, usize, [usize; 4], bool)> {
        let devices = coherence.devices.lock();
        let direct = devices.nr_direct();
        let staged = devices.staged.iter().map(StagedDevice::state);

        Ok((
            coherence.direct_writers.load(Relaxed),
            direct,
            staged.fold([0; 4], |sum, state| {
                core::array::from_fn(|i| sum[i] + state[i])
            }),
            coherence.users.any(),
        ))
    }

    /// Maps `memory` itself, and adds the mapping without a settle: the debug API for DMA complains
    /// about syncing memory that is mapped several times.
    ///
    /// The mapping must be removed before `memory` and `device` are dropped.
    fn add_direct(
        coherence: &Coherence,
        memory: &Memory,
        device: &Device<Bound>,
        direction: DataDirection,
    ) -> Result<Arc<Direct>> {
        let table = SgTable::new(memory, LIMITS)?;
        // SAFETY: The tests keep memory and device for longer than the mapping.
        let mapping = unsafe { DmaMapping::new(table, device, direction)? };
        let (direct, _) = Unlisted::new(mapping, false)?;

        Ok(coherence.devices.lock().add(direct))
    }

    fn remove_direct(coherence: &Coherence, direct: Arc<Direct>) {
        let mut devices = coherence.devices.lock();

        // SAFETY: The mutex is held, and the tests pass mappings that were added to this buffer.
        unsafe {
            devices.remove(&direct);
            direct.end();
        }
    }

    /// Returns how many mappings a settle syncs.
    fn nr_synced(coherence: &Coherence) -> usize {
        let count = Cell::new(0);

        coherence
            .devices
            .lock()
            .for_each_synced(|_| count.set(count.get() + 1));
        count.get()
    }

    #[test]
    fn one_mapping_of_a_device_in_a_direction_is_synced() -> Result {
        const DIRECTIONS: [DataDirection; 2] =
            [DataDirection::ToDevice, DataDirection::Bidirectional];
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let registered = [
            device(c"udmabuf_rs_kunit_synced")?,
            device(c"udmabuf_rs_kunit_unbound")?,
        ];
        let devices: [&Device<Bound>; 2] =
            core::array::from_fn(|i| registered[i].as_ref().as_ref());
        // Every device needs syncing where the debug API is on, as in `make check-debug`.
        if !dma::needs_sync(devices[0]) && !cfg!(CONFIG_DMA_API_DEBUG) {
            pr_info!("skipped: the device is coherent, and CONFIG_DMA_API_DEBUG is off\n");
            return Ok(());
        }
        assert!(dma::needs_sync(devices[0]));

        let mut mappings: [KVec<Arc<Direct>>; 4] = core::array::from_fn(|_| KVec::new());
        for _ in 0..10 {
            for (class, mappings) in mappings.iter_mut().enumerate() {
                let (device, direction) = (devices[class % 2], DIRECTIONS[class / 2]);
                let direct = add_direct(&coherence, &memory, device, direction)?;
                mappings.push(direct, GFP_KERNEL)?;
            }
        }
        assert_eq!(nr_synced(&coherence), 4);
        // Those that were synced so far.
        for mappings in &mut mappings {
            remove_direct(&coherence, mappings.remove(0)?);
        }
        assert_eq!(nr_synced(&coherence), 4);

        coherence.unbinding(&memory, devices[1]);
        assert_eq!(nr_synced(&coherence), 2);
        assert_eq!(coherence.devices.lock().nr_direct(), 36);
        let rebound = add_direct(&coherence, &memory, devices[1], DIRECTIONS[0])?;
        assert_eq!(nr_synced(&coherence), 3);
        remove_direct(&coherence, rebound);
        assert_eq!(nr_synced(&coherence), 2);

        coherence.unbound(devices[1]);
        for (class, mut mappings) in mappings.into_iter().enumerate() {
            while let Some(direct) = mappings.pop() {
                remove_direct(&coherence, direct);
            }
            assert_eq!(nr_synced(&coherence), [1, 1, 0, 0][class]);
        }
        assert_eq!(coherence.devices.lock().nr_direct(), 0);
        Ok(())
    }

    #[test]
    fn any_starts_and_ends_leave_the_state_as_it_was() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_any")?;
        let staged = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;
        let before = state(&coherence)?;
        let mut random: u32 = 1;

        for _ in 0..1000 {
            random = random.wrapping_mul(1103515245).wrapping_add(12345);
            match random >> 16 & 3 {
                0 => coherence.start(&memory, usize::MAX)?,
                1 => coherence.start(&memory, coherence.begun())?,
                _ => coherence.end(&memory)?,
            }
            assert!(state(&coherence)? == before);
        }
        staged.unmap(&coherence, &memory);
        assert!(!coherence.is_used());
        Ok(())
    }

    #[test]
    fn mappings_that_leave_nothing_leave_the_state_as_it_was() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let before = state(&coherence)?;

        for writes in [false, true, true] {
            coherence.prepare(&memory, writes)?.plain();
            coherence.unmap_plain(&memory, writes);
            assert_eq!(state(&coherence)?, before);
            drop(coherence.prepare(&memory, writes)?);
            assert_eq!(state(&coherence)?, before);
        }
        Ok(())
    }

    #[test]
    fn both_sides_see_what_the_other_has_written() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_both")?;
        let staged = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;

        staged.add(3)?;
        assert_eq!(memory.add(0)?, [0; PAGES]);
        coherence.start(&memory, coherence.begun())?;
        assert_eq!(memory.add(4)?, [3; PAGES]);
        coherence.end(&memory)?;
        assert_eq!(staged.add(5)?, [7; PAGES]);
        staged.unmap(&coherence, &memory);
        assert_eq!(memory.add(0)?, [12; PAGES]);
        Ok(())
    }

    #[test]
    fn devices_see_each_other() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let devices = [
            device(c"udmabuf_rs_kunit_one")?,
            device(c"udmabuf_rs_kunit_two")?,
        ];
        let one = Staged::map(&coherence, &memory, &devices[0], Limits::UNLIMITED)?;
        one.add(1)?;
        // Mapping settles.
        let two = Staged::map(&coherence, &memory, &devices[1], Limits::UNLIMITED)?;

        assert_eq!(two.add(1)?, [1; PAGES]);
        coherence.start(&memory, coherence.begun())?;
        // Back to what the base of the second has held.
        assert_eq!(one.add(255)?, [2; PAGES]);
        one.unmap(&coherence, &memory);
        assert_eq!(two.add(0)?, [1; PAGES]);
        two.unmap(&coherence, &memory);
        assert_eq!(memory.add(0)?, [1; PAGES]);
        Ok(())
    }

    #[test]
    fn a_staging_is_shared_by_the_attachments_of_a_device() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_shared")?;
        let first = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;
        let second = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;

        assert!(first.id == second.id);
        first.add(1)?;
        first.unmap(&coherence, &memory);
        assert_eq!(second.add(1)?, [1; PAGES]);
        second.unmap(&coherence, &memory);
        assert_eq!(memory.add(0)?, [2; PAGES]);
        assert_eq!(coherence.devices.lock().staged.len(), 0);
        Ok(())
    }

    /// Does what an unmap does whose task is killed before anything is fetched.
    fn give_an_unmap_up(coherence: &Coherence, staged: &Staged) -> Result {
        let mut devices = coherence.devices.lock();
        let staging = devices.staging(staged.id).ok_or(EINVAL)?;

        staging.unmap(true);
        staging.keep_user();
        Ok(())
    }

    #[test]
    fn what_a_given_up_unmap_has_left_is_fetched_whoever_unmaps_next() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_given_up")?;
        let bound: &Device<Bound> = device.as_ref().as_ref();
        let writer = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;
        let attached = Atomic::new(0);
        let charge = charge_within(Limits::UNLIMITED)?;
        let (reader, ()) =
            coherence.map_staged(&memory, bound, false, &attached, &charge, |_| Ok(()))?;

        writer.add(1)?;
        give_an_unmap_up(&coherence, &writer)?;
        coherence.unmap_staged(&memory, reader, false);
        assert!(coherence.is_used());
        coherence.start(&memory, coherence.begun())?;
        assert_eq!(memory.add(0)?, [1; PAGES]);
        assert!(!coherence.is_used());
        coherence.detach(&memory, reader);
        coherence.detach(&memory, writer.id);
        Ok(())
    }

    #[test]
    fn what_a_given_up_unmap_has_left_is_fetched_at_the_last_detach() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_left")?;
        let writer = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;

        writer.add(1)?;
        give_an_unmap_up(&coherence, &writer)?;
        coherence.detach(&memory, writer.id);
        assert_eq!(memory.add(0)?, [1; PAGES]);
        assert!(!coherence.is_used());
        Ok(())
    }

    #[test]
    fn a_settle_that_has_begun_later_serves_a_start() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_join")?;
        let staged = Staged::map(&coherence, &memory, &device, Limits::UNLIMITED)?;
        let begun = coherence.begun();

        coherence.end(&memory)?;
        let after = coherence.begun();
        assert_eq!(after, begun + 1);
        coherence.start(&memory, begun)?;
        assert_eq!(coherence.begun(), after);
        coherence.start(&memory, after)?;
        assert_eq!(coherence.begun(), after + 1);
        staged.unmap(&coherence, &memory);
        Ok(())
    }

    #[test]
    fn an_end_that_invalidates_nothing_serves_no_start() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let begun = coherence.begun();

        // A device that is not coherent.
        coherence.users.get();
        coherence.end(&memory)?;
        assert_eq!(coherence.begun(), begun + 1);
        coherence.start(&memory, begun)?;
        assert_eq!(coherence.begun(), begun + 2);
        coherence.users.put();
        Ok(())
    }

    #[test]
    fn the_limits_are_exact() -> Result {
        let (memory, coherence) = (Memory::new()?, coherence()?);
        let device = device(c"udmabuf_rs_kunit_limit")?;
        let within = |user, total| {
            let limits = Limits { user, total };
            Staged::map(&coherence, &memory, &device, limits)
        };
        // Nobody else stages: a staging and a base, of five pages each.
        let needed = 2 * PAGES as u64;

        for _ in 0..100 {
            for failed in [within(needed - 1, needed), within(needed, needed - 1)] {
                assert_eq!(failed.err(), Some(ENOMEM));
                assert!(!coherence.is_used());
                assert_eq!(quota::staging_bytes(), 0);
            }
        }
        let fits = within(needed, needed)?;
        assert_eq!(quota::staging_bytes(), needed << PAGE_SHIFT);
        fits.unmap(&coherence, &memory);
        assert_eq!(quota::staging_bytes(), 0);
        Ok(())
    }
}
