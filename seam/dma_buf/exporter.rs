// SPDX-License-Identifier: GPL-2.0

//! The exporter's side of a dma-buf.

use super::{
    access::CpuAccess,
    attachment::{
        AttachmentState,
        DeviceTable, //
    },
    buffer::DmaBuf,
    kernel_mapping::KernelMapping,
    resv::ResvGuard, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    device::Device,
    dma::DataDirection,
    error::VTABLE_DEFAULT_ERROR,
    mm::virt::VmaNew,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::NotThreadSafe, //
};

/// Restrictions on the use of a dma-buf by importers and userspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Write access is refused.
    ///
    /// Its file is open for reading only. Areas of userspace are not writable and cannot become so,
    /// whichever file they were mapped through. A CPU access that writes and a mapping for a device
    /// that writes fail with [`EACCES`]. There is no kernel mapping, since that would be writable.
    pub read_only: bool,
    /// The CPU cannot map the dma-buf: `mmap` fails with [`EACCES`], and there is no kernel
    /// mapping.
    pub no_cpu_mapping: bool,
}

impl Restrictions {
    /// Checks that `access` is allowed.
    #[inline]
    pub(super) fn check_access(self, access: CpuAccess) -> Result {
        match self.read_only && access.writes() {
            true => Err(EACCES),
            false => Ok(()),
        }
    }

    /// Checks that a mapping for a device in `direction` is allowed.
    #[inline]
    pub(super) fn check_direction(self, direction: DataDirection) -> Result {
        match self.read_only && direction != DataDirection::ToDevice {
            true => Err(EACCES),
            false => Ok(()),
        }
    }

    /// Checks that `vma` may show the dma-buf, and forbids it to become writable if need be.
    ///
    /// `dma_buf_mmap()` changes the file of an area after userspace has been checked against
    /// another, so that the mode of our own says nothing.
    pub(super) fn apply_to(self, vma: &VmaNew) -> Result {
        if self.no_cpu_mapping {
            return Err(EACCES);
        }
        match self.read_only {
            true => vma.try_clear_maywrite().map_err(|_| EACCES),
            false => Ok(()),
        }
    }

    /// Returns whether the kernel may map the dma-buf.
    pub(super) fn allow_vmap(self) -> bool {
        !self.read_only && !self.no_cpu_mapping
    }
}

/// Operations of an exporter, and its data about one dma-buf.
///
/// Mirrors [`struct dma_buf_ops`]. [`DmaBuf::export`] takes a value, which is dropped when the last
/// reference to the dma-buf is gone, after [`release`](Self::release). All operations may sleep.
///
/// [`struct dma_buf_ops`]: srctree/include/linux/dma-buf.h
#[vtable]
pub trait Exporter: Sized + Send + Sync + 'static {
    /// Name of the exporter, shown in fdinfo and debugfs.
    const NAME: &'static CStr;

    /// Data about one attachment; `()` if there is none.
    type Attachment: Attach<Self>;

    /// Memory mapped for the device of an attachment.
    type Mapping<'a>: DeviceTable;

    /// Returns the size of the dma-buf in bytes. Asked once, by [`DmaBuf::export`].
    fn size(&self) -> usize;

    /// Returns the restrictions, always the same. The seam enforces them, and calls no operation
    /// that they forbid.
    fn restrictions(&self) -> Restrictions {
        Restrictions::default()
    }

    /// Called when the last reference to the dma-buf is gone, before the value is dropped.
    fn release(&self) {}

    /// Keeps the memory from moving. Implement it together with [`unpin`](Self::unpin).
    ///
    /// An exporter without it is a static one: its memory never moves.
    fn pin(_attachment: &Attached<'_, Self>, _buffer: &Locked<'_, Self>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Undoes a [`pin`](Self::pin).
    fn unpin(_attachment: &Attached<'_, Self>, _buffer: &Locked<'_, Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Maps the memory for the device of `attachment`.
    ///
    /// The seam keeps the mapping and drops it, under the resv lock, when the importer unmaps it,
    /// and at the latest when the importer detaches the device.
    ///
    /// May be interrupted, with [`EINTR`].
    fn map<'a>(
        attachment: &Attached<'a, Self>,
        buffer: &Locked<'a, Self>,
        direction: DataDirection,
    ) -> Result<Self::Mapping<'a>>;

    /// Prepares `access` by the CPU: data that devices have written becomes visible to the CPU.
    ///
    /// The core calls it before it waits for fences, and may call it on many tasks at once. If it
    /// fails, with [`EINTR`] or `ERESTARTSYS` among others, it has had no effect.
    fn begin_cpu_access(_buffer: &Exported<Self>, _access: CpuAccess) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Ends an access: data that the CPU has written becomes visible to devices.
    ///
    /// The core may call it on many tasks at once, and without a preceding
    /// [`begin_cpu_access`](Self::begin_cpu_access).
    fn end_cpu_access(_buffer: &Exported<Self>, _access: CpuAccess) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Maps the memory into userspace, at the area `vma`.
    ///
    /// The core has checked that the area lies within the size of the dma-buf.
    fn mmap(_buffer: &Exported<Self>, _vma: &VmaNew) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Maps the memory into the kernel's address space, all of it.
    ///
    /// One mapping serves all users. The seam keeps it and drops it, under the resv lock, after the
    /// last user is done. A mapping of another size than the dma-buf is refused with [`EINVAL`].
    fn vmap<'a>(_buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Data of an exporter about one attachment. Dropping it is the `detach` operation.
///
/// Both run in process context without the resv lock, and enclose all mappings of the attachment.
pub trait Attach<T: Exporter>: Sized + Send + Sync {
    /// Attaches `device` to `buffer`.
    ///
    /// Fails with [`EBUSY`] if the device cannot access the memory, and with [`ENOMEM`].
    fn attach(buffer: &Exported<T>, device: &Device) -> Result<Self>;
}

impl<T: Exporter> Attach<T> for () {
    fn attach(_buffer: &Exported<T>, _device: &Device) -> Result {
        Ok(())
    }
}

/// What a dma-buf of a `T` owns: its `priv`.
#[pin_data]
pub(super) struct Inner<T> {
    // May borrow from `data`: dropped first. Protected by the resv lock.
    vmap: UnsafeCell<Option<KernelMapping<'static>>>,
    #[pin]
    pub(super) data: T,
}

// SAFETY: `vmap` is `Send` and only accessed through a `Locked`, which proves that the resv lock is
// held. `data` is `Sync`.
unsafe impl<T: Sync> Sync for Inner<T> {}

impl<T: Exporter> Inner<T> {
    pub(super) fn new(data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            vmap: UnsafeCell::new(None),
            data <- data,
        }? Error)
    }
}

