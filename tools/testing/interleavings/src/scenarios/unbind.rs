// SPDX-License-Identifier: GPL-2.0

//! Tasks that watch devices, and drivers that are unbound meanwhile.

use super::Scenario;
use crate::seam::unbind::{UnbindEvents, Watch};
use kernel::loom::{
    cell::UnsafeCell,
    sync::Mutex,
    thread::{self, ThreadId},
};
use kernel::{
    bindings::{
        bus_notifier_event, bus_notifier_event_BUS_NOTIFY_ADD_DEVICE as ADD_DEVICE,
        bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE as REMOVED_DEVICE,
        bus_notifier_event_BUS_NOTIFY_UNBIND_DRIVER as UNBIND_DRIVER,
        bus_notifier_event_BUS_NOTIFY_UNBOUND_DRIVER as UNBOUND_DRIVER, bus_type,
    },
    device::Device,
    error::{
        code::{EINVAL, ENOMEM},
        Error,
    },
    memory::Pages,
    model::{self, Fault},
    sync::Arc,
};
use std::{
    collections::BTreeSet,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc as StdArc, Mutex as StdMutex,
    },
};

/// All scenarios, short ones first.
pub const ALL: &[Scenario] = &[
    scenario("a receiver cannot be allocated", || {
        fault(Fault::Receiver, ENOMEM)
    }),
    scenario("a watch cannot be allocated", || fault(Fault::Node, ENOMEM)),
    scenario("a bus cannot be allocated", || fault(Fault::Item, ENOMEM)),
    scenario("a bus is being unregistered", || {
        fault(Fault::Register, EINVAL)
    }),
    scenario("two receivers of a device", two_receivers),
    scenario("the last watch goes during an event", last_goes),
    scenario("one of two watches goes during an event", one_of_two_goes),
    scenario(
        "one of two receivers goes during an event",
        one_receiver_goes,
    ),
    scenario("two tasks watch the first devices", first_watches),
    scenario("two tasks watch one device", one_device),
    scenario("two buses", two_buses),
    scenario("another device is watched during an event", other_device),
    scenario("a receiver takes a lock as it is dropped", lock_in_drop),
    scenario("a receiver takes a lock during an event", lock_in_event),
    scenario("two tasks watch two devices during an event", three_tasks),
];

const fn scenario(name: &'static str, run: fn()) -> Scenario {
    Scenario::new(name, first, run)
}

fn first() {
    World::new().watch_once();
}

/// Two buses, with two devices on the first of them, and a record of events. The record is of types
/// of std, which make no interleavings.
struct World {
    // Before the buses, which they point to.
    a: Device,
    b: Device,
    other: Device,
    bus: Box<bus_type>,
    other_bus: Box<bus_type>,
    /// A lock of the receivers' owner.
    lock: Mutex<()>,
    receivers: AtomicUsize,
    /// Receivers whose last watch has been dropped.
    gone: StdMutex<BTreeSet<usize>>,
    calls: StdMutex<Vec<Call>>,
}

/// A call of the notifiers.
struct Call {
    task: ThreadId,
    /// Receivers that were gone before.
    gone: BTreeSet<usize>,
    event: bus_notifier_event,
    told: Vec<usize>,
}

/// When a receiver takes the lock.
#[derive(Clone, Copy, PartialEq)]
enum Locks {
    Never,
    InDrop,
    InEvent,
}

/// Receives events until it is dropped.
struct Receiver {
    world: StdArc<World>,
    id: usize,
    locks: Locks,
    is_alive: UnsafeCell<bool>,
}

// SAFETY: loom looks who accesses the cell, and the rest may be shared.
unsafe impl Sync for Receiver {}

/// A receiver in memory that is watched for accesses.
struct Watched(Pages<Receiver>);

impl World {
    fn new() -> StdArc<Self> {
        let [bus, other_bus] = [(); 2].map(|()| Box::new(bus_type::new()));

        StdArc::new(Self {
            a: Device::new(&*bus),
            b: Device::new(&*bus),
            other: Device::new(&*other_bus),
            bus,
            other_bus,
            lock: Mutex::new(()),
            receivers: AtomicUsize::new(0),
            gone: StdMutex::new(BTreeSet::new()),
            calls: StdMutex::new(Vec::new()),
        })
    }

    /// Creates one where a device was watched before.
    fn used() -> StdArc<Self> {
        let world = Self::new();
        world.watch_once();
        world
    }

    fn watch_once(self: &StdArc<Self>) {
        let watch = self.watch(&self.a, 0);
        self.drop_last(watch, 0);
        self.assert_unused();
    }

    fn bus_of(&self, device: &Device) -> &bus_type {
        match core::ptr::eq(device, &self.other) {
            true => &self.other_bus,
            false => &self.bus,
        }
    }

    fn watch(self: &StdArc<Self>, device: &Device, id: usize) -> Watch {
        self.try_watch(device, id, Locks::Never)
            .expect("a watch failed")
    }

