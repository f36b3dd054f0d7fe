// SPDX-License-Identifier: GPL-2.0

//! Holders and their pages, against a list of them.

use super::cases;
use crate::tally::{
    share,
    split,
    with_holder,
    without_holder,
    HOLDER,
    MAX_HOLDERS,
    MAX_PAGES, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

/// Pages, and limits: small ones, and those next to the largest.
fn pages() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..50, MAX_PAGES - 50..=MAX_PAGES, 0..=MAX_PAGES]
}

fn holders() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..5, MAX_HOLDERS - 5..=MAX_HOLDERS, 0..=MAX_HOLDERS]
}

#[derive(Clone, Debug)]
enum Step {
    Add { pages: u64, limit: u64 },
    Remove(prop::sample::Index),
    RemoveUnlessLast(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (pages(), pages()).prop_map(|(pages, limit)| Step::Add { pages, limit }),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        2 => any::<prop::sample::Index>().prop_map(Step::RemoveUnlessLast),
    ]
}

proptest! {
    #![proptest_config(cases(10_000))]

    /// Neither number runs into the other, from any state.
    #[test]
    fn one_more_holder(
        holders in holders(),
        held in pages(),
        pages in pages(),
        limit in pages(),
    ) {
        let fits = held + pages <= limit && holders < MAX_HOLDERS;

        match with_holder(holders * HOLDER + held, pages, limit) {
            None => prop_assert!(!fits),
            Some(word) => {
                prop_assert!(fits);
                prop_assert_eq!(split(word), (holders + 1, held + pages));
            }
        }
    }

    #[test]
    fn one_holder_less(holders in 1..=MAX_HOLDERS, held in pages(), pages in pages()) {
        let (pages, held) = (pages.min(held), pages.max(held));
        let word = holders * HOLDER + held;

        match without_holder(word, pages) {
            None => prop_assert_eq!(holders, 1),
            Some(rest) => {
                prop_assert!(holders > 1);
                prop_assert_eq!(split(rest), (holders - 1, held - pages));
                prop_assert_eq!(rest, word - share(pages));
            }
        }
    }

    #[test]
    fn a_word_is_a_list_of_holders(steps in vec(step(), 0..60)) {
        let (mut word, mut model) = (0u64, Vec::new());

        for step in steps {
            match step {
                Step::Add { pages, limit } => {
                    let sum: u64 = model.iter().sum();
                    let added = with_holder(word, pages, limit);

                    prop_assert_eq!(added.is_some(), sum + pages <= limit);
                    if let Some(added) = added {
                        word = added;
                        model.push(pages);
                    }
                }
                Step::Remove(at) if !model.is_empty() => {
                    word -= share(model.swap_remove(at.index(model.len())));
                }
                Step::RemoveUnlessLast(at) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let rest = without_holder(word, model[at]);

                    prop_assert_eq!(rest.is_some(), model.len() > 1);
                    if let Some(rest) = rest {
                        word = rest;
                        model.swap_remove(at);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(split(word), (model.len() as u64, model.iter().sum()));
        }
    }
}
