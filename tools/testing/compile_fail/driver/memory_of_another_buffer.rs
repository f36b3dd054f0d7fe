// SPDX-License-Identifier: GPL-2.0
// misuse: a policy that fills a mapping with the pages of another buffer
// root: driver
// error: E0407

use crate::seam::{
    mm::{
        fault::{Fault, FaultError},
        pinned::PinnedPages,
    },
    quota::Staged,
    system_memory::Policy,
};
use kernel::{prelude::*, task::Kuid};

pub struct Wrong;

impl Policy for Wrong {
    const NAME: &'static CStr = c"wrong";

    type Memory = PinnedPages;

    fn owner(&self) -> Kuid {
        Kuid::current_euid()
    }

    fn may_stage() -> bool {
        false
    }

    fn charge_staging(&self, _nr_pages: usize) -> Result<Staged> {
        Err(ENOMEM)
    }

    fn fault(&self, fault: &Fault<'_, PinnedPages>) -> Result<(), FaultError> {
        fault.insert(fault.pages())
    }

    // The layer maps the memory that it was given, and asks no policy for another.
    fn vmap(&self) -> *mut c_void {
        core::ptr::null_mut()
    }
}
