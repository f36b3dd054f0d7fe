// SPDX-License-Identifier: GPL-2.0

//! Module parameters that can be changed while the module runs.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! The parameters of `kernel::module!` are set once and do not show in sysfs. Those of
//! [`module_params!`](crate::seam::param::module_params) do, are checked when they are written and
//! take effect at once.

use core::{
    cell::UnsafeCell,
    ops::RangeInclusive, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::Atomic,
        SetOnce, //
    },
};

/// An unsigned number with bounds; mode 0644 in sysfs.
///
/// # Invariants
///
/// The value lies between `min` and `max`.
#[repr(C)]
pub(crate) struct BoundedParam {
    // First, so that a pointer to the parameter is one to the `unsigned int` that C works on.
    value: Atomic<u32>,
    min: u32,
    max: u32,
}

impl BoundedParam {
    /// Defines a parameter of the value `default`, which must lie in `range`.
    pub(crate) const fn new(default: u32, range: RangeInclusive<u32>) -> Self {
        assert!(*range.start() <= default && default <= *range.end());

        Self {
            value: Atomic::new(default),
            min: *range.start(),
            max: *range.end(),
        }
    }

    /// Returns the value as of now.
    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: The pointer is valid, and `atomic_read()` in C does no more, where `load()` is a
        // function call.
        unsafe { self.value.as_ptr().read_volatile() }
    }

    /// # Safety
    ///
    /// `param` must be valid and belong to a [`BoundedParam`], `value` a C string.
    unsafe extern "C" fn set(value: *const c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By the safety requirements. The bounds never change.
        let this = unsafe { &*(*param).__bindgen_anon_1.arg.cast::<Self>() };

        // SAFETY: By the safety requirements; writes the `unsigned int` at the start of `this`,
        // which is an atomic and as such made to be written at any time.
        unsafe { bindings::param_set_uint_minmax(value, param, this.min, this.max) }
    }
}

/// A short string that is set when the module is loaded; mode 0444 in sysfs.
///
/// Reads as what the module [chose](Self::choose), once it has.
///
/// # Invariants
///
/// `text` is a C string that is not written once the module's initialisation has begun.
#[repr(C)]
pub(crate) struct StringParam {
    raw: bindings::kparam_string,
    text: &'static Text,
    chosen: SetOnce<&'static CStr>,
}

/// Room for the text of a [`StringParam`].
pub(crate) struct Text(UnsafeCell<[u8; Self::SIZE]>);

// SAFETY: Written while the module is being loaded, by one task, and only read from then on.
unsafe impl Sync for Text {}
// SAFETY: `raw` points at `text`, and `chosen` is made for many tasks.
unsafe impl Sync for StringParam {}

impl Text {
    const SIZE: usize = 32;

    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new([0; Self::SIZE]))
    }
}

impl StringParam {
    /// Defines a parameter that is empty unless it is set, and is kept in `text`.
    pub(crate) const fn new(text: &'static Text) -> Self {
        Self {
            raw: bindings::kparam_string {
                maxlen: Text::SIZE as c_uint,
                string: text.0.get().cast(),
            },
            text,
            chosen: SetOnce::new(),
        }
    }

    /// Returns the text, if there is one.
    pub(crate) fn get(&'static self) -> Option<&'static CStr> {
        // SAFETY: By the type invariants nobody writes any more.
        let bytes: &'static [u8] = unsafe { &*self.text.0.get() };

        CStr::from_bytes_until_nul(bytes)
            .ok()
            .filter(|text| !text.to_bytes().is_empty())
    }

    /// Notes the value that is in force, where the parameter left it open. Later calls do nothing.
    pub(crate) fn choose(&self, value: &'static CStr) {
        self.chosen.populate(value);
    }

    /// # Safety
    ///
    /// `param` must be valid and belong to a [`StringParam`], `buffer` have room for a page.
    unsafe extern "C" fn show(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: `param` belongs to a `StringParam`, to which its `arg` points.
        let this = unsafe { &*(*param).__bindgen_anon_1.arg.cast::<Self>() };
        let Some(chosen) = this.chosen.as_ref() else {
            // SAFETY: `param` is valid and `buffer` has room; a `StringParam` begins with the
            // struct.
            return unsafe { bindings::param_get_string(buffer, param) };
        };

        let bytes = &chosen.to_bytes()[..chosen.to_bytes().len().min(PAGE_SIZE - 2)];
        // SAFETY: By the safety requirements there is room for these, a line feed and a zero.
        unsafe {
            buffer.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
            buffer.add(bytes.len()).cast::<[u8; 2]>().write(*b"\n\0");
        }
        // CAST: Less than a page.
        bytes.len() as c_int + 1
    }
}

/// A number that the module counts; mode 0444 in sysfs.
pub(crate) struct CounterParam {
    get: fn() -> u64,
}

impl CounterParam {
    /// Defines a parameter whose value is that of `get`.
    pub(crate) const fn new(get: fn() -> u64) -> Self {
        Self { get }
    }

