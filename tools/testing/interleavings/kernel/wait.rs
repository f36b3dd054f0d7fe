// SPDX-License-Identifier: GPL-2.0

//! Waiting for a variable: `wait_var_event()` and `wake_up_var()`, step by step.
//!
//! A task that waits puts itself on a queue, and looks at the variable once more behind a full
//! barrier. One that wakes it up looks at the queue without its lock first.

use crate::sync::atomic::Atomic;
use core::cell::RefCell;
use loom::sync::{
    atomic::{
        fence, AtomicUsize,
        Ordering::{Acquire, Relaxed, SeqCst},
    },
    Condvar, Mutex,
};
use std::rc::Rc;

/// The queue of all variables: they share few in the kernel as well.
struct Queue {
    /// Addresses that are waited for.
    waiters: Mutex<Vec<(usize, usize)>>,
    /// Their number, for `waitqueue_active()`.
    active: AtomicUsize,
    woken: Condvar,
}

thread_local! {
    static QUEUE: RefCell<Option<Rc<Queue>>> = const { RefCell::new(None) };
}

/// Makes an empty queue.
pub(crate) fn begin_execution() {
    QUEUE.set(Some(Rc::new(Queue {
        waiters: Mutex::new(Vec::new()),
        active: AtomicUsize::new(0),
        woken: Condvar::new(),
    })));
}

pub(crate) fn end_execution() {
    QUEUE.set(None);
}

fn queue() -> Rc<Queue> {
    QUEUE.with_borrow(|queue| queue.clone().expect("an execution has begun"))
}

impl Queue {
    fn change<R>(&self, f: impl FnOnce(&mut Vec<(usize, usize)>) -> R) -> R {
        let mut waiters = self.waiters.lock().unwrap();
        let result = f(&mut waiters);

        self.active.store(waiters.len(), Relaxed);
        result
    }
}

/// `wait_var_event(count, !smp_load_acquire(count))`.
pub fn wait_until_zero(count: &Atomic<u32>) {
    let queue = queue();
    // Two tasks that wait for one variable differ by their stacks.
    let marker = 0u8;
    let me = (count.as_ptr().addr(), (&raw const marker).addr());
    let load = || count.inner().load(Acquire);

    crate::sync::assert_may_sleep();
    if load() == 0 {
        return;
    }
    loop {
        // `prepare_to_wait_event()`.
        queue.change(|waiters| {
            if !waiters.contains(&me) {
                waiters.push(me);
            }
        });
        fence(SeqCst);
        if load() == 0 {
            break;
        }
        // `schedule()`.
        let mut waiters = queue.waiters.lock().unwrap();
        while waiters.contains(&me) {
            waiters = queue.woken.wait(waiters).unwrap();
        }
    }
    // `finish_wait()`.
    queue.change(|waiters| waiters.retain(|waiter| *waiter != me));
}

/// `wake_up_var()`: of `address`, nothing else is used.
pub fn wake_up_waiters_for_zero(address: *mut u32) {
    let queue = queue();

    if queue.active.load(Relaxed) != 0 {
        queue.change(|waiters| waiters.retain(|waiter| waiter.0 != address.addr()));
        queue.woken.notify_all();
    }
}