    fn try_watch(
        self: &StdArc<Self>,
        device: &Device,
        id: usize,
        locks: Locks,
    ) -> Result<Watch, Error> {
        let watch = Watch::new(device, id, || match model::fails(Fault::Receiver) {
            true => Err(ENOMEM),
            false => Ok(Receiver::create(self.clone(), id, locks)),
        })?;
        let has_notifier = self.bus_of(device).has_notifier();

        assert!(has_notifier, "a device is watched without a notifier");
        Ok(watch)
    }

    /// Drops the last watch of a receiver.
    fn drop_last(&self, watch: Watch, id: usize) {
        drop(watch);
        self.gone.lock().unwrap().insert(id);
    }

    /// Tells of an event. Returns the receivers that were told.
    fn notify(&self, device: &Device, event: bus_notifier_event) -> Vec<usize> {
        let task = thread::current().id();

        self.calls.lock().unwrap().push(Call {
            task,
            gone: self.gone.lock().unwrap().clone(),
            event,
            told: Vec::new(),
        });
        device.notify(event);
        let mut calls = self.calls.lock().unwrap();
        let at = calls.iter().position(|call| call.task == task);
        calls.remove(at.expect("just added")).told
    }

    /// Asserts that nothing is left.
    fn assert_unused(&self) {
        let has_notifier = [&self.bus, &self.other_bus].map(|bus| bus.has_notifier());

        assert_eq!(has_notifier, [false; 2], "a notifier is left");
        assert_eq!(self.receivers.load(Relaxed), 0, "a receiver is left");
        assert_eq!(
            [&self.a, &self.b, &self.other].map(Device::references),
            [0; 3],
            "a reference to a device is left"
        );
    }
}

impl Receiver {
    fn create(world: StdArc<World>, id: usize, locks: Locks) -> Arc<dyn UnbindEvents> {
        world.receivers.fetch_add(1, Relaxed);
        let is_alive = UnsafeCell::new(true);
        let Ok(receiver) = Pages::pin_init(Self {
            world,
            id,
            locks,
            is_alive,
        });

        Arc::from_std(StdArc::new(Watched(receiver)))
    }

    fn receive(&self, unbinding: bool) {
        // SAFETY: loom looks whether others write it.
        let is_alive = self.is_alive.with(|is_alive| unsafe { *is_alive });
        assert!(is_alive, "a receiver is told after it was dropped");

        let task = thread::current().id();
        {
            let mut calls = self.world.calls.lock().unwrap();
            let call = calls
                .iter_mut()
                .find(|call| call.task == task)
                .expect("there is a call");
            assert_eq!(
                call.event == UNBIND_DRIVER,
                unbinding,
                "another event is told"
            );
            assert!(
                !call.gone.contains(&self.id),
                "an event is told after the last watch"
            );
            call.told.push(self.id);
        }
        if self.locks == Locks::InEvent {
            drop(self.world.lock.lock().unwrap());
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.locks == Locks::InDrop {
            drop(self.world.lock.lock().unwrap());
        }
        // SAFETY: loom looks whether others access it.
        self.is_alive
            .with_mut(|is_alive| unsafe { *is_alive = false });
        self.world.receivers.fetch_sub(1, Relaxed);
    }
}

impl UnbindEvents for Watched {
    fn unbinding(&self, _device: &Device) {
        self.0.receive(true);
    }

    fn unbound(&self, _device: &Device) {
        self.0.receive(false);
    }
}

/// Asserts that the receivers of `all` were told once each, but for `maybe`, which may be missing.
fn assert_told(told: &[usize], all: &[usize], maybe: &[usize]) {
    let expected: Vec<usize> = all
        .iter()
        .copied()
        .filter(|id| !maybe.contains(id) || told.contains(id))
        .collect();
    assert_eq!(told, expected, "other receivers are told than there are");
}

/// Runs `f` in another task.
fn spawn(
    world: &StdArc<World>,
    f: impl FnOnce(&StdArc<World>) + 'static,
) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || f(&world))
}

/// One of two tasks fails. The other does not, and the device can be watched afterwards.
fn fault(fault: Fault, error: Error) {
    let world = World::used();
    let watch = move |world: &StdArc<World>, device: &Device, id| match world.try_watch(
        device,
        id,
        Locks::Never,
    ) {
        Ok(watch) => {
            world.drop_last(watch, id);
            0
        }
        Err(failed) => {
            assert_eq!(failed, error, "another error is returned");
            1
        }
    };
    model::fail_first(fault);
    let failed = StdArc::new(AtomicUsize::new(0));
    let others = failed.clone();
    let other = spawn(&world, move |world| {
        others.fetch_add(watch(world, &world.b, 2), Relaxed);
    });

    failed.fetch_add(watch(&world, &world.a, 1), Relaxed);
    other.join().unwrap();
    assert_eq!(failed.load(Relaxed), 1, "not one task has failed");
    world.assert_unused();
    world.watch_once();
}

