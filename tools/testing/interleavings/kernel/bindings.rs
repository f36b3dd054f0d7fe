// SPDX-License-Identifier: GPL-2.0

//! The C side, under the names that it has there.

#![allow(non_camel_case_types, non_upper_case_globals)]

use crate::{model, sync::assert_may_sleep, Zeroable};
use core::{
    cell::Cell,
    ffi::{c_int, c_ulong, c_void},
};
use loom::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// An event of a bus.
pub type bus_notifier_event = u32;
/// A device was added.
pub const bus_notifier_event_BUS_NOTIFY_ADD_DEVICE: bus_notifier_event = 0;
/// A device has been removed.
pub const bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE: bus_notifier_event = 2;
/// A driver is about to be unbound.
pub const bus_notifier_event_BUS_NOTIFY_UNBIND_DRIVER: bus_notifier_event = 5;
/// A driver has been unbound.
pub const bus_notifier_event_BUS_NOTIFY_UNBOUND_DRIVER: bus_notifier_event = 6;
/// A notifier does not care.
pub const NOTIFY_DONE: u32 = 0;

/// A notifier.
#[derive(Zeroable)]
pub struct notifier_block {
    /// Called for each event.
    pub notifier_call:
        Option<unsafe extern "C" fn(*mut notifier_block, c_ulong, *mut c_void) -> c_int>,
    /// Notifiers with a higher one are called first.
    pub priority: c_int,
}

/// A bus with its chain of notifiers, a `blocking_notifier_head`: calls hold its semaphore for
/// reading, registering and unregistering for writing.
pub struct bus_type {
    chain: RwLock<Vec<*mut notifier_block>>,
    registered: AtomicUsize,
}

// SAFETY: The chain has a lock.
unsafe impl Send for bus_type {}
// SAFETY: The chain is accessed with its lock held, and the number is atomic.
unsafe impl Sync for bus_type {}

impl bus_type {
    /// Creates one without notifiers.
    pub fn new() -> Self {
        Self {
            chain: RwLock::new(Vec::new()),
            registered: AtomicUsize::new(0),
        }
    }

    /// Returns whether there is a notifier. No interleavings come of it.
    pub fn has_notifier(&self) -> bool {
        self.registered.load(Relaxed) > 0
    }
}

/// Fails for a bus that is not registered.
///
/// # Safety
///
/// The bus must be valid, and the notifier until it is unregistered.
pub unsafe fn bus_register_notifier(bus: *const bus_type, notifier: *mut notifier_block) -> c_int {
    // SAFETY: By the safety requirements, the bus is valid.
    let bus = unsafe { &*bus };

    assert_may_sleep();
    if model::fails(model::Fault::Register) {
        return -crate::error::code::EINVAL.0;
    }
    let mut chain = bus.chain.write().unwrap();
    assert!(chain.is_empty(), "a bus has two notifiers");
    chain.push(notifier);
    bus.registered.store(chain.len(), Relaxed);
    0
}

/// Waits for calls of the notifier.
///
/// # Safety
///
/// The bus must be valid, and the notifier registered.
pub unsafe fn bus_unregister_notifier(
    bus: *const bus_type,
    notifier: *mut notifier_block,
) -> c_int {
    // SAFETY: By the safety requirements, the bus is valid.
    let bus = unsafe { &*bus };

    assert_may_sleep();
    let mut chain = bus.chain.write().unwrap();
    let at = chain.iter().position(|known| *known == notifier);
    chain.remove(at.expect("a notifier is unregistered that is not registered"));
    bus.registered.store(chain.len(), Relaxed);
    0
}

/// A device.
pub struct device {
    /// Its bus, or NULL.
    pub bus: *const bus_type,
    lock: loom::sync::Mutex<()>,
    pub(crate) references: Cell<usize>,
}

impl device {
    pub(crate) fn new(bus: *const bus_type) -> Self {
        Self {
            bus,
            lock: loom::sync::Mutex::new(()),
            references: Cell::new(0),
        }
    }

    /// `bus_notify()`, with the lock of the device held, as when its driver is unbound.
    pub(crate) fn notify(&self, event: bus_notifier_event) {
        let _locked = self.lock.lock().unwrap();
        // SAFETY: The bus outlives the device.
        let chain = unsafe { &*self.bus }.chain.read().unwrap();

        for notifier in chain.iter() {
            // SAFETY: A notifier that is registered is valid.
            let call = unsafe { (**notifier).notifier_call }.expect("a notifier has a function");
            // SAFETY: The notifier is valid until it was unregistered, which waits for the lock.
            unsafe {
                call(
                    *notifier,
                    event.into(),
                    core::ptr::from_ref(self).cast_mut().cast(),
                )
            };
        }
    }
}

/// A dma-buf: its number, and memory that is released with it.
pub struct dma_buf {
    /// Its number.
    pub number: u32,
    is_released: loom::cell::UnsafeCell<bool>,
}

impl dma_buf {
    /// Creates one.
    pub fn new(number: u32) -> Self {
        Self {
            number,
            is_released: loom::cell::UnsafeCell::new(false),
        }
    }

    /// Reads its memory.
    pub fn read(&self) {
        // SAFETY: loom looks whether others write it.
        let is_released = self.is_released.with(|is_released| unsafe { *is_released });
        assert!(
            !is_released,
            "dma-buf {} is shown after it was removed",
            self.number
        );
    }

    /// Releases its memory.
    pub fn release(&self) {
        // SAFETY: loom looks whether others access it.
        self.is_released
            .with_mut(|is_released| unsafe { *is_released = true });
    }
}

/// A task.
pub struct task_struct {
    /// Number of its process.
    pub tgid: i32,
    /// Its name.
    pub comm: [u8; 16],
}

/// Returns the time.
///
/// # Safety
///
/// No requirements.
pub unsafe fn get_jiffies_64() -> u64 {
    0
}

/// Converts a time.
///
/// # Safety
///
/// No requirements.
pub unsafe fn jiffies64_to_msecs(jiffies: u64) -> u64 {
    jiffies
}
