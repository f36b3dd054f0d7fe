// SPDX-License-Identifier: GPL-2.0

//! When a buffer is settled: the model of seam/system_memory/coherence.rs.

use crate::{
    settle::{self, Point, Users as _},
    staging::StagedDevice,
};
use settle_model::{
    program::Mistake,
    replay::{self, access, load, lock, unlock, wait, GivenUp, Run, Until},
    world::{Device, Guarded, WORDS},
};

/// The lockless counter of reasons to settle.
struct Users;

/// Returns whether a full barrier is complete.
fn barrier(run: &Run, has_barriers: bool) -> Option<()> {
    (!has_barriers || run.is_drained()).then_some(())
}

impl settle::Users for Users {
    fn get(&self) {
        let has_barriers = !replay::makes(Mistake::NoBarriers);

        access(format_args!("count a user"), |run| {
            barrier(run, has_barriers)?;
            run.world.users += 1;
            Some(())
        });
    }

    fn put(&self) {
        access(format_args!("drop a user"), |run| {
            run.world.users -= 1;
            Some(())
        });
    }

    fn any(&self) -> bool {
        let has_barriers = !replay::makes(Mistake::NoBarriers);

        load(format_args!("load the number of users"), |run| {
            barrier(run, has_barriers)?;
            Some(run.world.users)
        }) != 0
    }
}

/// Cleans the caches, and invalidates them if `is_read`.
fn sync_for_cpu(is_read: bool) {
    let is_read = is_read && !replay::makes(Mistake::NoInvalidate);
    let is_apart = replay::makes(Mistake::CleansApart);

    if replay::is_coherent() || replay::makes(Mistake::NoClean) {
        return;
    }
    for at in 0..WORDS {
        if !is_read || is_apart {
            clean(at);
        }
        if is_read {
            // One step: see README.md.
            access(format_args!("clean and invalidate line {at}"), |run| {
                if !is_apart {
                    run.world.clean(at);
                }
                run.world.invalidate(at);
                Some(())
            });
        }
    }
}

/// Cleans the caches.
fn sync_for_device() {
    if !replay::is_coherent() && !replay::makes(Mistake::NoCleanAfterFetch) {
        (0..WORDS).for_each(clean);
    }
}

fn clean(at: usize) {
    access(format_args!("clean line {at}"), |run| {
        run.world.clean(at);
        Some(())
    });
}

/// `Coherence::settle()`.
fn settle_all(guarded: &mut Guarded, point: Point, until: Until) -> Result<(), GivenUp> {
    let number = load(format_args!("begin a settle"), |run| {
        run.world.begun += 1;
        Some(run.world.begun)
    });

    let has_stagings = guarded.devices.iter().any(|device| device.is_staged);
    let is_read = point != Point::End || has_stagings;
    sync_for_cpu(is_read);
    let direct_writers = load(format_args!("load the number of direct writers"), |run| {
        Some(run.world.direct_writers)
    });
    let devices = guarded.devices.iter_mut().enumerate();
    let mut stagings: Vec<_> = devices
        .filter(|(_, device)| device.is_staged)
        .map(|(id, device)| StagedDevice { id, device })
        .collect();
    let settled = settle::settle(
        &mut stagings,
        &until,
        point,
        direct_writers > 0,
        &mut guarded.unpushed,
    );
    if settled.is_err() && replay::makes(Mistake::CompletesGivenUp) {
        guarded.completed = number;
    }
    if settled? {
        sync_for_device();
    }
    for device in &mut guarded.devices {
        if !device.is_unsettled {
            put_kept(device);
        }
    }
    // Where nothing was invalidated, a START has to.
    if is_read || replay::makes(Mistake::EndServesStart) {
        guarded.completed = number;
    }
    Ok(())
}

/// Drops the users of mappings that have ended.
fn put_kept(device: &mut Device) {
    for _ in 0..core::mem::take(&mut device.kept_users) {
        Users.put();
    }
}

/// Calls `f` with the mutex held.
fn locked<R>(
    until: Until,
    f: impl FnOnce(&mut Guarded) -> Result<R, GivenUp>,
) -> Result<R, GivenUp> {
    let mut guarded = lock(until)?;
    let result = f(&mut guarded);

    if result.is_ok() || !replay::makes(Mistake::KeepsLock) {
        unlock(&guarded);
    }
    result
}