/// The state of an attachment to a dma-buf of a `T`.
pub(super) type StateOf<T> =
    AttachmentState<<T as Exporter>::Attachment, <T as Exporter>::Mapping<'static>>;

/// A dma-buf that a `T` has exported.
///
/// # Invariants
///
/// [`DmaBuf::export`] made the dma-buf for this `T`: its `priv` is an [`Inner<T>`] that lives as
/// long as the dma-buf, and the `priv` of each of its attachments is a [`StateOf<T>`].
#[repr(transparent)]
pub struct Exported<T> {
    buffer: DmaBuf,
    _exporter: PhantomData<Inner<T>>,
}

impl<T: Exporter> Exported<T> {
    /// Creates a reference from a raw pointer.
    ///
    /// # Safety
    ///
    /// `dmabuf` must have been made by [`DmaBuf::export`] for this `T` and be alive for `'a`.
    pub unsafe fn from_raw<'a>(dmabuf: *mut bindings::dma_buf) -> &'a Self {
        // SAFETY: The dma-buf is alive for `'a`; `Exported` and `DmaBuf` are transparent wrappers.
        // INVARIANT: By the safety requirements.
        unsafe { &*dmabuf.cast() }
    }

    /// Returns the exporter's data.
    pub fn data(&self) -> &T {
        &self.inner().data
    }

    /// Returns the restrictions.
    pub fn restrictions(&self) -> Restrictions {
        self.data().restrictions()
    }

    /// Locks the reservation object, uninterruptibly.
    pub fn lock(&self) -> LockedGuard<'_, T> {
        self.locked_by(self.resv().lock())
    }

    /// Locks the reservation object. Fails with [`EINTR`] if a signal arrives first.
    pub fn lock_interruptible(&self) -> Result<LockedGuard<'_, T>> {
        Ok(self.locked_by(self.resv().lock_interruptible()?))
    }

    fn locked_by<'a>(&'a self, guard: ResvGuard<'a>) -> LockedGuard<'a, T> {
        LockedGuard {
            // SAFETY: `guard` holds the lock of this buffer and is dropped with the `Locked`. It is
            // not recursive, so no other `Locked` of the buffer exists.
            locked: unsafe { Locked::new(self) },
            _guard: guard,
        }
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: By the type invariants, `priv` is an `Inner<T>` that lives as long as the
        // dma-buf.
        unsafe { &*(*self.as_raw()).priv_.cast() }
    }
}

// SAFETY: An exported dma-buf is a dma-buf, whose references these are.
unsafe impl<T> AlwaysRefCounted for Exported<T> {
    fn inc_ref(&self) {
        self.buffer.inc_ref();
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: `Exported` is a transparent wrapper, and the caller gives up a reference.
        unsafe { DmaBuf::dec_ref(this.cast()) };
    }
}

impl<T> Deref for Exported<T> {
    type Target = DmaBuf;

    fn deref(&self) -> &DmaBuf {
        &self.buffer
    }
}

