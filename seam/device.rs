// SPDX-License-Identifier: GPL-2.0

//! Devices that go away.
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use super::dma::raw;
use core::{
    marker::PhantomPinned,
    ops::Deref, //
};
use kernel::{
    bindings,
    device::Device,
    error::to_result,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// Something done for a device that must be undone when the device loses its driver.
pub(crate) trait BoundState: Send + Sync {
    /// The driver is about to be unbound. It may still undo what it has done.
    ///
    /// From now on the core may take away, at any time, what was set up for the driver.
    fn device_leaving(&self);

    /// The driver has been unbound, or the device removed. It still exists.
    ///
    /// As [`device_leaving`](Self::device_leaving), this may be called more than once, and at the
    /// same time as anything else.
    fn device_gone(&self);
}

/// Tells a `T` when its device loses its driver.
///
/// The owner of a `T` who outlives the driver of somebody else's device, such as the exporter of a
/// buffer that was mapped for it, may have no other way to learn that. A device that is on no bus
/// cannot be unbound.
///
/// # Invariants
///
/// `notifier` is registered with the bus of `device`, if there is a device and it has one, for as
/// long as the value lives.
#[pin_data(PinnedDrop)]
pub(crate) struct UnbindWatch<T: BoundState> {
    #[pin]
    value: T,
    #[pin]
    notifier: Opaque<bindings::notifier_block>,
    device: Option<ARef<Device>>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The notifier belongs to the bus, which calls it from any task; the rest is `Send`.
unsafe impl<T: BoundState> Send for UnbindWatch<T> {}
// SAFETY: The notifier is not touched through references; the rest is `Sync`.
unsafe impl<T: BoundState> Sync for UnbindWatch<T> {}

impl<T: BoundState> UnbindWatch<T> {
    /// Starts to watch `device`, if there is one, for `value`.
    ///
    /// Fails with [`EINVAL`] for a device whose bus is going away.
    pub(crate) fn new(
        device: Option<ARef<Device>>,
        value: impl PinInit<T, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            value <- value,
            notifier: Opaque::new(bindings::notifier_block {
                notifier_call: Some(Self::notify),
                // First of all: others look for what was left behind, or take apart what it needs.
                priority: c_int::MAX,
                ..pin_init::zeroed()
            }),
            device,
            _pin: PhantomPinned,
            // INVARIANT: Registers the notifier.
            _: {
                let bus = bus_of(device.as_deref());
                if !bus.is_null() {
                    // SAFETY: All fields are initialized. The value is pinned and unregisters
                    // the notifier when it is dropped.
                    let notifier = unsafe { &raw mut (*this.as_ptr()).notifier };
                    // SAFETY: As above. A bus that is gone is found out and refused.
                    to_result(unsafe { bindings::bus_register_notifier(bus, notifier.cast()) })?;
                }
            },
        }? Error)
    }

    /// # Safety
    ///
    /// `notifier` must be that of a value of this type, which lives until the call returns, and
    /// `data` the device that `event` is about.
    unsafe extern "C" fn notify(
        notifier: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements. `Opaque` is transparent.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(notifier), Self, notifier) };

        let ours = |device: &ARef<Device>| raw(device).cast() == data;
        if this.device.as_ref().is_some_and(ours) {
            // CAST: A small constant.
            match event as bindings::bus_notifier_event {
                bindings::bus_notifier_event_BUS_NOTIFY_UNBIND_DRIVER
                | bindings::bus_notifier_event_BUS_NOTIFY_DRIVER_NOT_BOUND => {
                    this.value.device_leaving()
                }
                bindings::bus_notifier_event_BUS_NOTIFY_UNBOUND_DRIVER
                | bindings::bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE => {
                    this.value.device_gone()
                }
                _ => (),
            }
        }
        bindings::NOTIFY_DONE as c_int
    }
}

/// Returns the bus of `device`, or NULL.
fn bus_of(device: Option<&Device>) -> *const bindings::bus_type {
    // SAFETY: The reference guarantees a valid device, whose bus never changes.
    device.map_or(core::ptr::null(), |device| unsafe { (*raw(device)).bus })
}

impl<T: BoundState> Deref for UnbindWatch<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[pinned_drop]
impl<T: BoundState> PinnedDrop for UnbindWatch<T> {
    fn drop(self: Pin<&mut Self>) {
        let bus = bus_of(self.device.as_deref());
        if !bus.is_null() {
            // SAFETY: By the type invariants it is registered. Waits for calls that are under way.
            unsafe { bindings::bus_unregister_notifier(bus, self.notifier.get()) };
        }
    }
}

#[kunit_tests(udmabuf_rs_device)]
mod tests {
    use super::*;
    use kernel::{
        device::Bound,
        faux,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        },
    };

    /// Counts how often it is told, and is shared with the test.
    struct Counter(Arc<Atomic<i32>>);

    impl BoundState for Counter {
        fn device_leaving(&self) {
            // Comes first.
            assert_eq!(self.0.load(Relaxed), 0);
        }

        fn device_gone(&self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn device(name: &'static CStr) -> Result<faux::Registration> {
        faux::Registration::new(name, None)
    }

    fn watch(
        device: &faux::Registration,
        count: &Arc<Atomic<i32>>,
    ) -> Result<Pin<KBox<UnbindWatch<Counter>>>> {
        let device: &Device<Bound> = device.as_ref().as_ref();
        let value = Counter(count.clone());

        KBox::pin_init(UnbindWatch::new(Some(device.into()), Ok(value)), GFP_KERNEL)
    }

    #[test]
    fn told_when_the_device_goes() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device = device(c"udmabuf_rs_kunit_goes")?;
        let watch = watch(&device, &count)?;

        assert_eq!(count.load(Relaxed), 0);
        drop(device);
        assert!(count.load(Relaxed) > 0);
        drop(watch);
        Ok(())
    }

    #[test]
    fn not_told_of_other_devices() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device_a = device(c"udmabuf_rs_kunit_a")?;
        let device_b = device(c"udmabuf_rs_kunit_b")?;
        let _watch = watch(&device_a, &count)?;

        drop(device_b);
        assert_eq!(count.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn not_told_after_the_end() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device = device(c"udmabuf_rs_kunit_end")?;

        drop(watch(&device, &count)?);
        drop(device);
        assert_eq!(count.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn everybody_is_told() -> Result {
        let counts = [
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
        ];
        let device = device(c"udmabuf_rs_kunit_all")?;
        let _first = watch(&device, &counts[0])?;
        let _second = watch(&device, &counts[1])?;

        drop(device);
        assert!(counts.iter().all(|count| count.load(Relaxed) > 0));
        Ok(())
    }
}
