// SPDX-License-Identifier: GPL-2.0

//! Resources that live as long as a device is bound to its driver, for users that live longer.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)
//!
//! Open files and devices come and go independently. An open file can hold a
//! [`Devres`](kernel::devres::Devres), which is revoked when the device is unbound. To use it in a
//! way that sleeps, it needs a reference to the bound device. It gets one in a [`Room`], which is
//! closed before the device is unbound, together with other data that borrows from the binding.

use kernel::{
    bindings,
    device::{
        Bound,
        Device,
        DeviceContext, //
    },
    devres::{
        self,
        Devres, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        GlobalLock,
        GlobalLockBackend, //
    },
    types::ForLt, //
};

/// Returns the raw pointer of a device.
pub(super) fn as_raw<Ctx: DeviceContext>(device: &Device<Ctx>) -> *mut bindings::device {
    // `Device` is a transparent wrapper of the C struct, which may change behind references.
    core::ptr::from_ref(device).cast_mut().cast()
}

/// Returns the resource behind `devres` for as long as `device` is bound.
///
/// [`Devres::access`] alone only compares devices. It returns a resource that is gone if the device
/// was unbound and then bound again.
///
/// Fails with [`ENODEV`] if the resource has been revoked, and with [`EINVAL`] if it belongs to
/// another device.
pub(super) fn access<'a, T: Send>(
    devres: &'a Devres<T>,
    device: &'a Device<Bound>,
) -> Result<&'a T> {
    if devres.try_access().is_none() {
        return Err(ENODEV);
    }
    // The device is bound for `'a`. A resource that is there now is of this binding, and stays.
    devres.access(device)
}

/// A place for data of one device that borrows from its binding, in a [`GlobalLock`].
///
/// The data is dropped before the device is unbound from its driver. One task at a time accesses
/// it.
pub struct Room<F: ForLt + 'static>(Option<Tenant<F>>)
where
    F::Of<'static>: Send;

/// The content of an open [`Room`].
///
/// # Invariants
///
/// `device` is bound to its driver.
struct Tenant<F: ForLt + 'static> {
    // Borrows from the binding of `device`, in spite of the `'static`.
    data: KBox<F::Of<'static>>,
    device: ARef<Device>,
}

impl<F: ForLt + 'static> Room<F>
where
    F::Of<'static>: Send,
{
    /// A room that is closed.
    pub const CLOSED: Self = Self(None);

    /// Opens the room behind `lock` with the data that `make` makes for `device`.
    ///
    /// The room is closed, and the data dropped, by [`close`](Self::close) or else while the device
    /// is unbound, before the device-managed resources that are older.
    ///
    /// Fails with [`EBUSY`] if it is open, with [`ENOMEM`], and as `make` does.
    pub fn open<B: GlobalLockBackend<Item = Self> + 'static>(
        lock: &'static GlobalLock<B>,
        device: &Device<Bound>,
        make: impl for<'a> FnOnce(&'a Device<Bound>) -> Result<KBox<F::Of<'a>>>,
    ) -> Result {
        let mut room = lock.lock();
        if room.0.is_some() {
            return Err(EBUSY);
        }

        // `make` works for any lifetime, so its result can only borrow from the binding.
        let data = KBox::into_raw(make(device)?).cast::<F::Of<'static>>();
        // INVARIANT: The device is bound now, and the `Key` below closes the room before it is not.
        room.0 = Some(Tenant {
            // SAFETY: The pointer is from `KBox::into_raw`. The types differ in a lifetime only.
            data: unsafe { KBox::from_raw(data) },
            device: device.into(),
        });
        drop(room);

        let key = Key {
            lock,
            device: device.into(),
        };
        // On failure, this drops the key.
        devres::register(device, key, GFP_KERNEL)
    }

    /// Runs `work` on the data. The device stays bound meanwhile.
    ///
    /// Fails with [`ENODEV`] if the room is closed.
    pub fn enter<B: GlobalLockBackend<Item = Self> + 'static, R>(
        lock: &'static GlobalLock<B>,
        work: impl for<'a> FnOnce(&mut F::Of<'a>) -> R,
    ) -> Result<R> {
        // `work` works for any lifetime, so it can keep nothing that it sees here.
        lock.lock()
            .0
            .as_mut()
            .map(|tenant| work(&mut tenant.data))
            .ok_or(ENODEV)
    }

    /// Closes the room if it is that of `device`, and drops the data.
    ///
    /// Waits for a task that is inside.
    pub fn close<B: GlobalLockBackend<Item = Self> + 'static>(
        lock: &'static GlobalLock<B>,
        device: &Device,
    ) {
        let mut room = lock.lock();

        if room
            .0
            .as_ref()
            .is_some_and(|tenant| core::ptr::eq(&*tenant.device, device))
        {
            room.0 = None;
        }
    }
}

/// Closes a [`Room`] when it is dropped. Belongs to the device.
struct Key<B: GlobalLockBackend<Item = Room<F>> + 'static, F: ForLt + 'static>
where
    F::Of<'static>: Send,
{
    lock: &'static GlobalLock<B>,
    device: ARef<Device>,
}

impl<B: GlobalLockBackend<Item = Room<F>> + 'static, F: ForLt + 'static> Drop for Key<B, F>
where
    F::Of<'static>: Send,
{
    fn drop(&mut self) {
        Room::close(self.lock, &self.device);
    }
}
