// SPDX-License-Identifier: GPL-2.0

//! A scenario in all its interleavings.

use crate::{memory, wait};
use loom::sync::Mutex;
use std::{
    cell::{Cell, RefCell},
    panic, process,
    rc::Rc,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc, Once,
    },
};

/// Thread switches and loads of one execution. No scenario comes near, unless it does not end.
const MAX_BRANCHES: usize = 10_000;

/// A static value that is made anew for each execution.
pub(crate) trait PerExecution {
    /// Makes it.
    fn begin(&self);

    /// Drops it.
    fn end(&self);
}

/// An allocation or registration that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Allocating a receiver.
    Receiver,
    /// Allocating a node of a tree.
    Node,
    /// Allocating an item of a list.
    Item,
    /// Registering a notifier.
    Register,
}

thread_local! {
    static NAME: Cell<&'static str> = const { Cell::new("the program") };
    // The one that is to come. Two tasks may be the first.
    static FAULT: RefCell<Option<Rc<Mutex<Option<Fault>>>>> = const { RefCell::new(None) };
    // What was used, and is static or has not been dropped.
    static USED: RefCell<Vec<*const dyn PerExecution>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn add(used: &dyn PerExecution) {
    // SAFETY: Only the lifetime changes. What is not static calls `remove()` when it is dropped.
    let used =
        unsafe { core::mem::transmute::<&dyn PerExecution, &'static dyn PerExecution>(used) };
    USED.with_borrow_mut(|all| all.push(used));
}

pub(crate) fn remove(used: *const ()) {
    USED.with_borrow_mut(|all| all.retain(|other| other.cast::<()>() != used));
}

/// Has the first allocation or registration of this kind fail in the current execution.
pub fn fail_first(fault: Fault) {
    FAULT.set(Some(Rc::new(Mutex::new(Some(fault)))));
}

/// Returns whether this one is to fail.
pub fn fails(fault: Fault) -> bool {
    let Some(next) = FAULT.with_borrow(Clone::clone) else {
        return false;
    };
    let result = next
        .lock()
        .unwrap()
        .take_if(|next| *next == fault)
        .is_some();
    result
}

fn begin() {
    static WATCHING: Once = Once::new();

    WATCHING.call_once(memory::watch_accesses);
    wait::begin_execution();
    let used = USED.with_borrow(Clone::clone);
    // SAFETY: It was not dropped, or `remove()` had been called.
    used.iter().for_each(|used| unsafe { (**used).begin() });
}

fn end() {
    let used = USED.with_borrow(Clone::clone);
    // SAFETY: It was not dropped, or `remove()` had been called.
    used.iter().for_each(|used| unsafe { (**used).end() });
    FAULT.set(None);
    wait::end_execution();
    memory::end_execution();
}

/// Runs `scenario` in all interleavings of its threads, and with all values that a load may have.
/// Returns how many that were.
///
/// Ends the program with `lost NAME: …` if it panics, does not end or accesses freed memory in
/// one. `preemptions` bounds how often a task is interrupted that could go on. `first` uses all
/// static values, which must exist from the beginning of an execution.
pub fn explore(
    name: &'static str,
    preemptions: Option<usize>,
    first: fn(),
    scenario: impl Fn() + Send + Sync + 'static,
) -> usize {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = executions.clone();
    let mut builder = loom::model::Builder::new();

    NAME.set(name);
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));

        // Panics without a text are how loom ends its threads.
        if let Some(text) = text {
            // loom goes on with the state of its threads, and advice.
            let end = ["\n", "; threads", ". "]
                .iter()
                .filter_map(|end| text.find(end))
                .min();
            lose(&text[..end.unwrap_or(text.len())]);
        }
    }));
    builder.max_branches = MAX_BRANCHES;
    builder.preemption_bound = preemptions;
    builder.check(move || {
        begin();
        first();
        end();
    });
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        begin();
        scenario();
        end();
    });
    executions.load(Relaxed)
}

fn lose(message: &str) -> ! {
    println!("lost {}: {message}", NAME.get());
    process::exit(1);
}

/// [`lose`] in a signal handler, which must not wait for locks.
pub(crate) fn lose_quietly(message: &str) -> ! {
    for part in ["lost ", NAME.get(), ": ", message, "\n"] {
        // SAFETY: The string is readable.
        unsafe { libc::write(1, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: No requirements.
    unsafe { libc::_exit(1) };
}
