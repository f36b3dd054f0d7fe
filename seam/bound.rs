// SPDX-License-Identifier: GPL-2.0

//! What lives as long as a device is bound to its driver, for those who live longer.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)
//!
//! Open files come and go as they like, and so may devices. What a driver keeps for a file and that
//! must not outlive the binding of a device, such as a DMA mapping, can then not be kept in the
//! file. It is kept in a [`Room`], with all else that borrows from the binding: files enter it, and
//! find it closed when the device is gone.

use super::sync::StaticMutex;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres,
    prelude::*,
    sync::aref::ARef,
    types::ForLt, //
};

/// A place for the `F` of one device, emptied before the device is unbound from its driver.
///
/// One task at a time is in it.
pub struct Room<F: ForLt + 'static>(StaticMutex<Option<Tenant<F>>>)
where
    F::Of<'static>: Send;

/// What is in a [`Room`].
///
/// # Invariants
///
/// `device` is bound to its driver.
struct Tenant<F: ForLt + 'static> {
    // Borrows from the binding of `device`, whatever the `'static` says.
    data: KBox<F::Of<'static>>,
    device: ARef<Device>,
}

impl<F: ForLt + 'static> Room<F>
where
    F::Of<'static>: Send,
{
    /// Defines a room that is closed.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(StaticMutex::new(None))
    }

    /// Opens the room with what `make` makes of `device`.
    ///
    /// It is closed, and that is dropped, by [`close`](Self::close) or else while the device is
    /// unbound, before the device-managed resources that were there before.
    ///
    /// Fails with [`EBUSY`] where it is open, with [`ENOMEM`], and as `make` does.
    pub fn open(
        &'static self,
        device: &Device<Bound>,
        make: impl for<'a> FnOnce(&'a Device<Bound>) -> Result<KBox<F::Of<'a>>>,
    ) -> Result {
        let mut tenant = self.0.lock();
        if tenant.is_some() {
            return Err(EBUSY);
        }

        // What `make` returns borrows from the binding of the device, since it must do for any
        // lifetime and has nothing else to borrow from.
        let data = KBox::into_raw(make(device)?).cast::<F::Of<'static>>();
        // INVARIANT: Bound as of now; the `Key` below closes the room before that changes.
        *tenant = Some(Tenant {
            // SAFETY: From `KBox::into_raw`. The types differ in nothing but a lifetime.
            data: unsafe { KBox::from_raw(data) },
            device: device.into(),
        });
        drop(tenant);

        let key = Key {
            room: self,
            device: device.into(),
        };
        // When this fails, it drops the key.
        devres::register(device, key, GFP_KERNEL)
    }

    /// Enters the room and does `work` there. The device stays bound meanwhile.
    ///
    /// Fails with [`ENODEV`] where it is closed, and with [`EINTR`] when a signal comes while
    /// others are in it.
    pub fn enter<R>(&'static self, work: impl for<'a> FnOnce(&mut F::Of<'a>) -> R) -> Result<R> {
        let mut tenant = self.0.lock_interruptible()?;
        // `work` must do for any lifetime, so it can keep nothing of what it sees here.
        tenant.as_mut().map(|t| work(&mut t.data)).ok_or(ENODEV)
    }

    /// As [`enter`](Self::enter), whatever signals come: for those who clean up.
    pub fn enter_uninterruptible<R>(
        &'static self,
        work: impl for<'a> FnOnce(&mut F::Of<'a>) -> R,
    ) -> Result<R> {
        let mut tenant = self.0.lock();
        tenant.as_mut().map(|t| work(&mut t.data)).ok_or(ENODEV)
    }

    /// Closes the room, unless it is another device's, and drops what was in it.
    ///
    /// Waits for who is inside.
    pub fn close(&'static self, device: &Device) {
        let mut tenant = self.0.lock();

        if tenant
            .as_ref()
            .is_some_and(|t| core::ptr::eq(&*t.device, device))
        {
            *tenant = None;
        }
    }
}

/// Closes a [`Room`] when it is dropped. Held by the device.
struct Key<F: ForLt + 'static>
where
    F::Of<'static>: Send,
{
    room: &'static Room<F>,
    device: ARef<Device>,
}

impl<F: ForLt + 'static> Drop for Key<F>
where
    F::Of<'static>: Send,
{
    fn drop(&mut self) {
        self.room.close(&self.device);
    }
}
