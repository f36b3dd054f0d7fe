// SPDX-License-Identifier: GPL-2.0

//! What differs between versions of the kernel, under the names that Linux 7.3 has for it.
//!
//! No other file of the seam is compiled by version, but `importer/version.rs` for importers.
//! Kbuild sets `linux_7_2` for Linux 7.2: ffi/version.mk. The floor below has `ffi/version.rs`.

// Modules that export nothing do not use `owner_of`.
#![allow(unused_imports, unused_macros)]

pub use self::kernel_version::{
    barrier,
    dma_max_mapping_size,
    this_module,
    Registration,
    EBADFD,
    EOPNOTSUPP,
    MAYSHARE, //
};

pub(crate) use self::kernel_version::owner_of;

#[cfg(not(linux_7_2))]
mod kernel_version {
    pub use kernel::{
        bindings::dma_max_mapping_size,
        error::code::{
            EBADFD,
            EOPNOTSUPP, //
        },
        miscdevice::MiscDeviceRegistration as Registration,
        mm::virt::flags::MAYSHARE,
        module::this_module,
        sync::barrier, //
    };

    /// Returns the module that implements a vtable trait for the type parameter `$type`, as C takes
    /// it.
    macro_rules! owner_of {
        ($type:ident) => {
            $crate::seam::version::this_module::<$type::OwnerModule>().as_ptr()
        };
    }
    pub(crate) use owner_of;
}

#[cfg(linux_7_2)]
mod kernel_version {
    use core::marker::PhantomData;
    use kernel::{
        bindings,
        error::to_result,
        miscdevice::{
            MiscDevice,
            MiscDeviceOptions, //
        },
        mm::virt::flags,
        prelude::*,
        types::Opaque,
        ModuleMetadata, //
    };

    /// File descriptor in bad state.
    pub const EBADFD: Error = errno(bindings::EBADFD);
    /// Operation not supported on transport endpoint.
    pub const EOPNOTSUPP: Error = errno(bindings::EOPNOTSUPP);

    /// Returns the error of a number from `include/uapi/asm-generic/errno.h`.
    const fn errno(number: u32) -> Error {
        assert!(number > 0 && number <= bindings::MAX_ERRNO);

        // SAFETY: The number is an errno. An `Error` is a struct with nothing but a negative one,
        // as an `i32` that is not 0.
        unsafe { core::mem::transmute::<i32, Error>(-(number as i32)) }
    }

    /// Flag of a shared mapping, writable or not. `flags::MAYSHARE` is `VM_MAYEXEC` in Linux 7.2;
    /// `ffi/shim.c` holds this to `VM_MAYSHARE`.
    pub const MAYSHARE: bindings::vm_flags_t = flags::SHARED << 4;

    /// Returns the most bytes of a mapping for `device`: `usize::MAX` if none bounces.
    ///
    /// Linux 7.3 returns 0 for a device without a DMA mask, where 7.2 may crash, and counts devices
    /// for which memory bounces because they do not reach encrypted addresses.
    ///
    /// # Safety
    ///
    /// `device` must be valid.
    pub unsafe fn dma_max_mapping_size(device: *mut bindings::device) -> usize {
        // SAFETY: The device is valid by the safety requirements, and a mask that is set stays.
        let (mask, limit) = unsafe { ((*device).dma_mask.as_ref(), (*device).bus_dma_limit) };
        let Some(&mask) = mask else {
            return 0;
        };
        // SAFETY: The device is valid by the safety requirements, and has a mask.
        let size = unsafe { bindings::dma_max_mapping_size(device) };
        // SAFETY: The device is valid by the safety requirements.
        let is_translated = unsafe { bindings::dma_get_merge_boundary(device) != 0 };

        if is_translated || reaches_encrypted(mask) && (limit == 0 || reaches_encrypted(limit)) {
            return size;
        }
        // Shorter than a bounce buffer of any alignment.
        size.min(128 << 10)
    }

