// SPDX-License-Identifier: GPL-2.0

//! The process that forks one for each execution, and looks whether all was given back.
//!
//! It is forked before the fuzzer has memory that would have to be copied.

use crate::{execute, shared::Shared, sys, system, uapi};
use std::{
    fs,
    io::{Read, Write},
    os::fd::{FromRawFd, OwnedFd},
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

/// Microseconds after which a program is ended.
const LIMIT_US: i64 = 2_000_000;
/// Programs after which pins are counted.
pub const COUNT_PINS: u64 = 64;
/// Time to give everything back in: work queues drop the last references.
const GIVEN_BACK: Duration = Duration::from_secs(10);
/// Milliseconds after which a program, or the check behind it, is taken to hang. The debug kernel
/// takes a minute to unmap all that a program leaves mapped, and reports tasks that are stuck by
/// itself.
const HANGS_MS: i32 = 300_000;

const PARAMETERS: &str = "/sys/module/udmabuf_rs/parameters";
const COUNTERS: [&str; 3] = ["buffers", "pinned_bytes", "staging_bytes"];
const DEFAULTS: [(&str, &str); 8] = [
    ("list_limit", "1024"),
    ("size_limit_mb", "2147483647"),
    ("staging", "1"),
    ("staging_limit_mb", "0"),
    ("staging_user_limit_mb", "0"),
    ("memlock", "0"),
    ("user_limit_mb", "0"),
    ("total_limit_mb", "0"),
];

/// How an execution went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is wrong.
    Fine,
    /// It took too long, which a program may.
    Late,
    /// An oracle failed, as noted in the shared memory.
    Wrong,
}

/// The fuzzer's end.
pub struct Zygote {
    shared: &'static Shared,
    go: fs::File,
    done: fs::File,
}

fn pipe() -> (fs::File, fs::File) {
    let mut ends = [-1i32; 2];

    sys::call(
        libc::SYS_pipe2,
        &[&raw mut ends as usize, libc::O_CLOEXEC as usize],
    )
    .expect("a pipe");
    // SAFETY: Both were just made, and have no other owner.
    ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }.into())
        .into()
}

impl Zygote {
    /// Starts the process.
    pub fn new(shared: &'static Shared) -> Self {
        let ((go_out, go), (done, done_in)) = (pipe(), pipe());

        sys::fork(|| serve(shared, go_out, done_in)).expect("a process");
        Self { shared, go, done }
    }

    /// Runs a program. Whether pins are counted behind it, which takes longer than most programs.
    pub fn run(&mut self, input: &[u8], counts_pins: bool) -> Ending {
        let mut ending = [2];

        self.shared.set(input);
        self.shared.count_pins.store(counts_pins, SeqCst);
        self.go.write_all(&[1]).expect("the process that forks");
        let mut wait = libc::pollfd {
            fd: std::os::fd::AsRawFd::as_raw_fd(&self.done),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: One struct, which outlives the call.
        if unsafe { libc::poll(&mut wait, 1, HANGS_MS) } != 1 {
            self.shared.tell("it hangs, and cannot be killed");
            return Ending::Wrong;
        }
        self.done
            .read_exact(&mut ending)
            .expect("the process that forks");
        if self.shared.told().is_some() {
            return Ending::Wrong;
        }
        if ending[0] == 1 {
            Ending::Late
        } else {
            Ending::Fine
        }
    }
}

fn serve(shared: &'static Shared, mut go: fs::File, mut done: fs::File) -> i32 {
    let mut byte = [0];
    let importer = sys::open("/dev/udmabuf_importer", libc::O_RDWR).unwrap_or(-1);
    let counters = COUNTERS.map(|name| {
        sys::open(&format!("{PARAMETERS}/{name}"), libc::O_RDONLY).expect("the module's parameters")
    });

    let pinned = pins();

    let _ = sys::call(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER as usize, 1]);
    let _ = sys::call(
        libc::SYS_prctl,
        &[libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize],
    );
    while go.read_exact(&mut byte).is_ok() {
        let late = execution(shared);

        if shared.unplugged.load(SeqCst) {
            let _ = sys::call(
                libc::SYS_ioctl,
                &[importer as usize, uapi::PLUG as usize, 0],
            );
        }
        if shared.parameters.load(SeqCst) {
            for (name, value) in DEFAULTS {
                let _ = fs::write(format!("{PARAMETERS}/{name}"), value);
            }
            let _ = fs::write(system::TRACING, "0");
        }
        given_back(shared, &counters, pinned);
        if done.write_all(&[late.into()]).is_err() {
            break;
        }
    }
    0
}

/// Runs the program, and waits for all its processes. Returns whether it had to be ended.
fn execution(shared: &'static Shared) -> bool {
    let Ok(pid) = sys::fork(|| {
        sys::end_after(LIMIT_US);
        execute::run(shared)
    }) else {
        return true;
    };
    let status = sys::wait(pid);

    // Children of its own die with it.
    while sys::call(libc::SYS_wait4, &[usize::MAX, 0, 0, 0]).is_ok() {}
    if libc::WIFSIGNALED(status) {
        // Ended for lack of time or memory.
        return true;
    }
    if libc::WEXITSTATUS(status) != 0 {
        shared.tell(&format!(
            "the program ended with status {}",
            libc::WEXITSTATUS(status)
        ));
    }
    false
}

fn count(fd: i32) -> u64 {
    let mut text = [0u8; 32];
    let length = sys::call(
        libc::SYS_pread64,
        &[fd as usize, text.as_mut_ptr() as usize, text.len(), 0],
    )
    .unwrap_or(0);

    String::from_utf8_lossy(&text[..length])
        .trim()
        .parse()
        .unwrap_or(u64::MAX)
}

/// Returns the number of pins of pages that were not given back, after the counts of all CPUs have
/// been added up.
fn pins() -> i64 {
    let _ = fs::write("/proc/sys/vm/stat_refresh", "1");
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let value = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().parse().ok())
            .unwrap_or(0i64)
    };

    value("nr_foll_pin_acquired ") - value("nr_foll_pin_released ")
}

/// Waits until nothing is left of the program.
fn given_back(shared: &Shared, counters: &[i32], pinned: i64) {
    let started = Instant::now();

    loop {
        let counts: Vec<_> = counters.iter().map(|&fd| count(fd)).collect();

        if counts.iter().all(|&count| count == 0) {
            let now = if shared.count_pins.load(SeqCst) {
                pins()
            } else {
                pinned
            };

            if now == pinned {
                return;
            }
            if started.elapsed() > GIVEN_BACK {
                shared.tell(&format!(
                    "{} pins of pages are left of the last {COUNT_PINS} programs",
                    now - pinned
                ));
                return;
            }
        }
        if started.elapsed() > GIVEN_BACK {
            shared.tell(&format!(
                "left behind: {} buffers, {} bytes pinned, {} staged",
                counts[0], counts[1], counts[2]
            ));
            return;
        }
        sys::sleep(200);
    }
}
