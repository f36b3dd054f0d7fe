// SPDX-License-Identifier: GPL-2.0

//! Whose memory is pinned or staged, and how much may be.

use crate::seam::{
    quota::{
        Held,
        Limits,
        Reference,
        Staged, //
    },
    user, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    task::Kuid, //
};

/// Pinned pages, charged to the user that creates the buffer until dropped.
pub(super) struct Charge(Held);

impl Charge {
    /// Charges `pages` to the user of the current task, whose account `likely` mostly is.
    ///
    /// The parameters are read once; a charge is given back in full if they change
    /// later. Fails with [`ENOMEM`] if a limit would be exceeded.
    #[inline]
    pub(super) fn new(likely: &Reference, pages: u64) -> Result<Self> {
        let mut held = match likely.is_current() {
            true => Held::new(likely, pages, limits())?,
            false => Held::new(&Reference::current()?, pages, limits())?,
        };

        if crate::memlock.get() != 0 && !user::may_lock_memory() {
            held.lock()?;
        }
        Ok(Self(held))
    }

    /// Returns the user.
    pub(super) fn user(&self) -> Kuid {
        self.0.user().id()
    }

    /// Charges `pages` of a staging to the same user, whichever task maps the buffer.
    ///
    /// As with [`new`](Self::new), the parameters are read once. Fails with [`ENOMEM`] if
    /// a limit would be exceeded.
    pub(super) fn stage(&self, pages: u64) -> Result<Staged> {
        self.0.stage(pages, staging_limits())
    }
}

/// Returns the limits in force for pinned pages.
pub(super) fn limits() -> Limits {
    Limits {
        user: pages(crate::user_limit_mb.get()),
        total: pages(crate::total_limit_mb.get()),
    }
}

/// Returns the limits in force for stagings.
///
/// The limit of a user defaults to half of the total, so that no user can take all of it.
pub(super) fn staging_limits() -> Limits {
    let total = pages(crate::staging_limit_mb.get());
    let user = match crate::staging_user_limit_mb.get() {
        0 if total != Limits::NONE => total / 2,
        megabytes => pages(megabytes),
    };

    Limits { user, total }
}

/// Returns a limit of megabytes in pages; 0 is none.
fn pages(megabytes: u32) -> u64 {
    match megabytes {
        0 => Limits::NONE,
        megabytes => u64::from(megabytes) << (20 - PAGE_SHIFT),
    }
}
