// SPDX-License-Identifier: GPL-2.0

//! A staged device: the model of seam/system_memory/staging.rs.

use crate::{
    bytes::{merge, refresh, Memory, Staging},
    settle,
};
use settle_model::{
    replay::{self, check, GivenUp, Until},
    world::Device,
};

/// A staged device while the mutex is held.
pub struct StagedDevice<'a> {
    /// Its number.
    pub id: usize,
    /// The driver's record of it.
    pub device: &'a mut Device,
}

impl StagedDevice<'_> {
    /// Calls `f` with memory, staging and base of each page, until a signal arrives.
    fn walk(
        &mut self,
        until: Until,
        mut f: impl FnMut(&Memory, &Staging, &mut [usize]) -> bool,
    ) -> Result<bool, GivenUp> {
        let page = replay::layout().page;
        let mut any = false;

        for (number, base) in self.device.base.chunks_exact_mut(page).enumerate() {
            let first = number * page;

            check(until)?;
            any |= f(&Memory(first), &Staging(self.id, first), base);
        }
        Ok(any)
    }

    /// Fills a staging that the device does not have yet.
    pub fn fill(&mut self, until: Until) -> Result<(), GivenUp> {
        let writes = self.device.writes;

        self.walk(until, |memory, staging, base| {
            match writes {
                true => settle::fill(memory, staging, base),
                false => settle::fill_without_base(memory, staging, base.len()),
            }
            false
        })
        .map(drop)
    }
}

impl settle::Staging<Until> for StagedDevice<'_> {
    type Error = GivenUp;

    fn is_written(&self) -> bool {
        self.device.is_unsettled
    }

    fn is_read(&self) -> bool {
        self.device.is_mapped
    }

    fn fetch(&mut self, until: &Until) -> Result<bool, GivenUp> {
        let writes = self.device.writes;
        let fetched = self.walk(*until, |memory, staging, base| {
            writes && merge(staging, base, memory)
        })?;

        self.device.is_unsettled = self.device.is_mapped && writes;
        Ok(fetched)
    }

    fn push(&mut self, until: &Until) -> Result<(), GivenUp> {
        let writes = self.device.writes;

        self.walk(*until, |memory, staging, base| {
            match writes {
                true => {
                    merge(memory, base, staging);
                }
                false => refresh(memory, staging, base.len()),
            }
            false
        })
        .map(drop)
    }
}
