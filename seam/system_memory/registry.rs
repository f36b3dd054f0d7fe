// SPDX-License-Identifier: GPL-2.0

//! A list of all dma-bufs of system memory.
//!
//! Making or releasing a dma-buf takes the lock of the list for a moment only, also while the list
//! is read: a reader marks the dma-buf that it shows, and shows it without the lock. Releasing that
//! very one waits until it has been shown.

use super::memory::{
    Policy,
    SystemMemory, //
};
use crate::{
    ffi,
    seam::{
        dma_buf::{
            Exported,
            Unreleased, //
        },
        seq_file::Sequence,
    }, //
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    marker::PhantomPinned,
    ptr::{
        null_mut,
        NonNull, //
    },
};
use kernel::{
    bindings,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        global_lock, //
    },
    task::Pid, //
};

/// Bytes of the name of a task with its null byte: `TASK_COMM_LEN`.
const COMM_LEN: usize = 16;

/// The task that has made a dma-buf, as it was then.
#[derive(Clone, Copy)]
pub(super) struct Creator {
    /// Number of its process, in the first PID namespace.
    pub(super) pid: Pid,
    comm: [u8; COMM_LEN],
    /// Jiffies then.
    time: u64,
}

/// Returns the jiffies since some time of booting. As cheap as a clock can be.
fn jiffies() -> u64 {
    #[cfg(CONFIG_64BIT)]
    // SAFETY: The counter is always valid, and `get_jiffies_64()` in C does no more on machines of
    // 64 bits.
    let now = unsafe { (&raw const bindings::jiffies_64).read_volatile() };
    #[cfg(not(CONFIG_64BIT))]
    // SAFETY: No requirements.
    let now = unsafe { bindings::get_jiffies_64() };

    now
}

impl Creator {
    fn current() -> Self {
        let task = current!();

        Self {
            // SAFETY: The reference guarantees a valid task, whose number does not change. In Linux
            // 7.2, `Task` does not tell it.
            pid: unsafe { (*task.as_ptr()).tgid },
            // SAFETY: The reference guarantees a valid task. Others may rename it meanwhile, and
            // the last byte always is null.
            comm: unsafe {
                (&raw const (*task.as_ptr()).comm)
                    .cast::<[u8; COMM_LEN]>()
                    .read_volatile()
            },
            time: jiffies(),
        }
    }

    /// Returns how many milliseconds ago that was.
    pub(super) fn age(&self) -> u64 {
        // SAFETY: No requirements.
        unsafe { bindings::jiffies64_to_msecs(jiffies() - self.time) }
    }

    /// Returns the name that the task had.
    pub(super) fn comm(&self) -> &[u8] {
        let len = self.comm.iter().position(|&byte| byte == 0);

        &self.comm[..len.unwrap_or(COMM_LEN)]
    }
}

/// A dma-buf in the list.
struct Listed {
    dmabuf: NonNull<bindings::dma_buf>,
    creator: Creator,
    /// # Safety
    ///
    /// To be called with the fields of this value, before the dma-buf is released.
    show: unsafe fn(NonNull<bindings::dma_buf>, &Creator, &SeqFile),
}

/// A place in the list, of a dma-buf or of a reader.
///
/// # Invariants
///
/// All fields but `readers` are accessed with [`LIST`] locked. `listed` does not change while there
/// are readers.
struct Node {
    prev: *mut Node,
    next: *mut Node,
    is_linked: bool,
    /// A reader's place has none.
    listed: Option<Listed>,
    /// Readers that show the dma-buf. Becomes greater with the lock held only, and by readers that
    /// have found the node in the list.
    readers: Atomic<u32>,
}

impl Node {
    const fn new() -> Self {
        Self {
            prev: null_mut(),
            next: null_mut(),
            is_linked: false,
            listed: None,
            readers: Atomic::new(0),
        }
    }
}

/// The ends of the list, NULL if it is empty.
///
/// # Invariants
///
/// The nodes that are reached from here are valid and pinned.
struct List {
    first: *mut Node,
    last: *mut Node,
}

// SAFETY: The nodes belong to no task.
unsafe impl Send for List {}

global_lock! {
    // SAFETY: `Registry::new()` initialises the lock before there is a dma-buf or a reader.
    unsafe(uninit) static LIST: SpinLock<List> = List { first: null_mut(), last: null_mut() };
}

/// Whether `LIST` was initialised.
static IS_READY: Atomic<u32> = Atomic::new(0);

/// The right to have a list, a field of the module.
pub struct Registry(());

impl Registry {
    /// Fails with [`EBUSY`] if there was one before.
    pub fn new() -> Result<Self> {
        IS_READY.cmpxchg(0, 1, Relaxed).map_err(|_| EBUSY)?;
        // SAFETY: The compare-and-exchange succeeds once.
        unsafe { LIST.init() };
        Ok(Self(()))
    }
}

