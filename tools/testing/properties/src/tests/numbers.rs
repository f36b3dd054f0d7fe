// SPDX-License-Identifier: GPL-2.0

//! Sums, alignment and limits over the whole range of `u64`, against arithmetic in `u128`.

use super::{
    cases,
    number, //
};
use crate::numbers::{
    end,
    limit_bytes,
    total,
    NumberError, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

/// The result that [`total`] should have: the first item that is wrong decides.
fn total_model(items: &[(u64, u64)], page_size: u64, limit: u64) -> Result<u64, NumberError> {
    let mut sum = 0u128;

    for &(offset, size) in items {
        if offset % page_size != 0 || size % page_size != 0 {
            return Err(NumberError::Unaligned);
        }
        sum += u128::from(size);
        if sum > u128::from(limit) {
            return Err(NumberError::TooLarge);
        }
    }
    match sum {
        0 => Err(NumberError::Empty),
        sum => Ok(u64::try_from(sum).unwrap()),
    }
}

fn end_model(offset: u64, size: u64, file_size: u64) -> Result<u64, NumberError> {
    let end = u128::from(offset) + u128::from(size);

    match end > u128::from(file_size) {
        true => Err(NumberError::BeyondEnd),
        false if size == 0 => Err(NumberError::Empty),
        false => Ok(u64::try_from(end).unwrap()),
    }
}

fn page_size() -> impl Strategy<Value = u64> {
    prop_oneof![Just(4096), Just(16384), Just(65536)]
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn sums_of_any_numbers(
        items in vec((number(), number()), 0..6),
        page_size in page_size(),
        limit in number(),
    ) {
        let got = total(items.iter().copied(), page_size, limit);
        prop_assert_eq!(got, total_model(&items, page_size, limit));
    }

    #[test]
    fn sums_of_whole_pages(
        items in vec((number(), number()), 0..20),
        page_size in page_size(),
        limit in number(),
    ) {
        let whole = |number: u64| number & !(page_size - 1);
        let items: Vec<_> = items.iter().map(|&(at, size)| (whole(at), whole(size))).collect();

        let got = total(items.iter().copied(), page_size, limit);
        prop_assert_eq!(got, total_model(&items, page_size, limit));
    }

    /// The limit and its neighbours.
    #[test]
    fn limits_are_exact(sizes in vec(0u64..1 << 40, 1..20), page_size in page_size()) {
        let items: Vec<_> = sizes.iter().map(|size| (0, size & !(page_size - 1))).collect();
        let sum: u64 = items.iter().map(|item| item.1).sum();
        prop_assume!(sum > 0);

        for limit in [sum - 1, sum, sum + 1] {
            let expected = if limit < sum { Err(NumberError::TooLarge) } else { Ok(sum) };
            prop_assert_eq!(total(items.iter().copied(), page_size, limit), expected);
        }
    }

    #[test]
    fn ends_of_any_numbers(offset in number(), size in number(), file_size in number()) {
        prop_assert_eq!(end(offset, size, file_size), end_model(offset, size, file_size));
    }

    #[test]
    fn ends_at_the_end_of_the_file(offset in number(), size in number(), off in -2i64..=2) {
        let file_size = offset.wrapping_add(size).wrapping_add_signed(off);

        prop_assert_eq!(end(offset, size, file_size), end_model(offset, size, file_size));
    }

    #[test]
    fn limit_is_what_a_usize_holds(mb in any::<u32>()) {
        let expected = (u128::from(mb) << 20).min(isize::MAX as u128);

        prop_assert_eq!(u128::from(limit_bytes(mb)), expected);
    }
}
