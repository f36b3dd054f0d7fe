// SPDX-License-Identifier: GPL-2.0

//! Devices that lose their driver.
//!
//! C header: [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)
//!
//! A driver that has set something up for a device of another driver, such as the exporter of a
//! buffer that is mapped for it, may outlive the binding of that device. Where the device is known
//! to be bound, `kernel::devres` serves. Where it is not, a [`Watch`] tells when the binding ends.
//!
//! There is one notifier for each bus, from the first watch of a device on that bus to the last.
//! Watches are found by device in a tree: neither registering one nor adding a device to the bus
//! gets slower with their number.

use super::{
    device::as_raw,
    gfp::GFP_CHARGED, //
};
use core::marker::PhantomPinned;
use kernel::{
    bindings,
    device::Device,
    error::to_result,
    global_lock,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        List,
        ListArc,
        ListLinks, //
    },
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        GlobalGuard,
        Mutex, //
    },
    types::Opaque, //
};

/// Receives the events of a [`Watch`].
///
/// The functions run in process context with the lock of the device held. They may be called more
/// than once and concurrently with anything else.
pub trait UnbindEvents: Send + Sync {
    /// The driver of `device` is about to be unbound. Its resources are still there.
    fn unbinding(&self, device: &Device);

    /// The driver has been unbound from `device`, or the device has been removed.
    fn unbound(&self, device: &Device);
}

/// Key of a watch: the addresses of the device and of the receiver.
type Key = (usize, usize);

/// Watches of one device by one receiver.
struct Entry {
    receiver: Arc<dyn UnbindEvents>,
    count: usize,
}

/// A bus with devices that are watched.
///
/// # Invariants
///
/// `notifier` is registered with `bus` while the value is in [`BUSES`].
#[pin_data]
struct Bus {
    bus: *const bindings::bus_type,
    #[pin]
    notifier: Opaque<bindings::notifier_block>,
    #[pin]
    entries: Mutex<RBTree<Key, Entry>>,
    #[pin]
    links: ListLinks,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `bus` is only compared and passed to functions that look it up. The notifier belongs to
// the bus, which calls it on any task. The rest is `Send`.
unsafe impl Send for Bus {}
// SAFETY: `bus` is constant, the notifier is not accessed through references, and the rest is
// `Sync`.
unsafe impl Sync for Bus {}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Bus { untracked; }
}
impl_list_item! {
    impl ListItem<0> for Bus { using ListLinks { self.links }; }
}

global_lock! {
    // SAFETY: `buses()` initialises the lock before its first use.
    unsafe(uninit) static BUSES: Mutex<List<Bus>> = List::new();
}

/// Locks the list of buses, after initialising the lock on the first call.
fn buses() -> GlobalGuard<BUSES> {
    const NEW: u32 = 0;
    const BUSY: u32 = 1;
    const READY: u32 = 2;
    static STATE: Atomic<u32> = Atomic::new(NEW);

    while STATE.load(Acquire) != READY {
        if STATE.cmpxchg(NEW, BUSY, Relaxed).is_ok() {
            // SAFETY: The compare-and-exchange succeeds once.
            unsafe { BUSES.init() };
            STATE.store(READY, Release);
        }
        core::hint::spin_loop();
    }
    BUSES.lock()
}

/// Watches a device for a receiver until dropped.
///
/// Once the last watch of a device for a receiver is dropped, no delivery of an event begins. One
/// that has begun may still be under way, and keeps the receiver.
pub struct Watch {
    key: Key,
    device: ARef<Device>,
}

