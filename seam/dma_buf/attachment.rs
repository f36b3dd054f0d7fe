// SPDX-License-Identifier: GPL-2.0

//! Attachments and the mappings that belong to them.

use crate::seam::gfp::GFP_CHARGED;
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit, //
};
use kernel::{
    bindings,
    device::Device,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        List,
        ListArc,
        ListLinks, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        UniqueArc, //
    },
    types::Opaque, //
};

/// Memory mapped for a device, as the importer gets it.
///
/// Dropping the value ends the mapping.
///
/// # Safety
///
/// Until the value is dropped, [`table`](Self::table) describes [`size`](Self::size) bytes of
/// memory that the device may access, and its entries stay valid whatever the importer does to
/// them.
pub unsafe trait DeviceTable: Send {
    /// Returns the header of the scatter table. The importer gets a copy of the header, and may
    /// write to the entries.
    fn table(&self) -> bindings::sg_table;

    /// Returns the total length of the entries in bytes.
    fn size(&self) -> usize;
}

/// A live mapping.
///
/// # Invariants
///
/// `table` is the header of the table of `mapping`. The record is in the list of one
/// [`AttachmentState`], and accessed only under the resv lock of its dma-buf.
#[pin_data]
pub(super) struct MappingRecord<M> {
    /// The importer holds a pointer to it, which leads back to the record.
    table: Opaque<bindings::sg_table>,
    #[pin]
    links: ListLinks,
    mapping: M,
}

// SAFETY: By the type invariants, the resv lock serialises all accesses, and `M` may move between
// tasks.
unsafe impl<M: Send> Sync for MappingRecord<M> {}

impl_list_arc_safe! {
    impl{M} ListArcSafe<0> for MappingRecord<M> { untracked; }
}
impl_list_item! {
    impl{M} ListItem<0> for MappingRecord<M> { using ListLinks { self.links }; }
}

/// Memory for the record of a mapping, allocated before the mapping is made: handing a mapping to
/// the importer cannot fail.
pub(super) struct Place<M>(UniqueArc<MaybeUninit<MappingRecord<M>>>);

impl<M: DeviceTable> Place<M> {
    /// Fails with [`ENOMEM`].
    pub(super) fn new() -> Result<Self> {
        Ok(Self(UniqueArc::new_uninit(GFP_CHARGED)?))
    }

    fn init(self, mapping: M) -> Pin<UniqueArc<MappingRecord<M>>> {
        let record = pin_init!(MappingRecord {
            table: Opaque::new(mapping.table()),
            links <- ListLinks::new(),
            mapping,
        });

        match self.0.pin_init_with(record) {
            Ok(record) => record,
            Err(never) => match never {},
        }
    }
}

/// State of one attachment: the `priv` of a `struct dma_buf_attachment`.
///
/// Owns the exporter's data about the attachment and the mappings made through it.
pub(super) struct AttachmentState<D, M> {
    // Mappings may borrow from `data` and the device: the list is dropped first.
    mappings: UnsafeCell<List<MappingRecord<M>>>,
    data: D,
    device: ARef<Device>,
}

impl<D, M: DeviceTable> AttachmentState<D, M> {
    pub(super) fn new(device: ARef<Device>, data: D) -> Self {
        Self {
            mappings: UnsafeCell::new(List::new()),
            data,
            device,
        }
    }

    pub(super) fn data(&self) -> &D {
        &self.data
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Takes over `mapping` and returns the table for the importer.
    ///
    /// # Safety
    ///
    /// The current task must hold the resv lock of the dma-buf, and not be in
    /// [`for_each`](Self::for_each).
    pub(super) unsafe fn add(&self, place: Place<M>, mapping: M) -> *mut bindings::sg_table {
        // INVARIANT: The record goes into the list below.
        let record = ListArc::from(place.init(mapping));
        let table = record.table.get();

        // SAFETY: The resv lock serialises the accesses to the list, and no other reference to it
        // is live by the safety requirements.
        unsafe { &mut *self.mappings.get() }.push_back(record);
        table
    }

    /// Ends the mapping that the importer got as `table`.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add). `table` must come from [`add`](Self::add) of this attachment, and
    /// must not have been removed.
    pub(super) unsafe fn remove(&self, table: *mut bindings::sg_table) {
        // SAFETY: By the safety requirements, `table` is the field of a record in the list.
        let record =
            unsafe { &*kernel::container_of!(Opaque::cast_from(table), MappingRecord<M>, table) };
        // SAFETY: The resv lock serialises the accesses to the list, and no other reference to it
        // is live by the safety requirements.
        let list = unsafe { &mut *self.mappings.get() };

        // SAFETY: The record is in this list.
        drop(unsafe { list.remove(record) });
    }

    /// Ends all mappings that the importer has left.
    ///
    /// # Safety
    ///
    /// As for [`add`](Self::add).
    pub(super) unsafe fn clear(&self) {
        // SAFETY: The resv lock serialises the accesses to the list, and no other reference to it
        // is live by the safety requirements.
        let list = unsafe { &mut *self.mappings.get() };

        while list.pop_front().is_some() {}
    }

    /// Calls `f` for each mapping.
    ///
    /// # Safety
    ///
    /// The current task must hold the resv lock of the dma-buf, and `f` must not call
    /// [`add`](Self::add) or [`remove`](Self::remove).
    pub(super) unsafe fn for_each(&self, mut f: impl FnMut(&M)) {
        // SAFETY: The resv lock serialises the accesses to the list, which does not change while
        // the reference lives.
        for record in unsafe { &*self.mappings.get() }.iter() {
            f(&record.mapping);
        }
    }
}