/// An attachment, for the duration of a callback.
///
/// # Invariants
///
/// `state` belongs to an attachment of `device` to `buffer`. The device is ready for DMA for `'a`:
/// the importer keeps it so while anything is mapped for it.
pub struct Attached<'a, T: Exporter> {
    buffer: &'a Exported<T>,
    state: &'a StateOf<T>,
    device: &'a Device,
}

impl<'a, T: Exporter> Attached<'a, T> {
    /// # Safety
    ///
    /// `attachment` must be a valid attachment to a dma-buf of `T`, which must not be detached
    /// before `'a` ends. Its device must be ready for DMA for `'a`.
    pub(super) unsafe fn from_raw(attachment: *mut bindings::dma_buf_attachment) -> Self {
        // SAFETY: By the safety requirements, the attachment is valid, and so are its dma-buf and
        // its device, which the importer keeps until it detaches it.
        // INVARIANT: The state is that of the attachment; the rest holds by the safety
        // requirements.
        unsafe {
            Self {
                buffer: Exported::from_raw((*attachment).dmabuf),
                state: &*(*attachment).priv_.cast(),
                device: Device::from_raw((*attachment).dev),
            }
        }
    }

    /// Returns the dma-buf.
    pub fn buffer(&self) -> &'a Exported<T> {
        self.buffer
    }

    /// Returns the exporter's data about the attachment.
    pub fn data(&self) -> &'a T::Attachment {
        self.state.data()
    }

    /// Returns the device. It need not be bound to a driver.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    pub(super) fn state(&self) -> &'a StateOf<T> {
        self.state
    }
}

/// A dma-buf whose resv lock is held.
///
/// # Invariants
///
/// The current task holds the resv lock of `buffer` as long as the value lives, and no other value
/// for `buffer` exists.
pub struct Locked<'a, T> {
    buffer: &'a Exported<T>,
    _task: NotThreadSafe,
}

impl<'a, T: Exporter> Locked<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold until the value is dropped.
    pub(super) unsafe fn new(buffer: &'a Exported<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            buffer,
            _task: NotThreadSafe,
        }
    }

    /// Returns the dma-buf.
    pub fn buffer(&self) -> &'a Exported<T> {
        self.buffer
    }

    /// Returns the exporter's data.
    pub fn data(&self) -> &'a T {
        self.buffer.data()
    }

    /// Calls `f` for each mapping that importers hold.
    pub fn for_each_mapping(&self, f: impl FnMut(&T::Mapping<'_>)) {
        // SAFETY: By the type invariants, the resv lock is held. `f` cannot get at the list of
        // mappings: only callbacks change it, with the lock that this task holds.
        unsafe { for_each_mapping::<T>(self.buffer.as_raw(), f) };
    }

    /// Keeps `mapping` until the next call.
    ///
    /// # Safety
    ///
    /// `mapping` must come from [`Exporter::vmap`], which is generic over `'a`: such a mapping
    /// borrows only from what lives as long as the dma-buf.
    pub(super) unsafe fn set_vmap(&self, mapping: Option<KernelMapping<'a>>) {
        // SAFETY: `Inner` drops the mapping before the data, and the caller guarantees that it
        // borrows from nothing that lives shorter.
        let mapping = mapping.map(|mapping| unsafe { mapping.erase() });
        // SAFETY: By the type invariants, the resv lock is held, and no other reference exists: the
        // field is used nowhere else.
        let slot = unsafe { &mut *self.buffer.inner().vmap.get() };

        *slot = mapping;
    }
}

/// Calls `f` for each mapping that importers hold of a dma-buf.
///
/// # Safety
///
/// `dmabuf` must have been made by [`DmaBuf::export`] for this `T`, and not be freed. The current
/// task must hold its resv lock, and `f` must neither add nor remove a mapping.
pub(super) unsafe fn for_each_mapping<T: Exporter>(
    dmabuf: *mut bindings::dma_buf,
    mut f: impl FnMut(&T::Mapping<'_>),
) {
    // SAFETY: The resv lock, held by the safety requirements, protects the list of attachments.
    // They are valid while they are in it, and their `priv` is a `StateOf<T>`.
    unsafe {
        let head = &raw mut (*dmabuf).attachments;
        let mut node = (*head).next;

        while node != head {
            let attachment = kernel::container_of!(node, bindings::dma_buf_attachment, node);

            (*(*attachment).priv_.cast::<StateOf<T>>()).for_each(&mut f);
            node = (*node).next;
        }
    }
}

/// Holds the resv lock of an exported dma-buf until dropped.
pub struct LockedGuard<'a, T: Exporter> {
    locked: Locked<'a, T>,
    _guard: ResvGuard<'a>,
}

impl<'a, T: Exporter> Deref for LockedGuard<'a, T> {
    type Target = Locked<'a, T>;

    fn deref(&self) -> &Self::Target {
        &self.locked
    }
}
