// SPDX-License-Identifier: GPL-2.0

//! Files whose text is made item by item, as it is read.
//!
//! C header: [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)
//!
//! [`kernel::seq_file`] prints to such a file, but has no iterator.

// Debugfs is the only user of the tables.
#![cfg_attr(not(CONFIG_DEBUG_FS), allow(dead_code))]

use super::version::owner_of;
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    seq_file::SeqFile, //
};

/// A sequence of items, as one open file goes through it.
///
/// Mirrors [`struct seq_operations`]: the operations are called by one task at a time, `show` and
/// `next` between `start` and `stop`. Nothing is held between two calls of `read()`, which may come
/// from different tasks.
///
/// [`struct seq_operations`]: srctree/include/linux/seq_file.h
#[vtable]
pub trait Sequence: Sized + Send + 'static {
    /// Creates the state of a file that is being opened, before the first item.
    fn new() -> impl PinInit<Self>;

    /// Goes to the item with the number `at`, counted from 0. Returns whether there is one.
    ///
    /// Where items come and go, a file that has not been sought is to go on after the last item
    /// that [`next`](Self::next) has left.
    fn start(&self, at: u64) -> bool;

    /// Goes to the next item. Returns whether there is one.
    fn next(&self) -> bool;

    /// Prints the item. Called once more, with a larger buffer, if that was too small.
    fn show(&self, file: &SeqFile);

    /// Ends a walk that [`start`](Self::start) has begun, and leaves the item.
    fn stop(&self);
}

/// The tables of C functions for a `T`.
pub(super) struct VTable<T: Sequence>(PhantomData<T>);

impl<T: Sequence> VTable<T> {
    /// # Safety
    ///
    /// `file` must be a file that is being opened with [`Self::FILE`].
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        let state = match KBox::pin_init(T::new(), GFP_KERNEL_ACCOUNT) {
            Ok(state) => state,
            Err(error) => return error.to_errno(),
        };

        // SAFETY: By the safety requirements, the file is being opened. The table is constant.
        if let Err(error) = to_result(unsafe { bindings::seq_open(file, &Self::SEQUENCE) }) {
            return error.to_errno();
        }
        // SAFETY: `seq_open()` has set `private_data`. The state stays where it is until
        // `release()` drops it.
        unsafe {
            (*(*file).private_data.cast::<bindings::seq_file>()).private =
                KBox::into_raw(Pin::into_inner_unchecked(state)).cast();
        }
        0
    }

    /// # Safety
    ///
    /// `file` must be a file opened by [`Self::open`] that is used no more.
    unsafe extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open()` made the state by `KBox::into_raw()`, and this is the only call that
        // takes it back.
        unsafe {
            let seq = (*file).private_data.cast::<bindings::seq_file>();

            drop(KBox::from_raw((*seq).private.cast::<T>()));
            bindings::seq_release(inode, file)
        }
    }

    /// Returns the state of an open file.
    ///
    /// # Safety
    ///
    /// `seq` must be that of a file opened by [`Self::open`], which outlives `'a`.
    unsafe fn state<'a>(seq: *mut bindings::seq_file) -> &'a T {
        // SAFETY: `open()` has set the pointer, and the state lives until the file is released.
        unsafe { &*(*seq).private.cast() }
    }

    /// Returns the pointer that stands for the item the state is at: any that is not NULL.
    fn item(seq: *mut bindings::seq_file, is_there: bool) -> *mut c_void {
        match is_there {
            true => seq.cast(),
            false => core::ptr::null_mut(),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::state`]; `at` must be valid for reading.
    unsafe extern "C" fn start(seq: *mut bindings::seq_file, at: *mut i64) -> *mut c_void {
        // SAFETY: By the safety requirements, `open()` has opened the file of `seq`, and `at` is
        // valid for reading.
        let (state, at) = unsafe { (Self::state(seq), *at) };

        // CAST: The position is not negative.
        Self::item(seq, state.start(at as u64))
    }

    /// # Safety
    ///
    /// As for [`Self::state`]; `at` must be valid for writing.
    unsafe extern "C" fn next(
        seq: *mut bindings::seq_file,
        _item: *mut c_void,
        at: *mut i64,
    ) -> *mut c_void {
        // SAFETY: By the safety requirements, `open()` has opened the file of `seq`, and `at` is
        // valid for writing.
        let state = unsafe {
            *at += 1;
            Self::state(seq)
        };

        Self::item(seq, state.next())
    }

    /// # Safety
    ///
    /// As for [`Self::state`].
    unsafe extern "C" fn stop(seq: *mut bindings::seq_file, _item: *mut c_void) {
        // SAFETY: By the safety requirements, `open()` has opened the file of `seq`.
        unsafe { Self::state(seq) }.stop();
    }

    /// # Safety
    ///
    /// As for [`Self::state`]. No other task may access `seq`.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _item: *mut c_void) -> c_int {
        // SAFETY: By the safety requirements, `open()` has opened the file of `seq`, and no other
        // task accesses it: seq_file calls the operations with its lock held.
        let (state, file) = unsafe { (Self::state(seq), SeqFile::from_raw(seq)) };

        state.show(file);
        0
    }

    const SEQUENCE: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    const FILE: bindings::file_operations = bindings::file_operations {
        owner: owner_of!(T),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    /// Returns the operations of a file. An open one keeps the module of `T` loaded.
    pub(super) const fn file_operations() -> &'static bindings::file_operations {
        &Self::FILE
    }
}
