// SPDX-License-Identifier: GPL-2.0

//! The current task, which always is the same here.

use crate::bindings::task_struct;

/// Number of a process.
pub type Pid = i32;

/// A task.
pub struct Task(task_struct);

static TASK: Task = Task(task_struct {
    tgid: 1,
    comm: *b"task\0\0\0\0\0\0\0\0\0\0\0\0",
});

impl Task {
    /// Returns the current task.
    pub fn current() -> &'static Self {
        &TASK
    }

    /// Returns the C side.
    pub fn as_ptr(&self) -> *mut task_struct {
        core::ptr::from_ref(&self.0).cast_mut()
    }
}

/// Returns the current task.
#[macro_export]
macro_rules! current {
    () => {
        $crate::task::Task::current()
    };
}