/// `Coherence::start()` and its caller.
pub fn start(fence: Option<u32>) -> Result<(), GivenUp> {
    let load_begun = || {
        load(format_args!("load the number of settles"), |run| {
            Some(run.world.begun)
        })
    };

    if !Users.any() {
        return Ok(());
    }
    let early = replay::makes(Mistake::JoinsEarly).then(load_begun);
    if let Some(fence) = fence.filter(|_| !replay::makes(Mistake::NoFences)) {
        wait(fence);
    }
    let begun = early.unwrap_or_else(load_begun);
    locked(Until::Signal, |guarded| match guarded.completed <= begun {
        true => settle_all(guarded, Point::Start, Until::Signal),
        false => Ok(()),
    })
}

/// `Coherence::end()`.
pub fn end() -> Result<(), GivenUp> {
    settle::settle_if_used(&Users, || {
        locked(Until::Fatal, |guarded| {
            settle_all(guarded, Point::End, Until::Fatal)
        })
    })
}

/// `Coherence::map_staged()`.
pub fn map(id: usize) -> Result<(), GivenUp> {
    settle::map(&Users, || {
        locked(Until::Signal, |guarded| {
            if guarded.devices[id].is_staged {
                if !replay::makes(Mistake::NoSettleAtRemap) {
                    // It may be out of date: nothing is pushed while it is not mapped.
                    guarded.devices[id].is_mapped = true;
                    let settled = settle_all(guarded, Point::Map, Until::Signal);
                    guarded.devices[id].is_mapped = false;
                    settled?;
                }
            } else {
                settle_all(guarded, Point::Map, Until::Signal)?;
                let device = &mut guarded.devices[id];
                StagedDevice { id, device }.fill(Until::Signal)?;
            }
            let device = &mut guarded.devices[id];
            device.is_staged = true;
            device.is_mapped = true;
            device.is_unsettled |= device.writes;
            Ok(())
        })
    })
}

/// `Coherence::unmap_staged()`.
pub fn unmap(id: usize) {
    let is_kept = locked(Until::Never, |guarded| {
        let writes = guarded.devices[id].writes;
        let settled = match writes {
            true => settle_all(guarded, Point::Unmap, Until::Fatal),
            false => Ok(()),
        };
        let is_given_up = settled.is_err() && !replay::makes(Mistake::SettledWhenKilled);

        let device = &mut guarded.devices[id];
        device.is_mapped = false;
        if is_given_up && !replay::makes(Mistake::DropsKeptUser) {
            device.kept_users += 1;
            return Ok(true);
        }
        device.is_unsettled = is_given_up;
        Ok(false)
    });

    if is_kept == Ok(false) {
        Users.put();
    }
}

/// `Coherence::detach()`.
pub fn detach(id: usize) {
    let _ = locked(Until::Never, |guarded| {
        if guarded.devices[id].kept_users > 0 && !replay::makes(Mistake::NoSettleAtDetach) {
            settle_all(guarded, Point::Unmap, Until::Never)?;
        }
        let device = &mut guarded.devices[id];
        put_kept(device);
        device.is_staged = false;
        device.is_unsettled = false;
        Ok(())
    });
}

fn add_direct_writers(number: isize) {
    access(format_args!("add {number} direct writers"), |run| {
        run.world.direct_writers = run.world.direct_writers.wrapping_add_signed(number);
        Some(())
    });
}

/// `Coherence::prepare()`, and `Pending::plain()` or `Pending::direct()`.
pub fn map_direct() -> Result<(), GivenUp> {
    let is_used = Users.any();

    Users.get();
    add_direct_writers(1);
    if is_used {
        let settled = locked(Until::Signal, |guarded| {
            settle_all(guarded, Point::Map, Until::Signal)
        });
        if settled.is_err() {
            Users.put();
            add_direct_writers(-1);
            return settled;
        }
    }
    // `dma_map_sgtable()`.
    sync_for_cpu(true);
    if replay::is_coherent() {
        Users.put();
    }
    Ok(())
}

/// `Coherence::unmap_plain()` and `Coherence::unmap_direct()`.
pub fn unmap_direct() {
    let settle = || {
        locked(Until::Never, |guarded| {
            settle_all(guarded, Point::Unmap, Until::Fatal)
        })
    };
    let _ = settle::settle_if_used(&Users, settle);

    // `dma_unmap_sgtable()`.
    sync_for_cpu(true);
    if !replay::is_coherent() {
        Users.put();
    }
    add_direct_writers(-1);
}
