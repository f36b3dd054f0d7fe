// SPDX-License-Identifier: GPL-2.0

//! The dma-buf and what it owns.

use super::{
    exporter::{
        CpuAccess,
        Exporter,
        ExporterVTable, //
    },
    reserved::{
        Protected,
        ReservedGuard, //
    },
};
use crate::{
    ffi,
    seam::{
        mm::{
            fault::EntrySizes,
            StableMemory, //
        },
        rwsem::new_rwsem, //
    },
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    module::this_module,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        barrier::{
            self,
            smp_mb, //
        },
    },
    types::Opaque, //
};

/// Longest wait there is: `MAX_SCHEDULE_TIMEOUT` in C.
const FOREVER: c_ulong = c_long::MAX as c_ulong;

/// What a dma-buf of a `T` owns: its `priv`.
#[pin_data]
pub(super) struct Exported<T: Exporter> {
    // Borrows from `memory`: must stay before it, so that it is dropped first.
    pub(super) protected: UnsafeCell<Protected>,
    /// How many of the mappings in `protected` need to be synced, and one more if brackets are open.
    busy: Atomic<usize>,
    #[pin]
    entry_sizes: EntrySizes,
    exporter: T,
    memory: T::Memory,
}

// SAFETY: `protected` is reached only under the reservation lock, see `Reserved::protected`, and
// what it holds is `Send`. The rest is `Send` and `Sync`.
unsafe impl<T: Exporter> Sync for Exported<T> {}

impl<T: Exporter> Exported<T> {
    /// Notes one more reason not to leave out a begin or end of CPU access, before it is there: what
    /// the CPU writes from now on is either seen by what follows, or passed on by an end that waits.
    pub(super) fn note_busy(&self) {
        // Pairs with the barrier in `DmaBuf::needs_sync`.
        self.busy.fetch_add(1, Full);
    }

    /// Notes one less. What the reason was must be over: nobody waits for it any more.
    pub(super) fn note_idle(&self) {
        self.busy.fetch_sub(1, Release);
    }
}

/// A mapping that is being made, which may need to be synced.
pub(super) struct Making<'a, T: Exporter>(&'a Exported<T>);

impl<'a, T: Exporter> Making<'a, T> {
    pub(super) fn new(exported: &'a Exported<T>) -> Self {
        exported.note_busy();
        Self(exported)
    }

    /// The mapping has been made. One that needs to be synced goes on counting.
    pub(super) fn made(self, needs_sync: bool) {
        if needs_sync {
            let _counts = ManuallyDrop::new(self);
        }
    }
}

impl<T: Exporter> Drop for Making<'_, T> {
    fn drop(&mut self) {
        self.0.note_idle();
    }
}

/// A dma-buf that is exported by a `T`.
///
/// Always reference counted: a `&DmaBuf` lives no longer than a reference that somebody holds.
///
/// # Invariants
///
/// Is a valid `struct dma_buf` made by [`DmaBuf::export`], so its `priv` is an [`Exported<T>`] which
/// lives until the last reference is gone.
#[repr(transparent)]
pub(crate) struct DmaBuf<T: Exporter> {
    inner: Opaque<bindings::dma_buf>,
    _exporter: PhantomData<Exported<T>>,
}

// SAFETY: A `struct dma_buf` may be used and released by any task, and `Exported<T>` is `Sync` and
// made of parts that are `Send`.
unsafe impl<T: Exporter> Send for DmaBuf<T> {}
// SAFETY: As above; the core serialises what needs to be.
unsafe impl<T: Exporter> Sync for DmaBuf<T> {}

// SAFETY: A `struct dma_buf` lives as long as its file, whose references these are.
unsafe impl<T: Exporter> AlwaysRefCounted for DmaBuf<T> {
    fn inc_ref(&self) {
        // SAFETY: The existence of a reference means that the file is alive.
        unsafe { bindings::get_file((*self.as_raw()).file) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the dma-buf is alive.
        unsafe { bindings::dma_buf_put(this.cast().as_ptr()) };
    }
}

impl<T: Exporter> DmaBuf<T> {
    /// Exports `memory` as a dma-buf of `exporter`, readable and writable.
    ///
    /// The module of `T` cannot be unloaded as long as the dma-buf lives. Fails with [`ENOMEM`],
    /// [`ENFILE`] and, for a module that is going away, [`ENOENT`]; `exporter` and `memory` are
    /// dropped then.
    pub(crate) fn export(exporter: T, memory: T::Memory) -> Result<ARef<Self>> {
        let size = memory
            .runs()
            .pages()
            .checked_mul(1 << PAGE_SHIFT)
            .ok_or(EOVERFLOW)?;
        let exported = KBox::pin_init(
            pin_init!(Exported {
                protected: UnsafeCell::new(Protected::new()),
                busy: Atomic::new(0),
                entry_sizes <- new_rwsem!(c"dma_buf_entry_sizes"),
                exporter,
                memory,
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: Nothing moves it until it is dropped.
        let exported = KBox::into_raw(unsafe { Pin::into_inner_unchecked(exported) });

        let info = bindings::dma_buf_export_info {
            exp_name: T::NAME.as_char_ptr(),
            owner: this_module::<T::OwnerModule>().as_ptr(),
            ops: ExporterVTable::<T>::build(),
            size,
            flags: bindings::O_RDWR as c_int,
            resv: core::ptr::null_mut(),
            priv_: exported.cast(),
        };

        // SAFETY: `info` is complete; its operations are those for a `priv` of this type.
        match from_err_ptr(unsafe { bindings::dma_buf_export(&info) }) {
            // SAFETY: The new dma-buf comes with one reference, which is ours, and is not NULL.
            // INVARIANT: Its `priv` is the `Exported<T>` from above.
            Ok(dmabuf) => Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(dmabuf.cast())) }),
            Err(error) => {
                // SAFETY: From `KBox::into_raw` above; nobody took it over.
                drop(unsafe { KBox::from_raw(exported) });
                Err(error)
            }
        }
    }

