// SPDX-License-Identifier: GPL-2.0

//! System calls and memory accesses that may fail.
//!
//! All memory that programs of the fuzzer work on lies in the arena, at fixed addresses to which no
//! Rust reference points.

use std::{
    arch::{asm, global_asm},
    ffi::CString,
    ptr,
};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of a large page.
pub const HUGE: usize = 2 << 20;
/// Where memfds and buffers are mapped.
pub const WINDOWS: usize = 0x10_0000_0000;
/// Distance of two windows.
pub const WINDOW_STEP: usize = 32 << 20;
/// Number of windows.
pub const WINDOW_COUNT: usize = 8;
/// Where arguments of calls lie: below 4 GiB, for 32-bit calls.
pub const SCRATCH: usize = 0x7000_0000;
/// Bytes of it for each thread, of which the last page is not mapped.
pub const SCRATCH_SIZE: usize = 256 << 10;
/// Errno of a call.
pub type Errno = i32;

/// Makes a system call.
pub fn call(number: libc::c_long, args: &[usize]) -> Result<usize, Errno> {
    let arg = |at: usize| args.get(at).copied().unwrap_or(0);

    // SAFETY: The kernel checks addresses. Callers pass those of the arena, of statics and of
    // memory that outlives the call, or addresses at which nothing is mapped.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };

    if result < 0 {
        // SAFETY: The address of errno is valid in each thread.
        return Err(unsafe { *libc::__errno_location() });
    }
    Ok(result as usize)
}

/// Makes an ioctl through the entry of 32-bit programs.
pub fn ioctl_32(fd: i32, command: u32, arg: usize) -> Result<usize, Errno> {
    let mut result: i32 = 54;

    // SAFETY: A system call, of which the kernel checks the address; the registers that its entry
    // clobbers are named, and rbx is restored.
    unsafe {
        asm!(
            "xchg rbx, {fd}", "int 0x80", "xchg rbx, {fd}",
            fd = inout(reg) fd as u64 => _,
            inout("eax") result, in("ecx") command, in("edx") arg as u32,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result < 0 {
        Err(-result)
    } else {
        Ok(result as usize)
    }
}

/// Opens a file.
pub fn open(path: &str, flags: i32) -> Result<i32, Errno> {
    let path = CString::new(path).map_err(|_| libc::EINVAL)?;

    call(
        libc::SYS_openat,
        &[
            libc::AT_FDCWD as usize,
            path.as_ptr() as usize,
            (flags | libc::O_CLOEXEC) as usize,
            0o600,
        ],
    )
    .map(|fd| fd as i32)
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    if fd >= 0 {
        let _ = call(libc::SYS_close, &[fd as usize]);
    }
}

/// Maps anonymous memory at a fixed address.
pub fn map_fixed(address: usize, size: usize, protection: i32, flags: i32) -> Result<usize, Errno> {
    call(
        libc::SYS_mmap,
        &[
            address,
            size,
            protection as usize,
            (flags | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as usize,
            usize::MAX,
            0,
        ],
    )
}

// Two bytes, and three, so that on_fault() can go on behind them.
global_asm!(
    ".globl fuzz_load",
    "fuzz_load:",
    ".byte 0x8a, 0x07",
    "ret",
    ".globl fuzz_store",
    "fuzz_store:",
    ".byte 0x40, 0x88, 0x37",
    "ret",
);

extern "C" {
    fn fuzz_load(address: usize) -> u8;
    fn fuzz_store(address: usize, value: u8);
}

/// Reads a byte. A fault ends it.
pub fn load(address: usize) -> u8 {
    // SAFETY: The address lies in the arena. on_fault() makes up for memory that is not there.
    unsafe { fuzz_load(address) }
}

/// Writes a byte. A fault ends it.
pub fn store(address: usize, value: u8) {
    // SAFETY: The address lies in the arena. on_fault() makes up for memory that is not there.
    unsafe { fuzz_store(address, value) };
}

/// Puts a value into memory of the arena that is mapped and that this thread alone uses.
pub fn put<T>(address: usize, value: T) {
    // SAFETY: As said, for which callers take their own part of the scratch memory.
    unsafe { ptr::write_unaligned(address as *mut T, value) };
}

/// Status of a process that faulted elsewhere than in an access that may.
pub const STATUS_FAULT: i32 = 40;

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: The kernel passes both, valid until the handler returns.
    let (code, registers) = unsafe {
        (
            (*info).si_code,
            &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs,
        )
    };
    let at = registers[libc::REG_RIP as usize] as usize;

    if at == fuzz_load as usize {
        registers[libc::REG_RIP as usize] += 2;
    } else if at == fuzz_store as usize {
        registers[libc::REG_RIP as usize] += 3;
    } else if signal != libc::SIGBUS || code < libc::BUS_MCEERR_AR {
        // SAFETY: The function ends the process.
        unsafe { libc::_exit(STATUS_FAULT) };
    }
}

extern "C" fn on_signal(_signal: i32) {}

/// Has faults end accesses, and SIGUSR1 interrupt calls.
pub fn handle_signals() {
    // SAFETY: The struct may be all zeroes; the handlers have the types that the flags say.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();

        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        action.sa_sigaction = on_fault as usize;
        libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut());
        libc::sigaction(libc::SIGBUS, &action, ptr::null_mut());
        action.sa_flags = 0;
        action.sa_sigaction = on_signal as usize;
        libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut());
    }
}

/// Has SIGUSR1 come to this thread in `first` microseconds, and each `interval` from then on.
pub fn timer(first: i64, interval: i64) {
    // SAFETY: The structs may be all zeroes, and outlive the calls.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        let mut id: libc::timer_t = ptr::null_mut();
        let time = |us: i64| libc::timespec {
            tv_sec: us / 1_000_000,
            tv_nsec: us % 1_000_000 * 1000,
        };

        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGUSR1;
        event.sigev_notify_thread_id = libc::gettid();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut id) == 0 {
            let value = libc::itimerspec {
                it_interval: time(interval),
                it_value: time(first),
            };

            libc::timer_settime(id, 0, &value, ptr::null_mut());
        }
    }
}

/// Has the process end in so many microseconds.
pub fn end_after(us: i64) {
    // SAFETY: The struct outlives the call.
    unsafe {
        let value = libc::itimerval {
            it_interval: libc::timeval {
                tv_sec: 0,
                tv_usec: 0,
            },
            it_value: libc::timeval {
                tv_sec: us / 1_000_000,
                tv_usec: us % 1_000_000,
            },
        };

        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &value, 0);
    }
}

/// Forks. The child runs `work`, and ends with its result.
pub fn fork(work: impl FnOnce() -> i32) -> Result<i32, Errno> {
    // SAFETY: The child makes system calls, and memory accesses of the arena, alone.
    match unsafe { libc::fork() } {
        -1 => Err(libc::EAGAIN),
        0 => {
            let status = work();

            // SAFETY: The function ends the process.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}

/// Waits for a child; returns its status as waitpid() has it.
pub fn wait(pid: i32) -> i32 {
    let mut status = -1;

    // SAFETY: The status outlives the call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0
        // SAFETY: The address of errno is valid.
        && unsafe { *libc::__errno_location() } == libc::EINTR
    {}
    status
}

/// Sleeps.
pub fn sleep(us: i64) {
    let time = libc::timespec {
        tv_sec: us / 1_000_000,
        tv_nsec: us % 1_000_000 * 1000,
    };

    let _ = call(libc::SYS_nanosleep, &[&raw const time as usize, 0]);
}