    /// # Safety
    ///
    /// `param` must be valid and belong to a [`CounterParam`], `buffer` have room for a page.
    unsafe extern "C" fn show(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: `param` belongs to a `CounterParam`, to which its `arg` points.
        let this = unsafe { &*(*param).__bindgen_anon_1.arg.cast::<Self>() };

        // SAFETY: There is room for a page, and the format takes an `unsigned long long`.
        unsafe { bindings::scnprintf(buffer, PAGE_SIZE, c"%llu\n".as_char_ptr(), (this.get)()) }
    }

    /// Refuses to set it.
    ///
    /// # Safety
    ///
    /// None: the arguments are not used.
    unsafe extern "C" fn set(
        _value: *const c_char,
        _param: *const bindings::kernel_param,
    ) -> c_int {
        EPERM.to_errno()
    }
}

/// A type of parameter.
///
/// # Safety
///
/// `OPS` must be right for a `kernel_param` whose `arg` points to a `Self`, with the mode `MODE`.
pub(crate) unsafe trait Param {
    /// What C calls to read and write it.
    const OPS: &'static bindings::kernel_param_ops;
    /// Mode of the file in sysfs.
    const MODE: u16;
}

// SAFETY: `arg` is a pointer to an `unsigned int` for `param_get_uint()`, and to a `BoundedParam`
// for `set`. It may be written at any time.
unsafe impl Param for BoundedParam {
    const OPS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        flags: 0,
        set: Some(Self::set),
        get: Some(bindings::param_get_uint),
        free: None,
    };
    const MODE: u16 = 0o644;
}

// SAFETY: `arg` is a pointer to a `StringParam`, and so to the `struct kparam_string` that comes
// first in it. The mode does not let it be written after loading.
unsafe impl Param for StringParam {
    const OPS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        flags: 0,
        set: Some(bindings::param_set_copystring),
        get: Some(Self::show),
        free: None,
    };
    const MODE: u16 = 0o444;
}

// SAFETY: `arg` is a pointer to a `CounterParam`, which does not change.
unsafe impl Param for CounterParam {
    const OPS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        flags: 0,
        set: Some(Self::set),
        get: Some(Self::show),
        free: None,
    };
    const MODE: u16 = 0o444;
}

/// Copies a string that is known to the compiler into an array of its length.
pub(crate) const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let (text, mut array, mut i) = (text.as_bytes(), [0; N], 0);

    while i < N {
        array[i] = text[i];
        i += 1;
    }
    array
}

/// Puts a line into the module's information section.
macro_rules! modinfo {
    ($module:literal, $($text:expr),+) => {
        const _: () = {
            #[cfg(MODULE)]
            const TEXT: &str = concat!($($text,)+ "\0");
            #[cfg(not(MODULE))]
            const TEXT: &str = concat!($module, ".", $($text,)+ "\0");

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static LINE: [u8; TEXT.len()] = $crate::seam::param::bytes(TEXT);
        };
    };
}
pub(crate) use modinfo;

/// Defines module parameters: `static`s of the given name that show up in sysfs under that name.
macro_rules! module_params {
    ($module:literal; $(
        $(#[$attribute:meta])*
        $name:ident: $type:ty = $value:expr, $kind:literal, $description:literal;
    )+) => { $(
        $(#[$attribute])*
        #[allow(non_upper_case_globals)]
        pub(crate) static $name: $type = $value;

        $crate::seam::param::modinfo!($module, "parmtype=", stringify!($name), ":", $kind);
        $crate::seam::param::modinfo!($module, "parm=", stringify!($name), ":", $description);

        const _: () = {
            use kernel::{bindings, module_param::KernelParam};
            use $crate::seam::param::Param;

            const NAME: &str = if cfg!(MODULE) {
                concat!(stringify!($name), "\0")
            } else {
                concat!($module, ".", stringify!($name), "\0")
            };

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: KernelParam = KernelParam::new(bindings::kernel_param {
                name: NAME.as_ptr().cast(),
                #[cfg(MODULE)]
                mod_: &raw mut bindings::__this_module,
                #[cfg(not(MODULE))]
                mod_: core::ptr::null_mut(),
                ops: <$type as Param>::OPS,
                perm: <$type as Param>::MODE,
                level: -1,
                flags: 0,
                __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                    arg: core::ptr::from_ref(&$name).cast_mut().cast(),
                },
            });
        };
    )+ };
}
pub(crate) use module_params;