impl Watch {
    /// Watches `device` for the receiver that is known by `receiver_id`, a unique number.
    ///
    /// `make` creates the receiver, which is used unless another watch of the device has brought
    /// it. A device that is on no bus cannot be unbound: there is nothing to watch then.
    ///
    /// Locks the notifier chain of the bus for the first watch on it, and a list of all buses. Must
    /// not be called from a notifier of any bus, nor with a lock held that a receiver takes during
    /// an event, as the chain may be busy with that event. The same goes for dropping the watch.
    ///
    /// Fails with [`ENOMEM`], and with [`EINVAL`] for a bus that is being unregistered.
    pub fn new(
        device: &Device,
        receiver_id: usize,
        make: impl FnOnce() -> Result<Arc<dyn UnbindEvents>>,
    ) -> Result<Self> {
        let key = (core::ptr::from_ref(device).addr(), receiver_id);
        let bus = bus_of(device);

        if !bus.is_null() {
            // Allocated before the locks, which the removal of a device may wait for.
            let entry = Entry {
                receiver: make()?,
                count: 1,
            };
            let mut node = Some(RBTreeNode::new(key, entry, GFP_CHARGED)?);

            let mut buses = buses();
            if !buses.iter().any(|known| known.bus == bus) {
                buses.push_back(Bus::register(bus)?);
            }
            let added = buses
                .iter()
                .find(|known| known.bus == bus)
                .ok_or(EINVAL)
                .map(|known| known.add(key, &mut node));
            drop(buses);
            // A receiver that was not needed is dropped without a lock.
            drop(node);
            added?;
        }
        Ok(Self {
            key,
            device: device.into(),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let bus = bus_of(&self.device);
        if bus.is_null() {
            return;
        }

        let mut buses = buses();
        let receiver = buses
            .iter()
            .find(|known| known.bus == bus)
            .and_then(|known| known.remove(self.key));
        unregister_if_unused(&mut buses, bus);
        drop(buses);
        // Dropped without a lock: it may release a dma-buf.
        drop(receiver);
    }
}

/// Returns the bus of `device`, or NULL.
fn bus_of(device: &Device) -> *const bindings::bus_type {
    // SAFETY: The reference guarantees a valid device, whose bus never changes.
    unsafe { (*as_raw(device)).bus }
}

/// Unregisters the notifier of `bus`, unless a device on it is watched.
fn unregister_if_unused(buses: &mut List<Bus>, bus: *const bindings::bus_type) {
    let mut cursor = buses.cursor_front();

    while let Some(next) = cursor.peek_next() {
        if next.bus == bus && next.entries.lock().is_empty() {
            let unused = next.remove().into_arc();
            // SAFETY: By the type invariants of `Bus`, the notifier is registered. The call waits
            // for calls of the notifier to end, so that the `Bus` may be freed.
            unsafe { bindings::bus_unregister_notifier(bus, unused.notifier.get()) };
            return;
        }
        cursor.move_next();
    }
}

impl Bus {
    /// Registers a notifier with `bus`, for the list of buses.
    fn register(bus: *const bindings::bus_type) -> Result<ListArc<Self>> {
        let this = ListArc::pin_init(
            try_pin_init!(Self {
                bus,
                notifier: Opaque::new(bindings::notifier_block {
                    notifier_call: Some(Self::notify),
                    // Before notifiers that look for leftovers, or take apart what unmapping needs.
                    priority: c_int::MAX,
                    ..pin_init::zeroed()
                }),
                entries <- new_mutex!(RBTree::new()),
                links <- ListLinks::new(),
                _pin: PhantomPinned,
            }? Error),
            GFP_KERNEL,
        )?;

        // SAFETY: The notifier is initialised and pinned, and unregistered before it is freed. The
        // function fails for a bus that is not registered.
        to_result(unsafe { bindings::bus_register_notifier(bus, this.notifier.get()) })?;
        // INVARIANT: The notifier was just registered.
        Ok(this)
    }

    /// Adds a watch, and takes `node` unless there is an entry for `key`.
    fn add(&self, key: Key, node: &mut Option<RBTreeNode<Key, Entry>>) {
        let mut entries = self.entries.lock();

        if let Some(entry) = entries.get_mut(&key) {
            entry.count += 1;
        } else if let Some(node) = node.take() {
            entries.insert(node);
        }
    }

    /// Returns the first receiver of the device of `from` whose number is not less.
    fn receiver_from(&self, from: Key) -> Option<(usize, Arc<dyn UnbindEvents>)> {
        let mut entries = self.entries.lock();
        let cursor = entries.cursor_lower_bound_mut(&from)?;
        let ((device, id), entry) = cursor.current();

        (*device == from.0).then(|| (*id, entry.receiver.clone()))
    }

    /// Removes a watch. Returns the receiver if it was the last one.
    fn remove(&self, key: Key) -> Option<Arc<dyn UnbindEvents>> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(&key)?;

        entry.count -= 1;
        match entry.count {
            0 => entries.remove(&key).map(|entry| entry.receiver),
            _ => None,
        }
    }

    /// # Safety
    ///
    /// `notifier` must be that of a `Bus`, which lives until the call returns, and `data` the
    /// device of the event.
    unsafe extern "C" fn notify(
        notifier: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // CAST: Events are small constants.
        let deliver: fn(&dyn UnbindEvents, &Device) = match event as bindings::bus_notifier_event {
            bindings::bus_notifier_event_BUS_NOTIFY_UNBIND_DRIVER => {
                |to, device| to.unbinding(device)
            }
            bindings::bus_notifier_event_BUS_NOTIFY_UNBOUND_DRIVER
            | bindings::bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE => {
                |to, device| to.unbound(device)
            }
            _ => return bindings::NOTIFY_DONE as c_int,
        };
        // SAFETY: By the safety requirements; `Opaque` is transparent.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(notifier), Self, notifier) };
        // SAFETY: By the safety requirements, `data` is a valid device.
        let device: &Device = unsafe { Device::from_raw(data.cast()) };
        let address = data.addr();

        // Delivered without the lock: receivers may wait for others that allocate memory.
        let mut from = (address, 0);
        while let Some((id, receiver)) = this.receiver_from(from) {
            deliver(&*receiver, device);
            from = (address, id + 1);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[kunit_tests(udmabuf_rs_unbind)]
mod tests {
    use super::*;
    use kernel::{
        device::Bound,
        faux, //
    };

    /// Counts its events, and is shared with the test.
    struct Counter(Arc<Atomic<i32>>);

    impl UnbindEvents for Counter {
        fn unbinding(&self, _device: &Device) {
            // Comes first.
            assert_eq!(self.0.load(Relaxed), 0);
        }

        fn unbound(&self, _device: &Device) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn device(name: &'static CStr) -> Result<faux::Registration> {
        faux::Registration::new(name, None)
    }

    fn watch(device: &faux::Registration, id: usize, count: &Arc<Atomic<i32>>) -> Result<Watch> {
        let device: &Device<Bound> = device.as_ref().as_ref();

        Watch::new(device, id, || {
            let receiver: Arc<dyn UnbindEvents> = Arc::new(Counter(count.clone()), GFP_KERNEL)?;
            Ok(receiver)
        })
    }

    fn is_registered() -> bool {
        !buses().is_empty()
    }

    #[test]
    fn told_when_the_device_goes() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device = device(c"udmabuf_rs_kunit_goes")?;
        let watch = watch(&device, 1, &count)?;

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
        let _watch = watch(&device_a, 1, &count)?;

        drop(device_b);
        assert_eq!(count.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn not_told_after_the_last_watch() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device = device(c"udmabuf_rs_kunit_end")?;
        let first = watch(&device, 1, &count)?;
        let second = watch(&device, 1, &count)?;

        drop(first);
        assert!(is_registered());
        drop(second);
        drop(device);
        assert_eq!(count.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn each_receiver_is_told() -> Result {
        let counts = [
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
        ];
        let device = device(c"udmabuf_rs_kunit_all")?;
        let _first = watch(&device, 1, &counts[0])?;
        let _second = watch(&device, 2, &counts[1])?;

        drop(device);
        assert!(counts.iter().all(|count| count.load(Relaxed) > 0));
        Ok(())
    }

    #[test]
    fn no_notifier_is_left() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let device = device(c"udmabuf_rs_kunit_left")?;

        for _ in 0..3 {
            let watch = watch(&device, 1, &count)?;
            assert!(is_registered());
            drop(watch);
            assert!(!is_registered());
        }
        Ok(())
    }
}