fn two_receivers() {
    let world = World::new();
    let watches = [1, 2].map(|id| world.watch(&world.a, id));
    let other = spawn(&world, |world| {
        assert_told(&world.notify(&world.b, UNBIND_DRIVER), &[], &[]);
        assert_told(&world.notify(&world.a, ADD_DEVICE), &[], &[]);
        assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1, 2], &[]);
        assert_told(&world.notify(&world.a, UNBOUND_DRIVER), &[1, 2], &[]);
    });

    assert_told(&world.notify(&world.a, REMOVED_DEVICE), &[1, 2], &[]);
    other.join().unwrap();
    drop(watches);
    world.assert_unused();
}

fn last_goes() {
    let world = World::new();
    let watch = world.watch(&world.a, 1);
    let other = spawn(&world, |world| {
        assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[1]);
        assert_told(&world.notify(&world.a, UNBOUND_DRIVER), &[1], &[1]);
    });

    world.drop_last(watch, 1);
    other.join().unwrap();
    world.assert_unused();
}

fn one_of_two_goes() {
    let world = World::new();
    let [first, second] = [(); 2].map(|()| world.watch(&world.a, 1));
    let other = spawn(&world, |world| {
        assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
    });

    drop(first);
    other.join().unwrap();
    world.drop_last(second, 1);
    world.assert_unused();
}

fn one_receiver_goes() {
    let world = World::new();
    let [first, second, third] = [1, 2, 3].map(|id| world.watch(&world.a, id));
    let other = spawn(&world, |world| {
        assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1, 2, 3], &[2]);
    });

    world.drop_last(second, 2);
    other.join().unwrap();
    drop((first, third));
    world.assert_unused();
}

fn first_watches() {
    let world = World::new();
    let other = spawn(&world, |world| {
        let watch = world.watch(&world.b, 2);
        world.drop_last(watch, 2);
    });

    let watch = world.watch(&world.a, 1);
    assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
    world.drop_last(watch, 1);
    other.join().unwrap();
    world.assert_unused();
}

fn one_device() {
    let world = World::used();
    let watch = |world: &StdArc<World>| {
        let watch = world.watch(&world.a, 1);
        assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
        drop(watch);
    };
    let other = spawn(&world, watch);

    watch(&world);
    other.join().unwrap();
    world.assert_unused();
}

fn two_buses() {
    let world = World::used();
    let other = spawn(&world, |world| {
        let watch = world.watch(&world.other, 2);
        assert_told(&world.notify(&world.other, UNBIND_DRIVER), &[2], &[]);
        world.drop_last(watch, 2);
    });

    let watch = world.watch(&world.a, 1);
    assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
    world.drop_last(watch, 1);
    other.join().unwrap();
    world.assert_unused();
}

fn other_device() {
    let world = World::new();
    let watch = world.watch(&world.a, 1);
    let other = spawn(&world, |world| {
        let watch = world.watch(&world.b, 2);
        world.drop_last(watch, 2);
    });

    assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
    assert_told(&world.notify(&world.a, UNBOUND_DRIVER), &[1], &[]);
    other.join().unwrap();
    drop(watch);
    world.assert_unused();
}

/// A task that holds the lock may watch devices, while another drops the last watch.
fn lock_in_drop() {
    let world = World::used();
    let watch = |world: &StdArc<World>, device, id| {
        world
            .try_watch(device, id, Locks::InDrop)
            .expect("a watch failed")
    };
    let held = watch(&world, &world.a, 1);
    let other = spawn(&world, move |world| {
        let locked = world.lock.lock().unwrap();
        // Of the same receiver, so that none is dropped with the lock held, but for the new one.
        let watch = world.watch(&world.b, 2);
        world.drop_last(watch, 2);
        drop(locked);
    });

    drop(held);
    // A receiver that is not needed is dropped by `Watch::new()`.
    let watches = [(); 2].map(|()| watch(&world, &world.a, 1));
    drop(watches);
    other.join().unwrap();
    world.assert_unused();
}

/// A task that holds the lock may watch devices, where the bus stays watched.
fn lock_in_event() {
    let world = World::new();
    let watch = world
        .try_watch(&world.a, 1, Locks::InEvent)
        .expect("a watch failed");
    let other = spawn(&world, |world| {
        let locked = world.lock.lock().unwrap();
        let watch = world.watch(&world.b, 2);
        drop(watch);
        drop(locked);
    });

    assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[]);
    other.join().unwrap();
    drop(watch);
    world.assert_unused();
}

fn three_tasks() {
    let world = World::used();
    let others = [(1, true), (2, false)].map(|(id, is_a)| {
        spawn(&world, move |world| {
            let watch = world.watch(if is_a { &world.a } else { &world.b }, id);
            world.drop_last(watch, id);
        })
    });

    assert_told(&world.notify(&world.a, UNBIND_DRIVER), &[1], &[1]);
    for other in others {
        other.join().unwrap();
    }
    world.assert_unused();
}
