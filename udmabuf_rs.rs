// SPDX-License-Identifier: GPL-2.0

//! udmabuf_rs: dma-bufs made of the pages of memfds.
//!
//! Three floors: [`udmabuf`], the driver, which has no unsafe code; [`seam`], safe abstractions
//! that the kernel crate lacks; [`ffi`], the C functions below them. Documentation/design.md leads
//! through.

// Public like the kernel crate, for which they are meant: exporters of other memory use what this
// driver does not.
pub mod ffi;
pub mod seam;
#[forbid(unsafe_code)]
mod uapi;
#[forbid(unsafe_code)]
mod udmabuf;

use kernel::{
    miscdevice::MiscDeviceOptions,
    page::PAGE_SHIFT,
    prelude::*, //
};
use seam::{
    debugfs,
    param::{
        module_params,
        BoundedParam,
        CounterParam,
        StringParam,
        Text, //
    },
    quota::{
        self,
        Quota, //
    },
    system_memory::Registry,
    version::Registration,
    workqueue::DropQueue, //
};

module! {
    type: Module,
    name: "udmabuf_rs",
    authors: ["The udmabuf_rs authors"],
    description: "dma-bufs made of the pages of memfds",
    license: "GPL",
    imports_ns: ["DMA_BUF"],
}

static NODE: Text = Text::new();

module_params! {
    "udmabuf_rs";
    /// Most items of a list.
    list_limit: BoundedParam = BoundedParam::new(1024, 0..=65536), "uint",
        "Most items of UDMABUF_CREATE_LIST, 0 to 65536 (default: 1024)";
    /// Most megabytes of a buffer.
    size_limit_mb: BoundedParam = BoundedParam::new(i32::MAX as u32, 0..=i32::MAX as u32), "uint",
        "Most megabytes of a buffer, 0 to 2147483647 (default: 2147483647)";
    /// Whether devices that do not reach the memory of a buffer get a staging.
    staging: BoundedParam = BoundedParam::new(1, 0..=1), "uint",
        "1: devices that do not reach a buffer get a copy of it (default); 0: they are refused";
    /// Most megabytes of all stagings.
    staging_limit_mb: BoundedParam = BoundedParam::new(0, 0..=i32::MAX as u32), "uint",
        "Most megabytes of such memory for all buffers, 0 to 2147483647; 0: no limit (default)";
    /// Most megabytes of the stagings of one user's buffers.
    staging_user_limit_mb: BoundedParam = BoundedParam::new(0, 0..=i32::MAX as u32), "uint",
        "The same for all buffers of a user; 0: half of staging_limit_mb (default)";
    /// Whether pinned memory is charged to `RLIMIT_MEMLOCK` of the user.
    memlock: BoundedParam = BoundedParam::new(0, 0..=1), "uint",
        "1: buffers count as locked memory of the user (RLIMIT_MEMLOCK); 0: they do not (default)";
    /// Most megabytes that one user has pinned.
    user_limit_mb: BoundedParam = BoundedParam::new(0, 0..=i32::MAX as u32), "uint",
        "Most megabytes of all buffers of a user, 0 to 2147483647; 0: no limit (default)";
    /// Most megabytes that all users have pinned.
    total_limit_mb: BoundedParam = BoundedParam::new(0, 0..=i32::MAX as u32), "uint",
        "Most megabytes of all buffers, 0 to 2147483647; 0: no limit (default)";
    /// Number of buffers.
    buffers: CounterParam = CounterParam::new(|| quota::total().0), "ullong",
        "Number of buffers there are (read only)";
    /// Bytes of all buffers.
    pinned_bytes: CounterParam = CounterParam::new(|| quota::total().1 << PAGE_SHIFT), "ullong",
        "Bytes of all buffers, pages named twice counted twice (read only)";
    /// Bytes of all stagings.
    staging_bytes: CounterParam = CounterParam::new(quota::staging_bytes), "ullong",
        "Bytes of memory for devices that do not reach a buffer (read only)";
    /// Name of the device node.
    node: StringParam = StringParam::new(&NODE), "string",
        "Name of the device node (default: udmabuf if that is free, else udmabuf_rs)";
}

/// The module. The node goes before the queue that its calls use.
#[pin_data]
pub struct Module {
    #[pin]
    _registration: Registration<udmabuf::Node>,
    _debugfs: debugfs::Dir,
    _drop_queue: DropQueue,
    // After the queue, on which buffers are dropped.
    _quota: Quota,
    // After the directory, a file of which shows it.
    _registry: Registry,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _registry: Registry::new()?,
            _quota: Quota::new()?,
            _drop_queue: DropQueue::new(c"udmabuf_rs")?,
            _debugfs: udmabuf::debugfs(),
            _registration <- {
                let name = udmabuf::node_name(node.get())?;
                node.choose(name);
                pr_info!("creating buffers at /dev/{}\n", name);
                Registration::register(MiscDeviceOptions { name })
            },
        })
    }
}
