// SPDX-License-Identifier: GPL-2.0

//! A workqueue of the module's own, and values that are dropped on it.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! Work on the queues of [`kernel::workqueue`] may outlive the module that queued it. Destroying a
//! queue waits for its work, so the module destroys the queue that its own work is on.

use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        global_lock, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Queue,
        Work,
        WorkItem, //
    },
};

/// A workqueue that is destroyed, once its work is done, when the value is dropped.
///
/// # Invariants
///
/// `queue` points to a workqueue that `alloc_workqueue()` returned and nothing else destroys. No
/// timer queues work on it.
struct OwnedQueue {
    queue: NonNull<bindings::workqueue_struct>,
}

// SAFETY: Any task may queue work on a workqueue, or destroy it.
unsafe impl Send for OwnedQueue {}

impl OwnedQueue {
    /// Creates a queue whose work runs on any CPU, may take long and frees memory: `WQ_UNBOUND` and
    /// `WQ_MEM_RECLAIM` in C.
    ///
    /// May sleep. Fails with [`ENOMEM`].
    fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The format takes one string, which is copied. Zero stands for the default bound
        // on the items that run at a time.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_MEM_RECLAIM,
                0,
                name.as_char_ptr(),
            )
        };

        // INVARIANT: Just allocated. `enqueue()` is the only way to queue work.
        Ok(Self {
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
        })
    }

    /// Queues `work`.
    fn enqueue<T: Send + 'static>(&self, work: Pin<KBox<DropWork<T>>>) {
        // SAFETY: By the type invariants, the queue lives until `self` is dropped.
        unsafe { Queue::from_raw(self.queue.as_ptr()) }.enqueue(work);
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, nothing else destroys the queue, and no timer queues work
        // on it later. The function waits for what is queued.
        unsafe { bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

global_lock! {
    // SAFETY: `DropQueue::new()` initialises the lock before `STATE` says that it may be used.
    unsafe(uninit) static QUEUE: Mutex<Option<OwnedQueue>> = None;
}

const NEW: u32 = 0;
const STARTING: u32 = 1;
const READY: u32 = 2;

/// Whether `QUEUE` is initialised.
static STATE: Atomic<u32> = Atomic::new(NEW);

/// The queue of [`drop_later`], a field of the module.
///
/// Dropping it waits until all queued values are dropped. As for the registrations of the kernel
/// crate, a module that forgets it must not be unloaded.
pub struct DropQueue(());

impl DropQueue {
    /// Creates the queue, for the life of the module.
    ///
    /// May sleep. Fails with [`ENOMEM`], and with [`EBUSY`] if there was one before.
    pub fn new(name: &CStr) -> Result<Self> {
        let queue = OwnedQueue::new(name)?;

        STATE.cmpxchg(NEW, STARTING, Relaxed).map_err(|_| EBUSY)?;
        // SAFETY: The compare-and-exchange succeeds once.
        unsafe { QUEUE.init() };
        *QUEUE.lock() = Some(queue);
        STATE.store(READY, Release);
        Ok(Self(()))
    }
}

impl Drop for DropQueue {
    fn drop(&mut self) {
        // Destroyed without the lock, since that waits for work.
        let queue = QUEUE.lock().take();

        drop(queue);
    }
}

/// A value and the work of dropping it.
#[pin_data]
struct DropWork<T> {
    #[pin]
    work: Work<Self>,
    value: T,
}

impl_has_work! {
    impl{T} HasWork<Self> for DropWork<T> { self.work }
}

impl<T: Send + 'static> WorkItem for DropWork<T> {
    type Pointer = Pin<KBox<Self>>;

    fn run(_this: Pin<KBox<Self>>) {}
}

/// Drops `value` on the [`DropQueue`], so that the current task need not wait for it.
///
/// May sleep. Drops the value at once if there is no queue, or no memory for a work item.
pub fn drop_later<T: Send + 'static>(value: T) {
    let work = KBox::pin_init(
        pin_init!(DropWork {
            work <- new_work!("drop_later"),
            value,
        }),
        GFP_KERNEL,
    );

    if let (Ok(work), READY) = (work, STATE.load(Acquire)) {
        let queue = QUEUE.lock();

        match &*queue {
            Some(queue) => queue.enqueue(work),
            None => {
                drop(queue);
                drop(work);
            }
        }
    }
}
