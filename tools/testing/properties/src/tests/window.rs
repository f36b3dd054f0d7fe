// SPDX-License-Identifier: GPL-2.0

//! How much a page fault maps: as much as it can, and no more.

use super::{
    cases,
    number, //
};
use crate::window::{
    around,
    PAGES, //
};
use proptest::prelude::*;

/// Page, address and pages shown, as they may be for a fault: the page is shown, and the area lies
/// within the address space.
fn fault() -> impl Strategy<Value = (usize, usize, std::ops::Range<usize>)> {
    let near = prop_oneof![0u64..2000, number()];

    (near, prop_oneof![1u64..2000, number()], number(), number()).prop_filter_map(
        "no such area",
        |(first, count, page, start)| {
            let end = first.checked_add(count)?;
            let page = first + page % count.max(1);
            let address = (start % (1 << 52)).checked_add(page - first)?;

            (count > 0).then_some((
                page as usize,
                address as usize,
                first as usize..end as usize,
            ))
        },
    )
}

proptest! {
    #![proptest_config(cases(50_000))]

    #[test]
    fn a_window_is_the_page_table_as_far_as_it_is_shown((page, address, shown) in fault()) {
        let window = around(page, address, shown.clone());

        prop_assert!(window.contains(&page));
        prop_assert!(window.start >= shown.start && window.end <= shown.end);
        prop_assert!(window.len() <= PAGES);

        // One more page on either side is of another page table, or is not shown.
        let first = address.checked_sub(page - window.start);
        let last = address + (window.end - 1 - page);
        if let Some(first) = first {
            prop_assert_eq!(first / PAGES, address / PAGES);
            prop_assert!(window.start == shown.start || first % PAGES == 0);
        }
        prop_assert_eq!(last / PAGES, address / PAGES);
        prop_assert!(window.end == shown.end || last % PAGES == PAGES - 1);
    }
}