impl List {
    /// Inserts `node` after `prev`, or at the front if that is NULL.
    ///
    /// # Safety
    ///
    /// `node` must be valid, pinned and not in the list until it is removed; `prev` must be in it.
    unsafe fn insert_after(&mut self, prev: *mut Node, node: *mut Node) {
        // SAFETY: By the type invariants and the safety requirements, the nodes are valid. The list
        // is exclusively borrowed.
        unsafe {
            let next = match prev.is_null() {
                true => self.first,
                false => (*prev).next,
            };

            (*node).prev = prev;
            (*node).next = next;
            (*node).is_linked = true;
            *self.link_after(prev) = node;
            *self.link_before(next) = node;
        }
    }

    /// Removes `node`, if it is in the list.
    ///
    /// # Safety
    ///
    /// `node` must be valid.
    unsafe fn remove(&mut self, node: *mut Node) {
        // SAFETY: By the type invariants and the safety requirements, the nodes are valid. The list
        // is exclusively borrowed.
        unsafe {
            if (*node).is_linked {
                let (prev, next) = ((*node).prev, (*node).next);

                *self.link_after(prev) = next;
                *self.link_before(next) = prev;
                (*node).is_linked = false;
            }
        }
    }

    /// Returns the link to the node after `prev`, or to the first one.
    ///
    /// # Safety
    ///
    /// `prev` must be NULL or in the list.
    unsafe fn link_after(&mut self, prev: *mut Node) -> &mut *mut Node {
        match prev.is_null() {
            true => &mut self.first,
            // SAFETY: By the safety requirements, `prev` is in the list, and so valid. The list is
            // exclusively borrowed, which stands for its lock.
            false => unsafe { &mut (*prev).next },
        }
    }

    /// Returns the link to the node before `next`, or to the last one.
    ///
    /// # Safety
    ///
    /// `next` must be NULL or in the list.
    unsafe fn link_before(&mut self, next: *mut Node) -> &mut *mut Node {
        match next.is_null() {
            true => &mut self.last,
            // SAFETY: By the safety requirements, `next` is in the list, and so valid. The list is
            // exclusively borrowed, which stands for its lock.
            false => unsafe { &mut (*next).prev },
        }
    }

    /// Returns the first node of a dma-buf after `node`, or of all if that is NULL.
    ///
    /// # Safety
    ///
    /// `node` must be NULL or in the list.
    unsafe fn dma_buf_after(&mut self, node: *mut Node) -> *mut Node {
        // SAFETY: By the type invariants and the safety requirements, the nodes are valid.
        unsafe {
            let mut next = *self.link_after(node);

            while !next.is_null() && (*next).listed.is_none() {
                next = (*next).next;
            }
            next
        }
    }
}

/// The place of a dma-buf in the list.
#[pin_data]
pub(super) struct Entry {
    node: UnsafeCell<Node>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: Any task may add and remove the node, which is changed with `LIST` locked.
unsafe impl Send for Entry {}
// SAFETY: The node is changed with `LIST` locked, but for `readers`, which is atomic. What is
// listed does not change while the node is in the list.
unsafe impl Sync for Entry {}

impl Entry {
    /// Creates one that is not in the list.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            node: UnsafeCell::new(Node::new()),
            _pin: PhantomPinned,
        })
    }

    /// Adds `buffer` to the list, made by the current task, to be shown by `P`.
    ///
    /// # Safety
    ///
    /// The value must be part of `buffer`, which is added once. [`remove`](Self::remove) must be
    /// called before it is released.
    #[inline]
    pub(super) unsafe fn add<P: Policy>(&self, buffer: &Exported<SystemMemory<P>>) {
        let listed = Listed {
            // SAFETY: A reference is not NULL.
            dmabuf: unsafe { NonNull::new_unchecked(buffer.as_raw()) },
            creator: Creator::current(),
            show: show::<P>,
        };
        let node = self.node.get();
        let mut list = LIST.lock();

        // SAFETY: The lock is held. The node is pinned and was not in the list by the safety
        // requirements, and is removed before it goes.
        unsafe {
            (*node).listed = Some(listed);
            let last = list.last;
            list.insert_after(last, node);
        }
    }

    /// Removes the dma-buf from the list, if it is in it, and waits until it is not being shown.
    #[inline]
    pub(super) fn remove(&self) {
        let node = self.node.get();

        // SAFETY: The node is borrowed with `self`, and `LIST` is locked.
        unsafe { LIST.lock().remove(node) };
        // SAFETY: The field is atomic, and valid while this value is.
        let readers = unsafe { &(*node).readers };
        // A reader that has found the node in the list is one that this sees: both had the lock.
        if readers.load(Acquire) != 0 {
            // SAFETY: The counter is borrowed with `self`, so it stays valid.
            unsafe { ffi::wait_until_zero(readers.as_ptr()) };
        }
    }
}

/// Shows a dma-buf with the policy `P`.
///
/// # Safety
///
/// `dmabuf` must be a dma-buf of `P` that is in the list, or that [`Entry::remove`] waits for.
unsafe fn show<P: Policy>(dmabuf: NonNull<bindings::dma_buf>, creator: &Creator, file: &SeqFile) {
    // SAFETY: By the safety requirements, `release()` has not returned for the dma-buf: it calls
    // `Entry::remove()`.
    let buffer = unsafe { Unreleased::<SystemMemory<P>>::from_raw(dmabuf) };

    super::report::show(&buffer, creator, file);
}

