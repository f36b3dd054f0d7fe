// SPDX-License-Identifier: GPL-2.0

//! Attachments and the mappings that belong to them.

use crate::seam::gfp::GFP_CHARGED;
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit, //
};
use kernel::{
    bindings,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        List,
        ListArc,
        ListLinks, //
    },
    prelude::*,
    sync::UniqueArc,
    types::Opaque, //
};

/// Memory mapped for a device, as the importer gets it.
///
/// Dropping the value ends the mapping.
///
/// # Safety
///
/// Until the value is dropped, [`table`](Self::table) describes [`size`](Self::size) bytes of
/// memory that the device may access. The importer may change its entries, but not the links
/// between chunks of them; the memory stays accessible whatever it writes.
pub unsafe trait DeviceTable: Send {
    /// Returns the header of the scatter table. The importer gets a copy of the header, and may
    /// write to the entries.
    fn table(&self) -> bindings::sg_table;

    /// Returns the total length of the entries in bytes.
    fn size(&self) -> usize;
}

/// A mapping with the table header that its importer gets.
///
/// # Invariants
///
/// `table` is the header of the table of `mapping`.
struct Mapped<M> {
    /// The importer holds a pointer to it, which leads back to the value.
    table: Opaque<bindings::sg_table>,
    mapping: M,
}

impl<M: DeviceTable> Mapped<M> {
    fn new(mapping: M) -> Self {
        // INVARIANT: By construction.
        Self {
            table: Opaque::new(mapping.table()),
            mapping,
        }
    }
}

/// A mapping in the list of an [`AttachmentState`], accessed only under the resv lock of its
/// dma-buf.
#[pin_data]
pub(super) struct MappingRecord<M> {
    mapped: Mapped<M>,
    #[pin]
    links: ListLinks,
}

// SAFETY: The resv lock serialises all accesses, and `M` may move between tasks.
unsafe impl<M: Send> Sync for MappingRecord<M> {}

impl_list_arc_safe! {
    impl{M} ListArcSafe<0> for MappingRecord<M> { untracked; }
}
impl_list_item! {
    impl{M} ListItem<0> for MappingRecord<M> { using ListLinks { self.links }; }
}

/// Where a mapping is going to be kept: `None` is [`AttachmentState::first`].
///
/// Found before the mapping is made, so that handing a mapping to the importer cannot fail.
pub(super) struct Place<M>(Option<UniqueArc<MaybeUninit<MappingRecord<M>>>>);

/// State of one attachment: the `priv` of a `struct dma_buf_attachment`.
///
/// Owns the exporter's data about the attachment and the mappings made through it.
pub(super) struct AttachmentState<D, M> {
    // Mappings may borrow from `data`: dropped first.
    /// One mapping, since few importers have more at a time.
    first: UnsafeCell<Option<Mapped<M>>>,
    others: UnsafeCell<List<MappingRecord<M>>>,
    data: D,
}

impl<D, M: DeviceTable> AttachmentState<D, M> {
    pub(super) fn new(data: D) -> impl Init<Self> {
        init!(Self {
            first: UnsafeCell::new(None),
            others: UnsafeCell::new(List::new()),
            data,
        })
    }

    pub(super) fn data(&self) -> &D {
        &self.data
    }

    /// Finds the place of the next mapping. Fails with [`ENOMEM`].
    ///
    /// # Safety
    ///
    /// The current task must hold the resv lock of the dma-buf.
    pub(super) unsafe fn place(&self) -> Result<Place<M>> {
        // SAFETY: The resv lock serialises the accesses.
        let is_free = unsafe { (*self.first.get()).is_none() };

        Ok(Place(match is_free {
            true => None,
            false => Some(UniqueArc::new_uninit(GFP_CHARGED)?),
        }))
    }

    /// Takes over `mapping` and returns the table for the importer.
    ///
    /// # Safety
    ///
    /// The value must be pinned. The current task must hold the resv lock of the dma-buf since
    /// before the call of [`place`](Self::place) that has returned `place`, have added nothing in
    /// between, and not be in [`for_each`](Self::for_each).
    pub(super) unsafe fn add(&self, place: Place<M>, mapping: M) -> *mut bindings::sg_table {
        let mapped = Mapped::new(mapping);

        let Some(memory) = place.0 else {
            // SAFETY: The resv lock serialises the accesses, and no other reference is live by the
            // safety requirements.
            let first = unsafe { &mut *self.first.get() };

            return first.insert(mapped).table.get();
        };
        let record = pin_init!(MappingRecord {
            mapped,
            links <- ListLinks::new(),
        });
        let record = match memory.pin_init_with(record) {
            Ok(record) => ListArc::from(record),
            Err(never) => match never {},
        };
        let table = record.mapped.table.get();

        // SAFETY: The resv lock serialises the accesses to the list, and no other reference to it
        // is live by the safety requirements.
        unsafe { &mut *self.others.get() }.push_back(record);
        table
    }

    /// Ends the mapping that the importer got as `table`.
    ///
    /// # Safety
    ///
    /// The current task must hold the resv lock of the dma-buf, and not be in
    /// [`for_each`](Self::for_each). `table` must come from [`add`](Self::add) of this attachment,
    /// and must not have been removed.
    pub(super) unsafe fn remove(&self, table: *mut bindings::sg_table) {
        // SAFETY: The resv lock serialises the accesses, and no other reference is live by the
        // safety requirements.
        let (first, others) = unsafe { (&mut *self.first.get(), &mut *self.others.get()) };

        if first
            .as_ref()
            .is_some_and(|mapped| mapped.table.get() == table)
        {
            *first = None;
            return;
        }
        // SAFETY: By the safety requirements, `table` is the field of a record in the list.
        let record = unsafe {
            let mapped = kernel::container_of!(Opaque::cast_from(table), Mapped<M>, table);

            &*kernel::container_of!(mapped, MappingRecord<M>, mapped)
        };
        // SAFETY: By the safety requirements, the record is in this list.
        drop(unsafe { others.remove(record) });
    }

    /// Returns whether the importer has left no mapping.
    ///
    /// # Safety
    ///
    /// The attachment must be one that importers do not use any more.
    pub(super) unsafe fn is_empty(&self) -> bool {
        // SAFETY: By the safety requirements, nobody else accesses the mappings.
        unsafe { (*self.first.get()).is_none() && (*self.others.get()).is_empty() }
    }

    /// Ends all mappings that the importer has left. They may borrow from `data` until then.
    ///
    /// # Safety
    ///
    /// As for [`is_empty`](Self::is_empty). The current task must hold the resv lock of the
    /// dma-buf.
    pub(super) unsafe fn clear(&self) {
        // SAFETY: By the safety requirements, nobody else accesses the mappings.
        unsafe {
            *self.first.get() = None;
            while (*self.others.get()).pop_front().is_some() {}
        }
    }

    /// Calls `f` for each mapping.
    ///
    /// # Safety
    ///
    /// The current task must hold the resv lock of the dma-buf, and `f` must not call
    /// [`add`](Self::add) or [`remove`](Self::remove).
    pub(super) unsafe fn for_each(&self, mut f: impl FnMut(&M)) {
        // SAFETY: The resv lock serialises the accesses, and nothing changes while the references
        // live.
        let (first, others) = unsafe { (&*self.first.get(), &*self.others.get()) };

        if let Some(mapped) = first {
            f(&mapped.mapping);
        }
        for record in others.iter() {
            f(&record.mapped.mapping);
        }
    }
}