    /// Wraps a dma-buf for as long as a callback runs.
    ///
    /// # Safety
    ///
    /// `dmabuf` must have been made by [`export`](Self::export) for this `T` and be alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(dmabuf: *mut bindings::dma_buf) -> &'a Self {
        // SAFETY: By the safety requirements; the layout is that of the C struct.
        unsafe { &*dmabuf.cast() }
    }

    /// Returns a new descriptor of the current process for the dma-buf; `flags` may be `O_CLOEXEC`.
    ///
    /// Fails with [`EMFILE`]; the reference is dropped then.
    pub(crate) fn into_fd(this: ARef<Self>, flags: u32) -> Result<u32> {
        // SAFETY: We hold a reference.
        let fd = unsafe { bindings::dma_buf_fd(this.as_raw(), flags as c_int) };
        to_result(fd)?;

        // The descriptor has taken over the reference.
        ARef::into_raw(this);
        // CAST: Not negative, as was just tested.
        Ok(fd as u32)
    }

    /// Returns the exporter's own data.
    pub(crate) fn exporter(&self) -> &T {
        &self.exported().exporter
    }

    /// Returns the memory.
    pub(crate) fn memory(&self) -> &T::Memory {
        &self.exported().memory
    }

    /// Returns what its page faults are to be served with.
    pub(super) fn entry_sizes(&self) -> &EntrySizes {
        &self.exported().entry_sizes
    }

    /// Takes the reservation lock, whatever it takes.
    pub(crate) fn reserve(&self) -> ReservedGuard<'_, T> {
        // SAFETY: The lock is valid; without an acquire context this only returns with it held.
        unsafe { bindings::dma_resv_lock(self.resv(), core::ptr::null_mut()) };
        // SAFETY: Just taken.
        unsafe { ReservedGuard::new(self) }
    }

    /// Takes the reservation lock when no fence that `access` must wait for is left, and no new one
    /// can come.
    ///
    /// Fails with [`EINTR`] or `ERESTARTSYS` when a signal comes first.
    pub(crate) fn reserve_idle(&self, access: CpuAccess) -> Result<ReservedGuard<'_, T>> {
        loop {
            self.wait_fences(access)?;

            // SAFETY: The lock is valid.
            to_result(unsafe { ffi::rs_dma_resv_lock_interruptible(self.resv()) })?;
            // SAFETY: Just taken.
            let reserved = unsafe { ReservedGuard::new(self) };

            // Fences are added under the lock: one may have come while we waited for it.
            // SAFETY: The reservation object is valid.
            if unsafe { bindings::dma_resv_test_signaled(self.resv(), access.fences()) } {
                return Ok(reserved);
            }
        }
    }

    /// Waits for the fences that `access` by the CPU must wait for: for reading those of writers,
    /// for writing those of readers as well.
    ///
    /// Fails with `ERESTARTSYS` when a signal comes first.
    pub(crate) fn wait_fences(&self, access: CpuAccess) -> Result {
        // SAFETY: The reservation object is valid. The lock is not needed.
        let left =
            unsafe { bindings::dma_resv_wait_timeout(self.resv(), access.fences(), true, FOREVER) };
        if left < 0 {
            // CAST: An errno.
            return Err(Error::from_errno(left as c_int));
        }
        Ok(())
    }

    /// Tells whether there is a mapping that must be synced around CPU access, or a bracket that was
    /// opened while there was one.
    ///
    /// The answer is a lockless look. A mapping counts from before it is begun until it is undone:
    /// what the CPU wrote before this is seen by one that does not count yet.
    pub(crate) fn needs_sync(&self) -> bool {
        // Pairs with `note_busy`.
        smp_mb(barrier::Full);
        self.exported().busy.load(Acquire) != 0
    }

    pub(super) fn exported(&self) -> &Exported<T> {
        // SAFETY: By the type invariants.
        unsafe { &*(*self.as_raw()).priv_.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::dma_buf {
        self.inner.get()
    }

    pub(super) fn resv(&self) -> *mut bindings::dma_resv {
        // SAFETY: Set before the dma-buf was exported and constant since.
        unsafe { (*self.as_raw()).resv }
    }
}