/// A reader of the list: [`Sequence`] of all dma-bufs, from the oldest to the newest.
///
/// # Invariants
///
/// - `place` is in the list once [`start`](Sequence::start) was called: behind the dma-buf that was
///   left last, or at the front.
/// - `current` is NULL or points to a node among whose readers this is.
#[pin_data(PinnedDrop)]
pub struct Reader {
    place: UnsafeCell<Node>,
    /// The number of dma-bufs that were left.
    at: Cell<u64>,
    current: Cell<*mut Node>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The place is in a list that belongs to no task, and any task may give back the dma-buf.
unsafe impl Send for Reader {}

impl Reader {
    /// Moves the place behind `node`, or to the front if that is NULL.
    ///
    /// # Safety
    ///
    /// `node` must be NULL or in the list.
    unsafe fn move_behind(&self, list: &mut List, node: *mut Node) {
        let place = self.place.get();

        // SAFETY: The place is pinned, and removed before it goes; `node` is in the list by the
        // safety requirements.
        unsafe {
            list.remove(place);
            list.insert_after(node, place);
        }
    }

    /// Takes the first dma-buf behind the place. Returns whether there is one.
    ///
    /// # Safety
    ///
    /// The place must be in the list, and the value must have no dma-buf.
    unsafe fn take(&self, list: &mut List) -> bool {
        // SAFETY: By the safety requirements, the place is in the list.
        let node = unsafe { list.dma_buf_after(self.place.get()) };

        if node.is_null() {
            return false;
        }
        // SAFETY: The node was found in the list, which is locked.
        unsafe { (*node).readers.fetch_add(1, Relaxed) };
        // INVARIANT: Just counted.
        self.current.set(node);
        true
    }

    /// Gives back a dma-buf that was taken, if there is one.
    ///
    /// # Safety
    ///
    /// `node` must be NULL or the value that [`current`](Self::current) had until now.
    unsafe fn give_back(node: *mut Node) {
        if node.is_null() {
            return;
        }
        // SAFETY: By the type invariants, the node had this reader, and so stays until it is not
        // counted any more.
        let (readers, before) = unsafe {
            let readers = &(*node).readers;
            (readers.as_ptr(), readers.fetch_sub(1, Full))
        };
        if before == 1 {
            // SAFETY: The counter has just become 0 by an operation that is fully ordered. Only its
            // address is used.
            unsafe { ffi::wake_up_waiters_for_zero(readers) };
        }
    }
}

#[vtable]
impl Sequence for Reader {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place: UnsafeCell::new(Node::new()),
            at: Cell::new(0),
            // INVARIANT: None yet.
            current: Cell::new(null_mut()),
            _pin: PhantomPinned,
        })
    }

    fn start(&self, at: u64) -> bool {
        let mut list = LIST.lock();

        if at == 0 || at != self.at.get() {
            let mut node = null_mut();

            for _ in 0..at {
                // SAFETY: It is NULL or was found in the list, which is locked.
                let next = unsafe { list.dma_buf_after(node) };
                if next.is_null() {
                    return false;
                }
                node = next;
            }
            // SAFETY: `node` is NULL or was found in the list, which is still locked.
            unsafe { self.move_behind(&mut list, node) };
            self.at.set(at);
        }
        // SAFETY: The place has been put into the list, now or by an earlier call, and `stop()` has
        // given back any dma-buf.
        unsafe { self.take(&mut list) }
    }

    fn next(&self) -> bool {
        // INVARIANT: It is given back below.
        let left = self.current.replace(null_mut());
        let mut list = LIST.lock();

        // SAFETY: The lock is held, and the node is valid: this still is among its readers.
        if !left.is_null() && unsafe { (*left).is_linked } {
            // SAFETY: `is_linked` was read with `LIST` locked, as it still is: the node is in the
            // list.
            unsafe { self.move_behind(&mut list, left) };
        }
        self.at.set(self.at.get() + 1);
        // SAFETY: `start()` has put the place into the list, and there is no dma-buf.
        let found = unsafe { self.take(&mut list) };
        drop(list);
        // SAFETY: `left` was `current`, so by the type invariants this is among its readers.
        unsafe { Self::give_back(left) };
        found
    }

    fn show(&self, file: &SeqFile) {
        let node = self.current.get();

        if node.is_null() {
            return;
        }
        // SAFETY: By the type invariants, the node is valid, and what is listed does not change.
        if let Some(listed) = unsafe { &(*node).listed } {
            // SAFETY: The fields of one value. Releasing the dma-buf waits for its readers.
            unsafe { (listed.show)(listed.dmabuf, &listed.creator, file) };
        }
    }

    fn stop(&self) {
        // SAFETY: The node was `current`, so by the type invariants this is among its readers.
        unsafe { Self::give_back(self.current.replace(null_mut())) };
    }
}

#[pinned_drop]
impl PinnedDrop for Reader {
    fn drop(self: Pin<&mut Self>) {
        self.stop();
        // SAFETY: The place is borrowed with `self`, and `LIST` is locked.
        unsafe { LIST.lock().remove(self.place.get()) };
    }
}
