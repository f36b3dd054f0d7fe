// SPDX-License-Identifier: GPL-2.0

//! Attributes of the kernel crate that only a procedural macro can be.

use proc_macro::TokenStream;

/// Drops unit tests, which need a kernel.
#[proc_macro_attribute]
pub fn kunit_tests(_name: TokenStream, _tests: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Leaves a trait or its implementation as it is: no table of C functions is made of it.
#[proc_macro_attribute]
pub fn vtable(_attribute: TokenStream, item: TokenStream) -> TokenStream {
    item
}