    /// Returns whether memory has no encrypted addresses, or they are at most `limit`.
    fn reaches_encrypted(limit: u64) -> bool {
        #[cfg(CONFIG_AMD_MEM_ENCRYPT)]
        // SAFETY: Only written while the kernel boots.
        let bit = unsafe { bindings::sme_me_mask };
        #[cfg(not(CONFIG_AMD_MEM_ENCRYPT))]
        let bit = 0;

        limit >= bit
    }

    /// Memory barriers between CPUs.
    pub mod barrier {
        pub use kernel::sync::atomic::Full;

        /// Orders loads before the barrier against loads behind it.
        pub struct Read;

        /// A kind of barrier.
        pub trait Barrier {
            /// Executes one.
            fn execute();
        }

        impl Barrier for Full {
            #[inline(always)]
            fn execute() {
                kernel::sync::barrier::smp_mb();
            }
        }

        impl Barrier for Read {
            #[inline(always)]
            fn execute() {
                kernel::sync::barrier::smp_rmb();
            }
        }

        /// Executes the barrier that the parameter names.
        #[inline(always)]
        pub fn smp_mb<T: Barrier>(_: T) {
            T::execute();
        }
    }

    /// Returns the `THIS_MODULE` of a module type.
    ///
    /// The seam is compiled into each module that uses it, so there is one such type: that of this
    /// crate.
    pub const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
        &crate::THIS_MODULE
    }

    /// Returns the module that implements a vtable trait for the type parameter `$type`, as C takes
    /// it.
    macro_rules! owner_of {
        ($type:ident) => {
            $crate::seam::version::this_module::<$crate::LocalModule>().as_ptr()
        };
    }
    pub(crate) use owner_of;

    /// The file operations of a `T`, with an owner.
    struct Operations<T>(PhantomData<T>);

    impl<T: MiscDevice> Operations<T> {
        const TABLE: bindings::file_operations = {
            let misc = MiscDeviceOptions { name: c"" }.into_raw::<T>();
            // SAFETY: `into_raw()` sets `fops` to a constant.
            let operations = unsafe { misc.fops.read() };

            bindings::file_operations {
                owner: owner_of!(T),
                ..operations
            }
        };
    }

    /// A registration of a misc device whose open files keep the module from being unloaded.
    ///
    /// Those of `kernel::miscdevice` have no owner in Linux 7.2, so that the code of an open file
    /// goes away with the module.
    ///
    /// # Invariants
    ///
    /// `inner` is registered.
    // `MiscDevice::open()` is shown this as the kernel's `MiscDeviceRegistration`, which has the
    // same layout: it is a transparent struct of the `struct miscdevice` as well.
    #[repr(transparent)]
    #[pin_data(PinnedDrop)]
    pub struct Registration<T: MiscDevice> {
        #[pin]
        inner: Opaque<bindings::miscdevice>,
        _t: PhantomData<T>,
    }

    // SAFETY: A misc device may be deregistered by another task than has registered it.
    unsafe impl<T: MiscDevice> Send for Registration<T> {}
    // SAFETY: There are no methods on `&self`.
    unsafe impl<T: MiscDevice> Sync for Registration<T> {}

    impl<T: MiscDevice> Registration<T> {
        /// Registers a misc device.
        ///
        /// Fails as `misc_register()` does.
        pub fn register(options: MiscDeviceOptions) -> impl PinInit<Self, Error> {
            try_pin_init!(Self {
                inner <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                    let misc = bindings::miscdevice {
                        fops: &Operations::<T>::TABLE,
                        ..options.into_raw::<T>()
                    };
                    // SAFETY: The initialiser may write to `slot`.
                    unsafe { slot.write(misc) };

                    // SAFETY: `slot` is a complete `struct miscdevice`, which is pinned, and is
                    // deregistered before it goes. The operations live as long as the module,
                    // which each open file keeps by their owner.
                    // INVARIANT: `slot` is registered if this succeeds.
                    to_result(unsafe { bindings::misc_register(slot) })
                }),
                _t: PhantomData,
            })
        }
    }

    #[pinned_drop]
    impl<T: MiscDevice> PinnedDrop for Registration<T> {
        fn drop(self: Pin<&mut Self>) {
            // SAFETY: By the type invariants `inner` is registered, and this happens once.
            unsafe { bindings::misc_deregister(self.inner.get()) };
        }
    }
}
