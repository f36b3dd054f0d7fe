// SPDX-License-Identifier: GPL-2.0

//! The device node and its ioctls.

use super::{
    account::Charge,
    buffer,
    pin::pin,
    query,
    request::{
        CreateError,
        Request, //
    },
};
use crate::{
    seam::{
        dma::VirtualDevice,
        dma_buf::DmaBuf,
        misc,
        quota, //
    },
    uapi, //
};
use kernel::{
    fs::{
        file::flags::O_CLOEXEC,
        File, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    page::PAGE_SHIFT,
    prelude::*,
    sync::SetOnce,
    uaccess::UserPtr, //
};

/// The name that clients look for, and the one to stand beside the C driver with.
const NAMES: [&CStr; 2] = [c"udmabuf", c"udmabuf_rs"];

/// Chooses the name of the device node.
///
/// That is the one that the parameter `node` asks for, or else the first of [`NAMES`] that is free.
/// Fails with [`EBUSY`] if there is none, and with [`EINVAL`] if `node` is no file name.
pub(crate) fn node_name(wanted: Option<&'static CStr>) -> Result<&'static CStr> {
    let is_free = |name: &&'static CStr| !misc::name_is_taken(name);

    match wanted {
        Some(name) if !is_node_name(name.to_bytes()) => {
            pr_err!("node: a name is made of letters, digits, '_', '-' and '.'\n");
            Err(EINVAL)
        }
        Some(name) => Some(name).filter(is_free).ok_or(EBUSY),
        None => NAMES.into_iter().find(is_free).ok_or(EBUSY),
    }
}

/// Tells whether `name` can be the name of a file in /dev and in sysfs.
fn is_node_name(name: &[u8]) -> bool {
    let legal = |&c: &u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);

    name.iter().all(legal) && name.first().is_some_and(|&c| c != b'.')
}

/// The device node, as one opener has it.
pub(crate) struct Node {
    own_device: Option<VirtualDevice>,
    /// The account of the first creator, usually of the others as well.
    ///
    /// Not found when the node is opened: misc devices are opened one at a time, of all drivers.
    account: SetOnce<quota::Reference>,
}

impl Node {
    /// Makes a buffer and returns a descriptor for it.
    fn create(&self, request: &mut Request) -> Result<u32, CreateError> {
        request.charge = Some(self.charge(request.size >> PAGE_SHIFT)?);
        let pages = pin(request)?;
        let charge = request.charge.take().ok_or(EINVAL)?;
        let options = request.options;
        let name = request.name.take();
        let own_device = self.own_device.clone();
        let buffer = buffer::export(pages, charge, own_device, options.restrictions, name)?;
        let flags = if options.close_on_exec { O_CLOEXEC } else { 0 };

        Ok(DmaBuf::into_fd(buffer, flags)?)
    }

    /// Charges `pages` to the user of the current task. Fails as [`Charge::new`] does.
    #[inline]
    fn charge(&self, pages: u64) -> Result<Charge> {
        if let Some(account) = self.account.as_ref() {
            return Charge::new(account, pages);
        }
        let account = quota::Reference::current()?;
        let charge = Charge::new(&account, pages);

        self.account.populate(account);
        charge
    }
}

#[vtable]
impl MiscDevice for Node {
    type Ptr = KBox<Self>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        let own_device = buffer::own_device(misc::dma_device(misc)?);

        let account = SetOnce::new();

        Ok(KBox::new(
            Self {
                own_device,
                account,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    fn ioctl(this: &Self, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let argument = UserPtr::from_addr(arg);
        let mut request = Request::new();
        match cmd {
            uapi::UDMABUF_CREATE => request.read_single(argument)?,
            uapi::UDMABUF_CREATE_LIST => request.read_list(argument)?,
            uapi::UDMABUF_CREATE_EXT => request.read_ext(argument)?,
            uapi::UDMABUF_QUERY => return query::answer(argument).map(|()| 0),
            _ => return Err(ENOTTY),
        }
        let fd = this.create(&mut request)?;

        // CAST: A descriptor is a non-negative `int`.
        Ok(fd as isize)
    }
}
