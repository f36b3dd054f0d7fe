// SPDX-License-Identifier: GPL-2.0

//! Tracepoints.
//!
//! C header: `ffi/trace.h`. Each tracepoint is a module with two functions.
//!
//! `kernel::tracepoint::declare_trace!` does not fit: it takes tracepoints from `bindings`, and its
//! static branch includes `rust/kernel/generated_arch_static_branch_asm.rs`, which distributions do
//! not ship with their headers. [`is_on`](settle::is_on) reads the static key instead: two
//! instructions in the place of a `nop`.

/// Declares tracepoints by their names in C, without the prefix of the trace system.
macro_rules! tracepoints {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?);
    )*) => {$(
        #[doc = concat!("`udmabuf_rs_", stringify!($name), "` in C.")]
        pub mod $name {
            #[cfg(CONFIG_TRACEPOINTS)]
            mod c {
                // Some structs hold empty C structs, which are no C. Only pointers are passed.
                #[allow(improper_ctypes)]
                extern "C" {
                    #[link_name = concat!("__tracepoint_udmabuf_rs_", stringify!($name))]
                    pub(super) static TRACEPOINT: kernel::bindings::tracepoint;
                    #[link_name = concat!("rust_do_trace_udmabuf_rs_", stringify!($name))]
                    pub(super) fn record($($argument: $type),*);
                }
            }

            /// Returns whether the event is recorded.
            #[inline(always)]
            pub fn is_on() -> bool {
                #[cfg(CONFIG_TRACEPOINTS)]
                // SAFETY: The tracepoint is a static of this module. The kernel writes the counter
                // of its key atomically, and it is an aligned `int`.
                return unsafe { (&raw const c::TRACEPOINT.key.key.enabled.counter).read_volatile() }
                    != 0;
                #[cfg(not(CONFIG_TRACEPOINTS))]
                false
            }

            $(#[$attribute])*
            #[inline(always)]
            pub unsafe fn record($($argument: $type),*) {
                #[cfg(CONFIG_TRACEPOINTS)]
                // SAFETY: The caller passes valid pointers; the event is defined in `trace.c` with
                // these arguments.
                unsafe {
                    c::record($($argument),*)
                };
                #[cfg(not(CONFIG_TRACEPOINTS))]
                let _ = ($($argument),*);
            }
        }
    )*};
}

tracepoints! {
    /// Records the creation of a buffer.
    ///
    /// # Safety
    ///
    /// `dmabuf` must be valid, and no other task may change its name.
    fn create(dmabuf: *mut kernel::bindings::dma_buf, runs: usize, flags: u32);

    /// Records the release of a buffer.
    ///
    /// # Safety
    ///
    /// None: the arguments are numbers.
    fn release(ino: u64, bytes: usize);

    /// Records a mapping for a device.
    ///
    /// # Safety
    ///
    /// `dev` must be valid.
    fn map(
        ino: u64,
        bytes: usize,
        dev: *mut kernel::bindings::device,
        direction: u32,
        staged: bool,
    );

    /// Records the end of a mapping for a device.
    ///
    /// # Safety
    ///
    /// `dev` must be valid.
    fn unmap(
        ino: u64,
        bytes: usize,
        dev: *mut kernel::bindings::device,
        direction: u32,
        staged: bool,
    );

    /// Records that a buffer was settled.
    ///
    /// # Safety
    ///
    /// None: the arguments are numbers.
    fn settle(
        ino: u64,
        bytes: usize,
        point: u32,
        fetched: usize,
        pushed: usize,
        ns: u64,
        ret: kernel::ffi::c_int,
    );
}
