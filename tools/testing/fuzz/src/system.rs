// SPDX-License-Identifier: GPL-2.0

//! Files of the driver, parameters, processes and signals.

use crate::{
    execute::{Task, INTERVAL},
    program::{Kind, Op, THREADS},
    sys::{self, Errno, PAGE},
};
use std::sync::atomic::Ordering::Relaxed;

/// Switches tracepoints.
pub const TRACING: &str = "/sys/kernel/tracing/events/udmabuf_rs/enable";

impl Task<'_> {
    /// Reads files of the driver, sets parameters, forks.
    pub(crate) fn system_step(&self, op: &Op) -> Result<usize, Errno> {
        let w = self.world;
        let args @ [a, b, _, _, _, _] = op.args;
        let at = |which: u8, count: usize| which as usize % count;

        match op.kind {
            Kind::Debugfs => self.read_file(
                [
                    "/sys/kernel/debug/udmabuf_rs/buffers",
                    "/sys/kernel/debug/udmabuf_rs/totals",
                    "/sys/kernel/debug/dma_buf/bufinfo",
                    "/proc/self/smaps",
                    "/proc/self/maps",
                    "/sys/module/udmabuf_rs/parameters/node",
                ][at(a, 6)],
                b,
            ),
            Kind::Parameter => {
                let names = [
                    "list_limit",
                    "size_limit_mb",
                    "staging",
                    "staging_limit_mb",
                    "staging_user_limit_mb",
                    "memlock",
                    "user_limit_mb",
                    "total_limit_mb",
                    "buffers",
                    "node",
                ];
                let values = ["0", "1", "2", "8", "65537", "-1", "x", "2147483648"];
                w.shared.parameters.store(true, Relaxed);
                let path = format!("/sys/module/udmabuf_rs/parameters/{}", names[at(a, 10)]);
                std::fs::write(path, values[at(b, 8)])
                    .map_err(|error| error.raw_os_error().unwrap_or(0))?;
                Ok(0)
            }
            Kind::Timer => {
                sys::timer(1 + i64::from(a) * 8, 0);
                Ok(0)
            }
            Kind::Fork | Kind::Killed => self.fork(op.kind, args),
            Kind::Sleep => {
                sys::sleep(i64::from(a) * 8);
                Ok(0)
            }
            Kind::User => {
                if a & 1 != 0 {
                    let limit = [b as usize * PAGE, b as usize * PAGE];
                    return sys::call(
                        libc::SYS_prlimit64,
                        &[0, libc::RLIMIT_MEMLOCK as usize, limit.as_ptr() as usize, 0],
                    );
                }
                // Of this thread alone, as far as the kernel goes.
                sys::call(libc::SYS_setresuid, &[65534, 65534, usize::MAX])
            }
            Kind::Trace => {
                w.shared.parameters.store(true, Relaxed);
                std::fs::write(TRACING, ["0", "1"][at(a, 2)])
                    .map_err(|error| error.raw_os_error().unwrap_or(0))?;
                Ok(0)
            }
            Kind::Check => Ok(0),
            _ => Ok(0),
        }
    }

    pub(crate) fn fork(&self, kind: Kind, [a, b, c, d, e, f]: [u8; 6]) -> Result<usize, Errno> {
        let pid = sys::fork(|| {
            let child = Task {
                world: self.world,
                thread: THREADS,
            };
            let step = |kind, args| {
                child.step(&Op {
                    kind,
                    thread: 0,
                    args,
                })
            };

            let _ = sys::call(
                libc::SYS_prctl,
                &[libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize],
            );
            sys::end_after(100_000);
            sys::timer(INTERVAL, INTERVAL);
            let _ = match (kind, a % 6) {
                (Kind::Killed, 0) => step(Kind::CreateList, [b, 0, 0, 15, 0, 0]),
                (Kind::Killed, 1) => step(Kind::Map, [b, c, d, e, 0, 0]),
                (Kind::Killed, 2) => step(Kind::Sync, [b, c, 0, 0, 0, 0]),
                (Kind::Killed, 3) => step(Kind::Load, [b, c, 7, d, 0, 0]),
                (Kind::Killed, 4) => step(Kind::Unmap, [b, 0, 0, 0, 0, 0]),
                (Kind::Killed, _) => step(Kind::Create, [b, c, 0, 0, 0, 0]),
                (_, 0) => step(Kind::Store, [b, c, 7, d, e, 0]),
                (_, 1) => step(Kind::Munmap, [b, c, d, 0, 0, 0]),
                (_, 2) => step(Kind::CloseBuffer, [b, 0, 0, 0, 0, 0]),
                (_, 3) => step(Kind::Mprotect, [b, c, d, e, 0, 0]),
                (_, 4) => step(Kind::Create, [b, c, d, 0, 0, 0]),
                _ => Ok(0),
            };
            0
        })?;

        if kind == Kind::Killed {
            sys::sleep(i64::from(f) * 16);
            let _ = sys::call(libc::SYS_kill, &[pid as usize, libc::SIGKILL as usize]);
        }
        sys::wait(pid);
        Ok(0)
    }

    pub(crate) fn read_file(&self, path: &str, size: u8) -> Result<usize, Errno> {
        let fd = sys::open(path, libc::O_RDONLY)?;
        let size = [64, 4096, 1, 16384][size as usize % 4];
        let mut total = 0;

        for _ in 0..8 {
            match sys::call(libc::SYS_read, &[fd as usize, self.bytes(), size]) {
                Ok(n) if n > 0 => total += n,
                _ => break,
            }
        }
        sys::close(fd);
        Ok(total)
    }
}
